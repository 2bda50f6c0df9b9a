package topology

import (
	"fmt"
	"slices"
)

// maxRules is how many rules a security group may have.
const maxRules = 4096

// groups checks the security groups and notes their names.
func (c *checker) groups() {
	names := make(map[string]bool)
	for i := range c.spec.Groups {
		g := &c.spec.Groups[i]
		if c.name(fmt.Sprintf("security_groups[%d]", i), "security group", g.Name, names[g.Name]) {
			names[g.Name] = true
		}
	}
	names[DefaultGroup] = true
	c.stateless = map[string]bool{}
	for name := range names {
		c.stateless[name] = false
	}
	for i := range c.spec.Groups {
		g := &c.spec.Groups[i]
		c.stateless[g.Name] = g.Stateless
		object := fmt.Sprintf("security_groups[%d].rules", i)
		if len(g.Rules) > maxRules {
			c.add(object, "", "the list has %d entries: %d are allowed", len(g.Rules), maxRules)
			continue
		}
		seen := make(map[string]int, len(g.Rules))
		for j := range g.Rules {
			o := fmt.Sprintf("%s[%d]", object, j)
			c.rule(o, &g.Rules[j])
			text := g.Rules[j].String()
			if first, ok := seen[text]; ok {
				c.add(o, "", "says just what rules[%d] says: keep one", first)
				continue
			}
			seen[text] = j
		}
	}
}

// rule checks one rule of a security group.
func (c *checker) rule(object string, r *RuleSpec) {
	if r.Family == IPv4 && r.Protocol == ProtocolICMPv6 {
		c.add(object+".protocol", "RFC 4443 section 1", "ICMPv6 is not in IPv4: write icmp, or ethertype ipv6")
	}
	if p := r.RemotePrefix; p.IsValid() {
		switch f := FamilyOf(p.Addr()); {
		case r.RemoteGroup != "":
			c.add(object+".remote_prefix", "", "stands beside remote_group: a rule has one of the two")
		case r.Family != AnyFamily && r.Family != f:
			c.add(object+".remote_prefix", "", "%s is of IPv%d and ethertype of IPv%d, so nothing matches: make them one", p, f, r.Family)
		case f == IPv4 && r.Protocol == ProtocolICMPv6:
			c.add(object+".remote_prefix", "", "%s is of IPv4 and ICMPv6 is not: write icmp, or a prefix of IPv6", p)
		case p != p.Masked():
			c.add(object+".remote_prefix", "", "%s has bits behind its length: write %s", p, p.Masked())
		}
	}
	if r.RemoteGroup != "" && !c.isGroup(r.RemoteGroup) {
		c.add(object+".remote_group", "", "there is no security group %q: configure it, or correct the name", r.RemoteGroup)
	}
	if p := r.Ports; p != nil {
		switch {
		case !hasPorts(r.Protocol):
			c.add(object+".ports", "", "only tcp, udp and sctp have ports: name one as protocol, or leave ports out")
		case p.First > p.Last:
			c.add(object+".ports", "", "%d-%d ends before it begins: write the smaller port first", p.First, p.Last)
		}
	}
	if r.ICMP != nil {
		switch {
		case r.Protocol != ProtocolICMP && r.Protocol != ProtocolICMPv6:
			c.add(object+".icmp", "", "only icmp and icmpv6 have types: name one as protocol, or leave icmp out")
		case len(r.Families()) > 1:
			c.add(object+".icmp", "", "types of ICMP and ICMPv6 differ: say which with ethertype, or write icmpv6")
		}
	}
}

func (c *checker) isGroup(name string) bool {
	_, ok := c.stateless[name]
	return ok
}

// portGroups checks which groups a port has.
func (c *checker) portGroups(object string, p *PortSpec) {
	if !c.few(object+".security_groups", len(p.SecurityGroups)) {
		return
	}
	first := ""
	for j, name := range p.SecurityGroups {
		o := fmt.Sprintf("%s.security_groups[%d]", object, j)
		switch {
		case !c.isGroup(name):
			c.add(o, "", "there is no security group %q: configure it, or correct the name", name)
			continue
		case slices.Contains(p.SecurityGroups[:j], name):
			c.add(o, "", "%s is there twice: keep one", name)
		case first != "" && c.stateless[name] != c.stateless[first]:
			c.add(o, "", "of %s and %s one is stateless: replies would pass by the one and not by the other, so a port has groups of one kind", first, name)
		}
		if first == "" {
			first = name
		}
	}
}
