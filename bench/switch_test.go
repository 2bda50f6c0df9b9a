package bench

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
)

// TestNoLoss asks through Open vSwitch with every request outstanding: each is
// answered, once and right, and by whom it should be. The bare responder too, or
// it would be no measure; its flow counts what was asked independently.
func TestNoLoss(t *testing.T) {
	for _, ndExt := range []bool{false, true} {
		t.Run(name(ndExt), func(t *testing.T) {
			transport := map[bool]string{true: byPacketIn, false: byPort}[ndExt]
			th := newTheater(t, ndExt, transport)
			for _, c := range th.cases() {
				l := th.load(t, c, perGuest)
				before := th.seen(t)
				r := run(t, l, 2_000)
				if r.Lost > 0 || r.Strays > 0 || r.Answered != 2_000 {
					t.Errorf("%s: of 2000 exchanges %d were answered, %d lost, %d answers came twice", c.name, r.Answered, r.Lost, r.Strays)
				}
				want := before
				switch {
				case c.responder.pid == th.bare.pid:
					want.bare += float64(r.Answered)
					if transport == byPort {
						want.bare += float64(r.Answered) // the answers take a flow as well
					}
				default:
					want.punted += float64(r.Answered) * c.frames(ndExt)
					if c.kind == loadgen.Solicit { // which get their leases first
						want.punted += guests * perGuest
					}
				}
				// The switch tells its flows' use about twice a second.
				lab.WaitFor(t, 10*time.Second, c.name, func() error {
					if got := th.seen(t); got != want {
						return fmt.Errorf("after %d answers the counts are %+v, want %+v", r.Answered, got, want)
					}
					return nil
				})
			}
			th.mixed(t)
		})
	}
}

// mixed asks all kinds at once, at a rate; and notices an answer that is not the
// one which is right.
func (t *theater) mixed(tb testing.TB) {
	tb.Helper()
	var mix []loadgen.Share
	for i, k := range loadgen.Kinds {
		mix = append(mix, loadgen.Share{Kind: k, Weight: len(loadgen.Kinds) - i})
	}
	open := func(s loadgen.Site) *loadgen.Load {
		l, err := loadgen.New(s, perGuest, mix...)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = l.Close() })
		return l
	}
	site := t.damselfly.site
	site.Seed = 1 // its clients are other ones than those before
	r, err := open(site).Run(tb.Context(), loadgen.Plan{Rate: 1_000, Time: time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	if sum := r.Total(); sum.Asked != 1_000 || sum.Answered != 1_000 || sum.Strays > 0 {
		tb.Errorf("of 1000 exchanges of all kinds:\n%v", r)
	}
	for names, change := range map[string]func(*loadgen.Site){
		"ns":              func(s *loadgen.Site) { s.Answerer = BareMAC },
		"rs":              func(s *loadgen.Site) { s.Router.Lifetime++ },
		"solicit|request": func(s *loadgen.Site) { s.Leases = prefix }, // both tell of addresses; either may be answered first
	} {
		other := site
		change(&other)
		wrong := regexp.MustCompile("wrong answer to (" + names + "):")
		if _, err := open(other).Run(tb.Context(), loadgen.Plan{Count: 100}); err == nil || !wrong.MatchString(err.Error()) {
			tb.Errorf("where another answer to %s is right: %v", names, err)
		}
	}
}

// seen is what others count of the requests.
type seen struct {
	punted float64 // frames that Damselfly was handed
	bare   float64 // frames that the bare responder's flow saw
}

func (t *theater) seen(tb testing.TB) seen {
	tb.Helper()
	out, err := t.Ofctl("dump-aggregate", bareBridge)
	if err != nil {
		tb.Fatal(err)
	}
	_, out, _ = strings.Cut(out, "packet_count=")
	out, _, _ = strings.Cut(out, " ")
	n, err := strconv.ParseFloat(out, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return seen{punted: t.punted(tb), bare: n}
}

func name(ndExt bool) string { return map[bool]string{true: "nd_ext=on", false: "nd_ext=off"}[ndExt] }

// answered is a kind of exchange and who answers it.
type answered struct {
	responder responder
	kind      loadgen.Kind
	name      string
}

// cases are what is measured.
func (t *theater) cases() (list []answered) {
	list = append(list, answered{t.bare, loadgen.NS, "kind=ns/responder=bare"})
	for _, k := range loadgen.Kinds {
		list = append(list, answered{t.damselfly, k, fmt.Sprintf("kind=%s/responder=damselfly", k)})
	}
	return list
}

// frames is how many Damselfly is handed for an exchange.
func (c *answered) frames(ndExt bool) float64 {
	switch {
	case c.kind == loadgen.Request:
		return 2
	case c.kind == loadgen.Echo, c.kind == loadgen.NS && ndExt:
		return 0 // a flow answers
	}
	return 1
}

// warmth is how many answers go before those that are measured.
const warmth = 2_000

// pacedRate is how many requests a second latency is measured at.
const pacedRate = 4_000

// BenchmarkSwitch asks through Open vSwitch. One operation of the benchmarks
// named by outstanding is one answer, with so many requests outstanding all the
// time: many make batches, one a guest shows what an answer costs alone; those named by a rate tell latency; compare puts Damselfly beside
// the bare responder in turns.
func BenchmarkSwitch(b *testing.B) {
	for _, m := range []struct {
		transport string
		ndExt     bool
	}{{byPacketIn, false}, {byPort, false}, {byPacketIn, true}, {byPort, true}} {
		b.Run("transport="+m.transport+"/"+name(m.ndExt), func(b *testing.B) {
			t := newTheater(b, m.ndExt, m.transport)
			b.Logf("%s, %d guests with %d requests outstanding each, load average %s", limits, guests, perGuest, loadAverage())
			for _, each := range []int{perGuest, 1} {
				for _, c := range t.cases() {
					b.Run(fmt.Sprintf("%s/outstanding=%d", c.name, each*guests), func(b *testing.B) { t.benchmarkAnswers(b, c, each) })
				}
			}
			for _, c := range t.cases() {
				b.Run(fmt.Sprintf("%s/rate=%d", c.name, pacedRate), func(b *testing.B) { t.benchmarkLatency(b, c) })
			}
			for _, each := range []int{perGuest, 1} {
				b.Run(fmt.Sprintf("kind=ns/compare/outstanding=%d", each*guests), func(b *testing.B) { t.benchmarkCompare(b, each) })
			}
		})
	}
}

func (t *theater) benchmarkAnswers(b *testing.B, c answered, each int) {
	l := t.load(b, c, each)
	run(b, l, warmth)
	punted := t.punted(b)
	m := t.meter(b, c.responder)
	b.ResetTimer()
	r, err := l.Run(b.Context(), loadgen.Plan{Count: uint64(b.N)})
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	m.stop(b)
	n := float64(b.N)
	b.ReportMetric(r.Rate(), "answers/s")
	b.ReportMetric(micros(m.own)/n, "own-us/answer")
	b.ReportMetric(micros(m.ovs)/n, "ovs-us/answer")
	b.ReportMetric(micros(m.load)/n, "load-us/answer")
	if c.responder.pid == t.damselfly.pid {
		b.ReportMetric((t.punted(b)-punted)/n, "punts/answer")
	}
	lost := r.Total()
	b.ReportMetric(100*float64(lost.Lost)/float64(lost.Asked), "%lost")
}

func (t *theater) benchmarkLatency(b *testing.B, c answered) {
	l := t.load(b, c, perGuest)
	run(b, l, warmth)
	var all loadgen.Result
	for b.Loop() {
		r, err := l.Run(b.Context(), loadgen.Plan{Rate: pacedRate, Time: 500 * time.Millisecond})
		if err != nil {
			b.Fatal(err)
		}
		all.Merge(r)
	}
	sum := all.Total()
	b.ReportMetric(micros(sum.Times.Quantile(0.5)), "p50-us")
	b.ReportMetric(micros(sum.Times.Quantile(0.99)), "p99-us")
	b.ReportMetric(100*float64(sum.Lost)/float64(sum.Asked), "%lost")
}

// benchmarkCompare gives both responders short turns, so that whatever else the
// machine does befalls both. One operation is ten turns of each.
func (t *theater) benchmarkCompare(b *testing.B, each int) {
	const turn = 2_500
	type side struct {
		who   responder
		load  *loadgen.Load
		took  []float64 // seconds a turn
		meter meter     // of all turns
	}
	open := func(c answered) *side { return &side{who: c.responder, load: t.load(b, c, each)} }
	cases := t.cases()
	bare, ours := open(cases[0]), open(cases[1])
	for _, s := range []*side{bare, ours} {
		run(b, s.load, warmth)
	}
	for b.Loop() {
		for range 10 {
			for _, s := range []*side{bare, ours} {
				m := t.meter(b, s.who)
				r, err := s.load.Run(b.Context(), loadgen.Plan{Count: turn})
				if err != nil {
					b.Fatal(err)
				}
				s.took = append(s.took, r.Took.Seconds())
				m.stop(b)
				s.meter.own, s.meter.ovs = s.meter.own+m.own, s.meter.ovs+m.ovs
			}
		}
	}
	for _, s := range []*side{bare, ours} {
		slices.Sort(s.took)
	}
	middle := len(bare.took) / 2
	b.ReportMetric(bare.took[middle]/ours.took[middle], "x-bare-answers/s")
	b.ReportMetric(float64(ours.meter.own+ours.meter.ovs)/float64(bare.meter.own+bare.meter.ovs), "x-bare-cpu")
	b.ReportMetric(turn/bare.took[middle], "bare-answers/s")
	b.ReportMetric(turn/ours.took[middle], "damselfly-answers/s")
}

// meter is processor time: the responder's, ovs-vswitchd's, and this process's.
type meter struct {
	pids           [3]int
	own, ovs, load time.Duration
}

// meter starts one.
func (t *theater) meter(tb testing.TB, r responder) *meter {
	tb.Helper()
	m := &meter{pids: [3]int{r.pid, t.switchPID, os.Getpid()}}
	m.stop(tb)
	m.own, m.ovs, m.load = -m.own, -m.ovs, -m.load
	return m
}

// stop adds what the clocks say now.
func (m *meter) stop(tb testing.TB) {
	tb.Helper()
	for i, sum := range []*time.Duration{&m.own, &m.ovs, &m.load} {
		used, err := CPU(m.pids[i])
		if err != nil {
			tb.Fatal(err)
		}
		*sum += used
	}
}

// punted is how many frames Damselfly has been handed.
func (t *theater) punted(tb testing.TB) (n float64) {
	tb.Helper()
	var text []byte
	if err := t.daemon.Get("/metrics", &text); err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "damselfly_frames_total{") {
			v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				tb.Fatal(err)
			}
			n += v
		}
	}
	return n
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
