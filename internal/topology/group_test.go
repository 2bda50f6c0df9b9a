package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grouped is blue with groups: web names the default group and itself.
func grouped(t testing.TB) Input {
	in := blue(t)
	in.Spec.Groups = []SecurityGroupSpec{
		{Name: "web", Rules: []RuleSpec{
			{Protocol: ProtocolTCP, Ports: &PortRange{80, 443}, RemoteGroup: DefaultGroup},
			{Protocol: ProtocolICMPv6, ICMP: &ICMPMatch{Type: 0, HasCode: true}, RemoteGroup: "web"},
			{Protocol: ProtocolTCP, Ports: &PortRange{23, 23}, Reject: true},
			{Direction: Egress, Family: IPv4, Protocol: ProtocolICMP, ICMP: &ICMPMatch{Type: 8}},
		}},
		{Name: "idle"},
	}
	in.Spec.Ports[0].SecurityGroups = []string{"web", DefaultGroup}
	in.Spec.Ports[1].SecurityGroups = []string{}
	return in
}

func TestGroupsOfSnapshot(t *testing.T) {
	t.Parallel()
	var b Builder
	s, problems := b.Build(grouped(t))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	ids := map[uint32]bool{}
	for _, g := range s.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			got = append(got, g.Name+": "+r.String())
			if r.ID == 0 || r.ID >= 1<<31 || ids[r.ID] {
				t.Errorf("the id of %s is %#x", r, r.ID)
			}
			ids[r.ID] = true
			if of, ok := s.Rule(r.ID); !ok || of.Group != g || of.Rule != r {
				t.Errorf("%s is not found by its id", r)
			}
		}
	}
	want := []string{
		"default: ingress remote group default allow", "default: egress allow", "idle: egress allow",
		"web: ingress tcp ports 80-443 remote group default allow", "web: ingress icmpv6 icmp 0/0 remote group web allow",
		"web: ingress tcp ports 23 reject", "web: egress ipv4 icmp icmp 8 allow",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	vm1, vm2 := s.Ports[0], s.Ports[1]
	if len(vm1.Filter.Groups) != 2 || vm1.Filter.Groups[0].Name != DefaultGroup || vm2.Filter == nil || len(vm2.Filter.Groups) != 0 {
		t.Errorf("filters: %+v %+v", vm1.Filter, vm2.Filter)
	}
	for _, a := range vm1.Addresses { // its link-local too
		if got := s.Remotes.GroupsOf(1, s.Network(1).RouterID(), a); !slices.Equal(got, []string{DefaultGroup, "web"}) {
			t.Errorf("%s is a member of %v", a, got)
		}
	}
	if got := s.Remotes.GroupsOf(2, 0, vm1.Addresses[0]); got != nil {
		t.Errorf("on another network the address is a member of %v", got)
	}
	if got := s.Remotes.GroupsOf(1, s.Network(1).RouterID(), vm2.Addresses[0]); got != nil {
		t.Errorf("a port without groups is a member of %v", got)
	}
}

// TestGroupsKeepPointers: what does not change stays the same pointer, so that
// nothing is compiled anew.
func TestGroupsKeepPointers(t *testing.T) {
	t.Parallel()
	var b Builder
	in := grouped(t)
	before, _ := b.Build(in)

	again := grouped(t)
	if s, _ := b.Build(again); s != before {
		t.Error("the same content is another snapshot")
	}
	// Another rule of web: web and its port are new, the rest is not.
	changed := grouped(t)
	changed.Spec.Groups[0].Rules[0].Ports = &PortRange{81, 443}
	after, _ := b.Build(changed)
	if after.Groups[0] != before.Groups[0] || after.Groups[2] == before.Groups[2] || after.Ports[0] == before.Ports[0] ||
		after.Ports[1] != before.Ports[1] || after.Remotes != before.Remotes {
		t.Error("a rule changes more or less than its group and the ports that have it")
	}
	if after.Groups[2].Rules[1].ID != before.Groups[2].Rules[1].ID {
		t.Error("a rule that stays has another id")
	}
	// Another member: its port is new, the groups are not.
	member := grouped(t)
	member.Spec.Ports[1].SecurityGroups = []string{DefaultGroup}
	s, _ := b.Build(member)
	if s.Groups[0] != after.Groups[0] || s.Remotes == after.Remotes || s.Ports[1] == after.Ports[1] {
		t.Error("a member changes more or less than its port and the members")
	}
}

// TestClasses: of prefixes within prefixes the longest has the groups of all.
func TestClasses(t *testing.T) {
	t.Parallel()
	at := func(network uint16, s string) RemoteEntry { return RemoteEntry{Network: network, Prefix: prefix(s)} }
	r := classify(map[RemoteEntry][]string{
		at(1, "fd00:b1:0:0:f::/80"): {"pairs"}, at(1, "fd00:b1::f:0:0:1/128"): {"web"}, at(1, "fd00:b1::/64"): {"wide"},
		at(2, "fd00:b1::f:0:0:1/128"): {"web"}, at(1, "10.0.0.0/8"): {"four"}, at(1, "10.0.0.1/32"): {"four", "web"},
	})
	for _, tt := range []struct {
		network uint16
		addr    string
		want    []string
	}{
		{1, "fd00:b1::f:0:0:1", []string{"pairs", "web", "wide"}},
		{1, "fd00:b1::f:0:0:2", []string{"pairs", "wide"}},
		{1, "fd00:b1::1", []string{"wide"}},
		{2, "fd00:b1::f:0:0:1", []string{"web"}},
		{2, "fd00:b1::1", nil},
		{1, "10.0.0.1", []string{"four", "web"}},
		{1, "10.0.0.2", []string{"four"}},
		{1, "11.0.0.2", nil},
		{1, "fd00:b2::1", nil},
	} {
		if diff := cmp.Diff(tt.want, r.GroupsOf(tt.network, 0, netip.MustParseAddr(tt.addr))); diff != "" {
			t.Errorf("%s on %d: %s", tt.addr, tt.network, diff)
		}
	}
	if got := len(r.Containing("web")); got != 3 {
		t.Errorf("web is in %d classes: %v", got, r.Classes)
	}
}

// TestIDs: numbers come of names alone, and of two that collide the later in the
// alphabet gives way, whatever order they come in.
func TestIDs(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprint("name ", i))
	}
	ids := idsOf(names)
	slices.Reverse(names)
	if diff := cmp.Diff(ids, idsOf(names)); diff != "" {
		t.Errorf("the order matters:\n%s", diff)
	}
	seen := map[uint32]bool{}
	for name, id := range ids {
		if id == 0 || id >= 1<<31 || seen[id] {
			t.Errorf("%s has %#x", name, id)
		}
		seen[id] = true
		if one := idsOf([]string{name})[name]; one != id {
			t.Errorf("%s alone has %#x, not %#x", name, one, id)
		}
	}
}
