package flows

import (
	"fmt"
	"net/netip"
	"testing"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// crowdSpec has members ports in one group of rules rules, each of which names
// the group itself as its remote.
func crowdSpec(members, rules int) *topology.Spec {
	s := &topology.Spec{Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}}}}
	g := topology.SecurityGroupSpec{Name: "crowd"}
	for i := range rules {
		g.Rules = append(g.Rules, topology.RuleSpec{Family: topology.IPv6, Protocol: topology.ProtocolTCP, RemoteGroup: "crowd",
			Ports: &topology.PortRange{First: uint16(1000 + i), Last: uint16(1000 + i)}})
	}
	s.Groups = []topology.SecurityGroupSpec{g}
	for i := range members {
		s.Ports = append(s.Ports, topology.PortSpec{Name: fmt.Sprint("vm", i), Network: "blue",
			MAC: wire.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, SecurityGroups: []string{"crowd"}})
	}
	return s
}

// filterFlows counts the flows of the tables of security groups.
func filterFlows(s *Set) (n int) {
	for _, f := range s.Flows {
		if f.Table >= TableEgress && f.Table <= TableLog || f.Table >= TableIngress && f.Table <= TableIngressVerdict {
			n++
		}
	}
	return n
}

// TestFlowsOfAGroup: members and rules add up, they do not multiply.
func TestFlowsOfAGroup(t *testing.T) {
	t.Parallel()
	count := func(members, rules int) int {
		return filterFlows(Compile(build(crowdSpec(members, rules), nil), envs["plain"]))
	}
	few, members, rules, both := count(10, 10), count(1000, 10), count(10, 50), count(1000, 50)
	// A member is seven flows of its port and one for each of its addresses; a rule is one of its port and
	// one for later fragments, which its neighbours share.
	if perMember := (members - few) / 990; perMember > 9+1 {
		t.Errorf("%d flows a member", perMember)
	}
	if perRule := (rules - few) / 40; perRule > 2 {
		t.Errorf("%d flows a rule", perRule)
	}
	if want := members + rules - few; both != want {
		t.Errorf("1,000 members and 50 rules are %d flows, the sum is %d", both, want)
	}
	t.Logf("1,000 members, 50 rules: %d flows", both)
}

// TestMemberIsIncremental: another member changes the flows of its own port and
// its own addresses, and nobody else's.
func TestMemberIsIncremental(t *testing.T) {
	t.Parallel()
	spec := crowdSpec(200, 50)
	var builder topology.Builder
	compiler := NewCompiler(envs["plain"])
	s, _ := builder.Build(input(spec, nil))
	have := compiler.Update(s)
	next := *spec
	next.Ports = append([]topology.PortSpec(nil), spec.Ports...)
	next.Ports[100].SecurityGroups = []string{topology.DefaultGroup}
	s, problems := builder.Build(input(&next, nil))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := DiffPieces(have, compiler.Update(s))
	// Two flows ask another group, two addresses are no members any more, and the default group's rules come.
	if n := d.FlowMods(); n > 12 {
		t.Errorf("%d flows changed:\n%v", n, d.Lines())
	}
}
