package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a daemon asked to exit may take.
const stopLimit = 20 * time.Second

// daemon is one of the lab's two: started in the foreground as a child, so
// that its process id is known and it dies with this process.
type daemon struct {
	name string
	args []string
	dir  string // run directory: sockets, log, pid file

	mu     sync.Mutex
	cmd    *exec.Cmd     // guarded by mu; nil before the first start
	exited chan struct{} // guarded by mu; closed when cmd has ended
}

// start runs the daemon on the thread, with env, and waits until its control
// socket answers. Starting what runs is an error.
func (d *daemon) start(ctx context.Context, t *thread, env []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runningLocked() {
		return fmt.Errorf("%s runs already", d.name)
	}
	path, err := tool(d.name)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(d.dir, d.name+".out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	// As ovs-ctl(8) starts them.
	cmd := exec.Command("nice", append([]string{"-n", "-10", path}, d.args...)...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, d.dir, out, out
	// A group of its own keeps an interrupt typed at the terminal away: the
	// lab is taken down by Close, not from under its user.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := t.do(cmd.Start); err != nil {
		return fmt.Errorf("starting %s: %w", d.name, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // How it ended is in its log; that it ended is what counts.
		close(exited)
	}()
	d.cmd, d.exited = cmd, exited
	return d.readyLocked(ctx)
}

// readyLocked waits until the control socket accepts.
func (d *daemon) readyLocked(ctx context.Context) error {
	socket := d.controlLocked()
	err := Eventually(ctx, func() error {
		if !d.runningLocked() {
			return permanent{errors.New("it ended at once")}
		}
		return dial(socket)
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w\n%s", d.name, err, d.output())
	}
	return nil
}

// controlLocked is the daemon's unixctl socket, where OVS puts it.
func (d *daemon) controlLocked() string {
	return filepath.Join(d.dir, d.name+"."+strconv.Itoa(d.cmd.Process.Pid)+".ctl")
}

func (d *daemon) runningLocked() bool {
	if d.cmd == nil {
		return false
	}
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// running says whether the daemon was started and has not ended.
func (d *daemon) running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runningLocked()
}

// pid is the process id of the running daemon, else 0.
func (d *daemon) pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.runningLocked() {
		return 0
	}
	return d.cmd.Process.Pid
}

// stop asks the daemon to exit by calling ask, and waits. One that does not
// is killed, and that is an error. Stopping what does not run is success.
func (d *daemon) stop(ask func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.runningLocked() {
		return nil
	}
	err := ask()
	if err == nil {
		select {
		case <-d.exited:
			return nil
		case <-time.After(stopLimit):
			err = fmt.Errorf("it did not exit within %v", stopLimit)
		}
	}
	d.killLocked()
	return fmt.Errorf("stopping %s: %w; killed it instead", d.name, err)
}

// kill ends the daemon with SIGKILL and waits for its end.
func (d *daemon) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.killLocked()
}

func (d *daemon) killLocked() {
	if d.runningLocked() {
		_ = d.cmd.Process.Kill() // It can only fail by having ended already.
		<-d.exited
	}
}

// output is the end of what the daemon logged and printed, for error texts.
func (d *daemon) output() string {
	return tail(filepath.Join(d.dir, d.name+".out")) + tail(filepath.Join(d.dir, d.name+".log"))
}

// warnings are the lines of the log above INFO.
func (d *daemon) warnings() string {
	text, err := os.ReadFile(filepath.Join(d.dir, d.name+".log"))
	if err != nil {
		return err.Error()
	}
	var found strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "|WARN|") || strings.Contains(line, "|ERR|") || strings.Contains(line, "|EMER|") {
			found.WriteString(line)
		}
	}
	return found.String()
}

// tail is the last 4 KiB of a file, empty where there is none.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-4096):])
}

// dial says whether somebody accepts on a unix socket.
func dial(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	return c.Close()
}
