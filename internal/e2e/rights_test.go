package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// unprivileged starts a Damselfly that may make no port of the bridge.
func unprivileged(t *testing.T, punt string) (*stage.Stage, *stage.Daemon) {
	t.Helper()
	s := newStage(t, false, blue)
	s.Punt = punt
	if err := s.Configure(blue); err != nil {
		t.Fatal(err)
	}
	s.Binary = filepath.Join(t.TempDir(), "damselfly")
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --bounding-set=-net_admin --inh-caps=-net_admin %s \"$@\"\n", binary)
	// A process that another test starts meanwhile would have the file open for
	// writing for a moment, in which nobody can run it (execve(2), ETXTBSY).
	syscall.ForkLock.RLock()
	err := os.WriteFile(s.Binary, []byte(script), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("damselfly said:\n%s", d.Log())
		}
		_ = d.Kill()
	})
	return s, d
}

// TestPriority wants every thread to have ovs-vswitchd's priority.
func TestPriority(t *testing.T) {
	t.Parallel()
	d := serve(t, newStage(t, false, blue))
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", d.PID()))
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads: %v", len(threads), err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, id)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil || 20-raw != -10 {
			t.Errorf("thread %d has niceness %d: %v", id, 20-raw, err)
		}
	}
}

// TestWithoutRights serves guests without CAP_NET_ADMIN: left to choose, frames come
// as packet-ins, and the log says why; told to use a port, nothing is served, and it
// says what is missing.
func TestWithoutRights(t *testing.T) {
	t.Parallel()
	t.Run("auto", func(t *testing.T) {
		t.Parallel()
		s, d := unprivileged(t, "auto")
		lab.WaitFor(t, patience, "flows", func() error {
			st, err := d.Status()
			if err == nil && st.FlowsWanted == 0 {
				err = errors.New("none yet")
			}
			return err
		})
		if err := d.Said("run as root or with CAP_NET_ADMIN; frames come as packet-ins"); err != nil {
			t.Error(err)
		}
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: mac1})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: mac2})
		ping(t, vm1, booted(t, bluePrefix, vm1, vm2)[1].String())
		st, err := d.Status()
		if err != nil || st.Punt != "packet-in" || st.Pulse {
			t.Errorf("punt is %q, pulse %v: %v", st.Punt, st.Pulse, err)
		}
	})
	t.Run("port", func(t *testing.T) {
		t.Parallel()
		_, d := unprivileged(t, "port")
		lab.WaitFor(t, patience, "what is missing", func() error {
			st, err := d.Status()
			if err == nil && !strings.Contains(st.BridgeError, "run as root or with CAP_NET_ADMIN") {
				err = fmt.Errorf("the status says %q", st.BridgeError)
			}
			if err == nil && st.FlowsWanted != 0 {
				t.Errorf("%d flows are wanted", st.FlowsWanted)
			}
			return err
		})
	})
}
