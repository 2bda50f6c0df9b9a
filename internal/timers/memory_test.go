package timers_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damselfly/internal/store"
	"damselfly/internal/timers"
	"damselfly/internal/topology"
)

const day = 24 * time.Hour

// life is a state directory over several processes, on a clock that can step.
type life struct {
	*world
	dir   string
	ended atomic.Int32

	mu    sync.Mutex
	began time.Time     // guarded by mu
	step  time.Duration // guarded by mu
	boot  store.BootID  // guarded by mu

	db     *store.Store
	memory *timers.Memory
	stop   func()
}

func newLife(t *testing.T) *life {
	l := &life{world: &world{t: t}, dir: t.TempDir(), began: time.Now(), boot: store.BootID{1}}
	l.start()
	return l
}

func (l *life) clock() (store.Clock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return store.Clock{Wall: now.Add(l.step), Boot: l.boot, Uptime: now.Sub(l.began)}, nil
}

// turn sets the wall clock off by step.
func (l *life) turn(step time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step = step
}

// reboot begins another boot, with a wall clock that is right.
func (l *life) reboot() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.boot[0]++
	l.began, l.step = time.Now(), 0
}

// start is a new process.
func (l *life) start() {
	l.t.Helper()
	var err error
	if l.db, err = store.Open(l.dir, slog.New(slog.DiscardHandler)); err != nil {
		l.t.Fatal(err)
	}
	l.memory, err = timers.NewMemory(timers.MemoryConfig{Store: l.db, Clock: l.clock, Ended: func() { l.ended.Add(1) }})
	if err != nil {
		l.t.Fatal(err)
	}
	l.world = &world{t: l.t}
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.memory.Run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("Run: %v", err)
		}
	}
}

func (l *life) end() {
	l.stop()
	_ = l.db.Close()
}

// restart ends the process and starts another one after a while.
func (l *life) restart(after time.Duration) {
	l.end()
	rest(after)
	l.start()
}

// apply is one change of the configuration, as the program does it.
func (l *life) apply(spec *topology.Spec) *topology.Snapshot {
	l.t.Helper()
	ending, err := l.memory.Reconcile(l.build(spec))
	if err != nil {
		l.t.Fatal(err)
	}
	l.in.Deprecated, l.in.FormerRouters, l.in.Withdrawn = ending.Deprecated, ending.FormerRouters, ending.Withdrawn
	synctest.Wait()
	return l.build(spec)
}

// left is how long the prefixes of n1 that are not configured last.
func (l *life) left() map[string]time.Duration {
	m := make(map[string]time.Duration)
	for _, d := range l.in.Deprecated["n1"] {
		m[d.Prefix.String()] = d.ValidUntil.Sub(time.Now().Add(l.step))
	}
	return m
}

// formers are the former routers of n1.
func (l *life) formers() string {
	var list []string
	for _, f := range l.in.FormerRouters["n1"] {
		list = append(list, f.LinkLocal.String()+"@"+f.MAC.String())
	}
	return strings.Join(list, " ")
}

// lives runs a test in a bubble with its own clock.
func lives(t *testing.T, test func(l *life)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t)
		defer func() { l.end() }()
		test(l)
	})
}

// bare is one network with a router and these prefixes.
func bare(prefixes ...string) *topology.Spec {
	spec := routed(1)
	spec.Networks[0].Subnets = nil
	for _, p := range prefixes {
		spec.Networks[0].Subnets = append(spec.Networks[0].Subnets, topology.SubnetSpec{Prefix: netip.MustParsePrefix(p)})
	}
	return spec
}

const prefixA, prefixB = "fd00:a::/64", "fd00:b::/64"

// about compares durations that may differ by the millisecond that the store rounds to.
var about = cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= time.Millisecond })

func (l *life) wantLeft(what string, want map[string]time.Duration) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.left(), about, cmpopts.EquateEmpty()); diff != "" {
		l.t.Errorf("%s: deprecated (-want +got):\n%s", what, diff)
	}
}

func TestRemovedPrefixIsDeprecated(t *testing.T) {
	lives(t, func(l *life) {
		l.apply(bare(prefixA, prefixB))
		l.wantLeft("configured", nil)
		rest(5 * time.Hour)
		s := l.apply(bare(prefixB))
		l.wantLeft("removed", map[string]time.Duration{prefixA: day})
		if again := l.apply(l.in.Spec); again != s {
			t.Error("a second Reconcile made another snapshot")
		}
		rest(time.Hour)
		l.apply(bare(prefixB))
		l.wantLeft("an hour later", map[string]time.Duration{prefixA: day - time.Hour})
		l.apply(bare(prefixA, prefixB))
		l.wantLeft("back", nil)
		l.apply(bare(prefixB))
		l.wantLeft("removed again", map[string]time.Duration{prefixA: day})

		rest(day - time.Minute)
		if l.ended.Load() != 0 {
			t.Error("ended early")
		}
		rest(2 * time.Minute)
		if l.ended.Load() != 1 {
			t.Errorf("told %d times that it ended, want once", l.ended.Load())
		}
		l.apply(bare(prefixB))
		l.wantLeft("lapsed", nil)
		if records, err := l.db.AllAdvertised(); err != nil || len(records) != 1 {
			t.Errorf("records %v, %v; want the one that is configured", records, err)
		}
	})
}

func TestPrefixRemovedWhileDead(t *testing.T) {
	lives(t, func(l *life) {
		l.apply(bare(prefixA))
		rest(time.Hour)
		l.restart(2 * time.Hour)
		l.apply(bare())
		// Recorded 3 hours ago for the promise and its slack of a quarter.
		l.wantLeft("restarted", map[string]time.Duration{prefixA: day + 6*time.Hour - 3*time.Hour})
		l.restart(time.Hour)
		l.apply(bare())
		l.wantLeft("restarted twice", map[string]time.Duration{prefixA: day + 6*time.Hour - 4*time.Hour})
		l.restart(40 * time.Hour)
		l.apply(bare())
		l.wantLeft("lapsed while dead", nil)
	})
}

func TestClockSteps(t *testing.T) {
	lives(t, func(l *life) {
		l.apply(bare(prefixA))
		l.apply(bare())
		for _, step := range []time.Duration{10 * 365 * day, -10 * 365 * day, 0} {
			l.turn(step)
			l.restart(time.Hour)
			l.apply(bare())
		}
		l.wantLeft("stepped within the boot", map[string]time.Duration{prefixA: day - 3*time.Hour})

		// Over a reboot only the wall clock is left, and it may not lengthen anything.
		l.reboot()
		l.restart(time.Hour)
		l.apply(bare())
		l.wantLeft("rebooted", map[string]time.Duration{prefixA: day - 4*time.Hour})
		l.turn(-365 * day)
		l.apply(bare())
		rest(19*time.Hour + 59*time.Minute)
		if l.ended.Load() != 0 {
			t.Error("a step of the clock ended it")
		}
		rest(2 * time.Minute)
		if l.ended.Load() != 1 {
			t.Error("a step of the clock kept it")
		}
	})
}

func TestEndlessPrefix(t *testing.T) {
	lives(t, func(l *life) {
		endless := 0xffffffff * time.Second
		spec := bare(prefixA)
		spec.Networks[0].Subnets[0].Valid = &endless
		l.apply(spec)
		rest(1000 * day)
		records, err := l.db.AllAdvertised()
		if err != nil || len(records) != 1 || records[0].ValidUntil.Lifetime != store.Infinite {
			t.Errorf("records %v, %v", records, err)
		}
		l.apply(bare())
		l.wantLeft("removed", map[string]time.Duration{prefixA: 30 * day})
		l.restart(day)
		l.apply(bare())
		l.wantLeft("restarted", map[string]time.Duration{prefixA: 29 * day})
	})
}

// What is still promised after a reboot is recorded in the new boot's time.
func TestRebootRenews(t *testing.T) {
	lives(t, func(l *life) {
		l.apply(bare(prefixA))
		l.reboot()
		l.restart(time.Second)
		l.apply(bare(prefixA))
		if records, err := l.db.AllAdvertised(); err != nil || len(records) != 1 || records[0].ValidUntil.Boot != l.boot {
			l.t.Errorf("records %v, %v", records, err)
		}
	})
}

// A shorter lifetime does not make guests forget the longer one they heard.
func TestShortenedLifetime(t *testing.T) {
	lives(t, func(l *life) {
		l.apply(bare(prefixA))
		hour, half := time.Hour, 30*time.Minute
		spec := bare(prefixA)
		spec.Networks[0].Subnets[0].Valid, spec.Networks[0].Subnets[0].Preferred = &hour, &half
		l.apply(spec)
		rest(4 * time.Hour)
		l.apply(bare())
		l.wantLeft("removed", map[string]time.Duration{prefixA: day - 4*time.Hour})
		l.apply(spec)
		rest(time.Hour)
		l.restart(0)
		l.apply(spec)
		rest(time.Hour)
		l.apply(bare())
		l.wantLeft("back and removed again", map[string]time.Duration{prefixA: day - 6*time.Hour})
	})
}

// At every moment the record ends no earlier than what is promised then, and it
// takes few writes.
func TestRecordedCoversPromised(t *testing.T) {
	for _, valid := range []time.Duration{time.Minute, time.Hour, day, 30 * day} {
		t.Run(valid.String(), func(t *testing.T) {
			lives(t, func(l *life) {
				spec := bare(prefixA, prefixB)
				spec.Networks[0].Subnets[0].Valid, spec.Networks[0].Subnets[0].Preferred = &valid, &valid
				l.apply(spec)
				writes, last := 0, store.Deadline{}
				for range 2000 {
					rest(valid / 100)
					now, _ := l.clock()
					records, err := l.db.Advertised("n1")
					if err != nil || len(records) != 2 {
						l.t.Fatal(records, err)
					}
					if left := records[0].ValidUntil.Remaining(now); left < valid {
						l.t.Fatalf("recorded for %v, promised for %v", left, valid)
					}
					if records[0].ValidUntil != last {
						writes, last = writes+1, records[0].ValidUntil
					}
				}
				// The other prefix, of 24 hours, may take it along.
				if bound := int(20*valid/max(min(valid, day)/16, 15*time.Second)) + 1; writes > bound || writes < 2 {
					t.Errorf("%d writes in 20 lifetimes, want 2 to %d", writes, bound)
				}
			})
		})
	}
}

func TestRouters(t *testing.T) {
	moved := func(linkLocal string) *topology.Spec {
		spec := bare(prefixA)
		spec.Routers[0].Networks[0].LinkLocal = netip.MustParseAddr(linkLocal)
		return spec
	}
	plain := func(prefixes ...string) *topology.Spec {
		spec := bare(prefixes...)
		spec.Routers = nil
		return spec
	}
	mac := topology.RouterMAC("n1").String()
	type step struct {
		spec    *topology.Spec
		restart bool
		said    string
		want    string
	}
	cases := map[string][]step{
		"stays":                    {{spec: bare(prefixA)}, {restart: true, spec: bare(prefixA)}},
		"gone":                     {{spec: bare()}, {spec: plain(), want: "fe80::1@" + mac}, {said: "fe80::1", spec: plain()}, {restart: true, spec: plain()}},
		"gone while dead":          {{spec: bare()}, {restart: true, spec: plain(), want: "fe80::1@" + mac}, {restart: true, spec: plain(), want: "fe80::1@" + mac}},
		"said, but back by then":   {{spec: bare()}, {spec: plain(), want: "fe80::1@" + mac}, {spec: bare()}, {said: "fe80::1", spec: bare()}, {restart: true, spec: plain(), want: "fe80::1@" + mac}},
		"default router no longer": {{spec: bare(prefixA)}, {restart: true, spec: plain(prefixA)}, {restart: true, spec: plain()}},
		"moved":                    {{spec: moved("fe80::a")}, {spec: moved("fe80::b"), want: "fe80::a@" + mac}, {said: "fe80::a", spec: moved("fe80::b")}},
		"moved while dead":         {{spec: moved("fe80::a")}, {restart: true, spec: moved("fe80::b"), want: "fe80::a@" + mac}},
		"moved and back":           {{spec: moved("fe80::a")}, {spec: moved("fe80::b"), want: "fe80::a@" + mac}, {spec: moved("fe80::a"), want: "fe80::b@" + mac}},
		"moved, then gone":         {{spec: moved("fe80::a")}, {said: "", spec: plain(prefixA), want: "fe80::a@" + mac}},
		"network gone":             {{spec: bare()}, {spec: &topology.Spec{}}, {restart: true, spec: plain()}},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			lives(t, func(l *life) {
				for i, s := range steps {
					if s.restart {
						l.restart(time.Second)
					}
					if s.said != "" {
						l.memory.Said("n1", netip.MustParseAddr(s.said))
						synctest.Wait()
					}
					l.apply(s.spec)
					if got := l.formers(); got != s.want {
						t.Errorf("step %d: former routers %q, want %q", i, got, s.want)
					}
				}
			})
		})
	}
}

// With a store that takes nothing, everything goes on but the memory of it, and
// nothing spins.
func TestStoreFails(t *testing.T) {
	lives(t, func(l *life) {
		l.apply(bare(prefixA))
		_ = l.db.Close()
		spec := bare(prefixB)
		ending, err := l.memory.Reconcile(l.build(spec))
		if err == nil {
			t.Error("no error from a closed store")
		}
		l.in.Deprecated = ending.Deprecated
		l.wantLeft("not recorded", map[string]time.Duration{prefixA: day})
		rest(2 * day)
	})
}

// TestOverACrash is the whole way: configured, advertised, killed, configured
// anew, and what guests then hear.
func TestOverACrash(t *testing.T) {
	lives(t, func(l *life) {
		r := start(l.t, 10)
		r.update(l.apply(bare(prefixA)))
		rest(time.Minute)
		r.stop()
		l.restart(time.Hour)

		r = start(l.t, 11)
		defer r.stop()
		spec := bare(prefixB)
		spec.Routers[0].Networks[0].LinkLocal = netip.MustParseAddr("fe80::2")
		r.update(l.apply(spec))
		rest(31 * time.Second)
		heard := make(map[string]int)
		for _, a := range r.sink.got() {
			switch {
			case a.source == "fe80::1" && a.lifetime == 0:
				heard["farewell"]++
			case a.source == "fe80::2" && a.lifetime == 1800 &&
				strings.Contains(a.prefixes, "fd00:b::/64/14400/86400") && strings.Contains(a.prefixes, "fd00:a::/64/0/10"):
				heard["present"]++
			default:
				t.Errorf("unexpected %+v", a)
			}
		}
		if diff := cmp.Diff(map[string]int{"farewell": 3, "present": 2}, heard); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
	})
}
