package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
)

// TestNoLoss asks through Open vSwitch with every request outstanding: each is
// answered, once and right, and by whom it should be. The bare responder too, or
// it would be no measure; its flow counts what was asked independently.
func TestNoLoss(t *testing.T) {
	for _, ndExt := range []bool{false, true} {
		t.Run(name(ndExt), func(t *testing.T) {
			th := newTheater(t, ndExt)
			for _, c := range th.cases() {
				l := th.load(t, c, perGuest)
				before := th.seen(t)
				if err := answers(l, 2_000); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if l.Lost > 0 || l.Strays > 0 {
					t.Errorf("%s: of %d requests %d were lost, %d answers came twice", c.name, l.Answers+l.Lost, l.Lost, l.Strays)
				}
				want := before
				switch {
				case c.responder.pid == th.bare.pid:
					want.bare += float64(l.Answers)
				case c.asked.name == askRS.name, c.asked.name == askNS.name && !ndExt:
					want.punted += float64(l.Answers)
				}
				// The switch tells its flows' use about twice a second.
				lab.WaitFor(t, 10*time.Second, c.name, func() error {
					if got := th.seen(t); got != want {
						return fmt.Errorf("after %d answers the counts are %+v, want %+v", l.Answers, got, want)
					}
					return nil
				})
			}
		})
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

// answered is a kind of request and who answers it.
type answered struct {
	name      string
	responder responder
	asked     asked
}

// cases are what is measured.
func (t *theater) cases() []answered {
	return []answered{
		{"kind=ns/responder=bare", t.bare, askBareNS},
		{"kind=ns/responder=damselfly", t.damselfly, askNS},
		{"kind=rs/responder=damselfly", t.damselfly, askRS},
		{"kind=echo/responder=damselfly", t.damselfly, askEcho},
	}
}

// answers takes n answers and then waits for those that are outstanding.
func answers(l *Load, n int) error {
	if err := l.Fill(); err != nil {
		return err
	}
	for range n {
		if err := l.Next(); err != nil {
			return err
		}
	}
	return l.Drain()
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
	for _, ndExt := range []bool{false, true} {
		b.Run("transport=packet-in/"+name(ndExt), func(b *testing.B) {
			t := newTheater(b, ndExt)
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
	if err := answers(l, warmth); err != nil {
		b.Fatal(err)
	}
	if err := l.Fill(); err != nil {
		b.Fatal(err)
	}
	punted := t.punted(b)
	m := t.meter(b, c.responder)
	for b.Loop() {
		if err := l.Next(); err != nil {
			b.Fatal(err)
		}
	}
	took := b.Elapsed()
	m.stop(b)
	n := float64(b.N)
	b.ReportMetric(n/took.Seconds(), "answers/s")
	b.ReportMetric(micros(m.own)/n, "own-us/answer")
	b.ReportMetric(micros(m.ovs)/n, "ovs-us/answer")
	b.ReportMetric(micros(m.load)/n, "load-us/answer")
	if c.responder.pid == t.damselfly.pid {
		b.ReportMetric((t.punted(b)-punted)/n, "punts/answer")
	}
	if err := l.Drain(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*float64(l.Lost)/float64(l.Answers+l.Lost), "%lost")
}

func (t *theater) benchmarkLatency(b *testing.B, c answered) {
	l := t.load(b, c, perGuest)
	if err := answers(l, warmth); err != nil {
		b.Fatal(err)
	}
	var all Latencies
	for b.Loop() {
		times, err := l.Pace(pacedRate, 500*time.Millisecond)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, times...)
	}
	slices.Sort(all)
	b.ReportMetric(micros(all.Quantile(0.5)), "p50-us")
	b.ReportMetric(micros(all.Quantile(0.99)), "p99-us")
	b.ReportMetric(100*float64(l.Lost)/float64(l.Answers+l.Lost), "%lost")
}

// benchmarkCompare gives both responders short turns, so that whatever else the
// machine does befalls both. One operation is ten turns of each.
func (t *theater) benchmarkCompare(b *testing.B, each int) {
	const turn = 2_500
	type side struct {
		who   responder
		load  *Load
		took  []float64 // seconds a turn
		meter meter     // of all turns
	}
	open := func(c answered) *side { return &side{who: c.responder, load: t.load(b, c, each)} }
	cases := t.cases()
	bare, ours := open(cases[0]), open(cases[1])
	for _, s := range []*side{bare, ours} {
		if err := answers(s.load, warmth); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for range 10 {
			for _, s := range []*side{bare, ours} {
				m, start := t.meter(b, s.who), time.Now()
				if err := answers(s.load, turn); err != nil {
					b.Fatal(err)
				}
				s.took = append(s.took, time.Since(start).Seconds())
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
