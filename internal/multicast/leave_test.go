package multicast

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// TestSeveralListeners: where several may listen, who leaves is not the last for sure:
// the others are asked (RFC 9777 sections 7.4.2 and 7.6.3).
func TestSeveralListeners(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.pass(time.Millisecond)
	w.wantSent(t, "0s queries")
	w.say("n", toEx, g1)
	w.say("n", toIn, g1)
	w.want(t, "ff15::1 n:all")
	w.wantSent(t, "1ms queries n ff15::1")
	w.pass(1500 * time.Millisecond)
	w.wantSent(t, "1.001s queries n ff15::1")
	w.say("n", isEx, g1) // somebody objects
	w.pass(time.Minute)
	w.want(t, "ff15::1 n:all")
	w.sent = nil
	w.say("n", toIn, g1)
	w.pass(1999 * time.Millisecond)
	w.want(t, "ff15::1 n:all")
	w.pass(time.Millisecond)
	w.want(t, "")
}

// TestSourcesAreAskedFor: the same of single sources.
func TestSourcesAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.pass(time.Millisecond)
	w.sent = nil
	w.say("n", allow, g1, a, b)
	w.say("n", block, g1, a, c)
	w.wantSent(t, "1ms queries n ff15::1 2001:db8::a")
	w.pass(500 * time.Millisecond)
	w.say("n", isIn, g1, a) // still wanted by another
	w.pass(600 * time.Millisecond)
	w.wantSent(t, "1.001s queries n ff15::1 suppressed 2001:db8::a")
	w.pass(time.Minute)
	w.want(t, "ff15::1 n:a,b")
	w.sent = nil
	w.say("n", toIn, g1, b)
	w.pass(3 * time.Second)
	w.want(t, "ff15::1 n:b")
	w.wantSent(t, "1m1.101s queries n ff15::1 2001:db8::a", "1m2.101s queries n ff15::1 2001:db8::a")
	w.say("n", toEx, g1, b, c)
	w.want(t, "ff15::1 n:-c")
	w.pass(3 * time.Second)
	w.want(t, "ff15::1 n:-b,c")
	w.say("n", isIn, g1, c)
	w.want(t, "ff15::1 n:-b")
}

// TestQuestionsMerge: what is asked for meanwhile goes out at once, with what is still to be asked for,
// and each as often as the robustness has it; who leaves again what is asked for already has nothing
// asked for once more (RFC 9777 sections 7.4.2 and 7.6.3.2).
func TestQuestionsMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.say("n", allow, g1, a, b, c)
	w.pass(time.Second)
	w.sent = nil
	w.say("n", block, g1, a)
	w.pass(300 * time.Millisecond)
	w.say("n", block, g1, a, b)
	w.pass(time.Second)
	w.say("n", block, g1, a, b)
	w.pass(300 * time.Millisecond)
	w.wantSent(t, "1s queries n ff15::1 2001:db8::a", "1.3s queries n ff15::1 2001:db8::a 2001:db8::b", "2.3s queries n ff15::1 2001:db8::b")
	w.pass(399 * time.Millisecond)
	w.want(t, "ff15::1 n:a,b,c")
	w.pass(time.Millisecond)
	w.want(t, "ff15::1 n:b,c")
	w.pass(300 * time.Millisecond)
	w.want(t, "ff15::1 n:c")
	w.wantSent(t)
}

// TestListenerOfVersion1: where one is heard that knows no sources, what others say of sources is not
// believed, for the Older Version Host Present Interval (RFC 9777 sections 8.3.2 and 9.13).
func TestListenerOfVersion1(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	say := func(typ wire.RecordType, want string, sources ...string) {
		t.Helper()
		w.say("n", typ, g1, sources...)
		w.want(t, want)
	}
	w.Report(w.now, "blue", "n", Change{Type: isEx, Group: addr(g1)}, true)
	w.pass(older - time.Millisecond)
	say(block, "ff15::1 n:all", a)
	say(toEx, "ff15::1 n:all", a)
	w.pass(time.Millisecond)
	say(toEx, "ff15::1 n:all", a)
	w.pass(2 * time.Second)
	w.want(t, "ff15::1 n:-a")
}

// TestTables holds what is asked for to the tables of RFC 9777 sections 7.4.1 and 7.4.2: of
// sources to be asked for there may be none, and then nobody is asked, and who listens
// is known for as long as ever.
func TestTables(t *testing.T) {
	t.Parallel()
	const source = "1ms queries n ff15::1 "
	for _, c := range []struct {
		name   string
		before func(*world)
		typ    wire.RecordType
		list   []string
		want   string
		sent   []string
	}{
		{name: "INCLUDE (A) IS_IN (B)", before: including, typ: isIn, list: []string{b}, want: "n:a,b"},
		{name: "INCLUDE (A) IS_EX ()", before: including, typ: isEx, want: "n:all"},
		{name: "INCLUDE () TO_EX ()", typ: toEx, want: "n:all"},
		{name: "INCLUDE (A) TO_EX ()", before: including, typ: toEx, want: "n:all"},
		{name: "INCLUDE (A) TO_EX (B)", before: including, typ: toEx, list: []string{b}, want: "n:-b"},
		{name: "INCLUDE (A) TO_EX (A)", before: including, typ: toEx, list: []string{a}, want: "n:all", sent: []string{source + a}},
		{name: "INCLUDE (A) TO_IN (A)", before: including, typ: toIn, list: []string{a}, want: "n:a"},
		{name: "INCLUDE (A) TO_IN (B)", before: including, typ: toIn, list: []string{b}, want: "n:a,b", sent: []string{source + a}},
		{name: "INCLUDE (A) BLOCK (B)", before: including, typ: block, list: []string{b}, want: "n:a"},
		{name: "INCLUDE (A) BLOCK (A)", before: including, typ: block, list: []string{a}, want: "n:a", sent: []string{source + a}},
		{name: "EXCLUDE (X,Y) TO_EX (Y)", before: excluding, typ: toEx, list: []string{a}, want: "n:-a"},
		{name: "EXCLUDE (X,Y) BLOCK (Y)", before: excluding, typ: block, list: []string{a}, want: "n:-a"},
		{name: "EXCLUDE (X,Y) BLOCK (A)", before: excluding, typ: block, list: []string{c}, want: "n:-a", sent: []string{source + c}},
		{name: "EXCLUDE (X,Y) TO_IN (X)", before: excluding, typ: toIn, list: []string{b}, want: "n:-a", sent: []string{"1ms queries n ff15::1"}},
		{name: "EXCLUDE (X,Y) TO_IN ()", before: excluding, typ: toIn, want: "n:-a", sent: []string{source + b, "1ms queries n ff15::1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(nil)
			w.pass(time.Millisecond)
			if c.before != nil {
				c.before(w)
			}
			w.sent = nil
			w.say("n", c.typ, g1, c.list...)
			w.want(t, "ff15::1 "+c.want)
			slices.Sort(w.sent)
			slices.Sort(c.sent)
			w.wantSent(t, c.sent...)
			w.pass(mali - 2*time.Millisecond)
			if c.sent == nil {
				w.want(t, "ff15::1 "+c.want)
			}
		})
	}
}

// including and excluding are the states INCLUDE (a) and EXCLUDE (b, a).
func including(w *world) { w.say("n", allow, g1, a) }
func excluding(w *world) { w.say("n", isEx, g1, a); w.say("n", allow, g1, b) }

// TestQueriers: the lower address asks, and the other takes over when it is silent
// (RFC 9777 section 7.6.2).
func TestQueriers(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.pass(40 * time.Second)
	w.wantSent(t, "0s queries", "31.25s queries")
	ask := func(from string, q Query) {
		q.Source = addr(from)
		if !q.Group.IsValid() {
			q.Group = netip.IPv6Unspecified()
		}
		w.Asked(w.now, "blue", "uplink of blue", q)
	}
	shown := func() *Shown { w.Show(); return w.View().Networks()["blue"] }
	ask("fe80::b", Query{MaxResponse: time.Second})
	if s := shown(); !s.Querying || len(s.Routers) != 1 {
		t.Errorf("a higher address: %+v", s)
	}
	ask("fe80::9", Query{MaxResponse: time.Second, Robustness: 3, Interval: 10 * time.Second})
	ask("fe80::a0", Query{MaxResponse: time.Second})
	if s := shown(); s.Querying || s.Querier != addr("fe80::9") || !s.Ready {
		t.Errorf("a lower address: %+v", s)
	}
	w.say("g", isEx, g1)
	w.say("n", isEx, g1)
	w.say("n", toIn, g1) // asked for by who is the querier
	w.pass(30 * time.Second)
	w.wantSent(t)
	w.want(t, "ff15::1 g:all n:all")
	// What it asks lowers times here too, unless it says not to (section 7.6.1).
	ask("fe80::9", Query{Group: addr(g1), MaxResponse: time.Second, Suppress: true, Robustness: 3, Interval: 10 * time.Second})
	w.pass(4 * time.Second)
	w.want(t, "ff15::1 g:all n:all")
	ask("fe80::9", Query{Group: addr(g1), MaxResponse: time.Second, Robustness: 3, Interval: 10 * time.Second})
	w.say("g", isEx, g1)
	w.pass(3 * time.Second)
	w.want(t, "ff15::1 g:all")
	// Its three intervals and half of ours to answer.
	w.pass(31 * time.Second)
	if s := shown(); s.Querying {
		t.Error("taken over too soon")
	}
	w.pass(2 * time.Second)
	if s := shown(); !s.Querying || !s.Ready {
		t.Errorf("not taken over: %+v", s)
	}
}

// TestNobodyAsks: where nobody does, nobody is kept from anything.
func TestNobodyAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(func(s *topology.Spec) { s.Networks[0].Multicast.Querier = false })
	ready := func() bool { w.Show(); return w.View().Networks()["blue"].Ready }
	w.pass(time.Hour)
	if ready() || len(w.sent) > 0 {
		t.Error("ready, or something was sent:", w.sent)
	}
	w.Asked(w.now, "blue", "r", Query{Source: addr("fe80::5"), Group: netip.IPv6Unspecified(), MaxResponse: 10 * time.Second})
	w.pass(10 * time.Second)
	if ready() {
		t.Error("ready before the time to answer is over")
	}
	w.pass(time.Second)
	if !ready() {
		t.Error("not ready")
	}
	w.pass(260 * time.Second)
	if ready() {
		t.Error("ready, and the querier is gone")
	}
}

// TestRouters: who advertises itself is known for three intervals and what these may be
// late by (RFC 4286 section 3.1.5), who says that it ends no longer.
func TestRouters(t *testing.T) {
	t.Parallel()
	w := newWorld(func(s *topology.Spec) {
		s.Ports[0].Multicast = &topology.PortMulticastSpec{Router: true}
		s.Networks[0].Multicast.RouterDiscovery = true
	})
	routers := func() string { w.Show(); return fmt.Sprint(w.View().Networks()["blue"].Routers) }
	want := func(list string) {
		t.Helper()
		if got := routers(); got != list {
			t.Errorf("after %s: %s, want %s", w.now-time.Hour, got, list)
		}
	}
	want("[g]")
	w.Advertised(w.now, "blue", "uplink of blue", addr("fe80::1"), 20*time.Second)
	w.Advertised(w.now, "blue", "uplink of blue", addr("fe80::2"), 4*time.Second)
	want("[g uplink of blue]")
	w.Terminated(w.now, "blue", "uplink of blue", addr("fe80::1"))
	w.pass(12299 * time.Millisecond)
	want("[g uplink of blue]")
	w.pass(time.Millisecond)
	want("[g]")
	w.Advertised(w.now, "blue", "r", addr("fe80::5"), 20*time.Second)
	w.pass(61499 * time.Millisecond)
	want("[g r]")
	w.pass(time.Millisecond)
	want("[g]")
	w.Advertised(w.now, "blue", "r", addr("fe80::5"), 20*time.Second)
	w.Terminated(w.now, "blue", "r", addr("fe80::5"))
	want("[g]")
	for i := range 100 {
		w.Advertised(w.now, "blue", "uplink of blue", netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(i + 1)}), 20*time.Second)
	}
	if n := len(w.networks["blue"].routers); n > mostRouters {
		t.Errorf("%d routers behind one port", n)
	}
	// Three at first, two seconds apart here, then each 20 s, and one for who asks.
	w.sent = nil
	w.pass(10 * time.Second)
	if !w.Solicited(w.now, "blue") || w.Solicited(w.now, "red") {
		t.Error("who is answered?")
	}
	w.pass(2 * time.Second)
	w.wantSent(t, "1m13.8s solicitations r", "1m25.8s advertisements")
	w.spec.Networks = []topology.NetworkSpec{{Name: "blue", Uplink: w.spec.Networks[0].Uplink, Subnets: w.spec.Networks[0].Subnets,
		Multicast: &topology.MulticastSpec{Snooping: true, Querier: true}}}
	w.serve()
	w.wantSent(t, "1m25.8s terminations")
	w.spec.Networks = []topology.NetworkSpec{{Name: "blue", Uplink: w.spec.Networks[0].Uplink, Subnets: w.spec.Networks[0].Subnets}}
	w.spec.Ports[0].Multicast = nil
	w.serve()
	w.pass(time.Minute)
	w.wantSent(t)
	if len(w.networks) > 0 || w.timers.Len() > 0 {
		t.Error("something is left of what is not served")
	}
}

// TestMoved: of a port that moved what it listens to is told again, and it is asked.
func TestMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.pass(40 * time.Second)
	w.say("g", isEx, g1)
	w.say("g", isIn, "ff15::2", a)
	w.sent = nil
	w.of["g"] = 9
	w.serve()
	w.wantSent(t, "40s queries g", "40s reports g ff15::1 ff15::2")
	w.want(t, "ff15::1 g:all; ff15::2 g:a")
	delete(w.of, "g")
	w.serve()
	w.wantSent(t)
	w.spec.Ports = w.spec.Ports[1:]
	w.serve()
	w.want(t, "")
}

// TestBounds: a port fills its own share and no more, whatever it says, and gets more than
// it wants rather than less.
func TestBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	name := func(i int) string {
		return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x15, 13: 1, 14: byte(i >> 8), 15: byte(i)}).String()
	}
	refused := 0
	for i := range 10000 {
		if w.say("g", toEx, name(i)) == ManyGroups {
			refused++
		}
	}
	if n := len(w.networks["blue"].groups); n != 64 || refused != 10000-64 {
		t.Errorf("%d groups, %d refused", n, refused)
	}
	if o := w.say("h", toEx, g1); o != Taken {
		t.Error("another has no room")
	}
	var sources []string
	for i := range 300 {
		sources = append(sources, netip.AddrFrom16([16]byte{0: 0x20, 14: byte(i >> 8), 15: byte(i)}).String())
	}
	w.say("h", toIn, "ff15::3", sources[:100]...)
	if o := w.say("h", toIn, "ff15::2", sources...); o != ManySources {
		t.Errorf("too many sources: %v", o)
	}
	if o := w.say("h", block, "ff15::2", sources...); o != ManySources {
		t.Errorf("too many sources: %v", o)
	}
	if m := w.networks["blue"].ports["h"].members[addr("ff15::2")]; !m.exclude || len(m.sources) > 0 {
		t.Errorf("%+v", m)
	}
	if o := w.say("h", toIn, "ff15::2", sources[:100]...); o != Taken || w.networks["blue"].ports["h"].sources != 200 {
		t.Errorf("%v, %d sources", o, w.networks["blue"].ports["h"].sources)
	}
	for range 3 {
		for _, g := range []string{"ff02::1", "ff02::2", "ff02::6a", "ff02::1:ff00:1", "ff01::5", "ff10::1"} {
			w.say("n", toEx, g)
		}
	}
	if p := w.networks["blue"].ports["n"]; len(p.members) > 0 {
		t.Errorf("groups that reach all anyway: %v", p.members)
	}
	w.pass(mali + time.Second)
	w.want(t, "")
	if n := w.timers.Len(); n != 1 {
		t.Errorf("%d timers are left beside the network's", n-1)
	}
	for _, word := range w.slots.used {
		if word != 0 {
			t.Error("slots are left")
		}
	}
	for _, p := range w.networks["blue"].ports {
		if p.sources != 0 || p.learned != 0 || len(p.members) != 0 {
			t.Errorf("%+v", p)
		}
	}
}

// TestSourcesCountOnce: what a listener names again takes no more room, so that a filter lasts that
// fills more than half of its port's; nor does what it names no more.
func TestSourcesCountOnce(t *testing.T) {
	t.Parallel()
	var sources []string
	for i := range 256 {
		sources = append(sources, netip.AddrFrom16([16]byte{0: 0x20, 15: byte(i)}).String())
	}
	for _, port := range []string{"g", "n"} {
		w := newWorld(nil)
		say := func(typ wire.RecordType, list []string, want, exclude int) {
			t.Helper()
			o := w.say(port, typ, g1, list...)
			p := w.networks["blue"].ports[port]
			m := p.members[addr(g1)]
			if o != Taken || m == nil || m.exclude != (exclude > 0) || p.sources != want || len(m.sources) != want {
				t.Fatalf("%s %v of %d: %v, %+v, want %d sources", port, typ, len(list), o, m, want)
			}
		}
		say(toIn, sources[:150], 150, 0)
		say(isIn, sources[:150], 150, 0)
		say(allow, sources[100:], 256, 0)
		say(isIn, sources, 256, 0)
		left := 256
		if port == "g" {
			left = 56 // of the one listener that is believed at once
		}
		say(block, sources[:200], left, 0)
		say(toEx, sources[:200], 200, 1)
		say(isEx, sources[56:], 200, 1)
		say(block, sources, 256, 1)
		if port == "g" {
			say(toIn, sources[:100], 100, 0) // in place of those
		}
		twice := make([]string, 300)
		for i := range twice {
			twice[i] = sources[0]
		}
		say(toEx, twice, 1, 1)
	}
}

// TestQuestionsAreFew: however often one leaves a group and comes back, and however often in one
// message, it is asked for four times a Last Listener Query Interval and no more, and what is asked
// for later lasts as much longer.
func TestQuestionsAreFew(t *testing.T) {
	t.Parallel()
	w := newWorld(nil)
	w.pass(time.Millisecond)
	w.sent = nil
	for range 20 { // messages, of 35 records to join and as many to leave
		for range 35 {
			w.say("n", isEx, g1)
			w.say("n", toIn, g1)
		}
		w.pass(50 * time.Millisecond)
	}
	if n := len(w.sent); n > 5 {
		t.Errorf("asked %d times in a second", n)
	}
	w.say("n", toIn, g1)
	w.sent = nil
	w.pass(3 * time.Second)
	w.want(t, "")
	for _, robustness := range []int{1, 2} {
		w := newWorld(func(s *topology.Spec) { s.Networks[0].Multicast.Robustness = &robustness })
		w.say("n", allow, g1, a, b)
		w.pass(time.Second)
		w.sent = nil
		w.say("n", block, g1, a)
		w.pass(100 * time.Millisecond)
		w.say("n", block, g1, b)
		life := time.Duration(robustness) * time.Second
		w.pass(life - 101*time.Millisecond)
		w.want(t, "ff15::1 n:a,b")
		w.pass(250 * time.Millisecond)
		w.want(t, "ff15::1 n:b")
		w.pass(time.Millisecond)
		w.want(t, "")
		if robustness == 1 {
			w.wantSent(t, "1s queries n ff15::1 2001:db8::a", "1.25s queries n ff15::1 2001:db8::b")
		}
	}
}
