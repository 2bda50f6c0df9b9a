package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// bareKinds are the transports, the one that all others are compared with first.
var bareKinds = []string{BarePacketIn, BareByTap, BareByVeth}

// newBares sets up one ovs-vswitchd with a bridge for each kind of bare
// responder, as many guests on each.
func newBares(tb testing.TB) (t *theater, cases []answered) {
	tb.Helper()
	l := lab.Start(tb)
	t = &theater{Stage: &stage.Stage{Lab: l}, switchPID: l.VswitchdPID()}
	for _, kind := range bareKinds {
		cases = append(cases, answered{t.addBare(tb, "br-"+kind, kind), loadgen.NS, "transport=" + kind})
	}
	return t, cases
}

// addBare makes a bridge with guests and a bare responder of a kind.
func (t *theater) addBare(tb testing.TB, bridge, kind string) responder {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("%s: %v", kind, err)
		}
	}
	must(t.AddBridge(bridge, "fail_mode=secure"))
	device, flows := "p-"+kind, BareFlows
	r := responder{site: t.addGuests(tb, bridge, kind)}
	r.site.Answerer = BareMAC
	switch kind {
	case BarePacketIn:
		r.pid = t.startBare(tb, kind+" "+t.Mgmt(bridge))
	case BareByTap:
		r.pid = t.startBare(tb, kind+" "+device)
	case BareByVeth:
		peer := device + "-in"
		out, err := t.Command("ip", "link", "add", device, "type", "veth", "peer", "name", peer).CombinedOutput()
		if err != nil {
			tb.Fatalf("%s: %v: %s", kind, err, out)
		}
		must(t.Within(func() error { return bareUp(device) }))
		r.pid = t.startBare(tb, kind+" "+peer)
	}
	if kind != BarePacketIn {
		_, err := t.Vsctl("add-port", bridge, device)
		must(err)
		port, err := t.OFPort(device)
		must(err)
		flows = BarePuntFlows(port)
	}
	for _, flow := range flows {
		_, err := t.Ofctl("add-flow", bridge, flow)
		must(err)
	}
	return r
}

// TestBareNoLoss holds that each bare responder answers all that it is asked, or
// it would be no measure.
func TestBareNoLoss(t *testing.T) {
	th, cases := newBares(t)
	for _, c := range cases[:2] {
		for _, k := range []loadgen.Kind{loadgen.Solicit, loadgen.Request} {
			c.kind, c.name = k, fmt.Sprintf("%s/kind=%s", c.name, k)
			cases = append(cases, c)
		}
	}
	for _, c := range cases {
		l := th.load(t, c, perGuest)
		if r := run(t, l, 2_000); r.Answered != 2_000 || r.Strays > 0 {
			t.Errorf("%s: of 2000 requests %d were lost, %d answers came twice", c.name, r.Lost, r.Strays)
		}
	}
}

// BenchmarkBare compares the transports by what is behind them at least. All
// take turns, so that whatever else the machine does befalls all. One operation
// is ten turns of each.
func BenchmarkBare(b *testing.B) {
	for _, each := range []int{perGuest, 1} {
		b.Run(fmt.Sprintf("outstanding=%d", each*guests), func(b *testing.B) { benchmarkBare(b, each) })
	}
}

func benchmarkBare(b *testing.B, each int) {
	const turn = 2_500
	t, cases := newBares(b)
	b.Logf("load average %s", loadAverage())
	type side struct {
		answered
		load     *loadgen.Load
		sum      loadgen.Result
		took     []float64 // seconds a turn
		own, ovs time.Duration
		quiet    []float64 // processor time a turn, of responder and ovs-vswitchd
	}
	var sides []*side
	for _, c := range cases {
		s := &side{answered: c, load: t.load(b, c, each)}
		run(b, s.load, warmth)
		sides = append(sides, s)
	}
	clock := func(pid int) time.Duration {
		used, err := ExactCPU(pid)
		if err != nil {
			b.Fatal(err)
		}
		return used
	}
	for b.Loop() {
		for range 10 {
			for _, s := range sides {
				own, ovs := clock(s.responder.pid), clock(t.switchPID)
				r, err := s.load.Run(b.Context(), loadgen.Plan{Count: turn})
				if err != nil {
					b.Fatal(err)
				}
				s.sum.Merge(r)
				s.took = append(s.took, r.Took.Seconds())
				own, ovs = clock(s.responder.pid)-own, clock(t.switchPID)-ovs
				s.own, s.ovs = s.own+own, s.ovs+ovs
				s.quiet = append(s.quiet, micros(own+ovs)/turn)
			}
		}
	}
	for _, s := range sides {
		slices.Sort(s.took)
		slices.Sort(s.quiet)
		name, n := s.name[len("transport="):], float64(turn*len(s.took))
		b.ReportMetric(turn/s.took[len(s.took)/2], name+"-answers/s")
		b.ReportMetric(micros(s.own)/n, name+"-own-us")
		b.ReportMetric(micros(s.ovs)/n, name+"-ovs-us")
		b.ReportMetric(s.quiet[len(s.quiet)/2], name+"-both-us")
		sum := s.sum.Total()
		b.ReportMetric(100*float64(sum.Lost)/float64(sum.Asked), name+"-%lost")
	}
	b.ReportMetric(0, "ns/op") // turns are as long as they are
}
