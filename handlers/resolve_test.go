package handlers_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/resolve"
	"damselfly/internal/neighbor"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

var (
	insideMAC   = wire.MAC{2, 0, 0, 0, 0xa, 2}
	outerMAC    = wire.MAC{2, 0, 0, 0, 0xa, 1}
	insiderMAC  = wire.MAC{2, 0, 0, 0, 0, 0x11}
	upstreamMAC = wire.MAC{2, 0, 0, 0, 0xb, 1}
)

// resolver is both lanes with a Neighbor Cache between them, and a clock.
type resolver struct {
	learner
	neighbors *neighbor.Table
	routers   neighbor.Routers
}

// newResolver has guest vm1 with key 1 on an inside network, and an uplink with
// key 2 beside it.
func newResolver(t *testing.T, acceptRA bool, changes ...func(*topology.Spec)) *resolver {
	t.Helper()
	spec := &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}},
			{Name: "ext", Uplink: &topology.UplinkSpec{Interface: "eth1", AcceptRA: acceptRA},
				Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Gateway: netip.MustParseAddr("2001:db8:1::2")}}},
		},
		Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{
			{Network: "blue", MAC: insideMAC}, {Network: "ext", MAC: outerMAC, LinkLocal: netip.MustParseAddr("fe80::a")},
		}}},
		Ports: []topology.PortSpec{{Name: "vm1", Network: "blue", MAC: insiderMAC}},
	}
	for _, change := range changes {
		change(spec)
	}
	s, problems := new(topology.Builder).Build(topology.Input{
		Spec: spec, Bindings: []topology.Binding{{Interface: "vm1", OFPort: 1}, {Interface: "eth1", OFPort: 2}},
		Keys: topology.Keys{Networks: map[string]uint16{"blue": 1, "ext": 2}, Ports: map[string]uint16{"vm1": 1, topology.UplinkName("ext"): 2}},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	v := &resolver{neighbors: neighbor.New(neighbor.DefaultBounds(), nil)}
	v.now = time.Hour
	v.Snapshot = s
	v.fast.Resolve = &resolve.Lane{Slow: &v.learner}
	v.slow.Resolve = &resolve.Lane{Table: v.neighbors, Routers: &v.routers}
	return v
}

// punted hands a frame of a port in and renders how it ended and what was sent.
func (v *resolver) punted(port uint16, class punt.Class, data []byte) []string {
	f, r := pipeline.Frame{Data: data, InPort: uint32(port), Port: port, Network: port, Class: uint8(class)}, pipeline.NewReplies(4096)
	out := []string{handlers.ReasonName(v.fast.Dispatch(v.Snapshot, now, &f, r))}
	if held := v.waiting; held != nil {
		v.waiting = nil
		v.slow.Resolve.Uptime = v.now
		out = append(out, handlers.ReasonName(v.slow.DecideAddress(v.Snapshot, now, held, r)))
	}
	return append(out, v.sent(r)...)
}

// pass lets time pass.
func (v *resolver) pass(d time.Duration) []string {
	v.now += d
	r := pipeline.NewReplies(4096)
	v.neighbors.Tick(v.now)
	return v.sent(r)
}

func (v *resolver) sent(r *pipeline.Replies) (out []string) {
	events := v.neighbors.Events()
	for i := range events {
		resolve.Send(v.Snapshot, &events[i], r)
	}
	for _, reply := range r.List() {
		var p wire.Packet
		if f := wire.Cut(reply.Data, &p); f != wire.FaultNone || p.Protocol != wire.ProtocolICMPv6 {
			out = append(out, "broken")
			continue
		}
		m := p.ICMPv6()
		out = append(out, fmt.Sprintf("to %s: %s > %s, %s > %s, %d/%d, hop limit %d",
			toWhom(&reply), p.Ethernet.Source(), p.Ethernet.Destination(), p.IPv6.Source(), p.IPv6.Destination(), m.Type(), m.Code(), p.IPv6.HopLimit()))
	}
	return out
}

// toWhom is the port that a reply leaves by, or the network.
func toWhom(r *pipeline.Reply) string {
	if r.Out == 0 {
		return fmt.Sprint("all on ", r.Network)
	}
	return fmt.Sprint(r.Out)
}

func echoTo(to string, hopLimit uint8) []byte {
	return fixtures.Message{From: insiderMAC, To: insideMAC, Source: netip.MustParseAddr("fd00:b1::ff:fe00:11"), Destination: netip.MustParseAddr(to),
		HopLimit: hopLimit, Type: wire.TypeEchoRequest, Body: []byte("id\x00\x07")}.Bytes()
}

// TestResolve: a packet for somebody behind the uplink is asked for on its network
// alone, waits, and goes on with the answer; where there is none its sender is told.
func TestResolve(t *testing.T) {
	t.Parallel()
	v := newResolver(t, false)
	far, router := netip.MustParseAddr("2001:db8:1::99"), netip.MustParseAddr("2001:db8:1::2")
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	const question = "to all on 2: 02:00:00:00:0a:01 > 33:33:ff:00:00:99, 2001:db8:1::2 > ff02::1:ff00:99, 135/0, hop limit 255"
	expect("unknown", v.punted(1, punt.Unknown, echoTo("2001:db8:1::99", 64)), "handed-over", "resolving", question)
	expect("once more", v.punted(1, punt.Unknown, echoTo("2001:db8:1::99", 33)), "handed-over", "resolving")
	answer := fixtures.ND(upstreamMAC, outerMAC, far, router, &ndp.NeighborAdvertisement{
		Solicited: true, Override: true, TargetAddress: far, Options: []ndp.Option{fixtures.LinkLayer(ndp.Target, upstreamMAC)},
	}).Bytes()
	const sent = "to 2: 02:00:00:00:0a:01 > 02:00:00:00:0b:01, fd00:b1::ff:fe00:11 > 2001:db8:1::99, 128/0, hop limit "
	expect("answered", v.punted(2, punt.NA, answer), "handed-over", "neighbor-heard", sent+"63", sent+"32")
	expect("known", v.punted(1, punt.Unknown, echoTo("2001:db8:1::99", 64)), "handed-over", "forwarded", sent+"63")

	const nobody = "to all on 2: 02:00:00:00:0a:01 > 33:33:ff:00:de:ad, 2001:db8:1::2 > ff02::1:ff00:dead, 135/0, hop limit 255"
	expect("nobody", v.punted(1, punt.Unknown, echoTo("2001:db8:1::dead", 64)), "handed-over", "resolving", nobody)
	expect("second question", v.pass(time.Second), nobody)
	expect("third question", v.pass(time.Second), nobody)
	expect("unreachable", v.pass(time.Second), "to 1: 02:00:00:00:0a:02 > 02:00:00:00:00:11, fd00:b1::1 > fd00:b1::ff:fe00:11, 1/3, hop limit 64")
}

// TestUplinkAdvertisement: routers behind an uplink are listened to where that is
// wanted, and guests never hear them.
func TestUplinkAdvertisement(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("fe80::99")
	ra := fixtures.ND(upstreamMAC, wire.AllNodesMAC, from, wire.AllNodes, &ndp.RouterAdvertisement{
		RouterLifetime: time.Minute, RouterSelectionPreference: ndp.High, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, upstreamMAC)},
	}).Bytes()
	for accept, want := range map[bool][]string{true: {"handed-over", "router-heard"}, false: {"uplink-router"}} {
		v := newResolver(t, accept)
		if diff := cmp.Diff(want, v.punted(2, punt.RS, ra)); diff != "" {
			t.Errorf("accept_ra %t (-want +got):\n%s", accept, diff)
		}
		list := v.routers.List()
		if accept != (len(list) == 1) || accept && (list[0].Addr != from || list[0].Preference != 1 || list[0].Until != v.now+time.Minute) {
			t.Errorf("accept_ra %t: %+v", accept, list)
		}
		if got := v.punted(1, punt.RS, ra); got[len(got)-1] != "guest-ra" {
			t.Errorf("of a guest: %v", got)
		}
	}
}
