package topology

import "fmt"

// MaxVLAN is the highest VLAN a sub-port can be: 4095 is reserved, and 0 is no
// VLAN but a priority (IEEE 802.1Q section 9.6).
const MaxVLAN = 4094

// tag is a VLAN of a trunk port.
type tag struct {
	parent string
	vlan   int
}

// parentsOf maps the name of each port to its parent's.
func parentsOf(s *Spec) map[string]string {
	parents := make(map[string]string, len(s.Ports))
	for i := range s.Ports {
		parents[s.Ports[i].Name] = s.Ports[i].Parent
	}
	return parents
}

// subPort checks what makes a port a sub-port of another.
func (c *checker) subPort(object string, p *PortSpec) {
	if p.Parent == "" {
		if p.VLAN != 0 {
			c.add(object+".vlan", "", "a VLAN is that of a trunk port: name it as parent, or leave vlan out")
		}
		return
	}
	grand, there := c.parents[p.Parent]
	switch {
	case p.Parent == p.Name:
		c.add(object+".parent", "", "a port is not its own parent: name the trunk port")
	case !there:
		c.add(object+".parent", "", "there is no port %q: configure it, or correct the name", p.Parent)
	case grand != "":
		c.add(object+".parent", "", "port %s is itself a sub-port, of %s: a trunk port has an Interface of its own, name that", p.Parent, grand)
	}
	if p.VLAN < 1 || p.VLAN > MaxVLAN {
		c.add(object+".vlan", "IEEE 802.1Q section 9.6", "%d is no VLAN of a sub-port: give 1 to %d", p.VLAN, MaxVLAN)
		return
	}
	at := tag{p.Parent, p.VLAN}
	if other, taken := c.tags[at]; taken {
		c.add(object+".vlan", "", "VLAN %d of port %s is already port %s: give each its own", p.VLAN, p.Parent, other)
		return
	}
	c.tags[at] = p.Name
	if p.MAC.IsZero() && !p.Unknown {
		c.add(object+".mac", "", "a sub-port has no Interface whose attached-mac it could have: give it a MAC, or unknown: true")
	}
}

// bindSubPorts binds each sub-port to its parent's Interface. One that an
// Interface of its own claims is told of: its frames come tagged by another.
func bindSubPorts(ports []portInput) []Problem {
	var problems []Problem
	index := make(map[string]int, len(ports))
	for i := range ports {
		index[ports[i].spec.Name] = i
	}
	for i := range ports {
		p := &ports[i]
		if p.spec.Parent == "" {
			continue
		}
		if own := p.binding.Interface; own != "" {
			problems = append(problems, Problem{Object: "interface " + own, Message: fmt.Sprintf(
				"claims port %s, which is VLAN %d of port %s, so this Interface is not served: give it another external_ids:iface-id, or leave out the port's parent and vlan",
				p.spec.Name, p.spec.VLAN, p.spec.Parent)})
		}
		parent := &ports[index[p.spec.Parent]]
		parent.trunk = true
		p.binding = Binding{Interface: parent.binding.Interface, OFPort: parent.binding.OFPort}
	}
	return problems
}
