package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// families parts configured addresses: IPv6 and IPv4.
func families(list []netip.Addr) (six, four []netip.Addr) {
	for _, a := range list {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	return six, four
}

// sortedHeld is a list in the one order that makes two with the same content equal.
func sortedHeld(list []HeldAddress) []HeldAddress {
	byAddress := func(a, b HeldAddress) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port)) }
	if !slices.IsSortedFunc(list, byAddress) {
		list = slices.Clone(list)
		slices.SortFunc(list, byAddress)
	}
	return list
}

// holder gives addresses out to the ports of one network: who comes first,
// keeps it.
type holder struct {
	taken map[netip.Addr]string
	// several are the addresses that some port has as a pair: they are nobody's alone.
	several map[netip.Addr]bool
}

// give makes a an address of the port; other is who has it already, "" nobody.
func (h *holder) give(p *Port, a netip.Addr) (other string) {
	who := "port " + p.Name
	switch other := h.taken[a]; {
	case other != "" && other != who:
		return other
	case h.several[a]:
		p.addPair(AddressPair{Prefix: netip.PrefixFrom(a, a.BitLen()), MAC: p.MAC})
	case !slices.Contains(p.Addresses, a):
		p.Addresses = append(p.Addresses, a)
	}
	h.taken[a] = who
	return ""
}

// addressPorts gives each port its addresses: the configured ones, those its
// MAC makes, those leased to it and those learned from it, in that order over
// all ports. What somebody else has already by an earlier claim it does not get.
func addressPorts(in *networkInput, n *Network, ports []*Port) []Problem {
	var problems []Problem
	h := holder{taken: make(map[netip.Addr]string), several: severalOf(ports)}
	if r := n.Router; r != nil {
		for _, a := range r.All() {
			h.taken[a] = "the router"
		}
	}
	for _, f := range n.Floating {
		if f.Outer.IsSingleIP() {
			h.taken[f.Outer.Addr()] = "a floating address"
		}
	}
	if in.spec.Metadata != nil {
		for _, a := range MetadataAddresses {
			h.taken[a] = metadataHolder
		}
	}
	for _, p := range ports {
		for _, a := range p.Fixed {
			h.give(p, a)
		}
	}
	for i, p := range ports {
		for _, a := range in.ports[i].floating {
			h.give(p, a)
		}
	}
	byKey := make(map[uint16]*Port, len(ports))
	for _, p := range ports {
		byKey[p.Key] = p
		for _, a := range derived(p.MAC, n.Subnets) {
			if other := h.give(p, a); other != "" {
				problems = append(problems, Problem{Object: "port " + p.Name, Message: fmt.Sprintf(
					"%s, which its MAC %s makes, is configured for %s, whose it stays", a, p.MAC, other)})
			}
		}
	}
	given := make(map[*Port]int, len(ports))
	for _, p := range ports {
		given[p] = len(p.Addresses)
	}
	for _, held := range in.leased {
		if p := byKey[held.Port]; p != nil && !p.MAC.IsZero() {
			h.give(p, held.Addr)
		}
	}
	reserved := reservedOf(ports)
	for _, held := range in.learned {
		p := byKey[held.Port]
		if p == nil || p.MAC.IsZero() || h.several[held.Addr] || h.taken[held.Addr] != "" {
			continue // nobody comes by a pair of others in passing
		}
		if own, others := delegation(in.delegated, p.Key, held.Addr); n.Router != nil && others && !own {
			continue // nor by a part of what was delegated to them
		}
		has, _ := p.HasPair(held.Addr)
		if has || !slices.ContainsFunc(reserved, func(r netip.Prefix) bool { return r.Contains(held.Addr) }) {
			h.give(p, held.Addr)
			p.Learned = append(p.Learned, held.Addr)
		}
	}
	for _, p := range ports {
		p.Held = len(p.Addresses) - given[p]
		slices.SortFunc(p.Pairs, comparePairs)
	}
	return problems
}

// learnableOf is Network.Learnable.
func learnableOf(subnets []Subnet, deprecated []Deprecated) []netip.Prefix {
	if len(subnets) == 0 {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	list := []netip.Prefix{linkLocal}
	for i := range subnets {
		// What another server leases is not known here, so that too is whose it
		// was first.
		if s := &subnets[i]; s.Autonomous || s.RelayTo.IsValid() {
			list = append(list, s.Prefix)
		}
	}
	// Hosts keep using such an address until its lifetime ends (RFC 4862 section 5.5.4).
	for _, d := range deprecated {
		if d.Autonomous {
			list = append(list, d.Prefix.Masked())
		}
	}
	return list
}

// CanLearn reports whether guests make addresses such as a of their own on the
// network, so that who used it first holds it.
func (n *Network) CanLearn(a netip.Addr) bool {
	if asker, _ := n.Asker(); a == asker || n.anycast(a) {
		return false
	}
	return slices.ContainsFunc(n.Learnable, func(p netip.Prefix) bool { return p.Contains(a) })
}

// anycast reports whether a is that of all routers of a subnet (RFC 4291 section
// 2.6.1), which no guest holds.
func (n *Network) anycast(a netip.Addr) bool {
	return slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Prefix.Bits() < a.BitLen() && s.Prefix.Addr() == a })
}
