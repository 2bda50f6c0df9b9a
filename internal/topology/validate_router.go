package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// placedPrefix is a prefix that a network has, and where that is said.
type placedPrefix struct {
	object, network string
	prefix          netip.Prefix
}

func (c *checker) router(i int, names map[string]bool) {
	r := &c.spec.Routers[i]
	object := fmt.Sprintf("routers[%d]", i)
	if c.name(object, "router", r.Name, names[r.Name]) {
		names[r.Name] = true
	}
	if len(r.Networks) == 0 {
		c.add(object+".networks", "", "router %s stands on no network: name at least one", r.Name)
	}
	var prefixes []placedPrefix
	for j := range r.Networks {
		prefixes = append(prefixes, c.presence(fmt.Sprintf("%s.networks[%d]", object, j), r, &r.Networks[j])...)
	}
	c.overlaps(prefixes)
	c.staticRoutes(object, r)
	c.routerMulticast(object+".multicast", r)
}

// presence checks a router on one network and gives the prefixes that it has there.
func (c *checker) presence(object string, r *RouterSpec, p *PresenceSpec) []placedPrefix {
	n := c.networks[p.Network]
	switch {
	case n == nil:
		c.add(object+".name", "", "there is no network %q: configure it, or correct the name", p.Network)
		return nil
	case n.router == r.Name:
		c.add(object+".name", "", "router %s is on network %s already: leave one out", r.Name, p.Network)
		return nil
	case n.router != "":
		c.add(object+".name", "", "network %s has router %s already: one router a network", p.Network, n.router)
		return nil
	}
	n.router = r.Name
	if !c.few(object+".addresses", len(p.Addresses)) || len(n.spec.Subnets) > maxList {
		return nil
	}
	c.identity(object, n, r, p)
	c.uplinkIdentity(object, n.spec, p)
	var own []placedPrefix
	for k := range n.spec.Subnets {
		s := &n.spec.Subnets[k]
		if !s.Prefix.IsValid() {
			continue
		}
		own = append(own, placedPrefix{object + ".name", p.Network, s.Prefix.Masked()})
		c.claim(n, object+".name", gatewayOf(s), "router "+r.Name)
	}
	for k := range n.spec.Delegations {
		if pool := n.spec.Delegations[k].Pool; pool.IsValid() {
			own = append(own, placedPrefix{object + ".name", p.Network, pool.Masked()})
		}
	}
	for k, a := range p.Addresses {
		o := fmt.Sprintf("%s.addresses[%d]", object, k)
		if !a.IsValid() {
			c.add(o, "", "is no address with a prefix length: write one such as 2001:db8:1::2/64")
			continue
		}
		if !c.unicast(o, a.Addr()) {
			continue
		}
		if isAnycast(a.Addr(), a) {
			c.add(o, "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address of %s: give another", a.Addr(), a.Masked())
			continue
		}
		if a.Addr().IsLinkLocalUnicast() {
			c.add(o, "", "%s is link-local: give it as link_local", a.Addr())
			continue
		}
		own = append(own, placedPrefix{o, p.Network, a.Masked()})
		if n.addrs[a.Addr()] != "router "+r.Name {
			c.claim(n, o, a.Addr(), "router "+r.Name)
		}
	}
	return own
}

// identity checks the MAC and link-local address.
func (c *checker) identity(object string, n *networkFacts, r *RouterSpec, p *PresenceSpec) {
	mac, linkLocal := identityOf(p)
	switch {
	case mac.IsMulticast():
		c.add(object+".mac", "RFC 2464 section 7", "%s is a multicast MAC: the first octet must be even", mac)
	default:
		c.claimMAC(n, object+".mac", mac, "router "+r.Name, mac.String())
	}
	switch {
	case !c.unicast(object+".link_local", linkLocal):
	case !linkLocal.IsLinkLocalUnicast():
		c.add(object+".link_local", "RFC 4861 section 6.1.2", "%s does not lie in fe80::/10, and hosts accept no router from elsewhere: give one such as %s", linkLocal, DefaultLinkLocal)
	case isAnycast(linkLocal, netip.PrefixFrom(linkLocal, 64)):
		c.add(object+".link_local", "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address: give one such as %s", linkLocal, DefaultLinkLocal)
	default:
		c.claim(n, object+".link_local", linkLocal, "router "+r.Name)
	}
}

// overlaps refuses a prefix that the router has on two networks, or one
// within another: it could not tell where to send.
func (c *checker) overlaps(prefixes []placedPrefix) {
	overlapping(prefixes, func(p, q placedPrefix) bool { return p.network != q.network }, func(p, q placedPrefix) {
		c.add(p.object, "", "%s of network %s overlaps %s of network %s on the same router: give each a prefix of its own",
			p.prefix, p.network, q.prefix, q.network)
	})
}

// overlapping finds, for each prefix, the widest around it that concerns it.
// Sorted by address, then from wide to narrow, the prefixes around one stand on
// a stack.
func overlapping(prefixes []placedPrefix, concerns func(p, q placedPrefix) bool, found func(p, q placedPrefix)) {
	slices.SortStableFunc(prefixes, func(a, b placedPrefix) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	var around []placedPrefix
	for _, p := range prefixes {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(p.prefix) {
			around = around[:len(around)-1]
		}
		if i := slices.IndexFunc(around, func(q placedPrefix) bool { return concerns(p, q) }); i >= 0 {
			found(p, around[i])
		}
		// Equal ones of one network need one place only.
		if len(around) == 0 || around[len(around)-1].prefix != p.prefix || around[len(around)-1].network != p.network {
			around = append(around, p)
		}
	}
}

// ownIdentities reserves the identity under which networks without a router
// advertise their prefixes.
func (c *checker) ownIdentities() {
	for name, n := range c.networks {
		if n.router == "" && len(n.spec.Subnets) > 0 {
			n.addrs[DefaultLinkLocal] = "the advertiser of its prefixes"
			n.macs[RouterMAC(name)] = "the advertiser of its prefixes"
		}
	}
}
