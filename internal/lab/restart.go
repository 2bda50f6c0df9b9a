package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// StartOVSDB starts ovsdb-server and waits until it serves.
func (l *Lab) StartOVSDB(ctx context.Context) error {
	if err := l.ovsdb.start(ctx, l.thread, l.environment()); err != nil {
		return err
	}
	return Eventually(ctx, func() error { return dial(filepath.Join(l.RunDir, "db.sock")) })
}

// StopOVSDB asks ovsdb-server to exit and waits for its end.
func (l *Lab) StopOVSDB() error {
	return l.ovsdb.stop(func() error { _, err := l.Appctl("-t", "ovsdb-server", "exit"); return err })
}

// KillOVSDB ends ovsdb-server with SIGKILL.
func (l *Lab) KillOVSDB() { l.ovsdb.kill() }

// StartVswitchd starts ovs-vswitchd and, where ovsdb-server runs, waits until
// every bridge and port of the database stands. Where SetNDExt(false) holds,
// flow-restore-wait is set until it is in force again: no controller may find
// out what the datapath can do before.
func (l *Lab) StartVswitchd(ctx context.Context) error {
	return l.startVswitchd(ctx, false)
}

// startVswitchd is StartVswitchd; waiting says that flow-restore-wait is set and
// somebody else will remove it.
func (l *Lab) startVswitchd(ctx context.Context, waiting bool) error {
	l.mu.Lock()
	off := l.ndExtNo
	l.mu.Unlock()
	if off && !waiting && l.ovsdb.running() {
		if err := l.holdRestoreWait(); err != nil {
			return err
		}
	}
	if err := l.vswitchd.start(ctx, l.thread, l.environment()); err != nil {
		return err
	}
	if !l.ovsdb.running() {
		return nil
	}
	l.mu.Lock()
	l.starts++
	start := l.starts
	l.mu.Unlock()
	// ovs-vsctl returns from a change when ovs-vswitchd has applied it and
	// all before it.
	if _, err := l.Vsctl("set", "Open_vSwitch", ".", "external_ids:lab-start="+strconv.Itoa(start)); err != nil {
		return err
	}
	if !off {
		return nil
	}
	if err := l.SetNDExt(false); err != nil || waiting {
		return err
	}
	return l.liftRestoreWait()
}

// holdRestoreWait and liftRestoreWait set and remove what keeps controllers from
// touching the flows.
func (l *Lab) holdRestoreWait() error {
	_, err := l.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	return err
}

func (l *Lab) liftRestoreWait() error {
	_, err := l.Vsctl("--if-exists", "remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	return err
}

// StopVswitchd asks ovs-vswitchd to exit and waits for its end. Its flows are
// lost; the userspace datapath goes with it.
func (l *Lab) StopVswitchd() error {
	return l.vswitchd.stop(func() error { _, err := l.Appctl("exit"); return err })
}

// KillVswitchd ends ovs-vswitchd with SIGKILL.
func (l *Lab) KillVswitchd() { l.vswitchd.kill() }

// VswitchdPID is the process id of the running ovs-vswitchd, else 0.
func (l *Lab) VswitchdPID() int { return l.vswitchd.pid() }

// Restart stops both daemons and starts them, bare: no flows are saved.
func (l *Lab) Restart(ctx context.Context) error {
	return l.restart(ctx, false, func() error { return nil })
}

// SaveRestore restarts both daemons as `ovs-ctl restart` does: flows and
// groups of the bridges are saved by ovs-save before, restored after, and
// other_config:flow-restore-wait is true from the moment ovs-vswitchd stops
// until they are. An error of the restoring script is returned after the wait
// was lifted.
func (l *Lab) SaveRestore(ctx context.Context, bridges ...string) error {
	save := filepath.Join(sharedDir, "scripts", "ovs-save")
	script, err := run(ctx, l.environment(), "", save, append([]string{"save-flows"}, bridges...)...)
	if err != nil {
		return err
	}
	restore := func() error {
		// Like ovs-ctl, go on after a failed line; what it prints is how
		// failures show, since the script's last line always succeeds.
		printed, failed := run(ctx, l.environment(), "exec 2>&1\n"+script, "sh")
		if err := l.liftRestoreWait(); err != nil {
			return err
		}
		if printed != "" {
			return fmt.Errorf("restoring flows: %s", strings.TrimSpace(printed))
		}
		return failed
	}
	return l.restart(ctx, true, restore)
}

// restart is the order of `ovs-ctl restart`: the database first, since it may
// be slow to load, then forwarding. With hold, flow-restore-wait is set while
// ovs-vswitchd starts, and resume must remove it.
func (l *Lab) restart(ctx context.Context, hold bool, resume func() error) error {
	if err := l.StopOVSDB(); err != nil {
		return err
	}
	if err := l.StartOVSDB(ctx); err != nil {
		return err
	}
	if err := l.StopVswitchd(); err != nil {
		return err
	}
	if hold {
		if err := l.holdRestoreWait(); err != nil {
			return err
		}
	}
	if err := l.startVswitchd(ctx, hold); err != nil {
		return err
	}
	return resume()
}
