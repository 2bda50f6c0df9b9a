package topology

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// content compares snapshots by what is in them, not by which they are.
var content = cmp.Options{
	cmp.AllowUnexported(Snapshot{}, Network{}, DHCPv6{}, Remotes{}),
	cmpopts.IgnoreFields(Snapshot{}, "Rev"),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func mac(t testing.TB, s string) wire.MAC {
	t.Helper()
	m, err := wire.ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// keysFor numbers everything in an Input in the order of its lists.
func keysFor(in Input) Keys {
	k := Keys{Networks: make(map[string]uint16), Ports: make(map[string]uint16)}
	for i, n := range in.Spec.Networks {
		k.Networks[n.Name] = uint16(i + 1)
	}
	for i, p := range in.Spec.Ports {
		k.Ports[p.Name] = uint16(i + 1)
	}
	for i, b := range in.Bindings {
		for _, name := range []string{b.ID, b.Interface} {
			if name != "" && k.Ports[name] == 0 {
				k.Ports[name] = uint16(len(in.Spec.Ports) + 2*i + len(name)%2 + 1)
			}
		}
	}
	return k
}

// blue is one network with a router and two guests.
func blue(t testing.TB) Input {
	spec := &Spec{
		Networks: []NetworkSpec{{Name: "blue", MTU: 1442, Subnets: []SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}}},
		Routers:  []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue"}}}},
		Ports: []PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(t, "02:00:00:00:00:11"), Addresses: []netip.Addr{addr("fd00:b1::11")}},
			{Name: "vm2", Network: "blue", MAC: mac(t, "02:00:00:00:00:12"), Router: true, Limits: Limits{punt.NS: Unlimited}},
		},
	}
	in := Input{Spec: spec, Bindings: []Binding{{Interface: "tap1", ID: "vm1", OFPort: 7}, {Interface: "vm2", OFPort: 8}}}
	in.Keys = keysFor(in)
	return in
}

func TestBuild(t *testing.T) {
	t.Parallel()
	s, problems := new(Builder).Build(blue(t))
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	limits := [punt.Classes]Limit{punt.NS: {100, 200}, punt.NA: {100, 200}, punt.RS: {20, 40}, punt.MLD: {20, 40}, punt.DHCPv6: {50, 100}, punt.Echo: {100, 200},
		punt.Error: {20, 40}, punt.Unknown: {20, 40}, punt.Source: {20, 40}, punt.Log: {5, 10}, punt.Metadata: {50, 100}, punt.Opens: {4000, 8000}, punt.Inverse: {5, 10}, punt.SEND: {10, 20}}
	lifted := limits
	lifted[punt.NS] = Unlimited
	want := []*Port{
		{Key: 1, Name: "vm1", Network: &NetworkRef{1, "blue"}, MAC: mac(t, "02:00:00:00:00:11"), OFPort: 7, Limits: limits, MaxLeases: 16, Secured: true, MaxAddresses: 32, MaxNeighbors: 64, MaxConnections: 64, Fixed: []netip.Addr{addr("fd00:b1::11")},
			Addresses: []netip.Addr{addr("fd00:b1::11"), addr("fe80::ff:fe00:11"), addr("fd00:b1::ff:fe00:11")}},
		{Key: 2, Name: "vm2", Network: &NetworkRef{1, "blue"}, MAC: mac(t, "02:00:00:00:00:12"), OFPort: 8, Limits: lifted, MaxLeases: 16, Secured: true, MaxAddresses: 32, MaxNeighbors: 64, MaxConnections: 64, Router: true,
			Addresses: []netip.Addr{addr("fe80::ff:fe00:12"), addr("fd00:b1::ff:fe00:12")}},
	}
	if diff := cmp.Diff(want, s.Ports, content); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	n := s.Network(1)
	if n == nil || n.Name != "blue" || s.Port(1) != s.Ports[0] || s.Port(3) != nil || s.Network(9) != nil {
		t.Errorf("lookup by key: network %v, port %v", n, s.Port(1))
	}
	for address, owner := range map[string]Owner{
		"fe80::1":             {MAC: RouterMAC("blue"), Router: true},
		"fd00:b1::1":          {MAC: RouterMAC("blue"), Router: true},
		"fd00:b1::11":         {Port: s.Ports[0], MAC: s.Ports[0].MAC},
		"fd00:b1::ff:fe00:12": {Port: s.Ports[1], MAC: s.Ports[1].MAC, Router: true},
	} {
		if got, ok := n.Owner(addr(address)); !ok || got != owner {
			t.Errorf("owner of %s: %v, %v, want %v", address, got, ok, owner)
		}
	}
	if _, ok := n.Owner(addr("fd00:b1::")); ok {
		t.Error("the subnet-router anycast address has an owner")
	}
	if got, want := n.Router, (&RouterInterface{Router: "r1", ID: s.Routers[0].ID, MAC: RouterMAC("blue"), LinkLocal: addr("fe80::1"),
		Addresses: []netip.Prefix{prefix("fd00:b1::1/64")}}); !cmp.Equal(got, want, content) {
		t.Errorf("router: %+v, want %+v", got, want)
	}
}

func TestBuildRefusesWhole(t *testing.T) {
	t.Parallel()
	var b Builder
	good, _ := b.Build(blue(t))
	bad := blue(t)
	bad.Spec.Networks[0].MTU = 1000
	if s, p := b.Build(bad); s != nil || len(p) != 1 || p[0].Object != "networks[0].mtu" {
		t.Errorf("bad Spec: %v, %v", s, p)
	}
	if s, _ := b.Build(blue(t)); s != good {
		t.Error("the same content after a refusal is not the last snapshot")
	}
}

func TestBuildIsolates(t *testing.T) {
	t.Parallel()
	m1, m2 := mac(t, "02:00:00:00:00:11"), mac(t, "02:00:00:00:00:21")
	tests := []struct {
		name     string
		bindings []Binding
		keys     func(*Keys)
		problems []string
		bound    map[string]uint32
	}{
		{name: "by name", bindings: []Binding{{Interface: "vm1", OFPort: 1}}, bound: map[string]uint32{"vm1": 1}},
		{name: "iface-id over name", bindings: []Binding{{Interface: "vm1", OFPort: 1}, {Interface: "x", ID: "vm1", OFPort: 2}}, bound: map[string]uint32{"vm1": 2}},
		{name: "two claim one", bindings: []Binding{{Interface: "b", ID: "vm1", OFPort: 1}, {Interface: "a", ID: "vm1", OFPort: 2}, {Interface: "vm2", OFPort: 3}},
			problems: []string{"port vm1: is claimed by the interfaces a and b, so none is served: give each an external_ids:iface-id of its own"},
			bound:    map[string]uint32{"vm2": 3}},
		{name: "interface alone", bindings: []Binding{{Interface: "tap9", ID: "c9", OFPort: 9, Network: "blue", MAC: m2}}, bound: map[string]uint32{"c9": 9}},
		{name: "unrelated interface", bindings: []Binding{{Interface: "eth9", OFPort: 9}}, bound: map[string]uint32{}},
		{name: "unknown network", bindings: []Binding{{Interface: "tap9", OFPort: 9, Network: "bleu", MAC: m2}},
			problems: []string{`interface tap9: external_ids:damselfly-network names "bleu", which is no network: configure it, or correct the name`}, bound: map[string]uint32{}},
		{name: "no MAC", bindings: []Binding{{Interface: "tap9", OFPort: 9, Network: "blue"}},
			problems: []string{"port tap9: has no MAC, so it is not served: configure mac, or set external_ids:attached-mac of interface tap9"}, bound: map[string]uint32{}},
		{name: "configured MAC wins", bindings: []Binding{{Interface: "vm1", OFPort: 1}, {Interface: "tap9", OFPort: 9, Network: "blue", MAC: m1}},
			problems: []string{"port tap9: attached-mac 02:00:00:00:00:11 of interface tap9 is that of port vm1 on the same network, so it is not served: give it another"},
			bound:    map[string]uint32{"vm1": 1}},
		{name: "attached twice", bindings: []Binding{{Interface: "tap8", OFPort: 8, Network: "blue", MAC: m2}, {Interface: "tap9", OFPort: 9, Network: "blue", MAC: m2}},
			problems: []string{
				"port tap8: attached-mac 02:00:00:00:00:21 is that of the ports tap8 and tap9 on one network, so none is served: give each its own",
				"port tap9: attached-mac 02:00:00:00:00:21 is that of the ports tap8 and tap9 on one network, so none is served: give each its own",
			}, bound: map[string]uint32{}},
		{name: "no key", bindings: []Binding{{Interface: "vm1", OFPort: 1}}, keys: func(k *Keys) { delete(k.Ports, "vm2") },
			problems: []string{"port vm2: has no key, so it is not served: its store has no room or was not asked"}, bound: map[string]uint32{"vm1": 1}},
		{name: "key out of range", bindings: []Binding{{Interface: "vm1", OFPort: 1}}, keys: func(k *Keys) { k.Ports["vm2"] = punt.MaxKey + 1 },
			problems: []string{"port vm2: has key 16001, so it is not served: keys end at 16000"}, bound: map[string]uint32{"vm1": 1}},
		{name: "key taken", bindings: []Binding{{Interface: "vm1", OFPort: 1}}, keys: func(k *Keys) { k.Ports["vm2"] = k.Ports["vm1"] },
			problems: []string{"port vm2: has key 1 of port vm1, so it is not served"}, bound: map[string]uint32{"vm1": 1}},
		{name: "network without key", bindings: []Binding{{Interface: "vm1", OFPort: 1}}, keys: func(k *Keys) { k.Networks = nil },
			problems: []string{"network blue: has no key, so it is not served: its store has no room or was not asked"}, bound: map[string]uint32{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := blue(t)
			in.Bindings = tt.bindings
			in.Keys = keysFor(in)
			if tt.keys != nil {
				tt.keys(&in.Keys)
			}
			s, problems := new(Builder).Build(in)
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.problems, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			bound := map[string]uint32{}
			for _, p := range s.Ports {
				if p.OFPort != 0 {
					bound[p.Name] = p.OFPort
				}
			}
			if diff := cmp.Diff(tt.bound, bound); diff != "" {
				t.Errorf("bound (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuildSharesWhatDidNotChange(t *testing.T) {
	t.Parallel()
	const count = 1000
	spec := new(Spec)
	in := Input{Spec: spec}
	for i := range count {
		name := fmt.Sprintf("n%04d", i)
		spec.Networks = append(spec.Networks, NetworkSpec{Name: name, Subnets: []SubnetSpec{{Prefix: prefix(fmt.Sprintf("fd00:%x::/64", i))}}})
		for j := range 2 {
			port := fmt.Sprintf("p%04d-%d", i, j)
			spec.Ports = append(spec.Ports, PortSpec{Name: port, Network: name, MAC: wire.MAC{2, 0, 0, byte(i >> 8), byte(i), byte(j)}})
			in.Bindings = append(in.Bindings, Binding{Interface: port, OFPort: uint32(2*i + j + 1)})
		}
	}
	in.Keys = keysFor(in)
	var b Builder
	before, problems := b.Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if again, _ := b.Build(in); again != before {
		t.Error("nothing changed, yet there is a new snapshot")
	}
	in.Bindings[77].OFPort = 9999
	after, _ := b.Build(in)
	networks, ports := 0, 0
	for i := range before.Networks {
		if before.Networks[i] != after.Networks[i] {
			networks++
		}
	}
	for i := range before.Ports {
		if before.Ports[i] != after.Ports[i] {
			ports++
		}
	}
	if networks != 1 || ports != 1 || after.Rev != before.Rev+1 {
		t.Errorf("%d networks and %d ports are new at revision %d, want 1 and 1", networks, ports, after.Rev)
	}
	if before.Ports[77].OFPort != 78 || after.Ports[77].OFPort != 9999 {
		t.Errorf("port 77: %d before, %d after", before.Ports[77].OFPort, after.Ports[77].OFPort)
	}
}

// drawInput makes small worlds in which names, MACs and bindings often meet.
func drawInput(t *rapid.T) Input {
	spec := new(Spec)
	some := func(label string, n int) int { return rapid.IntRange(0, n).Draw(t, label) }
	for i := range some("networks", 3) {
		n := NetworkSpec{Name: fmt.Sprint("n", i), MTU: []int{0, 1280, 1500}[some("mtu", 2)]}
		for j := range some("subnets", 2) {
			n.Subnets = append(n.Subnets, SubnetSpec{Prefix: prefix(fmt.Sprintf("fd00:%d:%d::/64", i, j)), Mode: Mode(some("mode", 2))})
		}
		if some("option", 1) == 1 {
			n.Options = []OptionSpec{{Code: codePreference, Number: uint32(some("preference", 2))}}
		}
		spec.Networks = append(spec.Networks, n)
		if rapid.Bool().Draw(t, "router") {
			spec.Routers = append(spec.Routers, RouterSpec{Name: fmt.Sprint("r", i), Networks: []PresenceSpec{{Network: n.Name}}})
		}
	}
	spec.Groups = []SecurityGroupSpec{{Name: "web"}}
	if rapid.Bool().Draw(t, "rule") {
		spec.Groups[0].Rules = []RuleSpec{{Protocol: ProtocolTCP, RemoteGroup: []string{"web", "default"}[some("remote group", 1)], Reject: rapid.Bool().Draw(t, "reject")}}
	}
	in := Input{Spec: spec, Deprecated: map[string][]Deprecated{}, FormerRouters: map[string][]FormerRouter{}}
	for i := range some("ports", 4) {
		if len(spec.Networks) == 0 {
			break
		}
		p := PortSpec{Name: fmt.Sprint("p", i), Network: spec.Networks[some("network", len(spec.Networks)-1)].Name, Unknown: rapid.Bool().Draw(t, "unknown")}
		if rapid.Bool().Draw(t, "configured MAC") {
			p.MAC = wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}
		}
		if some("own option", 2) == 2 {
			p.Options = []OptionSpec{{Code: 94, Raw: []byte{byte(some("value", 1))}}}
		}
		p.DHCPv6Relay = rapid.Bool().Draw(t, "relay")
		if n := some("groups", 4); n < 4 {
			p.SecurityGroups = [][]string{{}, {"default"}, {"web"}, {"default", "web"}}[n]
		}
		if !p.Unknown && rapid.Bool().Draw(t, "pair") {
			p.Pairs = []AddressPair{{Prefix: prefix(fmt.Sprintf("fd00:0:0::5%d/128", some("address", 1))), MAC: wire.MAC{2, 0, 0, 0, 1, byte(some("virtual", 1))}}}
		}
		spec.Ports = append(spec.Ports, p)
	}
	for i := range some("interfaces", 5) {
		b := Binding{Interface: fmt.Sprint([]string{"p", "tap"}[some("kind", 1)], i), OFPort: uint32(some("ofport", 3)), MAC: wire.MAC{2, 0, 0, 0, 0, byte(some("mac", 4))}}
		if rapid.Bool().Draw(t, "id") {
			b.ID = fmt.Sprint("p", some("of", 5))
		}
		if rapid.Bool().Draw(t, "alone") {
			b.Network = fmt.Sprint("n", some("on", 3))
		}
		in.Bindings = append(in.Bindings, b)
	}
	if rapid.Bool().Draw(t, "deprecated") {
		in.Deprecated["n0"] = []Deprecated{{Prefix: prefix(fmt.Sprintf("fd00:0:%d::/64", some("old", 3))), Autonomous: true, ValidUntil: time.Unix(int64(some("until", 1)), 0)}}
	}
	if rapid.Bool().Draw(t, "routes") {
		in.Delegated = map[string][]DelegatedPrefix{"n0": {{Prefix: prefix(fmt.Sprintf("2001:db8:%d::/48", some("prefix", 2))), Port: uint16(some("to", 3))}}}
	}
	held := func(label string) map[string][]HeldAddress {
		var list []HeldAddress
		for range some(label, 3) {
			list = append(list, HeldAddress{addr(fmt.Sprintf("fd00:0:0::5%d", some("held", 3))), uint16(some("by", 3))})
		}
		return map[string][]HeldAddress{"n0": list}
	}
	in.Leased, in.Learned = held("leased"), held("learned")
	if rapid.Bool().Draw(t, "former") {
		in.FormerRouters["n0"] = []FormerRouter{{MAC: wire.MAC{2, 9}, LinkLocal: addr("fe80::9")}}
	}
	in.Keys = keysFor(in)
	return in
}

func TestIncrementalEqualsFromScratch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b Builder
		in := drawInput(t)
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			// Either all is new, or one part of what was.
			other := drawInput(t)
			switch rapid.IntRange(0, 7).Draw(t, "change") {
			case 0:
				in = other
			case 1:
				in.Deprecated = other.Deprecated
			case 2:
				in.FormerRouters = other.FormerRouters
			case 3:
				in.Bindings = other.Bindings
			case 4:
				in.Delegated = other.Delegated
			case 6:
				in.Leased = other.Leased
			case 7:
				in.Learned = other.Learned
			case 5:
				in.Spec = &Spec{Networks: in.Spec.Networks, Routers: in.Spec.Routers, Ports: in.Spec.Ports, Groups: in.Spec.Groups,
					Limits: Limits{punt.NS: {Rate: uint32(rapid.IntRange(1, 3).Draw(t, "rate")), Burst: 1}}}
			}
			in.Keys = keysFor(in)
			got, gotProblems := b.Build(in)
			want, wantProblems := new(Builder).Build(in)
			if diff := cmp.Diff(want, got, content); diff != "" {
				t.Fatalf("snapshot (-scratch +incremental):\n%s", diff)
			}
			if diff := cmp.Diff(wantProblems, gotProblems); diff != "" {
				t.Fatalf("problems (-scratch +incremental):\n%s", diff)
			}
		}
	})
}
