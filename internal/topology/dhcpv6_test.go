package topology

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"damselfly/internal/wire"
)

// leased is a network with all that DHCPv6 can give, a guest with an option of
// its own and two without.
func leased(t testing.TB) Input {
	hour := time.Hour
	spec := &Spec{
		Networks: []NetworkSpec{{Name: "blue",
			Subnets: []SubnetSpec{
				{Prefix: prefix("fd00:b1::/64"), Mode: DHCPv6Stateful, RapidCommit: true, DNS: []netip.Addr{addr("2001:db8::53")}, Search: []string{"Example.test."},
					Pools:        []AddrRange{{addr("fd00:b1::1:0"), addr("fd00:b1::1:ffff")}},
					Reservations: []Reservation{{DUID: "\x00\x03\x01", Addresses: []netip.Addr{addr("fd00:b1::50")}}},
					Options:      []OptionSpec{{Code: codePreference, Number: 9}}},
				{Prefix: prefix("fd00:b2::/64"), Mode: DHCPv6Stateful, DNS: []netip.Addr{addr("2001:db8::53"), addr("2001:db8::54")}, Search: []string{"lab.example.test"},
					Reservations: []Reservation{{DUID: "\x00\x03\x01", Addresses: []netip.Addr{addr("fd00:b2::50")}}}},
			},
			Options:     []OptionSpec{{Code: codePreference, Number: 1}, {Code: codeSolMaxRT, Number: 7200}, {Code: 94, Raw: []byte{0, 1}}, {Code: 94, Raw: []byte{0, 2}}},
			Delegations: []DelegationSpec{{Pool: prefix("2001:db8:8000::/40"), Length: 56, Exclude: &ExcludeSpec{Length: 64, Subnet: 3}, Valid: &hour}},
		}},
		Routers: []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue"}}}},
		Ports: []PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(t, "02:00:00:00:00:11"), Addresses: []netip.Addr{addr("fd00:b1::11")}},
			{Name: "vm2", Network: "blue", MAC: mac(t, "02:00:00:00:00:12"), DHCPv6Relay: true},
			{Name: "vm3", Network: "blue", MAC: mac(t, "02:00:00:00:00:13"), Options: []OptionSpec{{Code: codeSolMaxRT, Number: 60}}},
		},
	}
	in := Input{Spec: spec}
	in.Keys = keysFor(in)
	return in
}

func mustBuild(t testing.TB, b *Builder, in Input) *Snapshot {
	t.Helper()
	s, problems := b.Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

func TestDHCPv6(t *testing.T) {
	t.Parallel()
	n := mustBuild(t, new(Builder), leased(t)).Network(1)
	want := &DHCPv6{
		Reservations: []Reservation{{DUID: "\x00\x03\x01", Addresses: []netip.Addr{addr("fd00:b1::50"), addr("fd00:b2::50")}}},
		Delegations: []Delegation{{Pool: prefix("2001:db8:8000::/40"), Length: 56, ExcludeLength: 64, ExcludeSubnet: 3,
			Preferred: time.Hour, Valid: time.Hour}},
		byDUID: map[string]int{"\x00\x03\x01": 0},
		owners: map[netip.Addr]int{addr("fd00:b1::50"): 0, addr("fd00:b2::50"): 0},
	}
	if got := n.DHCPv6.Reserved([]byte{0, 3, 1}); !slices.Equal(got, want.Reservations[0].Addresses) {
		t.Errorf("reserved: %v", got)
	}
	if n.DHCPv6.Reserved([]byte{0, 3}) != nil || !n.DHCPv6.Reserves(addr("fd00:b2::50")) || n.DHCPv6.Reserves(addr("fd00:b2::51")) {
		t.Error("what nobody has is reserved, or the other way round")
	}
	if diff := cmp.Diff(want, n.DHCPv6, content); diff != "" {
		t.Errorf("DHCPv6 (-want +got):\n%s", diff)
	}
	s := &n.Subnets[0]
	if !s.RapidCommit || len(s.Pools) != 1 || !s.Pools[0].Contains(addr("fd00:b1::1:7")) || s.Pools[0].Contains(addr("fd00:b1::2:0")) {
		t.Errorf("subnet: %+v", s)
	}
	if p := n.Ports[0]; !slices.Equal(p.Fixed, []netip.Addr{addr("fd00:b1::11")}) || p.DHCPv6Relay || p.MaxLeases != DefaultMaxLeases {
		t.Errorf("vm1: %+v", p)
	}
	if p := n.Ports[1]; p.Fixed != nil || !p.DHCPv6Relay {
		t.Errorf("vm2: %+v", p)
	}
	for _, spec := range []*Spec{
		{Networks: []NetworkSpec{{Name: "n"}}},
		{Networks: []NetworkSpec{{Name: "n", Subnets: []SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}}}},
	} {
		in := Input{Spec: spec}
		in.Keys = keysFor(in)
		if n := mustBuild(t, new(Builder), in).Network(1); n.DHCPv6 != nil {
			t.Errorf("a network that asks no server has %+v", n.DHCPv6)
		}
	}
}

// theirs is an option as the library composes it.
func theirs(o dhcpv6.Option) string {
	data := o.ToBytes()
	return fmt.Sprintf("%04x%04x%x", uint16(o.Code()), len(data), data)
}

// TestOptionMerge: the nearest scope has each code alone, and what subnets say
// as dns and search adds up.
func TestOptionMerge(t *testing.T) {
	t.Parallel()
	n := mustBuild(t, new(Builder), leased(t)).Network(1)
	show := func(s *OptionSet) (list []string) {
		for _, o := range s.Options {
			list = append(list, hex.EncodeToString(o.Wire))
		}
		return list
	}
	// SOL_MAX_RT is four octets (RFC 9915 section 21.24); the last two are given
	// as they are.
	want := []string{
		theirs(dhcpv6.OptPreference(9)),
		theirs(dhcpv6.OptDNS(net.ParseIP("2001:db8::53"), net.ParseIP("2001:db8::54"))),
		theirs(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"example.test", "lab.example.test"}})),
		"0052000400001c20",
		"005e00020001", "005e00020002",
	}
	if diff := cmp.Diff(want, show(n.Ports[0].Options)); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	want[3] = "005200040000003c"
	if diff := cmp.Diff(want, show(n.Ports[2].Options)); diff != "" {
		t.Errorf("options of vm3 (-want +got):\n%s", diff)
	}
	if got := n.Ports[0].Options.Find(94); len(got) != 2 || got[1].Wire[5] != 2 {
		t.Errorf("option 94: %v", got)
	}
	if got := (*OptionSet)(nil).Find(23); got != nil {
		t.Errorf("no set has %v", got)
	}
}

// TestOptionSharing: ports without options of their own share one set, which
// outlives changes of everything else.
func TestOptionSharing(t *testing.T) {
	t.Parallel()
	var b Builder
	before := mustBuild(t, &b, leased(t))
	if p := before.Ports; p[0].Options != p[1].Options || p[0].Options == p[2].Options {
		t.Error("vm1 and vm2 share no set, or vm3 has theirs")
	}
	in := leased(t)
	in.Spec.Networks[0].MTU = 1400
	in.Spec.Ports[1].DHCPv6Relay = false
	after := mustBuild(t, &b, in)
	if before.Networks[0] == after.Networks[0] || before.Networks[0].DHCPv6 != after.Networks[0].DHCPv6 {
		t.Error("the network is not new, or what DHCPv6 gives is")
	}
	if before.Ports[0] != after.Ports[0] || before.Ports[2] != after.Ports[2] {
		t.Error("ports that did not change are new")
	}
	if before.Ports[1] == after.Ports[1] || after.Ports[1].Options != before.Ports[0].Options {
		t.Error("the port that changed is not new, or its options are")
	}
	in = leased(t)
	in.Spec.Networks[0].Options[1].Number = 3600
	last := mustBuild(t, &b, in)
	if last.Ports[0].Options == before.Ports[0].Options || last.Ports[0].Options != last.Ports[1].Options {
		t.Error("an option changed: the set is the same, or no longer shared")
	}
	if last.Ports[2] != before.Ports[2] {
		t.Error("vm3, which has its own value, is new")
	}
}

// TestOptionForms compares each form with what the library composes of the same
// values; those that it lacks stand field by field after their RFC.
func TestOptionForms(t *testing.T) {
	t.Parallel()
	server := dhcpv6.NTPSuboptionSrvAddr(net.ParseIP("2001:db8::123"))
	group := dhcpv6.NTPSuboptionMCAddr(net.ParseIP("ff05::101"))
	tests := []struct {
		name string
		spec OptionSpec
		want []string
	}{
		{"sntp-servers", OptionSpec{Code: 31, Addresses: []netip.Addr{addr("2001:db8::123")}}, []string{
			theirs(dhcpv6.OptSNTP(net.ParseIP("2001:db8::123")))}},
		{"information-refresh-time", OptionSpec{Code: 32, Number: 14400}, []string{theirs(dhcpv6.OptInformationRefreshTime(4 * time.Hour))}},
		{"preference", OptionSpec{Code: 7, Number: 255}, []string{theirs(dhcpv6.OptPreference(255))}},
		{"vendor-opts", OptionSpec{Code: 17, Vendors: []VendorSpec{{32473, []SubOptionSpec{{1, []byte{1, 2}}}}, {Enterprise: 1}}}, []string{
			theirs(&dhcpv6.OptVendorOpts{EnterpriseNumber: 32473, VendorOpts: dhcpv6.Options{&dhcpv6.OptionGeneric{OptionCode: 1, OptionData: []byte{1, 2}}}}),
			theirs(&dhcpv6.OptVendorOpts{EnterpriseNumber: 1})}},
		// RFC 4833 section 3: the text alone.
		{"tzdb-timezone", OptionSpec{Code: 42, Texts: []string{"Europe/Zurich"}}, []string{"002a000d" + hex.EncodeToString([]byte("Europe/Zurich"))}},
		{"ntp-server", OptionSpec{Code: 56, Texts: []string{"2001:db8::123", "ff05::101", "NTP.example.test"}}, []string{
			theirs(&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{&server}}),
			theirs(&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{&group}}),
			theirs(&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{&dhcpv6.NTPSuboptionSrvFQDN{Labels: rfc1035label.Labels{Labels: []string{"ntp.example.test"}}}}})}},
		{"bootfile-param", OptionSpec{Code: 60, Texts: []string{"ro", "quiet"}}, []string{theirs(dhcpv6.OptBootFileParam("ro", "quiet"))}},
		{"bootfile-url", OptionSpec{Code: 59, Texts: []string{"tftp://x"}}, []string{theirs(dhcpv6.OptBootFileURL("tftp://x"))}},
		// RFC 9463 section 4.1: priority, name and its length, addresses and their
		// length, parameters (key 1, length, ALPN identifiers).
		{"dnr", OptionSpec{Code: 144, Resolvers: []EncryptedDNSSpec{{Name: "dns.test", Addresses: []netip.Addr{addr("2001:db8::53")}, ALPN: []string{"dot", "h2"}}, {Name: "b", Addresses: []netip.Addr{addr("::5")}}}}, []string{
			"0090002b" + "0001" + "000a" + "03646e73047465737400" + "0010" + "20010db8000000000000000000000053" + "00010007" + "03646f74" + "026832",
			"00900021" + "0002" + "0003" + "016200" + "0010" + "00000000000000000000000000000005" + "00010004" + "03646f74"}},
		{"by number", OptionSpec{Code: 200, Raw: []byte{}}, []string{"00c80000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, data := range tt.spec.data() {
				got = append(got, hex.EncodeToString(frameOption(tt.spec.Code, data)))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDelegated(t *testing.T) {
	t.Parallel()
	var b Builder
	in := leased(t)
	before := mustBuild(t, &b, in)
	in.Delegated = map[string][]DelegatedPrefix{"blue": {
		{Prefix: prefix("2001:db8:8000:200::/56"), Port: 2, NextHop: addr("fe80::2"), MAC: wire.MAC{2, 9}},
		{Prefix: prefix("2001:db8:8000:100::/56"), Port: 1, NextHop: addr("fe80::1")},
		{Prefix: prefix("2001:db8:8000:300::/56"), Port: 77, NextHop: addr("fe80::77")},
	}}
	after := mustBuild(t, &b, in)
	want := []DelegatedPrefix{
		{Prefix: prefix("2001:db8:8000:100::/56"), Port: 1, NextHop: addr("fe80::1"), MAC: before.Ports[0].MAC},
		{Prefix: prefix("2001:db8:8000:200::/56"), Port: 2, NextHop: addr("fe80::2"), MAC: wire.MAC{2, 9}},
	}
	if diff := cmp.Diff(want, after.Networks[0].Delegated, content); diff != "" {
		t.Errorf("delegated (-want +got):\n%s", diff)
	}
	if !slices.Equal(before.Ports, after.Ports) {
		t.Error("a route makes new ports")
	}
	in.Delegated = map[string][]DelegatedPrefix{"blue": slices.Clone(in.Delegated["blue"])}
	if mustBuild(t, &b, in) != after {
		t.Error("the same routes make a new snapshot")
	}
	in.Delegated = nil
	if n := mustBuild(t, &b, in).Networks[0]; len(n.Delegated) > 0 {
		t.Errorf("withdrawn, yet there is %v", n.Delegated)
	}
}

func TestValidateOptionRoom(t *testing.T) {
	t.Parallel()
	in := leased(t)
	in.Spec.Networks[0].Options = []OptionSpec{{Code: 200, Raw: make([]byte, maxOptions-optionHeader)}}
	if p := Validate(in.Spec); len(p) > 0 {
		t.Errorf("options that just fit: %v", p)
	}
	in.Spec.Networks[0].Options[0].Raw = make([]byte, maxOptions-optionHeader+1)
	if p := Validate(in.Spec); len(p) != 1 || p[0].Object != "networks[0].options" || !strings.Contains(p[0].Message, fmt.Sprint(maxOptions)) {
		t.Errorf("an octet too many: %v", p)
	}
}

// TestValidatePoolsApart: one pool, or part of it, that two routers would
// delegate from.
func TestValidatePoolsApart(t *testing.T) {
	t.Parallel()
	for pool, problems := range map[string]int{"2001:db8:8000::/40": 1, "2001:db8:8012::/48": 1, "2001:db8::/32": 1, "2001:db8:9000::/40": 0} {
		in := leased(t)
		in.Spec.Networks = append(in.Spec.Networks, NetworkSpec{Name: "red", Delegations: []DelegationSpec{{Pool: prefix(pool), Length: 56}}})
		in.Spec.Routers = append(in.Spec.Routers, RouterSpec{Name: "another", Networks: []PresenceSpec{{Network: "red"}}})
		got := Validate(in.Spec)
		if len(got) != problems {
			t.Errorf("%s: %v", pool, got)
		}
		for _, p := range got {
			if !strings.HasPrefix(p.Object, "networks[") || !strings.HasSuffix(p.Object, ".delegation[0].pool") || !strings.Contains(p.Message, pool) {
				t.Errorf("%s: %v", pool, p)
			}
		}
		// On one router it is told once, where the router is.
		in.Spec.Routers = in.Spec.Routers[:1]
		in.Spec.Routers[0].Networks = append(in.Spec.Routers[0].Networks, PresenceSpec{Network: "red"})
		if got := Validate(in.Spec); len(got) != problems || problems > 0 && !strings.HasPrefix(got[0].Object, "routers[0]") {
			t.Errorf("%s on one router: %v", pool, got)
		}
	}
}

// TestDelegationFlags: whoever gets prefixes has to be told to ask (RFC 4861
// section 4.2).
func TestDelegationFlags(t *testing.T) {
	t.Parallel()
	pools := []DelegationSpec{{Pool: prefix("2001:db8:8000::/40"), Length: 56}}
	for _, tt := range []struct {
		mode  Mode
		pools []DelegationSpec
		m, o  bool
	}{
		{SLAAC, nil, false, false},
		{SLAAC, pools, false, true},
		{DHCPv6Stateless, nil, false, true},
		{DHCPv6Stateless, pools, false, true},
		{DHCPv6Stateful, nil, true, false},
		{DHCPv6Stateful, pools, true, false},
	} {
		in := leased(t)
		in.Spec = &Spec{
			Networks: []NetworkSpec{{Name: "blue", Subnets: []SubnetSpec{{Prefix: prefix("fd00:b1::/64"), Mode: tt.mode}}, Delegations: tt.pools}},
			Routers:  []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue"}}}},
		}
		n := mustBuild(t, new(Builder), in).Networks[0]
		if got := parse(t, n.Adverts[0]); got.ManagedConfiguration != tt.m || got.OtherConfiguration != tt.o {
			t.Errorf("%v with %d pools: M %v, O %v", tt.mode, len(tt.pools), got.ManagedConfiguration, got.OtherConfiguration)
		}
	}
}

// TestValidateRouterPools: prefixes that one router would find in two places.
func TestValidateRouterPools(t *testing.T) {
	t.Parallel()
	in := leased(t)
	in.Spec.Networks = append(in.Spec.Networks, NetworkSpec{Name: "red", Subnets: []SubnetSpec{{Prefix: prefix("2001:db8:8000:1::/64")}}})
	if p := Validate(in.Spec); len(p) > 0 {
		t.Errorf("another network: %v", p)
	}
	in.Spec.Routers[0].Networks = append(in.Spec.Routers[0].Networks, PresenceSpec{Network: "red"})
	if p := Validate(in.Spec); len(p) != 1 || p[0].Object != "routers[0].networks[1].name" {
		t.Errorf("another network of the router: %v", p)
	}
}

// TestDelegation: of a delegated prefix nobody else learns an address, whatever
// pair it has.
func TestDelegation(t *testing.T) {
	t.Parallel()
	in := blue(t)
	in.Spec.Ports[0].Pairs = []AddressPair{pair(t, "2001:db8:8000::/40", wire.MAC{})}
	in.Delegated = map[string][]DelegatedPrefix{"blue": {{Prefix: prefix("2001:db8:8000:100::/56"), Port: 2}}}
	in.Learned = map[string][]HeldAddress{"blue": {{addr("2001:db8:8000:101::1"), 1}, {addr("2001:db8:8000:101::2"), 2}, {addr("2001:db8:8000:200::1"), 1}}}
	s := mustBuild(t, new(Builder), in)
	for name, want := range map[string][]netip.Addr{"vm1": {addr("2001:db8:8000:200::1")}, "vm2": {addr("2001:db8:8000:101::2")}} {
		if got := s.PortNamed(name).Learned; !slices.Equal(got, want) {
			t.Errorf("%s holds as learned %v, want %v", name, got, want)
		}
	}
	for a, want := range map[string][2][2]bool{"2001:db8:8000:101::1": {{false, true}, {true, false}}, "2001:db8:8000:200::1": {}} {
		for i, want := range want {
			if own, others := s.Networks[0].Delegation(uint16(i+1), addr(a)); own != want[0] || others != want[1] {
				t.Errorf("%s of port %d: own %v, others' %v, want %v", a, i+1, own, others, want)
			}
		}
	}
}
