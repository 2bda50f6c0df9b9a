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

// newProxy is a world whose router also stands on red, with the guest v, and listens on
// blue on behalf of that. The first Query is answered, the next comes after 31.25 s.
func newProxy() *world {
	w := newWorld(func(s *topology.Spec) {
		s.Networks = append(s.Networks, topology.NetworkSpec{Name: "red", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:ed::/64")}},
			Multicast: &topology.MulticastSpec{Snooping: true, Querier: true}})
		s.Routers[0].Networks = append(s.Routers[0].Networks, topology.PresenceSpec{Network: "red"})
		s.Routers[0].Multicast = &topology.RouterMulticastSpec{Upstream: "blue", Boundary: 5}
		s.Ports = append(s.Ports, topology.PortSpec{Name: "v", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 1, 1}}, topology.PortSpec{Name: "w", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 1, 2}})
	})
	w.of["v"], w.of["w"] = 7, 8
	w.serve()
	w.pass(15 * time.Second)
	return w
}

// downstream has a port of red report, and gives what the router tells because of it.
func (w *world) downstream(port string, typ wire.RecordType, group string, sources ...string) string {
	c := Change{Type: typ, Group: addr(group)}
	for _, s := range sources {
		c.Sources = append(c.Sources, addr(s))
	}
	w.Report(w.now, "red", port, c, false)
	return w.proxied()
}

// proxied is what the router tells now.
func (w *world) proxied() string {
	w.Tick(w.now)
	defer w.Show()
	return w.reported()
}

// proxiedIn lets time pass, and lists what the router tells meanwhile, each with its second.
func (w *world) proxiedIn(d time.Duration) (list []string) {
	w.passing(d, func() {
		if text := w.reported(); text != "" {
			list = append(list, (w.now-time.Hour).String()+" "+text)
		}
	})
	return list
}

// reported is the reports among what is to be sent.
func (w *world) reported() string {
	var text []string
	for _, e := range w.Events() {
		if e.Kind != Report {
			continue
		}
		for _, r := range e.Records {
			one := [...]string{1: "is-in", "is-ex", "to-in", "to-ex", "allow", "block"}[r.Type] + " " + r.Group.String()
			for _, s := range r.Sources {
				one += " " + strings.TrimPrefix(s.String(), "2001:db8::")
			}
			if e.Old {
				one += " (v1)"
			}
			text = append(text, one)
		}
	}
	return strings.Join(text, "; ")
}

// TestProxy: upstream the router listens to what anybody does downstream (RFC 4605
// section 4.1, RFC 9777 section 4.2).
func TestProxy(t *testing.T) {
	t.Parallel()
	w := newProxy()
	const wide = "ff1e::1"
	for _, step := range []struct {
		port    string
		typ     wire.RecordType
		group   string
		sources []string
		want    string
	}{
		{"v", toIn, wide, []string{a, b}, "allow ff1e::1 a b"},
		{"w", toIn, wide, []string{b, c}, "allow ff1e::1 c"},
		{"v", block, wide, []string{a, b}, "block ff1e::1 a"},
		{"v", toEx, wide, []string{a, b}, "to-ex ff1e::1 a"},
		{"w", toEx, wide, []string{a, c}, ""},
		{"w", toIn, wide, nil, "block ff1e::1 b"},
		{"v", allow, wide, []string{a}, "allow ff1e::1 a"},
		{"v", toIn, wide, nil, "to-in ff1e::1"},
		{"v", toEx, "ff15::1", nil, ""}, // stays within its site
		{"v", toEx, "ff02::fb", nil, ""},
		{"w", toEx, wide, nil, "to-ex ff1e::1"},
	} {
		if got := w.downstream(step.port, step.typ, step.group, step.sources...); got != step.want {
			t.Errorf("%s of %s by %s: %q, want %q", step.sources, step.group, step.port, got, step.want)
		}
		w.pass(time.Minute) // what is repeated
	}
	w.downstream("w", isEx, wide)
	general := Query{Source: addr("fe80::1"), Group: netip.IPv6Unspecified(), MaxResponse: time.Second, Version: 2}
	w.Asked(w.now, "blue", "uplink of blue", general)
	w.now += time.Second
	if got := w.proxied(); got != "is-ex ff1e::1" {
		t.Errorf("asked: %q", got)
	}
	about := general
	about.Group = addr("ff1e::2")
	w.Asked(w.now, "blue", "uplink of blue", about)
	w.now += time.Second
	if got := w.proxied(); got != "" {
		t.Errorf("asked about another group: %q", got)
	}
	old := general
	old.Version = 1
	w.Asked(w.now, "blue", "uplink of blue", old)
	w.now += time.Second
	if got := w.proxied(); got != "is-ex ff1e::1 (v1)" {
		t.Errorf("asked by version 1: %q", got)
	}
	w.pass(10 * time.Second)
	// A querier of version 1 hears of who leaves by a Done alone, whatever the last was that was wanted,
	// and nothing of what changes meanwhile (RFC 4605 section 4.1).
	for _, step := range []struct {
		typ  wire.RecordType
		want string
	}{{allow, "is-in ff1e::3 a (v1)"}, {toEx, ""}, {block, ""}, {toIn, ""}, {block, "to-in ff1e::3 (v1)"}} {
		if got := w.downstream("v", step.typ, "ff1e::3", a); got != step.want {
			t.Errorf("to version 1: %q, want %q", got, step.want)
		}
		w.pass(2 * time.Second)
	}
	w.downstream("v", allow, "ff1e::5", a)
	w.pass(time.Second / 2)
	w.downstream("v", toEx, "ff1e::5", a)
	if got := w.proxiedIn(5 * time.Second); len(got) != 1 || !strings.HasSuffix(got[0], " is-ex ff1e::5 a (v1)") {
		t.Errorf("a group, told again after a change of its sources: %q", got)
	}
	w.downstream("v", toIn, "ff1e::5")
	w.pass(2 * time.Second)
	// Its end is told as often as all else, of all groups at once.
	if got, want := w.downstream("v", toEx, "ff1e::4"), "is-ex ff1e::4 (v1)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.pass(10 * time.Second)
	w.spec.Routers[0].Multicast = nil
	w.serve()
	if got, want := w.proxied(), "to-in ff1e::1 (v1); to-in ff1e::4 (v1)"; got != want {
		t.Errorf("the end: %q, want %q", got, want)
	}
	if got := w.proxiedIn(5 * time.Second); len(got) != 1 || !strings.HasSuffix(got[0], " to-in ff1e::1 (v1); to-in ff1e::4 (v1)") {
		t.Errorf("the end once more: %q", got)
	}
	if n := w.networks["blue"]; n.proxy != nil {
		t.Error("still listens for others")
	}
}

// TestProxyForgets: upstream it is told at once that a listener has fallen silent, as that it
// has left.
func TestProxyForgets(t *testing.T) {
	t.Parallel()
	w := newProxy()
	if got, want := w.downstream("v", toEx, "ff1e::1"), "to-ex ff1e::1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.pass(10 * time.Second) // what is repeated
	want := []string{"41.25s is-ex ff1e::1", "2m46.25s is-ex ff1e::1", "4m45s to-in ff1e::1"}
	if got := w.proxiedIn(mali - 10*time.Second); !slices.Equal(got, want) {
		t.Errorf("a silent listener: %q, want %q", got, want)
	}
}

// TestProxyLongLists: lists of sources that no packet of 1,280 octets can hold are told in several
// records, those not wanted of a group in one, "with as many source addresses as can fit" (RFC
// 9777 section 5.2.16).
func TestProxyLongLists(t *testing.T) {
	t.Parallel()
	const fit = (1280 - 40 - 8 - 8 - 20) / 16 // headers, Router Alert, report and record
	const group = "ff1e::1"
	var many [300]string
	for i := range many {
		many[i] = netip.AddrFrom16([16]byte{0: 0x20, 14: byte(i >> 8), 15: byte(i)}).String()
	}
	w := newProxy()
	w.spec.MaxGroups = new(int)
	*w.spec.MaxGroups = topology.UnlimitedGroups
	w.serve()
	// told holds what is told next of sources to number.
	told := func(what string, typ wire.RecordType, number int) {
		t.Helper()
		seen := map[netip.Addr]bool{}
		w.Tick(w.now)
		for _, e := range w.Events() {
			for _, r := range e.Records {
				if r.Type != typ || r.Group != addr(group) || len(r.Sources) > fit {
					t.Errorf("%s: a record of type %d with %d sources", what, r.Type, len(r.Sources))
				}
				for _, s := range r.Sources {
					if seen[s] {
						t.Errorf("%s: %s is told twice", what, s)
					}
					seen[s] = true
				}
			}
		}
		w.Show()
		if typ == toEx || typ == isEx {
			if want := min(number, fit); len(seen) != want {
				t.Errorf("%s: %d sources, want %d", what, len(seen), want)
			}
		} else if len(seen) != number {
			t.Errorf("%s: %d sources, want %d", what, len(seen), number)
		}
	}
	say := func(typ wire.RecordType, sources []string) {
		c := Change{Type: typ, Group: addr(group)}
		for _, s := range sources {
			c.Sources = append(c.Sources, addr(s))
		}
		w.Report(w.now, "red", "v", c, false)
	}
	asked := func() {
		w.pass(time.Minute)
		w.Asked(w.now, "blue", "uplink of blue", Query{Source: addr("fe80::1"), Group: netip.IPv6Unspecified(), MaxResponse: time.Second, Version: 2})
		w.now += time.Second
	}
	say(allow, many[:])
	told("new", allow, 300)
	asked()
	told("asked", isIn, 300)
	say(block, many[200:])
	told("some no more", block, 100)
	w.pass(time.Minute)
	say(toEx, many[:])
	told("all others", toEx, 300)
	asked()
	told("asked for all others", isEx, 300)
	say(toIn, many[:])
	told("these alone", toIn, 300)
}

// TestProxyMerges: a change that comes before another has been repeated goes with it: what is
// told is what is wanted by then, and as often as ever (RFC 9777 section 6.1). The world's
// router repeats a report once, a second later.
func TestProxyMerges(t *testing.T) {
	t.Parallel()
	type change struct {
		typ     wire.RecordType
		sources []string
	}
	for _, c := range []struct {
		name          string
		first, second change
		want          []string
	}{
		{"joins and leaves", change{toEx, nil}, change{toIn, nil}, []string{"15s to-ex", "15.1s to-in", "16.1s to-in"}},
		{"wants one source, then another", change{allow, []string{a}}, change{allow, []string{b}}, []string{"15s allow a", "15.1s allow a b", "16.1s allow b"}},
		{"wants a source and does not", change{allow, []string{a, b}}, change{block, []string{a}}, []string{"15s allow a b", "15.1s allow b; block a", "16.1s block a"}},
		{"wants all but one, then but two", change{toEx, []string{a}}, change{block, []string{b}}, []string{"15s to-ex a", "15.1s to-ex a b", "16.1s block b"}},
		{"wants all, then one", change{toEx, nil}, change{toIn, []string{a}}, []string{"15s to-ex", "15.1s to-in a", "16.1s to-in a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newProxy()
			say := func(c change) {
				r := Change{Type: c.typ, Group: addr("ff1e::1")}
				for _, s := range c.sources {
					r.Sources = append(r.Sources, addr(s))
				}
				w.Report(w.now, "red", "v", r, false)
			}
			say(c.first)
			got := w.proxiedIn(100 * time.Millisecond)
			say(c.second)
			got = append(got, w.proxiedIn(10*time.Second)...)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], " ff1e::1", "")
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestProxyAnswers: of each group and of all there is an answer pending of its own, and the earlier of
// two for one is given (RFC 9777 section 6.2). The world's router answers as late as it may.
func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	const first, second = "is-ex ff1e::1", "is-ex ff1e::2"
	type query struct {
		after, response time.Duration
		group           string
	}
	for _, c := range []struct {
		name    string
		queries []query
		want    []string
	}{
		{"all, then a group", []query{{0, 10 * time.Second, "::"}, {time.Second, time.Second, "ff1e::2"}}, []string{"2s " + second, "10s " + first + "; " + second}},
		{"a group, then all", []query{{0, 10 * time.Second, "ff1e::2"}, {time.Second, time.Second, "::"}}, []string{"2s " + first + "; " + second, "10s " + second}},
		{"all, then a group later", []query{{0, 2 * time.Second, "::"}, {time.Second, 9 * time.Second, "ff1e::2"}}, []string{"2s " + first + "; " + second}},
		{"two groups", []query{{0, 3 * time.Second, "ff1e::1"}, {time.Second, time.Second, "ff1e::2"}}, []string{"2s " + second, "3s " + first}},
		{"a group, and sooner", []query{{0, 10 * time.Second, "ff1e::1"}, {time.Second, time.Second, "ff1e::1"}}, []string{"2s " + first}},
		{"a group, and later", []query{{0, 2 * time.Second, "ff1e::1"}, {time.Second, 9 * time.Second, "ff1e::1"}}, []string{"2s " + first}},
		{"all, and later", []query{{0, 2 * time.Second, "::"}, {time.Second, 9 * time.Second, "::"}}, []string{"2s " + first + "; " + second}},
		{"a group that nobody listens to", []query{{0, time.Second, "ff1e::3"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newProxy()
			w.downstream("v", toEx, "ff1e::1")
			w.downstream("v", toEx, "ff1e::2")
			w.pass(45 * time.Second)
			var got []string
			for _, q := range c.queries {
				got = append(got, w.proxiedIn(q.after)...)
				w.Asked(w.now, "blue", "uplink of blue", Query{Source: addr("fe80::1"), Group: addr(q.group), MaxResponse: q.response, Version: 2})
			}
			got = append(got, w.proxiedIn(20*time.Second)...)
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], "1m")
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestProxyAnswersSources: who asks about sources hears which of them are wanted (RFC 9777 section
// 6.3, Table 3), who asks about the group meanwhile of all of it (section 6.2, rules 4 and 5).
func TestProxyAnswersSources(t *testing.T) {
	t.Parallel()
	all := make([]string, mostAsked+1)
	for i := range all {
		all[i] = netip.AddrFrom16([16]byte{0: 0x20, 14: byte(i >> 8), 15: byte(i)}).String()
	}
	type list []string
	for _, tt := range []struct {
		name    string
		mode    wire.RecordType
		sources list
		queries []list
		want    []string
	}{
		{"INCLUDE (A), B", toIn, list{a, b}, []list{{b, c}}, []string{"is-in b"}},
		{"INCLUDE (A), none of B", toIn, list{a, b}, []list{{c}}, nil},
		{"EXCLUDE (A), B", toEx, list{a, b}, []list{{b, c}}, []string{"is-in c"}},
		{"EXCLUDE (A), none of B", toEx, list{a, b}, []list{{b, a}}, nil},
		{"EXCLUDE ()", toEx, nil, []list{{b, a, b}}, []string{"is-in a b"}},
		{"some, then others", toIn, list{a, b, c}, []list{{a}, {c, a}}, []string{"is-in a c"}},
		{"some, then all", toIn, list{a, b}, []list{{a}, {}}, []string{"is-in a b"}},
		{"all, then some", toEx, list{a}, []list{{}, {b}}, []string{"is-ex a"}},
		{"more than are kept", toEx, list{a}, []list{all[:mostAsked], all[mostAsked:]}, []string{"is-ex a"}},
		{"some, then all groups", toIn, list{a, b}, []list{{a}, nil}, []string{"is-in a b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newProxy()
			w.downstream("v", tt.mode, "ff1e::1", tt.sources...)
			w.pass(45 * time.Second)
			for _, q := range tt.queries {
				ask := Query{Source: addr("fe80::1"), Group: addr("ff1e::1"), MaxResponse: time.Second, Version: 2}
				if q == nil {
					ask.Group = netip.IPv6Unspecified()
				}
				for _, s := range q {
					ask.Sources = append(ask.Sources, addr(s))
				}
				w.Asked(w.now, "blue", "uplink of blue", ask)
			}
			got := w.proxiedIn(20 * time.Second)
			for i := range got {
				got[i] = strings.ReplaceAll(strings.TrimPrefix(got[i], "1m1s "), " ff1e::1", "")
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestProxyOfVersion1: who asks all by version 1 hears by version 1 from then on, for the Older Version
// Querier Present Interval, and what was pending before either change is not sent (RFC 9777
// section 8.2.1).
func TestProxyOfVersion1(t *testing.T) {
	t.Parallel()
	w := newProxy()
	w.pass(45 * time.Second)
	is := func(older bool) {
		t.Helper()
		w.Show()
		if shown := w.View().Networks()["blue"]; shown.Older != older {
			t.Errorf("after %s one of version 1 is there: %t", w.now-time.Hour, shown.Older)
		}
	}
	ask := Query{Source: addr("fe80::1"), Group: netip.IPv6Unspecified(), MaxResponse: 2 * time.Second, Version: 1}
	if got, want := w.downstream("v", toEx, "ff1e::1"), "to-ex ff1e::1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	about := ask
	about.Group = addr("ff1e::1")
	w.Asked(w.now, "blue", "uplink of blue", about)
	if got, want := w.proxiedIn(10*time.Second), []string{"1m1s to-ex ff1e::1", "1m2s is-ex ff1e::1"}; !slices.Equal(got, want) {
		t.Errorf("asked about a group: %q, want %q", got, want)
	}
	w.downstream("v", toEx, "ff1e::2")
	is(false)
	about.MaxResponse = time.Second
	w.Asked(w.now, "blue", "uplink of blue", about)
	w.Asked(w.now, "blue", "uplink of blue", ask)
	if got, want := w.proxiedIn(10*time.Second), []string{"1m12s is-ex ff1e::1 (v1); is-ex ff1e::2 (v1)"}; !slices.Equal(got, want) {
		t.Errorf("asked all: %q, want %q", got, want)
	}
	w.downstream("v", isEx, "ff1e::1")
	w.downstream("v", isEx, "ff1e::2")
	w.pass(older - 10*time.Second - time.Second/2)
	if got, want := w.downstream("v", toEx, "ff1e::3"), "is-ex ff1e::3 (v1)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	is(true)
	w.pass(time.Second / 2)
	is(false)
	if got := w.proxiedIn(5 * time.Second); got != nil {
		t.Errorf("when version 1 is over: %q", got)
	}
	if got, want := w.downstream("v", toEx, "ff1e::4"), "to-ex ff1e::4"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestProxyGone: of a network that is gone nothing is done, whatever was to be answered there.
func TestProxyGone(t *testing.T) {
	t.Parallel()
	w := newProxy()
	w.downstream("v", toEx, "ff1e::1")
	w.say("n", toEx, "ff1e::1")
	w.say("n", toIn, "ff1e::1")
	w.spec.Routers, w.spec.Networks = slices.Clone(w.spec.Routers), slices.Clone(w.spec.Networks)
	w.spec.Routers[0].Multicast = nil
	for i := range w.spec.Networks {
		w.spec.Networks[i].Multicast = nil
	}
	w.serve()
	w.Tick(w.now)
	if len(w.networks) > 0 || w.timers.Len() > 0 {
		t.Errorf("%d networks and %d timers are left", len(w.networks), w.timers.Len())
	}
}

// TestProxyHearsItself: where Damselfly itself asks upstream, its router answers as it does any other
// querier, for the routers there that do not ask: they would give up what nobody answers for (RFC
// 9777 sections 7.2.2 and 7.6.1).
func TestProxyHearsItself(t *testing.T) {
	t.Parallel()
	w := newProxy()
	w.downstream("v", toEx, "ff1e::1")
	w.pass(15 * time.Second)
	// A General Query 31.25 s after the first.
	if got, want := w.proxiedIn(40*time.Second), []string{"41.25s is-ex ff1e::1"}; !slices.Equal(got, want) {
		t.Errorf("all: %q, want %q", got, want)
	}
	// Somebody behind the uplink leaves, so that who else listens there is asked, twice.
	w.say("uplink of blue", toEx, "ff1e::1")
	w.random = func(d time.Duration) time.Duration { return d / 2 }
	w.say("uplink of blue", toIn, "ff1e::1")
	if got, want := w.proxiedIn(10*time.Second), []string{"1m10.5s is-ex ff1e::1", "1m11.5s is-ex ff1e::1"}; !slices.Equal(got, want) {
		t.Errorf("a group: %q, want %q", got, want)
	}
}

// TestAskedOften: however often all is asked for, of either version and without time to
// answer in, it is told once a second and no more: to version 1 in a message a group.
func TestAskedOften(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 2; version++ {
		w := newProxy()
		for i := range 60 {
			w.downstream("v", isEx, netip.AddrFrom16([16]byte{0: 0xff, 1: 0x1e, 15: byte(i)}).String())
		}
		w.pass(10 * time.Second)
		told := 0
		for range 60 {
			w.Asked(w.now, "blue", "uplink of blue", Query{Version: version, Source: addr("fe80::b"), Group: netip.IPv6Unspecified()})
			w.passing(50*time.Millisecond, func() {
				for _, e := range w.Events() {
					told += len(e.Records)
				}
			})
		}
		if told < 3*60 || told > 4*60 {
			t.Errorf("version %d: %d records of 60 groups in three seconds", version, told)
		}
	}
}

// TestChangesToVersion1: to a router of version 1 each group is a message, so that who joins and
// leaves many again and again has them told four times a second and no more, and the last of it; who
// joins a few has each told at once.
func TestChangesToVersion1(t *testing.T) {
	t.Parallel()
	w := newProxy()
	w.Asked(w.now, "blue", "uplink of blue", Query{Version: 1, Source: addr("fe80::b"), Group: netip.IPv6Unspecified()})
	w.pass(time.Second)
	for i := range changesAtOnce {
		group := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x1e, 14: 1, 15: byte(i)}).String()
		if got := w.downstream("w", toEx, group); got != "is-ex "+group+" (v1)" {
			t.Errorf("%d: %q", i, got)
		}
	}
	w.pass(3 * time.Second)
	told := 0
	count := func() {
		for _, e := range w.Events() {
			told += len(e.Records)
		}
	}
	for i := range 60 {
		for g := range 60 {
			c := Change{Type: [...]wire.RecordType{toEx, toIn}[i%2], Group: netip.AddrFrom16([16]byte{0: 0xff, 1: 0x1e, 15: byte(g)})}
			w.Report(w.now, "red", "v", c, false)
		}
		w.passing(50*time.Millisecond, count)
	}
	if told > 13*60 {
		t.Errorf("%d messages of 60 groups in three seconds", told)
	}
	if got := w.proxiedIn(3 * time.Second); len(got) == 0 || len(w.networks["blue"].proxy.changes) > 0 {
		t.Error("the end is not told")
	}
}

// TestAskedAboutMany: of all groups together no more sources are kept that they were asked about than
// of one, whatever time there is to answer, and none once that is over.
func TestAskedAboutMany(t *testing.T) {
	t.Parallel()
	w := newProxy()
	name := func(i int) string { return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x1e, 15: byte(i)}).String() }
	for i := range 60 {
		w.downstream("v", isEx, name(i))
	}
	ask := Query{Version: 2, Source: addr("fe80::b"), MaxResponse: time.Minute}
	for i := range mostAsked / 4 {
		ask.Sources = append(ask.Sources, netip.AddrFrom16([16]byte{0: 0x20, 14: byte(i >> 8), 15: byte(i)}))
	}
	for range 3 {
		for i := range 60 {
			ask.Group = addr(name(i))
			w.Asked(w.now, "blue", "uplink of blue", ask)
		}
		kept, p := 0, w.networks["blue"].proxy
		for _, a := range p.about {
			kept += len(a.sources)
		}
		if kept > mostAsked || kept != p.named || len(p.about) != 60 {
			t.Errorf("%d sources of %d groups are kept, and %d counted", kept, len(p.about), p.named)
		}
	}
	w.pass(time.Minute)
	if p := w.networks["blue"].proxy; len(p.about) > 0 || p.named != 0 {
		t.Errorf("%d answers and %d sources are left", len(p.about), p.named)
	}
}
