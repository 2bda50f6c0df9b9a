package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A DUID in octets, its type included (RFC 9915 section 11.1).
const (
	minDUID = 3
	maxDUID = 130
)

// leases checks what DHCPv6 hands out on a network, against the addresses of
// the routers, which are known by now.
func (c *checker) leases(i int) {
	n := &c.spec.Networks[i]
	object := fmt.Sprintf("networks[%d]", i)
	facts := c.networks[n.Name]
	if facts == nil || facts.spec != n || len(n.Subnets) > maxList {
		return // reported already
	}
	for j := range n.Subnets {
		s := &n.Subnets[j]
		o := fmt.Sprintf("%s.subnets[%d]", object, j)
		c.optionList(o+".options", s.Options)
		c.stateful(o, s)
		c.relayTo(o+".relay_to", n, s)
		c.pools(o+".pools", s, facts)
		c.reservations(o+".reservations", s, facts)
	}
	c.optionList(object+".options", n.Options)
	c.delegations(object+".delegation", n)
}

// stateful refuses what only a server that gives addresses can do.
func (c *checker) stateful(object string, s *SubnetSpec) {
	for key, there := range map[string]bool{
		"pools": len(s.Pools) > 0, "reservations": len(s.Reservations) > 0, "rapid_commit": s.RapidCommit,
	} {
		switch {
		case !there:
		case s.Mode != DHCPv6Stateful:
			c.add(object+"."+key, "RFC 9915 section 6.2", "the subnet's mode is %s, which gives no addresses: write mode %s, or leave it out", s.Mode, DHCPv6Stateful)
		case s.RelayTo.IsValid():
			c.add(object+"."+key, "RFC 9915 section 19.1", "%s answers for the subnet and decides that: leave it out, or relay_to", s.RelayTo)
		}
	}
	if s.Mode == DHCPv6Stateful && s.Valid != nil && *s.Valid == maxLifetime {
		c.add(object+".valid", "RFC 9915 section 7.7", "%s is infinity, and a lease that never ends is never freed: give less", *s.Valid)
	}
	if s.Mode == DHCPv6Stateful && s.Preferred != nil && *s.Preferred == maxLifetime {
		c.add(object+".preferred", "RFC 9915 section 7.7", "%s is infinity, and a lease that never ends is never freed: give less", *s.Preferred)
	}
}

// relayTo checks the server that answers instead.
func (c *checker) relayTo(object string, n *NetworkSpec, s *SubnetSpec) {
	switch a := s.RelayTo; {
	case a == netip.Addr{} || !c.unicast(object, a):
	case a.IsLinkLocalUnicast():
		c.add(object, "RFC 9915 section 19.1", "%s is link-local, and the server is not on this link: give its global address", a)
	case s.Mode == SLAAC:
		c.add(object, "RFC 9915 section 6", "the subnet's mode is slaac, which asks no server: write mode %s or %s", DHCPv6Stateful, DHCPv6Stateless)
	case !c.routed[n.Name]:
		c.add(object, "RFC 9915 section 19.1.1", "the server knows the subnet by its router's address, and there is none on the network: put one on it")
	}
}

// pools checks ranges of addresses.
func (c *checker) pools(object string, s *SubnetSpec, facts *networkFacts) {
	if !c.few(object, len(s.Pools)) || !s.Prefix.IsValid() {
		return
	}
	for i, r := range s.Pools {
		o := fmt.Sprintf("%s[%d]", object, i)
		switch {
		case !r.First.IsValid() || !r.Last.IsValid():
			c.add(o, "", "is no range: write one such as fd00:b1::1:0-fd00:b1::1:ffff")
			continue
		case r.Last.Less(r.First):
			c.add(o, "", "%s ends before it begins: write %s", r, AddrRange{r.Last, r.First})
			continue
		case !s.Prefix.Contains(r.First) || !s.Prefix.Contains(r.Last):
			c.add(o, "RFC 9915 section 13.1", "%s does not lie in %s: give addresses of the prefix", r, s.Prefix)
			continue
		case isAnycast(r.First, s.Prefix):
			c.add(o, "RFC 4291 section 2.6.1", "%s holds the subnet-router anycast address %s: begin behind it", r, r.First)
		}
		for _, a := range facts.routers() {
			if r.Contains(a) {
				c.add(o, "RFC 4862 section 5.4", "%s holds %s, which is the router's: leave it out", r, a)
			}
		}
		for _, q := range s.Pools[:i] {
			if !r.Last.Less(q.First) && !q.Last.Less(r.First) {
				c.add(o, "", "%s overlaps %s: make one of them", r, q)
			}
		}
	}
}

// routers are the addresses of the router on the network, sorted.
func (n *networkFacts) routers() []netip.Addr {
	var list []netip.Addr
	for a, who := range n.addrs {
		if n.router != "" && who == "router "+n.router {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// reservations checks addresses kept for clients.
func (c *checker) reservations(object string, s *SubnetSpec, facts *networkFacts) {
	if len(s.Reservations) > maxReservations {
		c.add(object, "", "the list has %d entries: %d are allowed", len(s.Reservations), maxReservations)
		return
	}
	seen := make(map[string]bool, len(s.Reservations))
	for i, r := range s.Reservations {
		o := fmt.Sprintf("%s[%d]", object, i)
		switch {
		case len(r.DUID) < minDUID || len(r.DUID) > maxDUID:
			c.add(o+".duid", "RFC 9915 section 11.1", "the DUID has %d octets: %d to %d are allowed", len(r.DUID), minDUID, maxDUID)
		case seen[r.DUID]:
			c.add(o+".duid", "", "the DUID %x has a reservation here already: put its addresses into one", r.DUID)
		}
		seen[r.DUID] = true
		if len(r.Addresses) == 0 {
			c.add(o+".addresses", "", "there are none: give at least one")
		}
		if !c.few(o+".addresses", len(r.Addresses)) || !s.Prefix.IsValid() {
			continue
		}
		for j, a := range r.Addresses {
			p := fmt.Sprintf("%s.addresses[%d]", o, j)
			switch {
			case !c.unicast(p, a):
			case !s.Prefix.Contains(a):
				c.add(p, "RFC 9915 section 13.1", "%s does not lie in %s: give an address of the prefix", a, s.Prefix)
			case isAnycast(a, s.Prefix):
				c.add(p, "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address of %s: give another", a, s.Prefix)
			default:
				c.claim(facts, p, a, fmt.Sprintf("DUID %x", r.DUID))
			}
		}
	}
}

// maxReservations is how many clients of one subnet may have reservations.
const maxReservations = 1 << 16

// delegations checks the pools that prefixes come from.
func (c *checker) delegations(object string, n *NetworkSpec) {
	if !c.few(object, len(n.Delegations)) {
		return
	}
	if len(n.Delegations) > 0 && !c.routed[n.Name] {
		c.add(object, "RFC 9915 section 6.3", "what is delegated is reached through the network's router, and there is none: put one on it")
	}
	for i := range n.Delegations {
		d := &n.Delegations[i]
		o := fmt.Sprintf("%s[%d]", object, i)
		if c.prefix(o+".pool", "RFC 9915 section 21.22", d.Pool) {
			c.delegation(o, n, i)
		}
		if d.Preferred != nil {
			c.duration(o+".preferred", "RFC 9915 section 21.22", *d.Preferred, time.Second, 0, maxLifetime-time.Second)
		}
		if d.Valid != nil {
			c.duration(o+".valid", "RFC 9915 section 21.22", *d.Valid, time.Second, 0, maxLifetime-time.Second)
		}
		if d.Preferred != nil && d.Valid != nil && *d.Preferred > *d.Valid {
			c.add(o+".preferred", "RFC 9915 section 21.22", "preferred %s is longer than valid %s: give at most that", *d.Preferred, *d.Valid)
		}
	}
}

// delegation checks one usable pool: its lengths, and that nobody else has it.
func (c *checker) delegation(object string, n *NetworkSpec, i int) {
	d := &n.Delegations[i]
	switch {
	case d.Pool.Addr().IsLinkLocalUnicast():
		c.add(object+".pool", "RFC 4291 section 2.5.6", "%s is link-local, and routers forward nothing to it: give another prefix", d.Pool)
	case c.reserved(object+".pool", d.Pool):
	case d.Length < d.Pool.Bits() || d.Length > 128:
		c.add(object+".length", "RFC 9915 section 13.3", "no prefix of length %d lies in %s: give %d to 128", d.Length, d.Pool, d.Pool.Bits())
	case d.Exclude != nil:
		c.exclude(object+".exclude", d)
	}
	for j := range n.Subnets {
		if p := n.Subnets[j].Prefix; p.IsValid() && p.Overlaps(d.Pool) {
			c.add(object+".pool", "RFC 9915 section 6.3", "%s overlaps the subnet %s of the network itself: give a pool of its own", d.Pool, p)
		}
	}
	for j := range i {
		if q := n.Delegations[j].Pool; q.IsValid() && q.Overlaps(d.Pool) {
			c.add(object+".pool", "RFC 9915 section 13.3", "%s overlaps the pool %s: give each prefixes of its own", d.Pool, q)
		}
	}
}

// delegatedOnce refuses a pool, or part of one, on two networks: each would
// delegate the same prefixes, and behind two guests they are no prefix of their
// own. Networks of one router were checked with all else that it has.
func (c *checker) delegatedOnce() {
	var pools []placedPrefix
	for i := range c.spec.Networks {
		n := &c.spec.Networks[i]
		for j := range n.Delegations {
			if p := n.Delegations[j].Pool; p.IsValid() && c.networks[n.Name] != nil && c.networks[n.Name].spec == n {
				pools = append(pools, placedPrefix{fmt.Sprintf("networks[%d].delegation[%d].pool", i, j), n.Name, p.Masked()})
			}
		}
	}
	apart := func(p, q placedPrefix) bool {
		router := c.networks[p.network].router
		return p.network != q.network && (router == "" || router != c.networks[q.network].router)
	}
	overlapping(pools, apart, func(p, q placedPrefix) {
		c.add(p.object, "RFC 9915 section 13.3", "%s overlaps the pool %s of network %s: give each network prefixes of its own", p.prefix, q.prefix, q.network)
	})
}

// exclude checks the part of each prefix that is not the requesting router's.
func (c *checker) exclude(object string, d *DelegationSpec) {
	e := d.Exclude
	if e.Length <= d.Length || e.Length > 128 {
		c.add(object+".length", "RFC 6603 section 4.2", "length %d is not within a prefix of length %d: give %d to 128", e.Length, d.Length, d.Length+1)
		return
	}
	if bits := e.Length - d.Length; bits < 64 && e.Subnet>>bits != 0 {
		c.add(object+".subnet", "RFC 6603 section 4.2", "a prefix of length %d has %d of length %d: number %d is none", d.Length, uint64(1)<<bits, e.Length, e.Subnet)
	}
}
