package topology

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// groupSpecs are the groups that are wanted, the predefined one among them,
// sorted by name.
func groupSpecs(s *Spec) []SecurityGroupSpec {
	list := slices.Clone(s.Groups)
	if !slices.ContainsFunc(list, func(g SecurityGroupSpec) bool { return g.Name == DefaultGroup }) {
		list = append(list, SecurityGroupSpec{Name: DefaultGroup, Rules: []RuleSpec{
			{Direction: Ingress, Protocol: AnyProtocol, RemoteGroup: DefaultGroup},
		}})
	}
	slices.SortFunc(list, func(a, b SecurityGroupSpec) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// groupSet are the security groups of a Snapshot, sorted by name.
type groupSet []*SecurityGroup

// buildGroups makes the groups of a Spec; those that are as they were keep their
// pointers.
func buildGroups(s *Spec, old groupSet) groupSet {
	specs := groupSpecs(s)
	var names, rules []string
	for i := range specs {
		specs[i].Rules = withDefaultEgress(specs[i].Rules)
		names = append(names, "group "+specs[i].Name)
		for j := range specs[i].Rules {
			rules = append(rules, ruleName(&specs[i], j))
		}
	}
	ids, ruleIDs := idsOf(names), idsOf(rules)
	set := make(groupSet, 0, len(specs))
	for i := range specs {
		g := &SecurityGroup{Name: specs[i].Name, ID: ids[names[i]], Stateless: specs[i].Stateless}
		for j, r := range specs[i].Rules {
			g.Rules = append(g.Rules, Rule{ID: ruleIDs[ruleName(&specs[i], j)], RuleSpec: r})
		}
		if q := old.named(g.Name); q != nil && g.equal(q) {
			g = q
		}
		set = append(set, g)
	}
	if slices.Equal(set, old) {
		return old
	}
	return set
}

// withDefaultEgress adds what a group without a rule for egress means.
func withDefaultEgress(rules []RuleSpec) []RuleSpec {
	if slices.ContainsFunc(rules, func(r RuleSpec) bool { return r.Direction == Egress }) {
		return rules
	}
	return append(slices.Clone(rules), RuleSpec{Direction: Egress, Protocol: AnyProtocol})
}

func ruleName(g *SecurityGroupSpec, i int) string {
	return "rule " + g.Name + "\x00" + g.Rules[i].String()
}

func (s groupSet) named(name string) *SecurityGroup {
	i, ok := slices.BinarySearchFunc(s, name, func(g *SecurityGroup, name string) int { return strings.Compare(g.Name, name) })
	if !ok {
		return nil
	}
	return s[i]
}

func (g *SecurityGroup) equal(o *SecurityGroup) bool {
	return g.Name == o.Name && g.ID == o.ID && g.Stateless == o.Stateless &&
		slices.EqualFunc(g.Rules, o.Rules, func(a, b Rule) bool { return a.ID == b.ID && a.Equal(&b.RuleSpec) })
}

// filter is what the groups of these names come to; nil where names is nil.
func (s groupSet) filter(names []string) *Filter {
	if names == nil {
		return nil
	}
	f := &Filter{}
	for _, name := range names {
		if g := s.named(name); g != nil && !slices.Contains(f.Groups, g) {
			f.Groups = append(f.Groups, g)
			f.Stateless = g.Stateless
		}
	}
	slices.SortFunc(f.Groups, func(a, b *SecurityGroup) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func (f *Filter) equal(o *Filter) bool {
	if f == nil || o == nil {
		return f == o
	}
	return f.Stateless == o.Stateless && slices.Equal(f.Groups, o.Groups)
}

// idsOf gives each name a number from 1 to 2^31-1 that is made of the name
// alone, so that it is the same after every restart. Of names whose numbers
// collide the later in the alphabet gives way.
func idsOf(names []string) map[string]uint32 { return numbersOf(names, 1<<31-1) }

// numbersOf is idsOf with another highest number, one less than a power of two.
func numbersOf(names []string, most uint32) map[string]uint32 {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	ids, used := make(map[string]uint32, len(names)), make(map[uint32]bool, len(names))
	for _, name := range slices.Compact(sorted) {
		h := sha256.Sum256([]byte("damselfly " + name))
		id := binary.BigEndian.Uint32(h[:]) >> 1 & most
		for id == 0 || used[id] {
			id = (id + 1) & most
		}
		ids[name], used[id] = id, true
	}
	return ids
}

// RuleOf is a rule and the group it is of.
type RuleOf struct {
	Group *SecurityGroup
	*Rule
}

// Rule returns the rule with this id; ok is false if there is none.
func (s *Snapshot) Rule(id uint32) (r RuleOf, ok bool) {
	r, ok = s.rules[id]
	return r, ok
}

func rulesOf(groups groupSet) map[uint32]RuleOf {
	m := make(map[uint32]RuleOf)
	for _, g := range groups {
		for i := range g.Rules {
			m[g.Rules[i].ID] = RuleOf{g, &g.Rules[i]}
		}
	}
	return m
}
