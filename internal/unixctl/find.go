package unixctl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Find returns the path of ovs-vswitchd's control socket in Open vSwitch's run
// directory: the process id in its name is that of ovs-vswitchd.pid. A restart
// of ovs-vswitchd changes it, so it is looked up anew for every connection.
// That somebody listens there is for Dial to find out.
func Find(runDir string) (string, error) {
	const daemon = "ovs-vswitchd"
	path := filepath.Join(runDir, daemon+".pid")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s: is ovs-vswitchd running, and are its sockets in %s?", path, runDir)
	}
	if err != nil {
		return "", fmt.Errorf("reading the process id of ovs-vswitchd: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return "", fmt.Errorf("reading the process id of ovs-vswitchd: %w", err)
	}
	pid, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 31)
	if err != nil || pid == 0 {
		return "", fmt.Errorf("%s holds %q, no process id: restart ovs-vswitchd, which writes it anew", path, text)
	}
	return filepath.Join(runDir, fmt.Sprintf("%s.%d.ctl", daemon, pid)), nil
}
