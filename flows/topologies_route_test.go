package flows

import (
	"fmt"
	"net/netip"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// pathsSpec is a router with a guest on blue and routes by several routers: two
// guests on left and one on right, of which vm4 is not on the switch, and two behind
// the uplink of ext, of which one is found.
func pathsSpec() *topology.Spec {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	presence := func(name string, last byte) topology.PresenceSpec {
		return topology.PresenceSpec{Network: name, MAC: wire.MAC{2, 0, 0, 0, 0xa, last}}
	}
	ext := presence("ext", 4)
	ext.LinkLocal = addr("fe80::a")
	return &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", MTU: 1500, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}},
			{Name: "left", MTU: 1500, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:1ef::/64"), Mode: topology.DHCPv6Stateful}}},
			{Name: "right", MTU: 1400, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:419::/64"), Mode: topology.DHCPv6Stateful}}},
			{Name: "ext", Uplink: &topology.UplinkSpec{Interface: "eth1"}, Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64")}}},
		},
		Routers: []topology.RouterSpec{{
			Name: "r1", Networks: []topology.PresenceSpec{presence("blue", 1), presence("left", 2), presence("right", 3), ext},
			Routes: []topology.StaticRouteSpec{
				{Destination: prefix("2001:db8:7::/48"), NextHops: []netip.Addr{addr("fd00:419::13"), addr("fd00:1ef::12"), addr("fd00:1ef::14")}},
				{Destination: prefix("2001:db8:8::/48"), NextHops: []netip.Addr{addr("fd00:1ef::12"), addr("fd00:1ef::14"), addr("fd00:419::13")}},
				{Destination: prefix("2001:db8:9::/48"), NextHops: []netip.Addr{addr("fd00:1ef::14"), addr("fd00:1ef::77")}},
				{Destination: prefix("2001:db8:a::/48"), NextHops: []netip.Addr{addr("fe80::88"), addr("fe80::99")}, Network: "ext"},
				{Destination: prefix("2001:db8:b::/48"), NextHops: []netip.Addr{addr("2001:db8:1::77"), addr("2001:db8:1::78")}},
			},
		}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11)},
			{Name: "vm2", Network: "left", MAC: mac(0x12), Addresses: []netip.Addr{addr("fd00:1ef::12")}, Router: true},
			{Name: "vm3", Network: "right", MAC: mac(0x13), Addresses: []netip.Addr{addr("fd00:419::13")}, Router: true},
			{Name: "vm4", Network: "left", MAC: mac(0x14), Addresses: []netip.Addr{addr("fd00:1ef::14")}, Router: true},
		},
	}
}

// buildPaths is pathsSpec without vm4 on the switch.
func buildPaths() *topology.Snapshot { return buildPathsOf(pathsSpec(), map[string]uint32{"vm4": 0}) }

// buildPathsOf finds one of the two routers behind the uplink.
func buildPathsOf(spec *topology.Spec, ofports map[string]uint32) *topology.Snapshot {
	in := input(spec, ofports)
	in.Keys.Ports[topology.UplinkName("ext")] = 5
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 5})
	in.Neighbors = map[string][]topology.Neighbor{"ext": {{Addr: netip.MustParseAddr("fe80::99"), Port: 5, MAC: wire.MAC{2, 0, 0, 0, 0xb, 1}}}}
	return mustBuild(in)
}

// mustBuild makes the snapshot of an input that is right.
func mustBuild(in topology.Input) *topology.Snapshot {
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// vlansSpec has three networks behind one interface, one without a tag, and two
// routers on them.
func vlansSpec() *topology.Spec {
	prefix := netip.MustParsePrefix
	s := &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}},
			{Name: "bare", Uplink: &topology.UplinkSpec{Interface: "eth1"}, Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64")}}},
			{Name: "ten", Uplink: &topology.UplinkSpec{Interface: "eth1", VLAN: 10, AcceptRA: true}, Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:10::/64")}}},
			{Name: "twenty", Uplink: &topology.UplinkSpec{Interface: "eth1", VLAN: 20}, Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:20::/64")}}},
		},
		Routers: []topology.RouterSpec{{Name: "r1"}, {Name: "r2"}},
		Ports:   []topology.PortSpec{{Name: "vm1", Network: "blue", MAC: mac(0x11)}},
	}
	for i, name := range []string{"blue", "bare", "ten", "twenty"} {
		r := &s.Routers[i/3]
		r.Networks = append(r.Networks, topology.PresenceSpec{
			Network: name, MAC: wire.MAC{2, 0, 0, 0, 0xa, byte(i + 1)}, LinkLocal: netip.MustParseAddr(fmt.Sprintf("fe80::a:%d", i+1)),
		})
	}
	return s
}

// buildVLANs finds a host behind each.
func buildVLANs() *topology.Snapshot {
	in := input(vlansSpec(), nil)
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 2})
	in.Neighbors = map[string][]topology.Neighbor{}
	for i, name := range []string{"bare", "ten", "twenty"} {
		key := uint16(i + 2)
		in.Keys.Ports[topology.UplinkName(name)] = key
		prefix := vlansSpec().Networks[i+1].Subnets[0].Prefix.Addr().As16()
		prefix[15] = 0x99
		in.Neighbors[name] = []topology.Neighbor{{Addr: netip.AddrFrom16(prefix), Port: key, MAC: wire.MAC{2, 0, 0, 0, 0xb, byte(i + 1)}}}
	}
	return mustBuild(in)
}
