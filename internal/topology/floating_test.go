package topology

import (
	"net/netip"
	"slices"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// afloat has an address of blue's of each form for a guest on red, and a pair of
// prefixes.
func afloat() Input {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	spec := &Spec{
		Networks: []NetworkSpec{
			{Name: "ext", Subnets: []SubnetSpec{{Prefix: prefix("2001:db8:1::/64")}}},
			{Name: "red", Subnets: []SubnetSpec{{Prefix: prefix("fd00:ed::/64")}}},
		},
		Routers: []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "ext"}, {Network: "red"}}}},
		Ports: []PortSpec{
			{Name: "vm1", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}},
			{Name: "vm2", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x12}},
		},
		Floating: []FloatingSpec{
			{Address: addr("2001:db8:1::10"), Network: "ext", Port: "vm1"},
			{Form: NATForm, Address: addr("2001:db8:1::20"), Network: "ext", Port: "vm1", Fixed: prefix("fd00:ed::ff:fe00:11/128")},
			{Form: NPTv6Form, Prefix: prefix("2001:db8:f::/48"), Network: "ext", Fixed: prefix("fd00:48::/48")},
		},
	}
	return Input{
		Spec: spec, Bindings: []Binding{{Interface: "vm1", OFPort: 1}, {Interface: "vm2", OFPort: 2}},
		Keys: Keys{Networks: map[string]uint16{"ext": 1, "red": 2}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}},
	}
}

// TestFloatingOwners: the router has what floats, and a guest what is routed to it.
func TestFloatingOwners(t *testing.T) {
	t.Parallel()
	in := afloat()
	var b Builder
	s, problems := b.Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	ext, red, addr := s.NetworkNamed("ext"), s.NetworkNamed("red"), netip.MustParseAddr
	for a, proxied := range map[string]bool{"2001:db8:1::10": true, "2001:db8:1::20": false} {
		o, ok := ext.Owner(addr(a))
		if !ok || o.Port != nil || o.MAC != ext.Router.MAC || !o.Router || o.Floating == nil || o.Proxied() != proxied {
			t.Errorf("%s: %+v", a, o)
		}
		if ext.CanLearn(addr(a)) && o.Learned {
			t.Errorf("%s may be learned", a)
		}
	}
	if o, ok := red.Owner(addr("2001:db8:1::10")); !ok || o.Port.Name != "vm1" {
		t.Errorf("inside: %+v", o)
	}
	if _, ok := red.Owner(addr("2001:db8:1::20")); ok {
		t.Error("inside somebody has what is translated")
	}
	// It moves: what does not concern it stays as it was.
	r := s.Routers[0]
	next := *in.Spec
	next.Floating = slices.Clone(in.Spec.Floating)
	next.Floating[0].Port = "vm2"
	in.Spec = &next
	moved, problems := b.Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	w := moved.Routers[0].To(addr("2001:db8:1::10"))
	if w.Trouble != 0 || w.Port != 2 || moved.Routers[0] == r {
		t.Errorf("moved to %+v", w)
	}
	if same, _ := b.Build(in); same != moved {
		t.Error("nothing changed, and the snapshot did")
	}
	in.Bindings[1].OFPort = 0
	away, _ := b.Build(in)
	if o, _ := away.NetworkNamed("ext").Owner(addr("2001:db8:1::10")); !o.Floating.Away {
		t.Errorf("away: %+v", o.Floating)
	}
	if w := away.Routers[0].To(addr("2001:db8:1::10")); w.Trouble != punt.Unreachable {
		t.Errorf("away: %+v", w)
	}
}

// TestFloatingSubnets: subnets inside a translated prefix are enumerated, of routes
// that lead inside, and no more than a bound.
func TestFloatingSubnets(t *testing.T) {
	t.Parallel()
	in := afloat()
	in.Spec.Networks[1].Delegations = []DelegationSpec{{Pool: netip.MustParsePrefix("fd00:48:0:8000::/49"), Length: 56}}
	in.Delegated = map[string][]DelegatedPrefix{"red": {
		{Prefix: netip.MustParsePrefix("fd00:48:0:8100::/56"), Port: 1, NextHop: netip.MustParseAddr("fe80::ff:fe00:11")},
		{Prefix: netip.MustParsePrefix("fd00:48:0:8200:8000::/66"), Port: 1, NextHop: netip.MustParseAddr("fe80::ff:fe00:11")},
		{Prefix: netip.MustParsePrefix("fd00:48:0:c000::/52"), Port: 1, NextHop: netip.MustParseAddr("fe80::ff:fe00:11")},
	}}
	s, problems := new(Builder).Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var inner []netip.Prefix
	for _, x := range s.Routers[0].Translations {
		if x.Inner.Bits() == 64 {
			inner = append(inner, x.Inner)
		}
	}
	if len(inner) != 257 || inner[0] != netip.MustParsePrefix("fd00:48:0:8100::/64") || inner[255] != netip.MustParsePrefix("fd00:48:0:81ff::/64") ||
		inner[256] != netip.MustParsePrefix("fd00:48:0:8200::/64") {
		t.Errorf("%d subnets: %v", len(inner), inner)
	}
}
