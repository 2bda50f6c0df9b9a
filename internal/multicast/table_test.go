package multicast

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// world is a Table with a clock, of a network with a guest g, another h, a nested bridge n
// and an uplink u, on which the router fe80::a asks.
type world struct {
	*Table
	now  time.Duration
	spec topology.Spec
	b    topology.Builder
	of   map[string]uint32 // ports of the switch
	// sent are the events so far, each with its second.
	sent []string
}

func newWorld(change func(*topology.Spec)) *world {
	w := &world{Table: New(nil), now: time.Hour, of: map[string]uint32{"g": 1, "h": 2, "n": 3, "u": 4, "r": 5}}
	w.spec = topology.Spec{
		Networks: []topology.NetworkSpec{{
			Name: "blue", Uplink: &topology.UplinkSpec{Interface: "u"}, Multicast: &topology.MulticastSpec{Snooping: true, Querier: true},
			Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}},
		}},
		Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue", LinkLocal: addr("fe80::a"), MAC: wire.MAC{2, 0, 0, 0, 0, 0xa}}}}},
		Ports: []topology.PortSpec{
			{Name: "g", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 1}}, {Name: "h", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 2}},
			{Name: "n", Network: "blue", Unknown: true}, {Name: "r", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 5}, Router: true},
		},
	}
	if change != nil {
		change(&w.spec)
	}
	w.serve()
	return w
}

// serve has the Table serve the spec as it is now.
func (w *world) serve() {
	spec := w.spec
	in := topology.Input{Spec: &spec, Keys: topology.Keys{Networks: map[string]uint16{"blue": 1, "red": 2, "green": 3}, Ports: map[string]uint16{"g": 1, "h": 2, "n": 3, "uplink of blue": 4, "r": 5, "v": 6, "w": 7, "x": 8, "y": 9}}}
	for name, port := range w.of {
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: port})
	}
	s, problems := w.b.Build(in)
	if s == nil {
		panic(problems)
	}
	w.Serve(w.now, s)
	w.hear()
}

func (w *world) hear() {
	for _, e := range w.Events() {
		text := []string{(w.now - time.Hour).String(), e.Kind.String(), e.Port}
		if e.Query.Group.IsValid() {
			text = append(text, e.Query.Group.String())
		}
		if e.Query.Suppress {
			text = append(text, "suppressed")
		}
		for _, s := range e.Query.Sources {
			text = append(text, s.String())
		}
		for _, r := range e.Records {
			text = append(text, r.Group.String())
		}
		w.sent = append(w.sent, strings.Join(slices.DeleteFunc(text, func(s string) bool { return s == "" }), " "))
	}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { w.passing(d, w.hear) }

// passing lets time pass as the Table's owner does: what was sent is taken, then what is
// known is shown.
func (w *world) passing(d time.Duration, take func()) {
	for end := w.now + d; ; {
		rest := w.Tick(w.now)
		take()
		w.Show()
		if w.now+rest > end {
			w.now = end
			return
		}
		w.now += max(rest, 1)
	}
}

// say has a port report.
func (w *world) say(port string, typ wire.RecordType, group string, sources ...string) Outcome {
	c := Change{Type: typ, Group: addr(group)}
	for _, s := range sources {
		c.Sources = append(c.Sources, addr(s))
	}
	o := w.Report(w.now, "blue", port, c, false)
	w.hear()
	return o
}

// shown is who listens, as text: "ff15::1 g:all h:a,b n:-a".
func (w *world) shown() string {
	w.Show()
	var groups []string
	for _, g := range w.View().Networks()["blue"].Groups {
		text := []string{g.Group.String()}
		for _, p := range g.Ports {
			var sources []string
			for _, s := range p.Sources {
				sources = append(sources, strings.TrimPrefix(s.String(), "2001:db8::"))
			}
			list := strings.Join(sources, ",")
			switch {
			case p.Exclude && list == "":
				list = "all"
			case p.Exclude:
				list = "-" + list
			}
			text = append(text, p.Port+":"+list)
		}
		groups = append(groups, strings.Join(text, " "))
	}
	return strings.Join(groups, "; ")
}

func (w *world) want(t *testing.T, want string) {
	t.Helper()
	if got := w.shown(); got != want {
		t.Errorf("after %s: %q, want %q", w.now-time.Hour, got, want)
	}
}

func (w *world) wantSent(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.sent, want) {
		t.Errorf("sent %q, want %q", w.sent, want)
	}
	w.sent = nil
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

const (
	isIn, isEx, toIn, toEx, allow, block = wire.ModeIsInclude, wire.ModeIsExclude, wire.ChangeToInclude, wire.ChangeToExclude, wire.AllowNewSources, wire.BlockOldSources

	g1, a, b, c = "ff15::1", "2001:db8::a", "2001:db8::b", "2001:db8::c"
	// mali is the default Multicast Address Listening Interval, older how long version 1 is taken to
	// be there (RFC 9777 sections 9.4, 9.12 and 9.13).
	mali  = 270 * time.Second
	older = 260 * time.Second
)

// TestOneListener: what the one guest behind a port says is what it gets.
func TestOneListener(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	for _, step := range []struct {
		typ     wire.RecordType
		sources []string
		want    string
	}{
		{toEx, nil, "ff15::1 g:all"},
		{block, []string{a}, "ff15::1 g:-a"},
		{block, []string{b}, "ff15::1 g:-a,b"},
		{allow, []string{a}, "ff15::1 g:-b"},
		{isEx, []string{c}, "ff15::1 g:-c"},
		{toIn, []string{a, b}, "ff15::1 g:a,b"},
		{isIn, []string{c}, "ff15::1 g:a,b,c"},
		{block, []string{a, c}, "ff15::1 g:b"},
		{block, []string{b}, ""},
		{allow, []string{a}, "ff15::1 g:a"},
		{toEx, []string{a}, "ff15::1 g:-a"},
		{toIn, nil, ""},
		{block, []string{a}, ""},
		{isIn, nil, ""},
		{wire.RecordType(9), []string{a}, ""},
	} {
		w.say("g", step.typ, g1, step.sources...)
		w.want(t, step.want)
	}
	w.pass(time.Millisecond)
	w.wantSent(t, "0s queries")
}

// TestSilence: who does not answer is known for the Multicast Address Listening
// Interval, and no longer.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.say("g", isEx, g1)
	w.say("h", isIn, g1, a, b)
	w.pass(100 * time.Second)
	w.say("h", isIn, g1, b)
	w.pass(mali - 100*time.Second - time.Millisecond)
	w.want(t, "ff15::1 g:all h:a,b")
	w.pass(time.Millisecond)
	w.want(t, "ff15::1 h:b")
	w.pass(100 * time.Second)
	w.want(t, "")
}

// TestConfiguredNoMore: who listens to a group that the configuration has no more keeps it, having been
// asked; where nobody answers it ends.
func TestConfiguredNoMore(t *testing.T) {
	t.Parallel()
	for _, listens := range []bool{true, false} {
		w := newWorld(func(s *topology.Spec) {
			s.Ports[0].Multicast = &topology.PortMulticastSpec{Groups: []netip.Addr{addr(g1), addr("ff15::2")}}
		})
		w.pass(40 * time.Second)
		if listens {
			w.say("g", toEx, g1) // says nothing new
		}
		w.want(t, "ff15::1 g:all; ff15::2 g:all")
		w.sent = nil
		w.spec.Ports = slices.Clone(w.spec.Ports)
		w.spec.Ports[0].Multicast = &topology.PortMulticastSpec{Groups: []netip.Addr{addr("ff15::2")}}
		w.serve()
		w.wantSent(t, "40s queries g ff15::1")
		w.want(t, "ff15::1 g:all; ff15::2 g:all")
		w.pass(time.Second)
		want := "ff15::2 g:all"
		if listens {
			w.say("g", isEx, g1)
			want = "ff15::1 g:all; ff15::2 g:all"
		}
		w.pass(time.Second)
		w.want(t, want)
		w.pass(mali - 2*time.Second)
		w.want(t, want)
		if p := w.networks["blue"].ports["g"]; p.learned != b2i(listens) {
			t.Errorf("listens %t: %d learned", listens, p.learned)
		}
	}
	w := newWorld(func(s *topology.Spec) {
		s.Ports[0].MaxGroups = new(int)
		s.Ports[0].Multicast = &topology.PortMulticastSpec{Groups: []netip.Addr{addr(g1)}}
	})
	w.spec.Ports = slices.Clone(w.spec.Ports)
	w.spec.Ports[0].Multicast = nil
	w.serve()
	w.want(t, "") // it may listen to none
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestAdopt: what a bridge held is known as if it had been heard now, under the
// numbers that it had.
func TestAdopt(t *testing.T) {
	t.Parallel()
	w := newWorld(func(s *topology.Spec) {
		s.Ports[1].Multicast = &topology.PortMulticastSpec{Groups: []netip.Addr{addr("ff15::9"), addr("ff15::a")}}
	})
	w.want(t, "ff15::9 h:all; ff15::a h:all")
	w.Adopt(w.now, "blue", &Shown{Routers: []string{"uplink of blue", "gone"}, Groups: []ShownGroup{
		{Group: addr(g1), Slot: 0, Ports: []ShownPort{{Port: "g", Exclude: true, Sources: []netip.Addr{addr(a)}}, {Port: "h", Sources: []netip.Addr{addr(b)}}, {Port: "gone", Exclude: true}}},
		{Group: addr("ff15::a"), Slot: 5, Ports: []ShownPort{{Port: "h", Exclude: true}}},
		{Group: addr("ff15::7"), Slot: 7, Ports: []ShownPort{{Port: "gone", Exclude: true}}},
	}})
	w.want(t, "ff15::1 g:-a h:b; ff15::9 h:all; ff15::a h:all")
	shown := w.View().Networks()["blue"]
	if !shown.Ready || !shown.Querying || shown.Groups[0].Slot != 0 || shown.Groups[1].Slot == 0 || shown.Groups[2].Slot != 5 || len(shown.Routers) != 1 {
		t.Errorf("%+v", shown)
	}
	w.say("g", toIn, g1)
	w.want(t, "ff15::1 h:b; ff15::9 h:all; ff15::a h:all")
	w.pass(mali - 1)
	w.want(t, "ff15::1 h:b; ff15::9 h:all; ff15::a h:all")
	w.pass(1)
	w.want(t, "ff15::9 h:all; ff15::a h:all")
}
