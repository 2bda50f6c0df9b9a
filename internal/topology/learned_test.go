package topology

import (
	"net/netip"
	"slices"
	"testing"

	"damselfly/internal/wire"
)

// TestLearned: a learned address is its port's and says so, unless somebody has
// it by another right.
func TestLearned(t *testing.T) {
	t.Parallel()
	a := func(text string) netip.Addr { return netip.MustParseAddr(text) }
	in := Input{
		Spec: &Spec{
			Networks: []NetworkSpec{
				{Name: "blue", Subnets: []SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}}, {Name: "plain"},
			},
			Routers: []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue"}}}},
			Ports: []PortSpec{
				{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, Addresses: []netip.Addr{a("fd00:b1::11")}},
				{Name: "vm2", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x12}},
			},
		},
		Keys:   Keys{Networks: map[string]uint16{"blue": 1, "plain": 2}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}},
		Leased: map[string][]HeldAddress{"blue": {{a("fd00:b1::33"), 1}}},
		Learned: map[string][]HeldAddress{"blue": {
			{a("fd00:b1::2:2"), 2}, {a("fd00:b1::2:1"), 2}, // in any order
			{a("fd00:b1::11"), 2}, {a("fd00:b1::ff:fe00:11"), 2}, {a("fd00:b1::33"), 2}, {a("fd00:b1::1"), 2}, // another's
			{a("fd00:b1::ff:fe00:12"), 2}, // its own anyway
			{a("fd00:b1::4"), 9},          // of no port
		}},
	}
	var b Builder
	s, problems := b.Build(in)
	if s == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	vm2, blue := s.PortNamed("vm2"), s.NetworkNamed("blue")
	want := []netip.Addr{a("fd00:b1::2:1"), a("fd00:b1::2:2")}
	if !slices.Equal(vm2.Learned, want) || !slices.Equal(vm2.Addresses[len(vm2.Addresses)-2:], want) {
		t.Errorf("learned %v of %v, want %v", vm2.Learned, vm2.Addresses, want)
	}
	for _, address := range want {
		if o, ok := blue.Owner(address); !ok || o.Port != vm2 || !o.Learned || o.MAC != vm2.MAC {
			t.Errorf("owner of %s: %+v", address, o)
		}
	}
	for _, address := range []string{"fd00:b1::11", "fd00:b1::33", "fd00:b1::1", "fd00:b1::ff:fe00:12"} {
		if o, ok := blue.Owner(a(address)); !ok || o.Learned {
			t.Errorf("owner of %s: %+v", address, o)
		}
	}
	if p, n := s.PortNamed("vm3"), s.NetworkNamed("red"); p != nil || n != nil {
		t.Errorf("found %v and %v, which are not there", p, n)
	}
	in.Learned = nil
	if next, _ := b.Build(in); next.PortNamed("vm2").Learned != nil || next.PortNamed("vm1") != s.PortNamed("vm1") {
		t.Error("a forgotten address stays, or changed another port")
	}

	if from, mac := blue.Asker(); from != DefaultLinkLocal || mac != RouterMAC("blue") || blue.CanLearn(from) {
		t.Errorf("the asker of a network with a router: %s, %s", from, mac)
	}
	plain := s.NetworkNamed("plain")
	if from, mac := plain.Asker(); from != wire.LinkLocal(RouterMAC("plain")) || mac != RouterMAC("plain") || plain.CanLearn(from) {
		t.Errorf("the asker of a network without: %s, %s", from, mac)
	}
	if blue.CanLearn(a("fd00:b1::")) || !blue.CanLearn(a("fd00:b1::2")) || !plain.CanLearn(a("fd00:b1::")) {
		t.Error("what can be learned is not all but the subnet-router anycast address")
	}
}
