package topology

import (
	"fmt"
	"net/netip"

	"damselfly/internal/wire"
)

func (c *checker) port(i int, names map[string]bool) {
	p := &c.spec.Ports[i]
	object := fmt.Sprintf("ports[%d]", i)
	if c.name(object, "port", p.Name, names[p.Name]) {
		names[p.Name] = true
	}
	c.limits(object+".limits", p.Limits)
	if p.MAC.IsMulticast() {
		c.add(object+".mac", "RFC 2464 section 7", "%s is a multicast MAC: the first octet must be even", p.MAC)
	}
	c.maxLeases(object, p.MaxLeases)
	c.maxAddresses(object, p.MaxAddresses)
	c.optionList(object+".options", p.Options)
	c.portGroups(object, p)
	c.project(object, p)
	c.subPort(object, p)
	n := c.networks[p.Network]
	if n == nil {
		c.add(object+".network", "", "there is no network %q: configure it, or correct the name", p.Network)
		return
	}
	if !c.few(object+".addresses", len(p.Addresses)) {
		return
	}
	c.security(object, p, n)
	c.portMulticast(object+".multicast", p, n)
	c.instance(object, p, n)
	who := "port " + p.Name
	if !p.MAC.IsZero() {
		c.claimMAC(n, object+".mac", p.MAC, who, p.MAC.String())
	}
	for j, a := range p.Addresses {
		o := fmt.Sprintf("%s.addresses[%d]", object, j)
		if a.Is4() {
			if c.unicast4(o, a) {
				c.claim(n, o, a, who)
			}
		} else if c.unicast(o, a) && c.onLink(o, a, n) {
			c.claim(n, o, a, who)
		}
	}
}

// onLink checks that an address can be on the network, and reports whether it can.
func (c *checker) onLink(object string, a netip.Addr, n *networkFacts) bool {
	if a.IsLinkLocalUnicast() {
		return true
	}
	var prefixes []netip.Prefix
	for i := range n.spec.Subnets {
		p := n.spec.Subnets[i].Prefix
		if p.IsValid() && p.Contains(a) {
			if isAnycast(a, p) {
				c.add(object, "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address of %s: give another", a, p)
				return false
			}
			return true
		}
		prefixes = append(prefixes, p)
	}
	c.add(object, "", "%s lies in no subnet of network %s, which has %v: give an address of one, or add its subnet", a, n.spec.Name, prefixes)
	return false
}

// derived refuses configured addresses that the MAC of another configured port
// makes: both guests would use them.
func (c *checker) derived() {
	for i := range c.spec.Ports {
		p := &c.spec.Ports[i]
		n := c.networks[p.Network]
		if n == nil || p.MAC.IsZero() || p.MAC.IsMulticast() {
			continue
		}
		made := []netip.Addr{wire.LinkLocal(p.MAC)}
		for j := range n.spec.Subnets {
			s := &n.spec.Subnets[j]
			if s.Prefix.Bits() == 64 && or(s.Autonomous, s.Mode != DHCPv6Stateful) {
				made = append(made, wire.EUI64(s.Prefix, p.MAC))
			}
		}
		for _, a := range made {
			if other := n.addrs[a]; other != "" && other != "port "+p.Name {
				c.add(fmt.Sprintf("ports[%d].mac", i), "RFC 4862 section 5.4",
					"%s makes %s, which is %s's on network %s: give each its own address", p.MAC, a, other, p.Network)
			}
		}
	}
}
