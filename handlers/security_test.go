package handlers_test

import (
	"net/netip"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"

	"github.com/mdlayher/ndp"
)

var virtualMAC = wire.MAC{0, 0, 0x5e, 0, 2, 1}

// securedWorld gives the asker a pair of one address with a MAC of its own, which
// the router guest shares, a pair of a prefix and of
// the pool that prefixes are delegated from, a lease and a delegated prefix.
func securedWorld(t *testing.T) world {
	return newWorld(t, func(in *topology.Input) {
		virtual := topology.AddressPair{Prefix: netip.MustParsePrefix("fd00:b1::50/128"), MAC: virtualMAC}
		in.Spec.Ports[0].Pairs = []topology.AddressPair{virtual, {Prefix: netip.MustParsePrefix("fd00:b1:0:0:f::/80")},
			{Prefix: netip.MustParsePrefix("2001:db8:8000::/40")}, {Prefix: netip.MustParsePrefix("2001:db8:8000:180::1/128")}}
		in.Spec.Ports[2].Pairs = []topology.AddressPair{virtual}
		in.Spec.Networks[0].Subnets = append(in.Spec.Networks[0].Subnets,
			topology.SubnetSpec{Prefix: netip.MustParsePrefix("fd00:d1::/64"), Mode: topology.DHCPv6Stateful})
		in.Leased = map[string][]topology.HeldAddress{"blue": {
			{Addr: netip.MustParseAddr("fd00:d1::1:1"), Port: firstKey}, {Addr: netip.MustParseAddr("fd00:d1::1:2"), Port: firstKey + 1}}}
		in.Delegated = map[string][]topology.DelegatedPrefix{"blue": {{Prefix: netip.MustParsePrefix("2001:db8:8000::/56"), Port: firstKey},
			{Prefix: netip.MustParsePrefix("2001:db8:8000:100::/56"), Port: firstKey + 1}}}
	})
}

// TestSpeaksOfItsOwn has the asker say of addresses that they are at a MAC.
func TestSpeaksOfItsOwn(t *testing.T) {
	t.Parallel()
	w := securedWorld(t)
	own, neighbor := w.Asker.MAC, w.Neighbor.MAC
	for _, tt := range []struct {
		name                string
		from, option        wire.MAC
		source, target      string
		want, wantOfNetwork pipeline.Reason // as NA, and as NS for somebody whom nobody knows
	}{
		{"an own address", own, own, "fe80::ff:fe00:11", "fd00:b1::11", reason.Relayed, reason.Relayed},
		{"a lease", own, own, "fd00:d1::1:1", "fd00:d1::1:1", reason.Relayed, reason.Relayed},
		{"another's lease", own, own, "fe80::ff:fe00:11", "fd00:d1::1:2", reason.ForgedTarget, reason.Relayed},
		{"nobody's lease", own, own, "fe80::ff:fe00:11", "fd00:d1::1:3", reason.ForgedTarget, reason.Relayed},
		{"from another's lease", own, own, "fd00:d1::1:2", "fd00:b1::11", reason.ForgedSource, reason.ForgedSource},
		{"from nobody's lease", own, own, "fd00:d1::1:3", "fd00:b1::11", reason.ForgedSource, reason.ForgedSource},
		{"a pair with its MAC", virtualMAC, virtualMAC, "fd00:b1::50", "fd00:b1::50", reason.Relayed, reason.Relayed},
		{"a pair from the own MAC with the pair's in the option", own, virtualMAC, "fe80::ff:fe00:11", "fd00:b1::50", reason.Relayed, reason.Relayed},
		{"a pair at another's MAC", own, neighbor, "fe80::ff:fe00:11", "fd00:b1::50", reason.ForgedLinkLayer, reason.ForgedLinkLayer},
		{"a proxied address", own, own, "fe80::ff:fe00:11", "fd00:b1:0:0:f::7", reason.Relayed, reason.Relayed},
		{"a delegated address", own, own, "2001:db8:8000::1", "fd00:b1::11", reason.Relayed, reason.Relayed},
		{"what a pair gives of a pool", own, own, "2001:db8:8000:200::1", "2001:db8:8000:200::1", reason.Relayed, reason.Relayed},
		{"another's delegated address", own, own, "fe80::ff:fe00:11", "2001:db8:8000:100::1", reason.ForgedTarget, reason.Relayed},
		{"from another's delegated address", own, own, "2001:db8:8000:100::1", "fd00:b1::11", reason.ForgedSource, reason.ForgedSource},
		{"another's delegated address as a pair", own, own, "2001:db8:8000:180::1", "2001:db8:8000:180::1", reason.Relayed, reason.Relayed},
		{"an address of nobody", own, own, "fe80::ff:fe00:11", "fd00:b1::77", reason.Learning, reason.Relayed},
		{"from an address of nobody", own, own, "fd00:b1::77", "fd00:b1::11", reason.Learning, reason.Learning},
		{"from off the link", own, own, "2001:db8::1", "fd00:b1::11", reason.ForgedSource, reason.ForgedSource},
		{"of off the link", own, own, "fe80::ff:fe00:11", "2001:db8::1", reason.ForgedTarget, reason.Relayed},
		{"another's MAC", neighbor, neighbor, "fe80::ff:fe00:11", "fd00:b1::11", reason.ForgedMAC, reason.ForgedMAC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source, target := netip.MustParseAddr(tt.source), netip.MustParseAddr(tt.target)
			na := fixtures.ND(tt.from, wire.AllNodesMAC, source, wire.AllNodes, &ndp.NeighborAdvertisement{
				Override: true, TargetAddress: target, Options: []ndp.Option{fixtures.LinkLayer(ndp.Target, tt.option)}})
			why, replies := w.dispatch(&w.Asker, na.Bytes())
			checkReason(t, why, tt.want, replies)
			group := wire.SolicitedNode(w.Private)
			ns := fixtures.ND(tt.from, wire.MulticastMAC(group), source, group, &ndp.NeighborSolicitation{
				TargetAddress: w.Private, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, tt.option)}})
			why, replies = w.dispatch(&w.Asker, ns.Bytes())
			checkReason(t, why, tt.wantOfNetwork, replies)
		})
	}
}

// TestAskedOfThePair: only those that share an address know who has it, so the
// question is theirs; whoever is none of them is told that it is taken.
func TestAskedOfThePair(t *testing.T) {
	t.Parallel()
	w := securedWorld(t)
	shared, leased := netip.MustParseAddr("fd00:b1::50"), netip.MustParseAddr("fd00:d1::1:1")
	ask := func(p *fixtures.Party, from netip.Addr, target netip.Addr) []byte {
		ns := &ndp.NeighborSolicitation{TargetAddress: target}
		return fixtures.ND(p.MAC, wire.MulticastMAC(wire.SolicitedNode(target)), from, wire.SolicitedNode(target), ns).Bytes()
	}
	for _, tt := range []struct {
		name string
		from *fixtures.Party
		data []byte
		want pipeline.Reason
	}{
		{"resolved by a neighbour", &w.Neighbor, ask(&w.Neighbor, w.Neighbor.LinkLocal, shared), reason.Relayed},
		{"resolved by one of the pair", &w.Asker, ask(&w.Asker, w.Asker.LinkLocal, shared), reason.Relayed},
		{"probed by one of the pair", &w.Asker, ask(&w.Asker, unspecified, shared), reason.Relayed},
		{"probed by a stranger", &w.Neighbor, ask(&w.Neighbor, unspecified, shared), reason.Defended},
		// Whoever is not bound to its addresses must be able to say that it has it.
		{"a lease probed by its holder", &w.Asker, ask(&w.Asker, unspecified, leased), reason.Relayed},
		{"a lease asked for by its holder", &w.Asker, ask(&w.Asker, w.Asker.LinkLocal, leased), reason.OwnAddress},
		{"a lease probed by another", &w.Neighbor, ask(&w.Neighbor, unspecified, leased), reason.Defended},
		{"a lease resolved", &w.Neighbor, ask(&w.Neighbor, w.Neighbor.LinkLocal, leased), reason.Answered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			why, replies := w.dispatch(tt.from, tt.data)
			checkReason(t, why, tt.want, replies)
			if tt.name == "probed by a stranger" && len(replies) == 1 {
				err := fixtures.CheckReply(replies[0].Data, fixtures.Type(136, 0), fixtures.MACs(virtualMAC, wire.AllNodesMAC), fixtures.Addresses(shared, wire.AllNodes))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestStranger: what is handed over for its source alone ends in what is wrong
// with the source.
func TestStranger(t *testing.T) {
	t.Parallel()
	w := securedWorld(t)
	for source, want := range map[string]pipeline.Reason{
		"fd00:b1::77": reason.Learning, "fe80::77": reason.Learning, "2001:db8::1": reason.ForgedSource,
		w.Neighbor.Global.String(): reason.ForgedSource, w.Asker.Global.String(): reason.NotHandled,
	} {
		m := ping(&w.Asker, w.Neighbor.MAC, netip.MustParseAddr(source), w.Neighbor.Global, 8)
		m.Type = 129
		if why, _ := w.dispatch(&w.Asker, m.Bytes()); why != want {
			t.Errorf("an echo reply from %s: got %s, want %s", source, reason.Name(why), reason.Name(want))
		}
	}
}

// TestOnlyOfSome: what routers and pairs alone say, and what needs an address.
func TestOnlyOfSome(t *testing.T) {
	t.Parallel()
	w := securedWorld(t)
	group := netip.MustParseAddr("ff02::1:3")
	icmp := func(p *fixtures.Party, typ, hopLimit uint8, source, to netip.Addr) []byte {
		return fixtures.Message{From: p.MAC, To: wire.MulticastMAC(to), Source: source, Destination: to, HopLimit: hopLimit, Type: typ, Body: make([]byte, 20)}.Bytes()
	}
	vrrp := func(p *fixtures.Party, source netip.Addr) []byte {
		to := netip.MustParseAddr("ff02::12")
		return fixtures.Datagram{From: p.MAC, To: wire.MulticastMAC(to), Source: source, Destination: to, HopLimit: 255, Protocol: wire.ProtocolVRRP, Upper: make([]byte, 40)}.Bytes()
	}
	a, n, r := &w.Asker, &w.Neighbor, &w.RouterGuest
	for _, tt := range []struct {
		name string
		from *fixtures.Party
		data []byte
		want pipeline.Reason
	}{
		{"a query of a guest", a, icmp(a, wire.TypeMLDQuery, 1, a.LinkLocal, wire.AllNodes), reason.GuestMLDQuery},
		{"a query of a guest in another's name", a, icmp(a, wire.TypeMLDQuery, 1, r.LinkLocal, wire.AllNodes), reason.GuestMLDQuery},
		{"a query of a router", r, icmp(r, wire.TypeMLDQuery, 1, r.LinkLocal, wire.AllNodes), reason.NotHandled},
		{"a query of a router from nowhere", r, icmp(r, wire.TypeMLDQuery, 1, unspecified, wire.AllNodes), reason.GuestMLDQuery},
		{"a query of a router in another's name", r, icmp(r, wire.TypeMLDQuery, 1, a.LinkLocal, wire.AllNodes), reason.ForgedSource},
		{"a report from nowhere", a, icmp(a, wire.TypeMLDv1Report, 1, unspecified, group), reason.NotHandled},
		{"a report from nowhere to far away", a, icmp(a, wire.TypeMLDv1Report, 1, unspecified, netip.MustParseAddr("ff05::2")), reason.OfFault(wire.FaultUnspecifiedSource)},
		{"an echo reply from nowhere", a, icmp(a, wire.TypeEchoReply, 64, unspecified, group), reason.OfFault(wire.FaultUnspecifiedSource)},
		{"anything from nowhere where a port is not secured", &w.Bridge, icmp(&w.Bridge, wire.TypeEchoReply, 64, unspecified, group), reason.NotHandled},
		{"VRRP with a pair", a, vrrp(a, a.LinkLocal), reason.NotOurs},
		{"VRRP without", n, vrrp(n, n.LinkLocal), reason.OfFault(wire.FaultUnknownNextHeader)},
		{"VRRP in another's name", n, vrrp(n, a.LinkLocal), reason.ForgedSource},
		{"from another's share of a prefix", n, icmp(n, wire.TypeEchoReply, 64, netip.MustParseAddr("fd00:b1:0:0:f::7"), group), reason.ForgedSource},
		{"from one's own", a, icmp(a, wire.TypeEchoReply, 64, netip.MustParseAddr("fd00:b1:0:0:f::7"), group), reason.NotHandled},
	} {
		if why, _ := w.dispatch(tt.from, tt.data); why != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, reason.Name(why), reason.Name(tt.want))
		}
	}
}
