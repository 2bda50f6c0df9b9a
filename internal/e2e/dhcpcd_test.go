package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"damselfly/internal/lab"
)

// dhcpcdScript leaves what dhcpcd tells it in a file.
const dhcpcdScript = `#!/bin/sh
env | grep -E '^(reason|new_|old_)' >> "%s"
exit 0
`

// dhcpcdAlone is how dhcpcd is started: ip(8) gave the command a mount namespace
// of its own, where the folders that dhcpcd knows by name are the test's.
const dhcpcdAlone = `mount --bind "$1/db" /var/lib/dhcpcd && mount --bind "$1/run" /run/dhcpcd && exec dhcpcd -B -d -f "$1/conf" eth0`

// dhcpcd is one of a guest.
type dhcpcd struct {
	heard
	guest *lab.Guest
	dir   string
	cmd   *exec.Cmd
	done  chan error
}

// newDHCPcd sets one up that asks for what the lines of its configuration say.
// Its DUID is made from the guest's link-layer address, so that this host keeps
// none.
func newDHCPcd(t *testing.T, g *lab.Guest, asks string) *dhcpcd {
	t.Helper()
	needs(t, "dhcpcd")
	dir := t.TempDir()
	c := &dhcpcd{guest: g, dir: dir, heard: heard{filepath.Join(dir, "said")}}
	script := filepath.Join(dir, "script")
	conf := fmt.Sprintf("duid ll\nipv6only\nnoipv6rs\nscript %s\noption domain_name_servers, domain_search\n%s\n", script, asks)
	for _, err := range []error{
		os.MkdirAll("/var/lib/dhcpcd", 0o755), os.MkdirAll("/run/dhcpcd", 0o755),
		os.Mkdir(filepath.Join(dir, "db"), 0o755), os.Mkdir(filepath.Join(dir, "run"), 0o755),
		os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600),
		os.WriteFile(script, fmt.Appendf(nil, dhcpcdScript, c.said), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// start starts it in the foreground. Its output goes to a file: the processes
// that it keeps for its privileges would hold a pipe open.
func (c *dhcpcd) start(t *testing.T) {
	t.Helper()
	out, err := os.OpenFile(filepath.Join(c.dir, "out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.cmd = c.guest.Command("sh", "-c", dhcpcdAlone, "sh", c.dir)
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = out, out, time.Second
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := c.cmd, make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	c.done = done
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nothing may be left of it
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(c.dir, "out"))
			t.Logf("dhcpcd said:\n%s", text)
		}
	})
}

// end ends it: SIGTERM is the end, SIGALRM a Release before (dhcpcd(8)). It loses a
// signal that comes while a script of its runs, so it is told until it ends.
func (c *dhcpcd) end(t *testing.T, how syscall.Signal) {
	t.Helper()
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	late := time.After(patience)
	for {
		if err := c.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case err := <-c.done:
			if err != nil && !errors.As(err, new(*exec.ExitError)) {
				t.Errorf("dhcpcd ended: %v", err)
			}
			return
		case <-again.C:
		case <-late:
			t.Fatalf("dhcpcd does not end upon %v", how)
		}
	}
}
