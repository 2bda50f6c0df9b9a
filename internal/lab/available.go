package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sharedDir is where Debian's openvswitch-switch keeps schema and scripts.
const sharedDir = "/usr/share/openvswitch"

// Available says whether a lab can run here: nil, or an error that lists
// everything that is missing and what to install.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("a lab needs root (network namespaces): run as root")
	}
	var missing []string
	for _, t := range []string{"ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", "ip", "ethtool"} {
		if _, err := tool(t); err != nil {
			missing = append(missing, t)
		}
	}
	if _, err := os.Stat(filepath.Join(sharedDir, "vswitch.ovsschema")); err != nil {
		missing = append(missing, filepath.Join(sharedDir, "vswitch.ovsschema"))
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return errors.New("a lab needs IPv6 in the kernel, and /proc/sys/net/ipv6 is not there: is ipv6.disable=1 on its command line?")
	}
	if len(missing) > 0 {
		return fmt.Errorf("a lab needs %s: install openvswitch-switch, iproute2 and ethtool", strings.Join(missing, ", "))
	}
	return nil
}

// tool finds a program, also in the sbin folders that the PATH of a root
// shell made by a plain su lacks.
func tool(name string) (string, error) {
	p, err := exec.LookPath(name)
	if err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", err
}
