package topology

import (
	"fmt"
	"math"
	"net/netip"
	"time"
)

// maxLifetime is all ones in a field of 32 bits, which means infinity (RFC 4861 section 4.6.2).
const maxLifetime = math.MaxUint32 * time.Second

// maxMTU is the largest packet an IPv6 header without options can say (RFC 8200 section 3).
const maxMTU = 40 + math.MaxUint16

func (c *checker) network(i int) {
	n := &c.spec.Networks[i]
	object := fmt.Sprintf("networks[%d]", i)
	if c.name(object, "network", n.Name, c.networks[n.Name] != nil) {
		c.networks[n.Name] = &networkFacts{spec: n, macs: make(map[[6]byte]string), addrs: make(map[netip.Addr]string)}
	}
	if n.MTU != 0 && (n.MTU < minLink || n.MTU > maxMTU) {
		c.add(object+".mtu", "RFC 8200 section 5", "%d is no MTU of an IPv6 link: give %d to %d", n.MTU, minLink, maxMTU)
	}
	c.limits(object+".limits", n.Limits)
	c.maxLeases(object, n.MaxLeases)
	c.maxAddresses(object, n.MaxAddresses)
	c.uplink(object, n)
	c.multicast(object+".multicast", n)
	c.metadata(object+".metadata", n)
	c.send(object, n)
	c.advert(object+".router_advertisement", n)
	if !c.few(object+".subnets", len(n.Subnets)) {
		return
	}
	for j := range n.Subnets {
		c.subnet(fmt.Sprintf("%s.subnets[%d]", object, j), &n.Subnets[j])
		for k := range j {
			if p, q := n.Subnets[j].Prefix, n.Subnets[k].Prefix; p.IsValid() && q.IsValid() && p.Overlaps(q) {
				c.add(fmt.Sprintf("%s.subnets[%d].prefix", object, j), "", "%s overlaps %s of the same network: give each subnet a prefix of its own", p, q)
			}
		}
	}
}

func (c *checker) subnet(object string, s *SubnetSpec) {
	usable := c.prefix(object+".prefix", "RFC 4861 section 4.6.2", s.Prefix)
	if usable && s.Prefix.Addr().IsLinkLocalUnicast() {
		c.add(object+".prefix", "RFC 4861 section 4.6.2", "%s is link-local, which every link has: give another prefix", s.Prefix)
		usable = false
	}
	usable = usable && !c.reserved(object+".prefix", s.Prefix)
	if autonomous := or(s.Autonomous, s.Mode != DHCPv6Stateful); usable && autonomous && s.Prefix.Bits() != 64 {
		c.add(object+".prefix", "RFC 4862 section 5.5.3, RFC 2464 section 4",
			"hosts make no addresses (mode %s, A flag) on %s, whose length is not 64: give a /64, or `autonomous: false`", s.Mode, s.Prefix)
	}
	if usable && s.Gateway.IsValid() && c.unicast(object+".gateway", s.Gateway) {
		switch {
		case !s.Prefix.Contains(s.Gateway):
			c.add(object+".gateway", "", "%s lies outside %s: give an address of the prefix, such as %s", s.Gateway, s.Prefix, DefaultGateway(s.Prefix))
		case isAnycast(s.Gateway, s.Prefix):
			c.add(object+".gateway", "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address of %s: give another, such as %s",
				s.Gateway, s.Prefix, DefaultGateway(s.Prefix))
		}
	}
	if s.Preferred != nil {
		c.duration(object+".preferred", "RFC 4861 section 4.6.2", *s.Preferred, time.Second, 0, maxLifetime)
	}
	if s.Valid != nil {
		c.duration(object+".valid", "RFC 4861 section 4.6.2", *s.Valid, time.Second, 0, maxLifetime)
	}
	if s.Preferred != nil && s.Valid != nil && *s.Preferred > *s.Valid {
		c.add(object+".preferred", "RFC 4861 section 6.2.1, RFC 4861 section 4.6.2",
			"preferred %s is longer than valid %s: give at most that", *s.Preferred, *s.Valid)
	}
	if !c.few(object+".dns", len(s.DNS)) || !c.few(object+".search", len(s.Search)) {
		return
	}
	for i, a := range s.DNS {
		c.unicast(fmt.Sprintf("%s.dns[%d]", object, i), a)
	}
	for i, d := range s.Search {
		c.domain(fmt.Sprintf("%s.search[%d]", object, i), d)
	}
}

// isAnycast reports whether a is the prefix's subnet-router anycast address,
// which the prefixes of a link between two routers lack (RFC 6164 section 6).
func isAnycast(a netip.Addr, p netip.Prefix) bool {
	return p.Bits() < 127 && a == p.Masked().Addr()
}
