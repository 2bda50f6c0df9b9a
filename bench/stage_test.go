package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// program is the damselfly under test, built once.
var program string

func TestMain(m *testing.M) {
	if bare, err := BeBare(); err != nil {
		fmt.Fprintln(os.Stderr, "bare responder:", err)
		os.Exit(1)
	} else if bare {
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
const limits = "limits: {ns: none, rs: none, echo: none, dhcpv6: none, leases: 10000000}"

const bareBridge = "br-bare"

const (
	guests   = 4  // ports of a bridge
	perGuest = 16 // exchanges of a guest that are outstanding
	spare    = 6  // addresses of a guest: the others ask for them, perGuest together at least
)

// prefix is where guests make addresses, leases where they are given some.
var (
	prefix = netip.MustParsePrefix("fd00:b1::/64")
	leases = netip.MustParsePrefix("fd00:d1::/64")
)

func guestMAC(g int) wire.MAC { return wire.MAC{2, 0, 0, 0, 0, byte(0x11 + g)} }

// guestAddress is the n-th address of a guest.
func guestAddress(g, n int) netip.Addr {
	a := prefix.Addr().As16()
	a[13], a[15] = byte(g+1), byte(n+1)
	return netip.AddrFrom16(a)
}

// The transports, in the configuration's words.
const (
	byPacketIn = "packet-in"
	byPort     = "port"
)

// theater is a lab with two bridges under one ovs-vswitchd, as many guests on
// each: Damselfly serves one, the bare responder the other.
type theater struct {
	*stage.Stage
	daemon    *stage.Daemon
	switchPID int
	damselfly responder
	bare      responder
}

// responder is who answers on a bridge, and what is right there.
type responder struct {
	pid  int
	site loadgen.Site
}

func newTheater(tb testing.TB, ndExt bool, transport string) *theater {
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
	s.Punt = transport
	must(l.SetNDExt(ndExt))
	t := &theater{Stage: s}
	t.damselfly.site = t.addGuests(tb, stage.Bridge, "vm")
	t.bare = t.addBare(tb, bareBridge, map[string]string{byPacketIn: BarePacketIn, byPort: BareByTap}[transport])
	must(s.Configure(topologyText()))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t.daemon, err = s.Serve(ctx)
	must(err)
	t.damselfly.pid = t.daemon.PID()
	t.switchPID = l.VswitchdPID()
	return t
}

// topologyText is one network with a router.
func topologyText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nnetworks:\n  - {name: blue, subnets: [{prefix: %q, mode: slaac}, "+
		"{prefix: %q, mode: dhcpv6-stateful, pools: [\"fd00:d1::1:0:0-fd00:d1::1:ffff:ffff\"]}]}\n", limits, prefix, leases)
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

// addGuests makes guests, for whom stations speak.
func (t *theater) addGuests(tb testing.TB, bridge, name string) loadgen.Site {
	tb.Helper()
	var macs []net.HardwareAddr
	for g := range guests {
		mac := guestMAC(g)
		macs = append(macs, mac[:])
	}
	c, err := t.AddCrowd(name, bridge, macs...)
	if err != nil {
		tb.Fatal(err)
	}
	s := loadgen.Site{Leases: leases, Router: loadgen.Router{MAC: topology.RouterMAC("blue"), LinkLocal: topology.DefaultLinkLocal,
		Gateway: topology.DefaultGateway(prefix), Lifetime: 1800 * time.Second, Prefix: prefix}}
	for g, m := range c.Members {
		guest := loadgen.Guest{Interface: m.Index, Within: c.Within, MAC: guestMAC(g)}
		for n := range spare {
			guest.Addresses = append(guest.Addresses, guestAddress(g, n))
		}
		s.Guests = append(s.Guests, guest)
	}
	return s
}

// startBare starts this test binary as a bare responder, a process of its own so
// that its processor time is.
func (t *theater) startBare(tb testing.TB, what string) (pid int) {
	tb.Helper()
	cmd := t.Command("nice", "-n", "-10", os.Args[0]) // as Damselfly
	cmd.Env = append(cmd.Environ(), BareVariable+"="+what)
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
	late := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		tb.Fatalf("the bare responder said %q: %v", line, err)
	}
	return cmd.Process.Pid
}

// load is what c's guests ask, so many exchanges each.
func (t *theater) load(tb testing.TB, c answered, each int) *loadgen.Load {
	tb.Helper()
	l, err := loadgen.New(c.responder.site, each, loadgen.Share{Kind: c.kind, Weight: 1})
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

// run has n exchanges made.
func run(tb testing.TB, l *loadgen.Load, n int) loadgen.Tally {
	tb.Helper()
	return runPlan(tb, l, loadgen.Plan{Count: uint64(n)})
}

// runPlan has exchanges made of a load of one kind.
func runPlan(tb testing.TB, l *loadgen.Load, p loadgen.Plan) loadgen.Tally {
	tb.Helper()
	r, err := l.Run(tb.Context(), p)
	if err != nil {
		tb.Fatal(err)
	}
	return r.Total()
}
