package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// commandLimit bounds every tool the lab itself runs.
const commandLimit = 30 * time.Second

// socketRoom is what the longest socket name needs beside the run directory:
// a unix socket's path ends at 107 octets (unix(7)).
const socketRoom = 40

// Lab is a private Open vSwitch. Its methods may be called from several
// goroutines, Close only once they are done.
type Lab struct {
	RunDir    string // sockets, database and logs; OVS_RUNDIR for OVS's tools
	Namespace string // as `ip netns` names it
	OVSDB     string // the database's endpoint, unix:RUNDIR/db.sock

	thread   *thread
	ovsdb    *daemon
	vswitchd *daemon

	mu      sync.Mutex
	guests  []*Guest // guarded by mu
	ndExtNo bool     // guarded by mu; SetNDExt(false) holds over restarts
	starts  int      // guarded by mu; of ovs-vswitchd, see StartVswitchd
}

// New sweeps up after dead labs and starts a lab; ctx bounds the start alone.
// The caller must Close it. Errors say what is missing (see Available) or end
// with the log of the daemon that did not start.
func New(ctx context.Context) (*Lab, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	if err := Sweep(); err != nil {
		return nil, err
	}
	me, err := self()
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%s-%d", me, labCount.Add(1))
	dir, err := os.MkdirTemp("", runDirPrefix+id+"-")
	if err != nil {
		return nil, err
	}
	l := &Lab{
		RunDir:    dir,
		Namespace: namespacePrefix + id,
		OVSDB:     "unix:" + filepath.Join(dir, "db.sock"),
		ovsdb:     newOVSDBServer(dir),
		vswitchd:  newVswitchd(dir),
	}
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a lab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context) error {
	if len(l.RunDir)+socketRoom > 107 {
		return fmt.Errorf("run directory %s is too long for unix sockets: set TMPDIR to a shorter one", l.RunDir)
	}
	if _, err := run(ctx, nil, "", "ip", "netns", "add", l.Namespace); err != nil {
		return err
	}
	t, err := newThread(l.Namespace)
	if err != nil {
		return err
	}
	l.thread = t
	err = within(l.Namespace, func() error {
		_, err := run(ctx, nil, "", "ip", "link", "set", "lo", "up")
		return err
	})
	if err != nil {
		return err
	}
	schema := filepath.Join(sharedDir, "vswitch.ovsschema")
	if _, err := run(ctx, l.environment(), "", "ovsdb-tool", "create", filepath.Join(l.RunDir, "conf.db"), schema); err != nil {
		return err
	}
	if err := l.StartOVSDB(ctx); err != nil {
		return err
	}
	if _, err := l.Vsctl("--no-wait", "init"); err != nil {
		return err
	}
	return l.StartVswitchd(ctx)
}

// Close kills every process in the lab's namespaces, the daemons and whatever
// was started with Command, and removes namespaces and run directory.
func (l *Lab) Close() error {
	l.mu.Lock()
	guests := l.guests
	l.guests = nil
	l.mu.Unlock()
	var errs []error
	for _, g := range guests {
		errs = append(errs, g.remove())
	}
	l.vswitchd.kill()
	l.ovsdb.kill()
	if l.thread != nil {
		l.thread.close()
	}
	errs = append(errs, removeNamespace(l.Namespace), os.RemoveAll(l.RunDir))
	return errors.Join(errs...)
}

// Command is a command that will run in the lab's namespace, with the
// environment that turns OVS's tools to the lab's instance. Close ends it.
func (l *Lab) Command(name string, args ...string) *exec.Cmd {
	cmd := commandWithin(context.Background(), l.Namespace, name, args...)
	cmd.Env = l.environment()
	return cmd
}

// Within calls f on a thread in the lab's namespace: sockets that f opens
// belong there.
func (l *Lab) Within(f func() error) error { return within(l.Namespace, f) }

// environment is what OVS's tools and scripts go by (ovs-appctl(8) and
// ovs-lib). TMPDIR is where ovs-save keeps its dumps.
func (l *Lab) environment() []string {
	return append(os.Environ(),
		"OVS_RUNDIR="+l.RunDir,
		"OVS_LOGDIR="+l.RunDir,
		"OVS_DBDIR="+l.RunDir,
		"OVS_SYSCONFDIR="+l.RunDir,
		"TMPDIR="+l.RunDir,
	)
}
