package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

func newOVSDBServer(dir string) *daemon {
	return &daemon{name: "ovsdb-server", dir: dir, args: []string{
		filepath.Join(dir, "conf.db"),
		"--remote=punix:" + filepath.Join(dir, "db.sock"),
		"--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
		"--pidfile", "--log-file=" + filepath.Join(dir, "ovsdb-server.log"), "-vconsole:off",
	}}
}

func newVswitchd(dir string) *daemon {
	return &daemon{name: "ovs-vswitchd", dir: dir, args: []string{
		"unix:" + filepath.Join(dir, "db.sock"),
		"--disable-system",
		"--pidfile", "--log-file=" + filepath.Join(dir, "ovs-vswitchd.log"), "-vconsole:off",
	}}
}

// Vsctl runs ovs-vsctl on the lab's database and gives what it printed.
func (l *Lab) Vsctl(args ...string) (string, error) {
	return run(context.Background(), l.environment(), "", "ovs-vsctl", append([]string{"--timeout=20"}, args...)...)
}

// Ofctl runs ovs-ofctl with OpenFlow 1.5 and gives what it printed. A bridge is
// called by its name.
func (l *Lab) Ofctl(args ...string) (string, error) {
	return run(context.Background(), l.environment(), "", "ovs-ofctl", append([]string{"--timeout=20", "-O", "OpenFlow15"}, args...)...)
}

// Appctl runs ovs-appctl, towards ovs-vswitchd unless -t says otherwise, and
// gives what it printed.
func (l *Lab) Appctl(args ...string) (string, error) {
	return run(context.Background(), l.environment(), "", "ovs-appctl", append([]string{"--timeout=20"}, args...)...)
}

// Mgmt is the endpoint of a bridge's management socket,
// unix:RUNDIR/BRIDGE.mgmt.
func (l *Lab) Mgmt(bridge string) string {
	return "unix:" + filepath.Join(l.RunDir, bridge+".mgmt")
}

// AddBridge makes a bridge on the userspace datapath. The columns are set with
// it, in ovs-vsctl's form (`fail_mode=secure`); without any the bridge is a
// learning switch.
func (l *Lab) AddBridge(name string, columns ...string) error {
	args := append([]string{"add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev"}, columns...)
	if _, err := l.Vsctl(args...); err != nil {
		return err
	}
	l.mu.Lock()
	off := l.ndExtNo
	l.mu.Unlock()
	if off {
		return l.setNDExt(name, false)
	}
	return nil
}

// OFPort is the OpenFlow port number of an interface; an error holds what
// ovs-vswitchd says when the interface has none.
func (l *Lab) OFPort(name string) (uint32, error) {
	out, err := l.Vsctl("get", "Interface", name, "ofport", "error")
	if err != nil {
		return 0, err
	}
	ofport, complaint, _ := strings.Cut(strings.TrimSpace(out), "\n")
	n, err := strconv.ParseInt(ofport, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("interface %s has no port number: ofport %s, error %s", name, ofport, complaint)
	}
	return uint32(n), nil
}

// SetNDExt switches the datapath's nd_ext (flows that set nd_reserved and
// nd_options_type) for all bridges, present and to come; off is how the Linux
// kernel datapath behaves. StartVswitchd sets it again, but only once
// ovs-vswitchd is up: a controller that connects at once may still see nd_ext.
func (l *Lab) SetNDExt(on bool) error {
	l.mu.Lock()
	l.ndExtNo = !on
	l.mu.Unlock()
	out, err := l.Vsctl("list-br")
	if err != nil {
		return err
	}
	for _, bridge := range strings.Fields(out) {
		if err := l.setNDExt(bridge, on); err != nil {
			return err
		}
	}
	return nil
}

// setNDExt sets and reads back: the command answers a refusal with success.
func (l *Lab) setNDExt(bridge string, on bool) error {
	want := strconv.FormatBool(on)
	said, err := l.Appctl("dpif/set-dp-features", bridge, "nd_ext", want)
	if err != nil {
		return err
	}
	got, err := l.Appctl("dpif/set-dp-features", bridge, "nd_ext")
	if err != nil {
		return err
	}
	if !strings.Contains(got, "[run time]:"+want) {
		return fmt.Errorf("bridge %s: nd_ext did not become %s: %s%s", bridge, want, said, got)
	}
	return nil
}
