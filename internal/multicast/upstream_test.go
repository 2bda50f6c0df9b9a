package multicast

import (
	"maps"
	"math/bits"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"

	"pgregory.net/rapid"
)

// upstream is a multicast router that believes what the proxy says. Where it is deaf it
// misses the first word of every change, which is why each is said twice (RFC 9777
// section 6.1).
type upstream struct {
	wanted map[netip.Addr]wants
	deaf   bool
	missed map[netip.Addr]bool
}

// hear takes a report (RFC 9777 section 7.4).
func (u *upstream) hear(e Event) {
	misses := map[netip.Addr]bool{}
	for _, r := range e.Records {
		current := r.Type == wire.ModeIsInclude || r.Type == wire.ModeIsExclude
		if _, known := misses[r.Group]; u.deaf && !known && !current {
			misses[r.Group] = !u.missed[r.Group]
			u.missed[r.Group] = misses[r.Group]
		}
	}
	for _, r := range e.Records {
		w := u.wanted[r.Group]
		sources := slices.Clone(r.Sources)
		sortAddrs(sources)
		both := append(without(w.sources, sources), sources...)
		sortAddrs(both)
		change := true
		switch {
		case r.Type == wire.ModeIsInclude: // INCLUDE (A+B); EXCLUDE (X+A,Y-A)
			if change = false; w.exclude {
				w.sources = without(w.sources, sources)
			} else {
				w.sources = both
			}
		case r.Type == wire.ChangeToInclude:
			w = wants{sources: sources}
		case r.Type == wire.ModeIsExclude, r.Type == wire.ChangeToExclude:
			w, change = wants{exclude: true, sources: sources}, r.Type == wire.ChangeToExclude
		case (r.Type == wire.BlockOldSources) == w.exclude:
			w.sources = both
		default:
			w.sources = without(w.sources, sources)
		}
		if change && misses[r.Group] {
			continue
		}
		if w.any = w.exclude || len(w.sources) > 0; w.any {
			u.wanted[r.Group] = w
		} else {
			delete(u.wanted, r.Group)
		}
	}
}

// consistent holds what is counted against what there is.
func (w *world) consistent(t *rapid.T) {
	slots := map[uint16]bool{}
	for _, n := range w.networks {
		var groups []ShownGroup
		for _, a := range slices.SortedFunc(maps.Keys(n.groups), netip.Addr.Compare) {
			groups = append(groups, n.groups[a].show())
		}
		if shown := w.View().Networks()[n.name].Groups; len(shown)+len(groups) > 0 && !reflect.DeepEqual(shown, groups) {
			t.Fatalf("%s shows %+v, has %+v", n.name, shown, groups)
		}
		for a, g := range n.groups {
			if len(g.members) == 0 || slots[g.slot] {
				t.Fatalf("%s has %d members and slot %d, which is taken: %v", a, len(g.members), g.slot, slots[g.slot])
			}
			slots[g.slot] = true
		}
		for _, p := range n.ports {
			learned, sources := 0, 0
			for _, m := range p.members {
				sources += len(m.sources)
				if !m.static {
					learned++
				}
			}
			if learned != p.learned || sources != p.sources {
				t.Fatalf("%s counts %d groups and %d sources, has %d and %d", p.name, p.learned, p.sources, learned, sources)
			}
		}
	}
	used := 0
	for _, word := range w.slots.used {
		used += bits.OnesCount64(word)
	}
	if used != len(slots) {
		t.Fatalf("%d slots are taken, %d used", used, len(slots))
	}
}

// TestUpstream: whatever listeners, queriers and the configuration do, upstream hears what
// they want together once it is quiet, and when all have left nothing is kept.
func TestUpstream(t *testing.T) {
	t.Parallel()
	groups := []netip.Addr{addr("ff1e::1"), addr("ff1e::2"), addr("ff18::3"), addr("ff15::4")}
	sources := []netip.Addr{addr("2001:db8::1"), addr("2001:db8::2"), addr("2001:db8::3")}
	rapid.Check(t, func(t *rapid.T) {
		w := newProxy()
		w.spec.Networks = append(slices.Clone(w.spec.Networks), w.spec.Networks[1])
		w.spec.Networks[2].Name, w.spec.Networks[2].Subnets = "green", nil
		w.spec.Routers[0].Networks = append(w.spec.Routers[0].Networks, topology.PresenceSpec{Network: "green"})
		w.spec.Ports = append(slices.Clone(w.spec.Ports), topology.PortSpec{Name: "x", Network: "red", Unknown: true}, topology.PortSpec{Name: "y", Network: "green", Unknown: true})
		w.of["x"], w.of["y"] = 9, 10
		part := rapid.IntRange(0, 10).Draw(t, "part of each random time")
		w.Table.random = func(d time.Duration) time.Duration { return d * time.Duration(part) / 10 }
		u := &upstream{wanted: map[netip.Addr]wants{}, missed: map[netip.Addr]bool{}, deaf: rapid.Bool().Draw(t, "deaf")}
		pass := func(d time.Duration) {
			for end := w.now + d; ; {
				rest := w.Tick(w.now)
				for _, e := range w.Events() {
					if e.Kind == Report && e.Network == "blue" {
						u.hear(e)
					}
				}
				w.Show()
				w.consistent(t)
				if w.now+rest > end {
					w.now = end
					return
				}
				w.now += max(rest, 1)
			}
		}
		quiet := func() {
			pass(10 * time.Second)
			// What ended just now is told again.
			for n := w.networks["blue"]; n.proxy != nil && len(n.proxy.changes) > 0; {
				pass(time.Second)
			}
			want := map[netip.Addr]wants{}
			p, configured := w.networks["blue"].proxy, w.spec.Routers[0].Multicast
			if (p != nil) != (configured != nil) || p != nil && int(p.boundary) != configured.Boundary {
				t.Fatalf("the proxy is %+v, want %+v", p, configured)
			}
			if p != nil {
				for g := range w.groupsOf(p) {
					if all := w.wanted(p, g); all.any {
						want[g] = all
					}
				}
			}
			if !maps.EqualFunc(want, u.wanted, func(a, b wants) bool { return a.exclude == b.exclude && slices.Equal(a.sources, b.sources) }) {
				t.Fatalf("upstream has %v, want %v", u.wanted, want)
			}
		}
		w.serve()
		pass(0)
		step := map[string]func(*rapid.T){
			"report": func(t *rapid.T) {
				c := Change{Group: rapid.SampledFrom(groups).Draw(t, "group"), Type: wire.RecordType(rapid.IntRange(1, 6).Draw(t, "type"))}
				old := rapid.IntRange(0, 9).Draw(t, "version") == 0
				if old {
					c.Type = rapid.SampledFrom([]wire.RecordType{isEx, toIn}).Draw(t, "old type")
				} else {
					c.Sources = rapid.SliceOfDistinct(rapid.SampledFrom(sources), rapid.ID[netip.Addr]).Draw(t, "sources")
				}
				port := rapid.SampledFrom([]string{"v", "w", "x", "y"}).Draw(t, "port")
				on := "red"
				if port == "y" {
					on = "green"
				}
				w.Report(w.now, on, port, c, old)
			},
			"query": func(t *rapid.T) {
				q := Query{
					Version: 2, Source: addr("fe80::b"), Group: netip.IPv6Unspecified(), Robustness: 2,
					MaxResponse: time.Duration(rapid.IntRange(0, 10000).Draw(t, "response")) * time.Millisecond,
					Interval:    time.Duration(rapid.IntRange(0, 200).Draw(t, "interval")) * time.Second,
				}
				if rapid.Bool().Draw(t, "specific") {
					q.Group = rapid.SampledFrom(groups).Draw(t, "about")
					q.Sources = rapid.SliceOf(rapid.SampledFrom(sources)).Draw(t, "sources asked for")
				}
				w.Asked(w.now, "blue", "uplink of blue", q)
			},
			"time":      func(t *rapid.T) { pass(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond) },
			"long time": func(t *rapid.T) { pass(time.Duration(rapid.IntRange(0, 400).Draw(t, "s")) * time.Second) },
			"boundary": func(t *rapid.T) {
				w.spec.Routers = slices.Clone(w.spec.Routers)
				w.spec.Routers[0].Multicast = rapid.SampledFrom([]*topology.RouterMulticastSpec{
					nil, {Upstream: "blue", Boundary: 5}, {Upstream: "blue", Boundary: 8},
				}).Draw(t, "proxy")
				w.serve()
			},
			"presence": func(t *rapid.T) {
				w.spec.Routers = slices.Clone(w.spec.Routers)
				there := w.spec.Routers[0].Networks
				w.spec.Routers[0].Networks = []topology.PresenceSpec{there[0], {Network: "green"}, {Network: "red"}}[:rapid.IntRange(2, 3).Draw(t, "networks")]
				w.serve()
			},
			"static": func(t *rapid.T) {
				w.spec.Ports = slices.Clone(w.spec.Ports)
				port := &w.spec.Ports[rapid.IntRange(0, len(w.spec.Ports)-1).Draw(t, "whose")]
				port.Multicast = rapid.SampledFrom([]*topology.PortMulticastSpec{nil, {Groups: groups[:2]}}).Draw(t, "groups")
				w.serve()
			},
			"quiet": func(*rapid.T) { quiet() },
		}
		names := slices.Sorted(maps.Keys(step))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			step[rapid.SampledFrom(names).Draw(t, "step")](t)
			pass(0)
		}
		w.spec.Ports = slices.Clone(w.spec.Ports)
		for i := range w.spec.Ports {
			w.spec.Ports[i].Multicast = nil
		}
		w.serve()
		pass(3 * time.Hour)
		quiet()
		for name, n := range w.networks {
			if len(n.groups) > 0 || len(u.wanted) > 0 {
				t.Fatalf("all have left, %s has %v, upstream %v", name, n.groups, u.wanted)
			}
		}
	})
}
