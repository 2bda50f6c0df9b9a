package topology

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/wire"
)

var virtual = wire.MAC{0, 0, 0x5e, 0, 2, 1}

func pair(t testing.TB, text string, mac wire.MAC) AddressPair {
	t.Helper()
	if !strings.Contains(text, "/") {
		a := addr(text)
		return AddressPair{Prefix: netip.PrefixFrom(a, a.BitLen()), MAC: mac}
	}
	return AddressPair{Prefix: prefix(text), MAC: mac}
}

// TestSecured: who is bound to its addresses, and by what bound it learns more.
func TestSecured(t *testing.T) {
	t.Parallel()
	yes, no, five, none := true, false, 5, UnlimitedAddresses
	for name, tt := range map[string]struct {
		change  func(*Spec)
		secured bool
		most    int
	}{
		"nothing said":         {func(*Spec) {}, true, DefaultMaxAddresses},
		"said":                 {func(s *Spec) { s.Ports[0].PortSecurity = &yes }, true, DefaultMaxAddresses},
		"not":                  {func(s *Spec) { s.Ports[0].PortSecurity = &no }, false, DefaultMaxAddresses},
		"anybody behind":       {func(s *Spec) { s.Ports[0].Unknown = true }, false, DefaultMaxAddresses},
		"a bound for all":      {func(s *Spec) { s.MaxAddresses = &five }, true, 5},
		"a network's over all": {func(s *Spec) { s.MaxAddresses, s.Networks[0].MaxAddresses = &none, &five }, true, 5},
		"a port's over all":    {func(s *Spec) { s.Networks[0].MaxAddresses, s.Ports[0].MaxAddresses = &five, &none }, true, UnlimitedAddresses},
	} {
		in := blue(t)
		tt.change(in.Spec)
		s, problems := new(Builder).Build(in)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", name, problems)
		}
		if p := s.Ports[0]; p.Secured != tt.secured || p.MaxAddresses != tt.most {
			t.Errorf("%s: secured %v, %d addresses; want %v, %d", name, p.Secured, p.MaxAddresses, tt.secured, tt.most)
		}
	}
}

// TestFamilies: IPv4 addresses are kept apart, DHCPv6 and owners see none.
func TestFamilies(t *testing.T) {
	t.Parallel()
	in := blue(t)
	in.Spec.Ports[0].Addresses = []netip.Addr{addr("192.0.2.11"), addr("fd00:b1::11")}
	s, problems := new(Builder).Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := s.Ports[0]
	if !slices.Equal(p.IPv4, []netip.Addr{addr("192.0.2.11")}) || !slices.Equal(p.Fixed, []netip.Addr{addr("fd00:b1::11")}) ||
		slices.Contains(p.Addresses, addr("192.0.2.11")) {
		t.Errorf("IPv4 %v, fixed %v, addresses %v", p.IPv4, p.Fixed, p.Addresses)
	}
	if _, ok := s.Networks[0].Owner(addr("192.0.2.11")); ok {
		t.Error("an IPv4 address has an owner for Neighbor Discovery")
	}
}

// TestPairs: an address that several share is nobody's, also if it is fixed to
// one of them, and the pair's MAC reaches all that have it.
func TestPairs(t *testing.T) {
	t.Parallel()
	in := blue(t)
	vm1, vm2 := &in.Spec.Ports[0], &in.Spec.Ports[1]
	vm1.Pairs = []AddressPair{pair(t, "fd00:b1::50", virtual), pair(t, "fd00:b1:0:0:f::/80", wire.MAC{}), pair(t, "fd00:b1::50", virtual)}
	vm2.Pairs = []AddressPair{pair(t, "fd00:b1::50", virtual), pair(t, "fd00:b1::11", wire.MAC{})}
	s, problems := new(Builder).Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p, q, n := s.Ports[0], s.Ports[1], s.Networks[0]
	want := []AddressPair{pair(t, "fd00:b1::11", p.MAC), pair(t, "fd00:b1::50", virtual), pair(t, "fd00:b1:0:0:f::/80", p.MAC)}
	if diff := cmp.Diff(want, p.Pairs, content); diff != "" {
		t.Errorf("pairs of vm1 (-want +got):\n%s", diff)
	}
	if slices.Contains(p.Addresses, addr("fd00:b1::11")) || !slices.Equal(p.Fixed, []netip.Addr{addr("fd00:b1::11")}) {
		t.Errorf("addresses %v, fixed %v: the shared one is vm1's alone", p.Addresses, p.Fixed)
	}
	for _, a := range []string{"fd00:b1::50", "fd00:b1::11"} {
		if _, ok := n.Owner(addr(a)); ok {
			t.Errorf("%s has an owner", a)
		}
		if o, ok := n.Shared(addr(a)); !ok || o.Port != p {
			t.Errorf("%s is shared by %v, %v", a, o, ok)
		}
	}
	if _, ok := n.Shared(addr("fd00:b1:0:0:f::")); ok {
		t.Error("a prefix is shared")
	}
	if got := n.PairMACs(); len(got) != 1 || got[0].MAC != virtual || !slices.Equal(got[0].Ports, []*Port{p, q}) {
		t.Errorf("MACs %v, want %v of both", got, virtual)
	}
	for a, want := range map[string][2]bool{"fd00:b1::50": {true, true}, "fd00:b1:0:0:f::7": {true, false}, "fd00:b1::51": {}} {
		if has, single := p.HasPair(addr(a)); has != want[0] || single != want[1] {
			t.Errorf("%s: %v %v, want %v", a, has, single, want)
		}
	}
}

// TestReserved: a share of a subnet that is a port's pair is nobody else's to
// make addresses of, a whole subnet is, and one address is by itself.
func TestReserved(t *testing.T) {
	t.Parallel()
	in := blue(t)
	in.Spec.Ports[0].Pairs = []AddressPair{
		pair(t, "fd00:b1:0:0:f::/80", wire.MAC{}), pair(t, "fd00:b1::/64", wire.MAC{}), pair(t, "fd00:b1::50", wire.MAC{}), pair(t, "192.0.2.0/24", wire.MAC{})}
	in.Spec.Ports[1].Pairs = []AddressPair{pair(t, "fd00:b1:0:0:f::/80", wire.MAC{})}
	in.Learned = map[string][]HeldAddress{"blue": {{addr("fd00:b1:0:0:f::1"), 1}, {addr("fd00:b1:0:0:f::2"), 3}, {addr("fd00:b1::3"), 3}}}
	in.Spec.Ports = append(in.Spec.Ports, PortSpec{Name: "vm3", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x13}})
	in.Keys.Ports["vm3"] = 3
	s, problems := new(Builder).Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got, want := s.Networks[0].ReservedPrefixes(), []netip.Prefix{prefix("fd00:b1:0:0:f::/80")}; !slices.Equal(got, want) {
		t.Errorf("reserved: %v, want %v", got, want)
	}
	for a, want := range map[string]bool{"fd00:b1:0:0:f::7": true, "fd00:b1::7": false, "fd00:b1::50": false} {
		if got := s.Networks[0].Reserved(addr(a)); got != want {
			t.Errorf("%s: reserved %v, want %v", a, got, want)
		}
	}
	for name, want := range map[string][]netip.Addr{"vm1": {addr("fd00:b1:0:0:f::1")}, "vm3": {addr("fd00:b1::3")}} {
		if got := s.PortNamed(name).Learned; !slices.Equal(got, want) {
			t.Errorf("%s holds as learned %v, want %v", name, got, want)
		}
	}
}

// TestPairOfAnAttachedMAC: a MAC that only its Interface tells may turn out to
// be a pair's; the pair gives way.
func TestPairOfAnAttachedMAC(t *testing.T) {
	t.Parallel()
	in := blue(t)
	in.Spec.Ports[0].Pairs = []AddressPair{pair(t, "fd00:b1::50", virtual)}
	in.Spec.Ports[1].MAC, in.Bindings[1].MAC = wire.MAC{}, virtual
	s, problems := new(Builder).Build(in)
	if len(problems) != 1 || problems[0].Object != "port vm1" || !strings.Contains(problems[0].Message, "port vm2") {
		t.Errorf("problems %v", problems)
	}
	if len(s.Ports[0].Pairs) != 0 {
		t.Errorf("pairs %v", s.Ports[0].Pairs)
	}
}

// TestHeldAddresses: leases come before what was learned, configuration before
// both, and the order they come in makes no difference.
func TestHeldAddresses(t *testing.T) {
	t.Parallel()
	in := blue(t)
	in.Spec.Ports[1].Pairs = []AddressPair{pair(t, "fd00:b1::50", wire.MAC{})}
	in.Leased = map[string][]HeldAddress{"blue": {{addr("fd00:b1::22"), 2}, {addr("fd00:b1::21"), 1}, {addr("fd00:b1::11"), 2}, {addr("fd00:b1::1"), 1}, {addr("fd00:b1::99"), 77}}}
	in.Learned = map[string][]HeldAddress{"blue": {{addr("fd00:b1::22"), 1}, {addr("fd00:b1::31"), 1}, {addr("fd00:b1::50"), 1}, {addr("fd00:b1::21"), 1}}}
	var b Builder
	s, problems := b.Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p, q, n := s.Ports[0], s.Ports[1], s.Networks[0]
	if got, want := p.Addresses[len(p.Addresses)-p.Held:], []netip.Addr{addr("fd00:b1::21"), addr("fd00:b1::31")}; !slices.Equal(got, want) {
		t.Errorf("vm1 holds %v, want %v", got, want)
	}
	if got, want := q.Addresses[len(q.Addresses)-q.Held:], []netip.Addr{addr("fd00:b1::22")}; !slices.Equal(got, want) {
		t.Errorf("vm2 holds %v, want %v", got, want)
	}
	if o, ok := n.Owner(addr("fd00:b1::22")); !ok || !o.Held || o.Port != q {
		t.Errorf("owner %+v %v", o, ok)
	}
	if _, ok := n.Configured(addr("fd00:b1::22")); ok {
		t.Error("a lease counts as configured")
	}
	if o, ok := n.Configured(addr("fd00:b1::11")); !ok || o.Port != p {
		t.Errorf("fd00:b1::11 is configured for %+v, %v", o, ok)
	}
	for _, list := range []map[string][]HeldAddress{in.Leased, in.Learned} {
		list["blue"] = slices.Clone(list["blue"])
		slices.Reverse(list["blue"])
	}
	if again, _ := b.Build(in); again != s {
		t.Error("another order makes another snapshot")
	}
	in.Learned = nil
	after, _ := b.Build(in)
	if after.Ports[0] == p || after.Ports[1] != q {
		t.Error("one port's learned address did not change that port alone")
	}
}

// TestLearnable: where guests may make addresses of their own.
func TestLearnable(t *testing.T) {
	t.Parallel()
	in := blue(t)
	in.Spec.Networks[0].Subnets = append(in.Spec.Networks[0].Subnets,
		SubnetSpec{Prefix: prefix("fd00:d1::/64"), Mode: DHCPv6Stateful},
		SubnetSpec{Prefix: prefix("fd00:d2::/64"), Mode: DHCPv6Stateful, RelayTo: addr("2001:db8::547")})
	in.Deprecated = map[string][]Deprecated{"blue": {
		{Prefix: prefix("fd00:aa::/64"), Autonomous: true, ValidUntil: time.Unix(1, 0)}, {Prefix: prefix("fd00:ab::/64"), ValidUntil: time.Unix(1, 0)}}}
	s, problems := new(Builder).Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for a, want := range map[string]bool{
		"fe80::1234": true, "fd00:b1::1234": true, "fd00:d1::1234": false, "fd00:d2::1234": true, "fd00:aa::1234": true, "fd00:ab::1234": false, "2001:db8::1": false,
	} {
		if got := s.Networks[0].CanLearn(addr(a)); got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
	plain := blue(t)
	plain.Spec.Networks[0].Subnets, plain.Spec.Ports[0].Addresses = nil, nil
	if s, _ := new(Builder).Build(plain); !s.Networks[0].CanLearn(addr("2001:db8::1")) {
		t.Error("plain L2 has no prefix to ask")
	}
}
