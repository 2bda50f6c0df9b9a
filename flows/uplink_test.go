package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// uplinkSpec is a router with an inside network, one with an uplink and one with
// a nested bridge.
func uplinkSpec() *topology.Spec {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	return &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}},
			{Name: "ext", Uplink: &topology.UplinkSpec{Interface: "eth1", AcceptRA: true},
				Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64"), Gateway: addr("2001:db8:1::2")}}},
			{Name: "nest", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:5e::/64")}}},
		},
		Routers: []topology.RouterSpec{{
			Name: "r1",
			Networks: []topology.PresenceSpec{
				{Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0xa, 2}}, {Network: "nest", MAC: wire.MAC{2, 0, 0, 0, 0xa, 3}},
				{Network: "ext", LinkLocal: addr("fe80::a"), MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}},
			},
			Routes: []topology.StaticRouteSpec{
				{Destination: prefix("2001:db8:7::/48"), NextHops: []netip.Addr{addr("2001:db8:1::77")}},
				{Destination: prefix("2001:db8:8::/48"), NextHops: []netip.Addr{addr("fe80::88")}, Network: "ext"},
			},
		}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}},
			{Name: "vm2", Network: "ext", MAC: wire.MAC{2, 0, 0, 0, 0, 0x12}},
			{Name: "vm3", Network: "nest", Unknown: true},
		},
	}
}

// buildUplink finds a next hop, a host and two default routers behind the uplink.
func buildUplink() *topology.Snapshot {
	in := input(uplinkSpec(), nil)
	in.Keys.Ports[topology.UplinkName("ext")] = 4
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 4})
	at := func(a string, port uint16, last byte) topology.Neighbor {
		return topology.Neighbor{Addr: netip.MustParseAddr(a), Port: port, MAC: wire.MAC{2, 0, 0, 0, 0xb, last}}
	}
	in.Neighbors = map[string][]topology.Neighbor{
		"ext":  {at("fe80::1:2", 4, 1), at("2001:db8:1::77", 4, 2), at("2001:db8:1::99", 4, 3)},
		"nest": {at("fd00:5e::99", 3, 4)},
	}
	in.Upstream = map[string][]topology.Upstream{"ext": {
		{Router: netip.MustParseAddr("fe80::1:1"), Preference: topology.High}, {Router: netip.MustParseAddr("fe80::1:2")},
	}}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// TestFoundNeighbors: who was found is sent to, the default router that is there
// comes before the one that is preferred, and what is for others is asked for.
func TestFoundNeighbors(t *testing.T) {
	t.Parallel()
	s := buildUplink()
	r := s.Routers[0]
	for to, want := range map[string]struct {
		why     punt.Trouble
		nextHop string
	}{
		"2001:db8:1::99": {0, "2001:db8:1::99"},
		"2001:db8:1::98": {punt.Unresolved, "2001:db8:1::98"},
		"fd00:5e::99":    {0, "fd00:5e::99"},
		"fd00:5e::98":    {punt.Unresolved, "fd00:5e::98"},
		"fd00:b1::98":    {punt.Unresolved, "fd00:b1::98"},
		"2001:db8:7::1":  {0, "2001:db8:1::77"},
		"2001:db8:8::1":  {punt.Unresolved, "fe80::88"},
		"2001:db8:9::1":  {0, "fe80::1:2"},
	} {
		got := r.To(netip.MustParseAddr(to))
		if got.Trouble != want.why || got.NextHop.String() != want.nextHop {
			t.Errorf("to %s: %+v, want %+v", to, got, want)
		}
	}
	var asked []string
	r.NextHops(func(network string, a netip.Addr) { asked = append(asked, network+" "+a.String()) })
	slices.Sort(asked)
	if want := []string{"ext 2001:db8:1::77", "ext fe80::1:2", "ext fe80::88"}; !slices.Equal(asked, want) {
		t.Errorf("next hops %v, want %v", asked, want)
	}
}
