package pulse

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"damselfly/internal/lab"
)

const (
	deadline = 20 * time.Second
	// holdVariable makes the test binary a process that holds a pulse port.
	holdVariable = "DAMSELFLY_TEST_HOLD"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(holdVariable); name != "" {
		os.Exit(hold(name))
	}
	os.Exit(m.Run())
}

// hold opens the pulse port and answers lines: "close" closes it and ends,
// "done" is answered once the pulse is over, any other with what has been
// received.
func hold(name string) int {
	tap, err := Open(name)
	if err != nil {
		held := errors.Is(err, ErrHeld)
		fmt.Printf("held=%v %v\n", held, err)
		return 1
	}
	var received atomic.Uint64
	go count(tap, &received)
	fmt.Println("open", name)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "close":
			fmt.Println(tap.Close(), Remove(name))
			return 0
		case "done":
			<-tap.Done()
			fmt.Println("over")
		case "open":
			tap.Close()
			if tap, err = Open(name); err != nil {
				fmt.Println(err)
				return 1
			}
			go count(tap, &received)
			fmt.Println("open", name)
		default:
			fmt.Println(received.Load())
		}
	}
	return 0
}

// count reads what comes until the pulse is over.
func count(tap *Tap, received *atomic.Uint64) {
	batch := make([][]byte, 8)
	for r := tap.NewReader(); ; {
		n, err := r.Read(batch)
		if err != nil {
			return
		}
		received.Add(uint64(n))
	}
}

// holder is such a process.
type holder struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	pipe *os.File // what out reads
	out  *bufio.Scanner
}

func (n namespace) hold(name string) *holder {
	n.t.Helper()
	cmd := n.Command(os.Args[0])
	cmd.Env = append(cmd.Env, holdVariable+"="+name)
	in, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	h := &holder{cmd: cmd, in: in, pipe: out.(*os.File), out: bufio.NewScanner(out)}
	n.t.Cleanup(h.kill)
	return h
}

// line is what it says next, and why there is nothing.
func (h *holder) line() string {
	if err := h.pipe.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		return err.Error()
	}
	if !h.out.Scan() {
		return fmt.Sprintf("nothing, and then %v", h.out.Err())
	}
	return h.out.Text()
}

func (h *holder) ask(line string) string {
	fmt.Fprintln(h.in, line)
	return h.line()
}

// kill ends the process with SIGKILL.
func (h *holder) kill() {
	if h.cmd.ProcessState == nil {
		h.cmd.Process.Kill()
		h.cmd.Wait()
	}
}

// namespace is a lab, of which most tests only use the network namespace.
type namespace struct {
	*lab.Lab
	t *testing.T
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	return namespace{Lab: lab.Start(t), t: t}
}

// in runs a program in the namespace.
func (n namespace) in(args ...string) string {
	n.t.Helper()
	out, err := n.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// flags are the device's as ip tells them; none when there is no such device.
func (n namespace) flags(device string) []string {
	out, err := n.Command("ip", "-j", "link", "show", device).Output()
	if err != nil {
		return nil
	}
	var links []struct{ Flags []string }
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		n.t.Fatalf("ip -j link: %v: %s", err, out)
	}
	return links[0].Flags
}

func (n namespace) carrier(device string) bool { return slices.Contains(n.flags(device), "LOWER_UP") }

func (n namespace) eventually(what string, ok func() bool) {
	n.t.Helper()
	lab.WaitFor(n.t, deadline, what, func() error {
		if !ok() {
			return errors.New("not yet")
		}
		return nil
	})
}

func TestCarrierIsTheProcess(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	first := n.hold("dfp-br0")
	if got := first.line(); got != "open dfp-br0" {
		t.Fatalf("first opening: %s", got)
	}
	n.eventually("carrier while held", func() bool { return n.carrier("dfp-br0") })
	if got := n.in("cat", "/proc/sys/net/ipv6/conf/dfp-br0/disable_ipv6"); got != "1\n" {
		t.Errorf("disable_ipv6 is %q", got)
	}
	if got := n.in("ip", "-6", "addr", "show", "dev", "dfp-br0"); got != "" {
		t.Errorf("the host has addresses on it: %s", got)
	}

	second := n.hold("dfp-br0")
	if got := second.line(); !strings.HasPrefix(got, "held=true") {
		t.Errorf("a second holder: %s", got)
	}

	first.kill()
	n.eventually("carrier falls with the process", func() bool { return !n.carrier("dfp-br0") })
	if f := n.flags("dfp-br0"); !slices.Contains(f, "UP") {
		t.Errorf("the device should stay, and up: %v", f)
	}
	third := n.hold("dfp-br0")
	if got := third.line(); got != "open dfp-br0" {
		t.Fatalf("opening again: %s", got)
	}
	n.eventually("carrier is back", func() bool { return n.carrier("dfp-br0") })

	if got := third.ask("close"); got != "<nil> <nil>" {
		t.Errorf("Close, Remove: %s", got)
	}
	n.eventually("the device is removed", func() bool { return n.flags("dfp-br0") == nil })
}

// The device goes away under its holder, who is told and can make it anew.
func TestRemovedDevice(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	h := n.hold("dfp-br0")
	if got := h.line(); got != "open dfp-br0" {
		t.Fatal(got)
	}
	told := make(chan string, 1)
	go func() { told <- h.ask("done") }()
	select {
	case got := <-told:
		t.Fatalf("the pulse is over before the device is: %s", got)
	case <-time.After(50 * time.Millisecond):
	}
	n.in("ip", "link", "del", "dfp-br0")
	select {
	case got := <-told:
		if got != "over" {
			t.Fatal(got)
		}
	case <-time.After(deadline):
		t.Fatal("nobody is told that the device is gone")
	}
	if got := h.ask("open"); got != "open dfp-br0" {
		t.Fatalf("opening again: %s", got)
	}
	n.eventually("carrier is back", func() bool { return n.carrier("dfp-br0") })
}

func TestFramesAreCounted(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	h := n.hold("dfp-br0")
	if got := h.line(); got != "open dfp-br0" {
		t.Fatal(got)
	}
	if got := h.ask("received"); got != "0" {
		t.Errorf("the host's kernel sent %s frames", got)
	}
	n.in("python3", "-c", `
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("dfp-br0", 0))
for i in range(100):
    s.send(bytes(12) + b"\x88\xb5" + bytes(100))
`)
	n.eventually("frames are counted", func() bool { return h.ask("received") == "100" })
}

func TestNoTap(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	n.in("ip", "link", "add", "dfp-br0", "type", "veth", "peer", "name", "other")
	h := n.hold("dfp-br0")
	if got := h.line(); !strings.HasPrefix(got, "held=false") || !strings.Contains(got, "is no tap") {
		t.Errorf("opening a veth: %s", got)
	}
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "sixteen-letters-", "dfp-%d", "a/b", "a b"} {
		if tap, err := Open(name); err == nil {
			tap.Close()
			t.Errorf("%q was taken", name)
		}
	}
	if err := Remove("dfp-not-there"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	// The digest is what `printf %s ... | sha256sum` prints.
	tests := []struct{ bridge, want string }{
		{"br0", "dfp-br0"},
		{"br-dfly", "dfp-br-dfly"},
		{"elevenoctet", "dfp-elevenoctet"},
		{"twelveoctets", "dfp-d894275e0ba"},
		{"br-integration-of-host-1", "dfp-dc8a51bec87"},
	}
	for _, tt := range tests {
		if got := Name(tt.bridge); got != tt.want || len(got) > 15 {
			t.Errorf("Name(%q) = %q, want %q", tt.bridge, got, tt.want)
		}
	}
}
