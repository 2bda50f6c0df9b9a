package flows

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// floatingSpec is a router with two inside networks and an outside one on which
// addresses float in every form: 2001:db8:1::10 routed to vm1, ::20 and ::30
// translated for vm2 and vm3, a /48 translated by its subnets and a /56 by its
// addresses.
func floatingSpec() *topology.Spec {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	one := func(a string) netip.Prefix { return netip.PrefixFrom(addr(a), 128) }
	s := &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}, {Prefix: prefix("fd00:48:0:1::/64"), Mode: topology.DHCPv6Stateful}}},
			{Name: "red", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:ed::/64")}, {Prefix: prefix("fd00:56:0:1::/64")}},
				Delegations: []topology.DelegationSpec{{Pool: prefix("fd00:48:0:8000::/49"), Length: 62}}},
			{Name: "ext", Uplink: &topology.UplinkSpec{Interface: "eth1"},
				Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64"), Gateway: addr("2001:db8:1::2")}}},
		},
		Routers: []topology.RouterSpec{{
			Name: "r1",
			Networks: []topology.PresenceSpec{
				{Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0xa, 2}}, {Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0xa, 3}},
				{Network: "ext", LinkLocal: addr("fe80::a"), MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}},
			},
			Routes: []topology.StaticRouteSpec{{Destination: prefix("::/0"), NextHops: []netip.Addr{addr("2001:db8:1::ff")}}},
		}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11), SecurityGroups: []string{"default"}},
			{Name: "vm2", Network: "blue", MAC: mac(0x12), Addresses: []netip.Addr{addr("fd00:48:0:1::12")}},
			{Name: "vm3", Network: "red", MAC: mac(0x13), SecurityGroups: []string{"default"}},
			{Name: "vm4", Network: "red", MAC: mac(0x14)},
			{Name: "vm5", Network: "ext", MAC: mac(0x15)},
			{Name: "vm6", Network: "blue", MAC: mac(0x16)},
		},
		Floating: []topology.FloatingSpec{
			{Form: topology.RoutedForm, Address: addr("2001:db8:1::10"), Network: "ext", Port: "vm1", Fixed: one("fd00:b1::ff:fe00:11")},
			{Form: topology.NATForm, Address: addr("2001:db8:1::20"), Network: "ext", Port: "vm2", Fixed: one("fd00:b1::ff:fe00:12")},
			{Form: topology.NATForm, Address: addr("2001:db8:1::30"), Network: "ext", Port: "vm3", Fixed: one("fd00:ed::ff:fe00:13")},
			{Form: topology.RoutedForm, Address: addr("2001:db8:1::60"), Network: "ext", Port: "vm6"},
			{Form: topology.NPTv6Form, Prefix: prefix("2001:db8:48::/48"), Network: "ext", Fixed: prefix("fd00:48::/48")},
			{Form: topology.NPTv6Form, Prefix: prefix("2001:db8:56::/56"), Network: "ext", Fixed: prefix("fd00:56::/48")},
		},
	}
	return s
}

// buildFloating finds the default router behind the uplink and a host there, and
// delegates a prefix to vm4; vm6 is away.
func buildFloating() *topology.Snapshot {
	in := input(floatingSpec(), map[string]uint32{"vm6": 0})
	in.Keys.Ports[topology.UplinkName("ext")] = 9
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 9})
	at := func(a string, last byte) topology.Neighbor {
		return topology.Neighbor{Addr: netip.MustParseAddr(a), Port: 9, MAC: wire.MAC{2, 0, 0, 0, 0xb, last}}
	}
	in.Neighbors = map[string][]topology.Neighbor{"ext": {at("2001:db8:1::ff", 1), at("2001:db8:1::77", 2)}}
	in.Delegated = map[string][]topology.DelegatedPrefix{"red": {
		{Prefix: netip.MustParsePrefix("fd00:48:0:8004::/62"), Port: 4, NextHop: netip.MustParseAddr("fe80::ff:fe00:14")},
	}}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// TestFloatingBehaviour sends packets to, from and past floating addresses. where
// has the addresses that one leaves with, the trouble that one is handed over for.
func TestFloatingBehaviour(t *testing.T) {
	t.Parallel()
	const (
		vm1, vm2, vm3, vm4, vm5, up = 1, 2, 3, 4, 5, 9
		outside                     = "2001:db8:99::9"
	)
	gateway := map[uint32]wire.MAC{vm1: {2, 0, 0, 0, 0xa, 2}, vm2: {2, 0, 0, 0, 0xa, 2}, vm3: {2, 0, 0, 0, 0xa, 3}, vm4: {2, 0, 0, 0, 0xa, 3}, vm5: {2, 0, 0, 0, 0xa, 1}, up: {2, 0, 0, 0, 0xa, 1}}
	sender := map[uint32]wire.MAC{vm1: mac(0x11), vm2: mac(0x12), vm3: mac(0x13), vm4: mac(0x14), vm5: mac(0x15), up: {2, 0, 0, 0, 0xb, 1}}
	const in1, in2, in3, in4 = "fd00:b1::ff:fe00:11", "fd00:b1::ff:fe00:12", "fd00:ed::ff:fe00:13", "fd00:ed::ff:fe00:14"
	// By hand: fd00 + 48 less 2001 + db8 + 48 is the adjustment cf47, likewise with
	// 56 (RFC 6296 section 3.1).
	for _, tt := range []struct {
		name     string
		in       uint32
		from, to string
		typ      uint8 // of ICMPv6, 0 for UDP
		want     string
		left     string // from > to
		why      punt.Trouble
	}{
		{"routed: in", up, outside, "2001:db8:1::10", 0, "out 1", outside + " > 2001:db8:1::10", 0},
		{"routed: out", vm1, "2001:db8:1::10", outside, 0, "out 9", "2001:db8:1::10 > " + outside, 0},
		{"routed: from the guest's other address", vm1, in1, outside, 0, "out 9", in1 + " > " + outside, 0},
		{"routed: an error goes as it is", up, outside, "2001:db8:1::10", 1, "out 1", outside + " > 2001:db8:1::10", 0},
		{"routed: from a guest of the outside network", vm5, "2001:db8:1::ff:fe00:15", "2001:db8:1::10", 0, "out 1", "2001:db8:1::ff:fe00:15 > 2001:db8:1::10", 0},
		{"routed: its source from outside", up, "2001:db8:1::10", in2, 0, "drop-reverse-path", "", 0},
		{"routed: by another guest", vm2, "2001:db8:1::10", outside, 0, "drop-spoofed", "", 0},
		{"routed: from inside", vm4, in4, "2001:db8:1::10", 0, "out 1", in4 + " > 2001:db8:1::10", 0},
		{"routed: to a guest that is away", up, outside, "2001:db8:1::60", 0, "punt error lane 1", "", punt.Unreachable},

		{"nat: in", up, outside, "2001:db8:1::20", 0, "out 2", outside + " > " + in2, 0},
		{"nat: out", vm2, in2, outside, 0, "out 9", "2001:db8:1::20 > " + outside, 0},
		{"nat: in to a filtered guest", up, outside, "2001:db8:1::30", 0, "out 3", outside + " > " + in3, 0},
		{"nat: from a guest of the outside network", vm5, "2001:db8:1::ff:fe00:15", "2001:db8:1::20", 0, "out 2", "2001:db8:1::ff:fe00:15 > " + in2, 0},
		{"nat: to a guest of the outside network", vm2, in2, "2001:db8:1::ff:fe00:15", 0, "out 5", "2001:db8:1::20 > 2001:db8:1::ff:fe00:15", 0},
		{"nat: between inside networks nothing is translated", vm2, in2, in4, 0, "out 4", in2 + " > " + in4, 0},
		{"nat: from one to another", vm3, in3, "2001:db8:1::20", 0, "out 2", "2001:db8:1::30 > " + in2, 0},
		{"nat: to oneself", vm2, in2, "2001:db8:1::20", 0, "answer", "2001:db8:1::20 > " + in2, 0},
		{"nat: from inside without one", vm4, in4, "2001:db8:1::20", 0, "punt error lane 0", "", punt.Prohibited},
		{"nat: its source from outside", up, "2001:db8:1::20", in4, 0, "drop-reverse-path", "", 0},
		{"nat: its source by a guest", vm5, "2001:db8:1::20", in4, 0, "drop-spoofed", "", 0},
		{"nat: the guest's own source from outside", up, in2, in4, 0, "drop-reverse-path", "", 0},
		{"nat: the guest's own address from outside", up, outside, in2, 0, "punt error lane 1", "", punt.Prohibited},
		{"nat: an error in", up, outside, "2001:db8:1::20", 2, "punt error lane 1", "", punt.Untranslated},
		{"nat: an error out", vm2, in2, outside, 1, "punt error lane 2", "", punt.Untranslated},
		{"nat: an error from one to another", vm3, in3, "2001:db8:1::20", 1, "punt error lane 3", "", punt.Untranslated},
		{"nat: an error between inside networks", vm2, in2, in4, 1, "out 4", in2 + " > " + in4, 0},
		{"nat: an echo", up, outside, "2001:db8:1::20", 128, "out 2", outside + " > " + in2, 0},

		{"nptv6 /48: in", up, outside, "2001:db8:48:cf48::12", 0, "out 2", outside + " > fd00:48:0:1::12", 0},
		{"nptv6 /48: out", vm2, "fd00:48:0:1::12", outside, 0, "out 9", "2001:db8:48:cf48::12 > " + outside, 0},
		{"nptv6 /48: a delegated prefix, in", up, outside, "2001:db8:48:4f4d::5", 0, "out 4", outside + " > fd00:48:0:8005::5", 0},
		{"nptv6 /48: a delegated prefix, out", vm4, "fd00:48:0:8005::5", outside, 0, "out 9", "2001:db8:48:4f4d::5 > " + outside, 0},
		{"nptv6 /48: a subnet that is not there", up, outside, "2001:db8:48:1::12", 0, "punt error lane 1", "", punt.Untranslated},
		{"nptv6 /48: nobody there", up, outside, "2001:db8:48:cf48::99", 0, "punt error lane 1", "", punt.Unreachable},
		{"nptv6 /48: the router's own address", up, outside, "2001:db8:48:cf48::1", 128, "punt error lane 1", "", punt.Prohibited},
		{"nptv6 /48: inside addresses from outside", up, outside, "fd00:48:0:1::12", 0, "punt error lane 1", "", punt.Prohibited},
		{"nptv6 /48: its source from outside", up, "2001:db8:48:cf48::12", in4, 0, "drop-reverse-path", "", 0},
		{"nptv6 /48: an error in", up, outside, "2001:db8:48:cf48::12", 3, "punt error lane 1", "", punt.Untranslated},
		{"nptv6 /48: an error out", vm2, "fd00:48:0:1::12", outside, 1, "punt error lane 2", "", punt.Untranslated},
		{"nptv6: from one prefix to the other", vm2, "fd00:48:0:1::12", "2001:db8:56:1:cf47:ff:fe00:14", 0, "out 4", "2001:db8:48:cf48::12 > fd00:56:0:1:0:ff:fe00:14", 0},

		{"nptv6 /56: in", up, outside, "2001:db8:56:1:cf47:ff:fe00:14", 0, "out 4", outside + " > fd00:56:0:1:0:ff:fe00:14", 0},
		{"nptv6 /56: out", vm4, "fd00:56:0:1:0:ff:fe00:14", outside, 0, "out 9", "2001:db8:56:1:cf47:ff:fe00:14 > " + outside, 0},
		{"nptv6 /56: an address that is not known", up, outside, "2001:db8:56:1:cf47:ff:fe00:99", 0, "punt error lane 1", "", punt.Untranslated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sw := &fakeSwitch{Set: Compile(buildFloating(), envs["plain"]), states: map[uint32]uint32{1: ctTrk | ctEst | ctRpl, 3: ctTrk | ctEst | ctRpl}}
			p := sized(ip6(tt.in, sender[tt.in], gateway[tt.in], tt.from, tt.to, 17), 100)
			if tt.typ != 0 {
				p = sized(icmp6(tt.in, sender[tt.in], gateway[tt.in], tt.from, tt.to, tt.typ), 100)
			}
			trace := sw.run(p.set(IPTTL, U8(64)))
			left := ""
			if len(sw.left) > 0 {
				q := sw.left[0]
				left = fmt.Sprintf("%s > %s", netip.AddrFrom16(q.fields[IPv6Src]), netip.AddrFrom16(q.fields[IPv6Dst]))
				if q.fields[IPTTL] != U8(63) {
					t.Errorf("hop limit %v, want one less", q.fields[IPTTL].Uint(1))
				}
			}
			if trace != tt.want || left != tt.left || tt.why != 0 && sw.trouble != tt.why {
				t.Errorf("%s: %s, trouble %d; want %s: %s, trouble %d", trace, left, sw.trouble, tt.want, tt.left, tt.why)
			}
		})
	}
}

// TestFloatingTwin sends packets from everywhere to addresses around all that
// floats, and wants the flows to do what the topology says.
func TestFloatingTwin(t *testing.T) {
	t.Parallel()
	s := buildFloating()
	sw := &fakeSwitch{Set: Compile(s, envs["plain"]), states: map[uint32]uint32{1: ctTrk | ctEst | ctRpl, 3: ctTrk | ctEst | ctRpl}}
	r := s.Routers[0]
	var around []netip.Addr
	for _, f := range r.Floating {
		around = append(around, f.Outer.Addr())
		if f.Inner.IsValid() {
			around = append(around, f.Inner.Addr())
		}
	}
	for _, x := range r.Translations {
		around = append(around, x.Outer.Addr(), x.Outer.Addr().Next(), x.Inner.Addr(), x.Inner.Addr().Next())
	}
	for _, n := range r.Networks {
		around = append(around, n.Router.All()...)
	}
	senders := []struct {
		port     uint32
		mac, to  wire.MAC
		from, on string
	}{
		{9, wire.MAC{2, 0, 0, 0, 0xb, 1}, wire.MAC{2, 0, 0, 0, 0xa, 1}, "2001:db8:99::9", "ext"},
		{4, mac(0x14), wire.MAC{2, 0, 0, 0, 0xa, 3}, "fd00:ed::ff:fe00:14", "red"},
		{2, mac(0x12), wire.MAC{2, 0, 0, 0, 0xa, 2}, "fd00:b1::ff:fe00:12", "blue"},
		{2, mac(0x12), wire.MAC{2, 0, 0, 0, 0xa, 2}, "fd00:48:0:1::12", "blue"},
	}
	random := rand.New(rand.NewPCG(6, 296))
	for i := range 3000 {
		from, to := senders[i%len(senders)], around[i/len(senders)%len(around)]
		if i >= len(around)*len(senders) {
			octets := to.As16()
			octets[random.IntN(16)] ^= 1 << random.IntN(8)
			to = netip.AddrFrom16(octets)
		}
		sw.trouble = 0
		trace := sw.run(sized(ip6(from.port, from.mac, from.to, from.from, to.String(), 17).set(IPTTL, U8(64)), 100))
		want := r.To(to)
		if to == s.NetworkNamed(from.on).Router.LinkLocal { // on the sender's own link alone it is the router
			want = topology.Way{Trouble: punt.Local}
		}
		if want.Trouble == punt.Unreachable && sw.trouble == punt.Unresolved {
			want.Trouble = punt.Unresolved // whoever is known and away, by an address that guests make
		}
		if want.Trouble != punt.Local && !want.Silent && !r.Admits(s.NetworkNamed(from.on), netip.MustParseAddr(from.from), to) {
			want.Trouble = punt.Prohibited
		}
		silent := trace == "drop-scope" || trace == "drop-blackhole"
		// What no flow can translate is Damselfly's, which goes by the topology.
		left := sw.trouble == punt.Untranslated && r.Translated(to) != nil
		if !left && (sw.trouble != want.Trouble || silent != want.Silent) {
			t.Fatalf("from %s to %s: %s, trouble %d; want trouble %d", from.from, to, trace, sw.trouble, want.Trouble)
		}
		if in, ok := r.Inward(3, to); ok && want.Trouble == 0 && !left && len(sw.left) > 0 && netip.AddrFrom16(sw.left[0].fields[IPv6Dst]) != in {
			t.Fatalf("from %s to %s: arrives at %v, want %s", from.from, to, sw.left[0].fields[IPv6Dst], in)
		}
	}
}
