// Package stage sets a lab up with a bridge and a Damselfly that serves it: what
// end-to-end tests, the demo and the benchmarks play on.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
)

// Bridge is the name of the bridge on every stage.
const Bridge = "br-dfly"

// Stage is a bridge of a lab, and who serves it.
type Stage struct {
	*lab.Lab
	// Binary is the damselfly that Serve starts.
	Binary string
	// ConfigPath is the configuration's file, in the lab's run directory.
	ConfigPath string
	// Punt is how frames are to come from the switch; "" leaves it to Damselfly.
	Punt string

	bridge, state, api string
}

// api is where the Damselfly of a lab listens: each lab has a network namespace of
// its own.
const api = "127.0.0.1:8686"

// New puts the bridge into a lab, with fail_mode=secure as the README says.
func New(l *lab.Lab, binary string) (*Stage, error) {
	return newStage(&Stage{Lab: l, Binary: binary, ConfigPath: filepath.Join(l.RunDir, "damselfly.yaml"),
		bridge: Bridge, state: filepath.Join(l.RunDir, "state"), api: api})
}

// Beside puts another bridge into a lab, whose Damselfly listens at an address of
// its own.
func Beside(l *lab.Lab, binary, bridge, address string) (*Stage, error) {
	return newStage(&Stage{Lab: l, Binary: binary, ConfigPath: filepath.Join(l.RunDir, bridge+".yaml"),
		bridge: bridge, state: filepath.Join(l.RunDir, bridge+".state"), api: address})
}

func newStage(s *Stage) (*Stage, error) {
	return s, s.AddBridge(s.bridge, "fail_mode=secure")
}

// Configure writes the configuration: networks, routers and ports in YAML. The
// rest is the stage's. A running Damselfly takes it over.
func (s *Stage) Configure(topology string) error {
	text := fmt.Sprintf("bridge: %s\nstate: %s\napi: %s\n", s.bridge, s.state, s.api)
	if s.Punt != "" {
		text += fmt.Sprintf("punt: %s\n", s.Punt)
	}
	text += topology
	next := s.ConfigPath + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.ConfigPath)
}

// Daemon is a running `damselfly run`.
type Daemon struct {
	stage *Stage
	cmd   *exec.Cmd
	log   logBuffer
	done  chan struct{} // closed when the process has ended
	err   error         // set before done is closed
}

// Start starts damselfly and does not wait for it.
func (s *Stage) Start(flags ...string) (*Daemon, error) {
	args := append([]string{"run", "-c", s.ConfigPath, "--ovsdb", s.OVSDB}, flags...)
	d := &Daemon{stage: s, cmd: s.Command(s.Binary, args...), done: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.WaitDelay = &d.log, &d.log, 10*time.Second // its children may outlive it
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.done)
	}()
	return d, nil
}

// Serve starts damselfly and waits until it serves the bridge.
func (s *Stage) Serve(ctx context.Context, flags ...string) (*Daemon, error) {
	d, err := s.Start(flags...)
	if err != nil {
		return nil, err
	}
	if err := d.Ready(ctx); err != nil {
		return nil, errors.Join(err, d.Kill())
	}
	return d, nil
}

// Ready waits until the bridge holds what the configuration wants and the pulse
// is up.
func (d *Daemon) Ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-d.done:
			cancel(fmt.Errorf("damselfly ended: %w", d.err))
		case <-ctx.Done():
		}
	}()
	err := lab.Eventually(ctx, func() error {
		st, err := d.Status()
		switch {
		case err != nil:
			return err
		case st.BridgeError != "":
			return errors.New(st.BridgeError)
		case st.FlowsWanted == 0 || !st.Pulse:
			return errors.New("flows are not in yet")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("damselfly does not serve: %w\n%s", err, d.Log())
	}
	return nil
}

// Status asks the running damselfly.
func (d *Daemon) Status() (st agent.Status, err error) {
	return st, d.Get("/status", &st)
}

// Get reads a document of its API; into is a *[]byte for the plain octets, or
// what JSON is decoded into.
func (d *Daemon) Get(path string, into any) error {
	return d.stage.Within(func() error {
		conn, err := net.DialTimeout("tcp", d.stage.api, 10*time.Second)
		if err != nil {
			return err
		}
		client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		}}
		resp, err := client.Get("http://" + d.stage.api + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if raw, ok := into.(*[]byte); ok {
			var b bytes.Buffer
			_, err := b.ReadFrom(resp.Body)
			*raw = b.Bytes()
			return err
		}
		return json.NewDecoder(resp.Body).Decode(into)
	})
}

// Ended is nil once the process has ended, else an error.
func (d *Daemon) Ended() error {
	select {
	case <-d.done:
		return nil
	default:
		return errors.New("damselfly is running")
	}
}

// Said is nil once the log contains text, else an error.
func (d *Daemon) Said(text string) error {
	if strings.Contains(d.Log(), text) {
		return nil
	}
	return fmt.Errorf("damselfly has not said %q", text)
}

// Log returns what it has logged.
func (d *Daemon) Log() string { return d.log.String() }

// PID is its process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Stop ends it as systemd would and returns how it ended.
func (d *Daemon) Stop() error {
	if err := d.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return d.Wait()
}

// Kill ends it with SIGKILL.
func (d *Daemon) Kill() error {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-d.done
	return nil
}

// Signal sends it a signal.
func (d *Daemon) Signal(sig os.Signal) error { return d.cmd.Process.Signal(sig) }

// endLimit is how long Wait waits.
const endLimit = 30 * time.Second

// Wait returns when it has ended, with its error. One that does not end is made to:
// its goroutines' stacks are in the log then.
func (d *Daemon) Wait() error {
	select {
	case <-d.done:
		return d.err
	case <-time.After(endLimit):
	}
	late := fmt.Errorf("damselfly did not end within %v", endLimit)
	if err := d.Signal(syscall.SIGQUIT); err != nil {
		return errors.Join(late, err)
	}
	select {
	case <-d.done:
		return late
	case <-time.After(endLimit):
		return errors.Join(late, d.Kill())
	}
}

// logBuffer is written by the process's output and read by tests.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all that was written.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
