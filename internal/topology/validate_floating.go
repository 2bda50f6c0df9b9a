package topology

import (
	"fmt"
	"net/netip"

	"damselfly/internal/punt"
)

// floatings checks what floats. Networks, routers and ports are checked before.
func (c *checker) floatings() {
	if len(c.spec.Floating) > punt.MaxKey {
		c.add("floating", "", "the list has %d entries: %d are allowed", len(c.spec.Floating), punt.MaxKey)
		return
	}
	ports := make(map[string]*PortSpec, len(c.spec.Ports))
	for i := range c.spec.Ports {
		ports[c.spec.Ports[i].Name] = &c.spec.Ports[i]
	}
	for i := range c.spec.Floating {
		f, object := &c.spec.Floating[i], fmt.Sprintf("floating[%d]", i)
		n := c.networks[f.Network]
		switch {
		case f.Network == "":
			c.add(object+".network", "", "is missing: name the network on which it floats")
		case n == nil:
			c.add(object+".network", "", "there is no network %q: configure it, or correct the name", f.Network)
		case n.router == "":
			c.add(object+".network", "", "network %s has no router, so nobody there answers for what floats: put it under a router's networks", f.Network)
		case f.Form == NPTv6Form:
			c.floatingPrefix(object, f, c.routerNamed(n.router))
		default:
			c.floatingAddress(object, f, n, ports)
		}
	}
	c.floatingOnce()
}

func (c *checker) routerNamed(name string) *RouterSpec {
	for i := range c.spec.Routers {
		if c.spec.Routers[i].Name == name {
			return &c.spec.Routers[i]
		}
	}
	return nil
}

// floatingAddress checks one address that floats on a network.
func (c *checker) floatingAddress(object string, f *FloatingSpec, n *networkFacts, ports map[string]*PortSpec) {
	if f.Prefix.IsValid() {
		c.add(object+".prefix", "", "form %s has one address: give it as address, or the form nptv6", f.Form)
	}
	router := c.routerNamed(n.router)
	if c.unicast(object+".address", f.Address) && c.floatsOn(object+".address", f, router) {
		c.claim(n, object+".address", f.Address, "a floating address")
		c.floatingRoute(object+".address", netip.PrefixFrom(f.Address, f.Address.BitLen()), router)
	}
	p := ports[f.Port]
	switch {
	case f.Port == "":
		c.add(object+".port", "", "is missing: name the port whose address it becomes")
		return
	case p == nil:
		c.add(object+".port", "", "there is no port %q: configure it, or correct the name", f.Port)
		return
	case p.Network == f.Network:
		c.add(object+".port", "", "port %s is on network %s itself: give it the address under its own addresses", f.Port, f.Network)
		return
	}
	inside := c.networks[p.Network]
	switch {
	case inside == nil: // told of at the port
		return
	case inside.router != n.router:
		c.add(object+".port", "", "port %s is on network %s, which router %s of network %s does not reach: put both under one router's networks", f.Port, p.Network, n.router, f.Network)
		return
	case p.Unknown:
		c.add(object+".port", "", "behind port %s any host may be (unknown: true), and an address floats to one: name another port", f.Port)
		return
	}
	if f.Form == RoutedForm && c.unicast(object+".address", f.Address) {
		c.claim(inside, object+".address", f.Address, "port "+f.Port)
	}
	c.fixed(object+".fixed", f, p, inside)
}

// floatsOn reports whether an address is of a prefix that the router has on the
// network, and says so if not.
func (c *checker) floatsOn(object string, f *FloatingSpec, router *RouterSpec) bool {
	connected, _ := c.places(router)
	var there []netip.Prefix
	for _, p := range connected {
		if p.network != f.Network {
			continue
		}
		if p.prefix.Contains(f.Address) {
			if isAnycast(f.Address, p.prefix) {
				c.add(object, "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address of %s: give another", f.Address, p.prefix)
				return false
			}
			return true
		}
		there = append(there, p.prefix)
	}
	c.add(object, "", "%s lies in no prefix of network %s, which has %v: give an address of one", f.Address, f.Network, there)
	return false
}

// fixed checks what an address stands for: one of the port's own.
func (c *checker) fixed(object string, f *FloatingSpec, p *PortSpec, inside *networkFacts) {
	switch a := f.Fixed.Addr(); {
	case !f.Fixed.IsValid() && f.Form == RoutedForm:
	case !f.Fixed.IsValid():
		c.add(object, "", "is missing: name the address of port %s that %s stands for", f.Port, f.Address)
	case !f.Fixed.IsSingleIP():
		c.add(object, "", "%s is a prefix: name one address of port %s, or give the form nptv6", f.Fixed, f.Port)
	case !c.unicast(object, a):
	case a.IsLinkLocalUnicast() && f.Form == NATForm:
		c.add(object, "RFC 4291 section 2.5.6", "%s never leaves its link: name another address of port %s", a, f.Port)
	case !ownsConfigured(p, a, inside.spec):
		c.add(object, "", "%s is no address of port %s: name one of its addresses, or one that its MAC makes", a, f.Port)
	}
}

// ownsConfigured reports whether an address is a port's by the configuration: listed, or
// made of its MAC.
func ownsConfigured(p *PortSpec, a netip.Addr, n *NetworkSpec) bool {
	var subnets []Subnet
	for i := range n.Subnets {
		if n.Subnets[i].Prefix.IsValid() {
			subnets = append(subnets, subnetOf(&n.Subnets[i], false))
		}
	}
	for _, own := range append(derived(p.MAC, subnets), p.Addresses...) {
		if own == a {
			return true
		}
	}
	return false
}

// longestTranslated is the longest prefix that can be translated (RFC 6296
// section 3.1).
const longestTranslated = 64

// floatingPrefix checks a pair of prefixes.
func (c *checker) floatingPrefix(object string, f *FloatingSpec, router *RouterSpec) {
	const rfc = "RFC 6296 section 3.1"
	for _, key := range []struct {
		name string
		set  bool
	}{{"address", f.Address.IsValid()}, {"port", f.Port != ""}} {
		if key.set {
			c.add(object+"."+key.name, "", "form nptv6 stands for whole prefixes: leave it out, and give prefix and fixed")
		}
	}
	usable := true
	for _, p := range []struct {
		key    string
		prefix netip.Prefix
	}{{object + ".prefix", f.Prefix}, {object + ".fixed", f.Fixed}} {
		switch {
		case !p.prefix.IsValid():
			c.add(p.key, rfc, "is missing: give a prefix of at most %d bits, such as 2001:db8:f::/48", longestTranslated)
		case !c.prefix(p.key, rfc, p.prefix):
		case p.prefix.Bits() > longestTranslated:
			c.add(p.key, rfc, "%s is longer than %d bits, which leaves no word to adjust: give a shorter one", p.prefix, longestTranslated)
		case linkLocal.Overlaps(p.prefix):
			c.add(p.key, "RFC 4291 section 2.5.6", "%s is link-local and never leaves its link: give another", p.prefix)
		default:
			continue
		}
		usable = false
	}
	if !usable {
		return
	}
	if f.Prefix.Overlaps(f.Fixed) {
		c.add(object+".prefix", "", "%s overlaps %s, which it stands for: give another", f.Prefix, f.Fixed)
	}
	connected, _ := c.places(router)
	for _, p := range connected {
		switch {
		case p.prefix.Overlaps(f.Prefix):
			c.add(object+".prefix", "", "%s overlaps %s of network %s: give one that the physical network routes to router %s", f.Prefix, p.prefix, p.network, router.Name)
		case p.network == f.Network && p.prefix.Overlaps(f.Fixed):
			c.add(object+".fixed", "", "%s overlaps %s of network %s, on which nothing is translated: give one of the other networks", f.Fixed, p.prefix, p.network)
		}
	}
	for i := range router.Networks {
		on := c.networks[router.Networks[i].Network]
		if on == nil {
			continue
		}
		for _, d := range on.spec.Delegations {
			if d.Pool.IsValid() && d.Pool.Overlaps(f.Prefix) {
				c.add(object+".prefix", "", "%s overlaps the delegation pool %s of network %s: give another", f.Prefix, d.Pool, on.spec.Name)
			}
		}
	}
	c.floatingRoute(object+".prefix", f.Prefix, router)
}

// floatingRoute refuses a route to a part of what floats: it would never be taken.
func (c *checker) floatingRoute(object string, p netip.Prefix, router *RouterSpec) {
	for i := range router.Routes {
		if d := router.Routes[i].Destination; d.IsValid() && d.Bits() >= p.Bits() && d.Overlaps(p) {
			c.add(object, "", "%s has the route %s of router %s: leave one out", shown(p), d, router.Name)
		}
	}
}

// floatingOnce refuses two that stand for the same, or of which one is a part of
// the other: which one is meant could not be told.
func (c *checker) floatingOnce() {
	inner, outer := make(map[string][]placedPrefix), make(map[string][]placedPrefix) // by network, by router
	for i := range c.spec.Floating {
		f, object := &c.spec.Floating[i], fmt.Sprintf("floating[%d]", i)
		if f.Form == RoutedForm || !f.Fixed.IsValid() {
			continue
		}
		inner[f.Network] = append(inner[f.Network], placedPrefix{object + ".fixed", object, f.Fixed.Masked()})
		if n := c.networks[f.Network]; n != nil && f.Form == NPTv6Form && f.Prefix.IsValid() {
			outer[n.router] = append(outer[n.router], placedPrefix{object + ".prefix", object, f.Prefix.Masked()})
		}
	}
	other := func(p, q placedPrefix) bool { return p.network != q.network }
	for name, list := range inner {
		overlapping(list, other, func(p, q placedPrefix) {
			c.add(p.object, "", "%s is seen on network %s by %s already, as a part of %s: give each its own", shown(p.prefix), name, q.network, shown(q.prefix))
		})
	}
	for _, list := range outer {
		overlapping(list, other, func(p, q placedPrefix) {
			c.add(p.object, "", "%s overlaps %s of %s: give each its own", p.prefix, q.prefix, q.network)
		})
	}
}

// shown renders a prefix, and a single address as that.
func shown(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
