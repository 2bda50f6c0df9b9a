package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// bareVariable makes this test binary a bare responder: its kind, a space, and
// the bridge's socket or the device it is behind.
const bareVariable = "DAMSELFLY_BENCH_BARE"

// The kinds of bare responders.
const (
	barePacketIn = "packet-in"
	bareTap      = "tap"
	bareSocket   = "veth"
)

func beBare(what string) error {
	kind, where, _ := strings.Cut(what, " ")
	ready := func() { fmt.Println("ready") }
	switch kind {
	case barePacketIn:
		return Bare(context.Background(), where, ready)
	case bareTap:
		return BareTap(where, ready)
	case bareSocket:
		return BareSocket(where, ready)
	}
	return fmt.Errorf("no bare responder is called %q", kind)
}

// program is the damselfly under test, built once.
var program string

func TestMain(m *testing.M) {
	if what := os.Getenv(bareVariable); what != "" {
		if err := beBare(what); err != nil {
			fmt.Fprintln(os.Stderr, "bare responder:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if lab.Available() != nil {
		return m.Run() // what needs a lab skips and says why
	}
	dir, err := os.MkdirTemp("", "dfly-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "damselfly")
	if out, err := exec.Command("go", "build", "-o", program, "damselfly/cmd/damselfly").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building damselfly: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// limits are what the benchmarks set: no budget of a port ends a frame.
const limits = "limits: {ns: none, rs: none, echo: none}"

const bareBridge = "br-bare"

// theater is a lab with two bridges under one ovs-vswitchd, as many guests on
// each: Damselfly serves one, the bare responder the other.
type theater struct {
	*stage.Stage
	daemon     *stage.Daemon
	switchPID  int
	damselfly  responder
	bare       responder
	interfaces map[string]int
}

// responder is who answers on a bridge.
type responder struct {
	pid    int
	guests []*lab.Guest
}

func newTheater(tb testing.TB, ndExt bool) *theater {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	l := lab.Start(tb)
	s, err := stage.New(l, program)
	must(err)
	must(l.SetNDExt(ndExt))
	must(l.AddBridge(bareBridge, "fail_mode=secure"))
	t := &theater{Stage: s, interfaces: map[string]int{}}
	t.damselfly.guests = t.addGuests(tb, stage.Bridge, "vm")
	t.bare.guests = t.addGuests(tb, bareBridge, "bare")
	must(s.Configure(topologyText()))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t.daemon, err = s.Serve(ctx)
	must(err)
	t.damselfly.pid = t.daemon.PID()
	t.switchPID = switchPID(tb, l)
	_, err = l.Ofctl("add-flow", bareBridge, BareFlow)
	must(err)
	t.bare.pid = t.startBare(tb, barePacketIn+" "+t.Mgmt(bareBridge))
	return t
}

// switchPID is the process id of a lab's ovs-vswitchd.
func switchPID(tb testing.TB, l *lab.Lab) int {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(l.RunDir, "ovs-vswitchd.pid"))
	if err != nil {
		tb.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return pid
}

// topologyText is one network with a router.
func topologyText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nnetworks:\n  - {name: blue, subnets: [{prefix: %q, mode: slaac}]}\n", limits, prefix)
	b.WriteString("routers: [{name: r1, networks: [blue]}]\nports:\n")
	for g := range guests {
		var addresses []string
		for n := range spare {
			addresses = append(addresses, strconv.Quote(guestAddress(g, n).String()))
		}
		fmt.Fprintf(&b, "  - {name: vm%d, network: blue, mac: %q, addresses: [%s]}\n", g, guestMAC(g), strings.Join(addresses, ", "))
	}
	return b.String()
}

// addGuests makes guests whose kernels are silent: the stations speak for them.
func (t *theater) addGuests(tb testing.TB, bridge, name string) (list []*lab.Guest) {
	tb.Helper()
	for g := range guests {
		guest, err := t.AddGuest(lab.GuestOptions{Name: fmt.Sprintf("%s%d", name, g), Bridge: bridge, MAC: guestMAC(g).String(),
			Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
		if err != nil {
			tb.Fatal(err)
		}
		err = guest.Within(func() error {
			i, err := net.InterfaceByName("eth0")
			if err == nil {
				t.interfaces[guest.Name] = i.Index
			}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, guest)
	}
	return list
}

// startBare starts this test binary as a bare responder, a process of its own so
// that its processor time is.
func (t *theater) startBare(tb testing.TB, what string) (pid int) {
	tb.Helper()
	cmd := t.Command(os.Args[0])
	cmd.Env = append(cmd.Environ(), bareVariable+"="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended with the bridge
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		tb.Fatalf("the bare responder said %q: %v", line, err)
	}
	return cmd.Process.Pid
}

// load is what c's guests ask, so many requests each.
func (t *theater) load(tb testing.TB, c answered, each int) *Load {
	tb.Helper()
	var stations []Station
	for g, guest := range c.responder.guests {
		s := c.asked.station(g)
		s.Asks = s.Asks[:each]
		s.Interface, s.Within = t.interfaces[guest.Name], guest.Within
		stations = append(stations, s)
	}
	l, err := NewLoad(stations)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}
