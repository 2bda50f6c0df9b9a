package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// joined is a router on two networks of different MTU, and a third without it.
func joined() Input {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	spec := &Spec{
		Networks: []NetworkSpec{
			{Name: "blue", MTU: 1500, Subnets: []SubnetSpec{{Prefix: prefix("fd00:b1::/64")}},
				Delegations: []DelegationSpec{{Pool: prefix("2001:db8:8000::/40"), Length: 56}}},
			{Name: "red", MTU: 1280, Subnets: []SubnetSpec{{Prefix: prefix("fd00:ed::/64")}}},
			{Name: "apart", Subnets: []SubnetSpec{{Prefix: prefix("fd00:ed::/64")}}},
		},
		Routers: []RouterSpec{
			{Name: "r1", Networks: []PresenceSpec{{Network: "red"}, {Network: "blue"}}, Routes: []StaticRouteSpec{
				{Destination: prefix("::/0"), NextHops: []netip.Addr{addr("fe80::ff:fe00:12")}, Network: "red"},
				{Destination: prefix("2001:db8:7::/48"), NextHops: []netip.Addr{addr("fd00:b1::77")}},
				{Destination: prefix("2001:db8:7:1::/64"), Type: Blackhole},
				{Destination: prefix("2001:db8:7:2::/64"), Type: RejectRoute},
				{Destination: prefix("2001:db8:7:3::/64"), Type: ProhibitRoute},
			}},
			{Name: "r2", Networks: []PresenceSpec{{Network: "apart"}}},
		},
		Ports: []PortSpec{
			{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, SecurityGroups: []string{DefaultGroup}},
			{Name: "vm2", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x12}, SecurityGroups: []string{DefaultGroup},
				Pairs: []AddressPair{{Prefix: prefix("fd00:ed::50/128")}, {Prefix: prefix("fd00:ed:0:0:f::/80")}}},
			{Name: "vm3", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x13}},
			{Name: "vm4", Network: "apart", MAC: wire.MAC{2, 0, 0, 0, 0, 0x14}, SecurityGroups: []string{DefaultGroup}},
			// It forwards for others, and is no neighbour by that.
			{Name: "vm5", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x15}, Pairs: []AddressPair{{Prefix: prefix("::/0")}}},
		},
	}
	in := Input{Spec: spec, Keys: Keys{Networks: map[string]uint16{"blue": 1, "red": 2, "apart": 3}, Ports: map[string]uint16{}}}
	for i, p := range spec.Ports {
		in.Keys.Ports[p.Name] = uint16(i + 1)
		if p.Name != "vm3" {
			in.Bindings = append(in.Bindings, Binding{Interface: p.Name, OFPort: uint32(i + 1)})
		}
	}
	in.Delegated = map[string][]DelegatedPrefix{
		"blue": {{Prefix: prefix("2001:db8:8000:100::/56"), Port: 1, NextHop: addr("fe80::ff:fe00:11")}},
		// Left of the time before the pool moved.
		"red": {{Prefix: prefix("2001:db8:8000:100::/56"), Port: 2, NextHop: addr("fe80::ff:fe00:12")}},
	}
	return in
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s, problems := new(Builder).Build(joined())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := s.Routers[0]
	if s.Router(r.ID) != r || s.Router(0) != nil || r.ID == s.Routers[1].ID || r.ID == 0 {
		t.Errorf("ids %#x, %#x", r.ID, s.Routers[1].ID)
	}
	if blue, red := s.NetworkNamed("blue"), s.NetworkNamed("red"); blue.Router.Narrow || !red.Router.Narrow || blue.RouterID() != r.ID {
		t.Errorf("narrow: blue %v, red %v", blue.Router.Narrow, red.Router.Narrow)
	}
	var got []string
	for _, route := range r.Table() {
		got = append(got, fmt.Sprint(route.Prefix, " ", route.Origin, " ", route.Type, " ", route.Network.Name, " ", route.NextHop, " ", route.Port))
	}
	want := []string{
		"::/0 static unicast red fe80::ff:fe00:12 2",
		"2001:db8:7::/48 static unicast blue fd00:b1::77 0",
		"2001:db8:7:1::/64 static blackhole  invalid IP 0",
		"2001:db8:7:2::/64 static reject  invalid IP 0",
		"2001:db8:7:3::/64 static prohibit  invalid IP 0",
		"2001:db8:8000:100::/56 delegated unicast blue fe80::ff:fe00:11 1",
		"fd00:b1::/64 connected unicast blue invalid IP 0",
		"fd00:ed::/64 connected unicast red invalid IP 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestRouterTo(t *testing.T) {
	t.Parallel()
	s, _ := new(Builder).Build(joined())
	for to, want := range map[string]Way{
		"fd00:b1::ff:fe00:11":  {MTU: 1500},
		"fd00:ed::ff:fe00:12":  {MTU: 1280},
		"fd00:ed::50":          {MTU: 1280},
		"fd00:ed:0:0:f::9":     {MTU: 1280},
		"fd00:ed::ff:fe00:13":  {Trouble: punt.Unreachable, MTU: 1280}, // is not on the switch
		"fd00:ed::99":          {Trouble: punt.Unresolved, MTU: 1280},
		"fd00:ed::1":           {Trouble: punt.Local},
		"2001:db8:8000:100::1": {MTU: 1500},
		"2001:db8:ffff::1":     {MTU: 1280},
		"2001:db8:7:9::1":      {Trouble: punt.Unresolved, MTU: 1500},
		"2001:db8:7:1::1":      {Silent: true},
		"2001:db8:7:2::1":      {Trouble: punt.RejectRoute},
		"2001:db8:7:3::1":      {Trouble: punt.Prohibited},
		"fe80::ff:fe00:12":     {Silent: true},
		"ff05::1":              {Silent: true},
		"::1":                  {Silent: true},
		"::":                   {Silent: true},
	} {
		got := s.Routers[0].To(netip.MustParseAddr(to))
		got.Network, got.NextHop, got.Port, got.MAC = nil, netip.Addr{}, 0, wire.MAC{}
		if got != want {
			t.Errorf("to %s: %+v, want %+v", to, got, want)
		}
	}
	if got := s.Routers[1].To(netip.MustParseAddr("2001:db8::1")); got.Trouble != punt.NoRoute {
		t.Errorf("the other router: %+v", got)
	}
}

// TestRoutersKeepPointers: a router that did not change is the same one, and one
// whose next hop moved is another.
func TestRoutersKeepPointers(t *testing.T) {
	t.Parallel()
	var b Builder
	in := joined()
	first, _ := b.Build(in)
	in.Spec = joined().Spec
	if second, _ := b.Build(in); second != first {
		t.Error("the same content makes another snapshot")
	}
	in.Spec = joined().Spec
	in.Spec.Routers[0].Routes = in.Spec.Routers[0].Routes[1:]
	third, problems := b.Build(in)
	if len(problems) > 0 || third == first || third.Routers[0] == first.Routers[0] || third.Routers[1] != first.Routers[1] {
		t.Errorf("a route less: %v", problems)
	}
	if !slices.Equal(third.Networks, first.Networks) {
		t.Error("networks are made anew for a route of their router")
	}
}

// TestMembersAcrossRouter: who is a member on one network of a router is one on
// the others, but for what is link-local, and on no other router's.
func TestMembersAcrossRouter(t *testing.T) {
	t.Parallel()
	s, _ := new(Builder).Build(joined())
	r1, r2 := s.Routers[0].ID, s.Routers[1].ID
	for _, tt := range []struct {
		network uint16
		router  uint32
		addr    string
		member  bool
	}{
		{1, r1, "fd00:b1::ff:fe00:11", true},
		{2, r1, "fd00:b1::ff:fe00:11", true},
		{1, r1, "fd00:ed::50", true},
		{1, r1, "fd00:ed::ff:fe00:13", false},
		{1, r1, "fe80::ff:fe00:11", true},
		{2, r1, "fe80::ff:fe00:11", false},
		{3, r2, "fd00:b1::ff:fe00:11", false},
		{3, r2, "fd00:ed::ff:fe00:14", true},
		{2, r1, "fd00:ed::ff:fe00:14", false},
	} {
		if got := s.Remotes.GroupsOf(tt.network, tt.router, netip.MustParseAddr(tt.addr)); (len(got) > 0) != tt.member {
			t.Errorf("%s seen from network %d: %v, want a member: %v", tt.addr, tt.network, got, tt.member)
		}
	}
}
