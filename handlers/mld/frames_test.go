package mld_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/learn"
	"damselfly/handlers/mld"
	"damselfly/internal/multicast"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// ports are the senders of the cases, by their switch's numbers.
var ports = map[string]uint16{"guest": 1, "other": 2, "router": 3, "nested": 4, "uplink": 5}

// snapshot is a network of them all, whose router asks from fe80::a.
func snapshot(t *testing.T, listening *topology.Listening) *topology.Snapshot {
	t.Helper()
	mac := func(last byte) wire.MAC { return wire.MAC{2, 0, 0, 0, 0, last} }
	in := topology.Input{
		Spec: &topology.Spec{
			Networks: []topology.NetworkSpec{{
				Name: "blue", Uplink: &topology.UplinkSpec{Interface: "uplink"},
				Multicast: &topology.MulticastSpec{Snooping: true, Querier: true, RouterDiscovery: true},
				Subnets:   []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}},
			}},
			Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue", LinkLocal: netip.MustParseAddr("fe80::a"), MAC: mac(0xa)}}}},
			Ports: []topology.PortSpec{
				{Name: "guest", Network: "blue", MAC: mac(0x11)}, {Name: "other", Network: "blue", MAC: mac(0x12)},
				{Name: "router", Network: "blue", MAC: mac(0x13), Router: true}, {Name: "nested", Network: "blue", Unknown: true},
			},
		},
		Keys:      topology.Keys{Networks: map[string]uint16{"blue": 1}, Ports: map[string]uint16{}},
		Listening: map[string]*topology.Listening{"blue": listening},
	}
	for name, key := range ports {
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: uint32(key)})
		if name == "uplink" {
			name = topology.UplinkName("blue")
		}
		in.Keys.Ports[name] = key
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// ring takes what the fast lane hands over.
type ring struct{ frames []pipeline.Frame }

// Push implements learn.SlowLane.
func (r *ring) Push(f *pipeline.Frame, _ time.Time) bool {
	r.frames = append(r.frames, *f)
	return true
}

var _ learn.SlowLane = (*ring)(nil)

// lanes are both lanes of a worker.
type lanes struct {
	s     *topology.Snapshot
	table *multicast.Table
	fast  handlers.Services
	slow  handlers.Services
	ring  ring
	now   time.Time
}

func newLanes(t *testing.T, listening *topology.Listening) *lanes {
	l := &lanes{s: snapshot(t, listening), table: multicast.New(nil), now: time.Unix(1e9, 0)}
	l.fast.Listen = &mld.Lane{Slow: &l.ring}
	l.slow.Listen = &mld.Lane{Table: l.table, Uptime: time.Hour, Snapshot: l.s}
	l.table.Serve(time.Hour, l.s)
	l.table.Events()
	return l
}

// end gives how a frame ends, through the slow lane where it is handed over, and
// what is sent because of it.
func (l *lanes) end(from string, frame []byte) (string, []pipeline.Reply) {
	l.ring.frames = nil
	r := pipeline.NewReplies(4096)
	f := pipeline.Frame{Data: frame, Port: ports[from], InPort: uint32(ports[from]), Network: 1}
	why := l.fast.Dispatch(l.s, l.now, &f, r)
	if len(l.ring.frames) > 0 {
		why = l.slow.DecideAddress(l.s, l.now, &l.ring.frames[0], r)
	}
	return handlers.ReasonName(why), r.List()
}

// TestFrames: every message that scapy writes, legal and forged, ends as it has to.
func TestFrames(t *testing.T) {
	t.Parallel()
	cases := fixtures.ListenerCases()
	for _, c := range cases {
		got, replies := newLanes(t, nil).end(c.From, c.Frame)
		if got != c.Reason {
			t.Errorf("%s: %s, want %s", c.Name, got, c.Reason)
		}
		if relayed := len(replies) > 0; relayed != (c.Reason == "relayed") {
			t.Errorf("%s: %d replies", c.Name, len(replies))
		}
		for _, r := range replies {
			if string(r.Data) != string(c.Frame) || r.Out != 0 || r.Port != ports[c.From] {
				t.Errorf("%s: re-sent as another, or not to all others: %+v", c.Name, r)
			}
		}
	}
	if len(cases) < 170 {
		t.Errorf("only %d cases", len(cases))
	}
}

// TestAskedOfOne: who asks the network's router alone is taken for a multicast router as who asks
// all, who asks somebody else is not (RFC 9777 section 5.1.15).
func TestAskedOfOne(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"query": 1, "query v1 to all routers": 1, "query to all MLDv2 routers": 1, "query to the router": 1, "query to a guest": 0, "general query to a group": 0} {
		l := newLanes(t, nil)
		l.end("router", fixtures.ListenerFrame(name, "router"))
		l.table.Show()
		if routers := l.table.View().Networks()["blue"].Routers; len(routers) != want {
			t.Errorf("%s: multicast routers are at %q, want %d", name, routers, want)
		}
	}
}

// TestReportsGoToRouters: what listeners say is for multicast routers, and for no
// host.
func TestReportsGoToRouters(t *testing.T) {
	t.Parallel()
	for _, c := range fixtures.ListenerCases() {
		if c.Reason != "listener-heard" && c.Reason != "multicast-router-asked" {
			continue
		}
		got, replies := newLanes(t, &topology.Listening{Ready: true, Routers: []uint16{3, 5}}).end(c.From, c.Frame)
		var out []uint32
		for _, r := range replies {
			out = append(out, r.Out)
		}
		want := []uint32{3, 5}
		if c.From == "uplink" {
			want = want[:1]
		}
		if got != "relayed" || len(out) != len(want) || out[0] != want[0] {
			t.Errorf("%s: %s to %v, want %v", c.Name, got, out, want)
		}
	}
}

// TestSent: tshark finds nothing wrong with whatever Damselfly says of its own.
func TestSent(t *testing.T) {
	t.Parallel()
	l := newLanes(t, &topology.Listening{Ready: true, Routers: []uint16{5}})
	lane := l.slow.Listen
	group, sources := netip.MustParseAddr("ff15::1234"), []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	query := wire.Query{Version: 2, MaxResponse: 10 * time.Second, Robustness: 2, Interval: 125 * time.Second}
	specific, named, old, long := query, query, query, query
	specific.Group, specific.MaxResponse = group, time.Second
	named.Group, named.Sources, named.Suppress = group, sources, true
	old.Version = 1
	long.MaxResponse, long.Interval, long.Robustness = time.Hour, 5*time.Hour, 9
	var records []wire.Record
	for i := range 100 {
		records = append(records, wire.Record{Type: wire.ModeIsExclude, Group: netip.AddrFrom16([16]byte{0: 0xff, 1: 0x15, 15: byte(i)}), Sources: sources})
	}
	events := []multicast.Event{
		{Kind: multicast.Ask, Query: query}, {Kind: multicast.Ask, Query: specific, Port: "guest"}, {Kind: multicast.Ask, Query: named, Port: "guest"},
		{Kind: multicast.Ask, Query: old}, {Kind: multicast.Ask, Query: long},
		{Kind: multicast.Advertise, Query: query}, {Kind: multicast.Terminate, Former: l.s.Networks[0]}, {Kind: multicast.Retell, Port: "guest", Records: records},
	}
	r := pipeline.NewReplies(1 << 16)
	for i := range events {
		events[i].Network = "blue"
		lane.Send(&events[i], r)
	}
	var frames [][]byte
	types := map[byte]int{}
	for _, reply := range r.List() {
		frames = append(frames, reply.Data)
		types[reply.Data[62]]++
		if len(reply.Data) > 14+1280 {
			t.Errorf("%d octets", len(reply.Data))
		}
	}
	fixtures.CheckDissected(t, frames)
	if want := 5 + 1 + 5 + 5; len(frames) != want || types[130] != 5 || types[151] != 1 || types[153] != 5 || types[143] != 5 {
		t.Errorf("%d frames, want %d: %v", len(frames), want, types)
	}
	var p wire.Packet
	for i, want := range []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 3599872 * time.Millisecond} {
		if wire.Cut(frames[i], &p) != wire.FaultNone {
			t.Fatal(i)
		}
		q, fault := wire.CheckListenerQuery(&p)
		if i == 1 {
			want = time.Second
		}
		if fault != wire.FaultNone || q.MaxResponse() != want {
			t.Errorf("query %d: %s, %s, want %s", i, fault, q.MaxResponse(), want)
		}
	}
}

// TestTerminationIsAnswered: who is behind the port that a router's end was told by is asked
// for routers, as scapy does (RFC 4286 section 5.4).
func TestTerminationIsAnswered(t *testing.T) {
	t.Parallel()
	want, err := hex.DecodeString("33330000000202000000000a86dd" +
		"60000000000c0001" + "fe80000000000000000000000000000a" + "ff020000000000000000000000000002" +
		"3a00050200000100" + "98006a31")
	if err != nil {
		t.Fatal(err)
	}
	l := newLanes(t, nil)
	for _, from := range []string{"router", "uplink"} {
		l.slow.Listen.Uptime += time.Second
		name := map[string]string{"router": "termination", "uplink": "termination behind the uplink"}[from]
		i := slices.IndexFunc(fixtures.ListenerCases(), func(c fixtures.ListenerCase) bool { return c.Name == name })
		if why, _ := l.end(from, fixtures.ListenerCases()[i].Frame); why != "relayed" {
			t.Fatal(why)
		}
		r := pipeline.NewReplies(4096)
		for _, e := range l.table.Events() {
			l.slow.Listen.Send(&e, r)
		}
		if list := r.List(); len(list) != 1 || list[0].Out != uint32(ports[from]) || !bytes.Equal(list[0].Data, want) {
			t.Errorf("%s: %+v, want %x", from, list, want)
		}
	}
}

// TestSentToOld: a querier of version 1 is told in its words, a Report to the group and a
// Done to all routers (RFC 2710 section 3.3); of sources it knows nothing.
func TestSentToOld(t *testing.T) {
	t.Parallel()
	l := newLanes(t, &topology.Listening{Ready: true, Routers: []uint16{5}})
	group, sources := netip.MustParseAddr("ff1e::1234"), []netip.Addr{netip.MustParseAddr("2001:db8::1")}
	r := pipeline.NewReplies(1 << 16)
	l.slow.Listen.Send(&multicast.Event{Kind: multicast.Report, Network: "blue", Old: true, Records: []wire.Record{
		{Type: wire.ModeIsInclude, Group: group, Sources: sources}, {Type: wire.ModeIsInclude, Group: group, Sources: sources},
		{Type: wire.ModeIsExclude, Group: group}, {Type: wire.ChangeToInclude, Group: group},
	}}, r)
	const report, done = "131 to ff1e::1234 at 33:33:00:00:12:34", "132 to ff02::2 at 33:33:00:00:00:02"
	var frames [][]byte
	var said []string
	for _, reply := range r.List() {
		frames = append(frames, reply.Data)
		at := wire.Ethernet(reply.Data).Destination()
		said = append(said, fmt.Sprintf("%d to %s at %s", reply.Data[62], wire.IPv6(reply.Data[wire.EthernetLen:]).Destination(), at))
		if about := netip.AddrFrom16([16]byte(reply.Data[70:86])); about != group {
			t.Errorf("about %s", about)
		}
	}
	if want := []string{report, report, done}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	fixtures.CheckDissected(t, frames)
}

// FuzzHandle: whatever a guest sends, nothing fails, and a message is taken in only
// from who may say it.
func FuzzHandle(f *testing.F) {
	for _, c := range fixtures.ListenerCases() {
		f.Add(c.Frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		l := newLanes(t, nil)
		why, replies := l.end("guest", frame)
		if len(replies) > 0 && why != "relayed" && why != "answered" && why != "dad-defended" {
			t.Errorf("%s with %d replies", why, len(replies))
		}
		l.table.Show()
		for _, g := range l.table.View().Networks()["blue"].Groups {
			for _, p := range g.Ports {
				if p.Port != "guest" || !topology.Tracked(g.Group) {
					t.Errorf("%s listens to %s", p.Port, g.Group)
				}
			}
		}
	})
}
