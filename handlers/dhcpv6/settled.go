package dhcpv6

import (
	"net/netip"
	"slices"

	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/topology"
)

// settled finds out without a transaction what each IA of a Solicit is to have,
// as choose would, and reports whether it could: if each IA has its leases
// already and the configuration still gives it just these, or gives nothing to
// anybody.
func (x *exchange) settled() bool {
	for i := range x.q.IAs() {
		ia := &x.q.IAs()[i]
		x.beginIA(i)
		v := verdict{first: x.first}
		ok := false
		if ia.Code == codec.OptionIAPD {
			v.status, ok = x.settledPrefix(ia)
		} else {
			v.status, ok = x.settledAddresses(ia)
		}
		if !ok {
			x.grants = x.grants[:0]
			return false
		}
		v.end = len(x.grants)
		x.ias[i] = v
	}
	return true
}

func (x *exchange) settledPrefix(ia *codec.IA) (codec.Status, bool) {
	list := x.n.DHCPv6.Delegations
	if len(list) == 0 {
		return codec.StatusNoPrefixAvail, true
	}
	held := x.find(ia)
	if len(held) != 1 || x.onAnySubnet(held[0].Prefix) {
		return 0, false
	}
	p := held[0].Prefix
	for i := range list {
		if d := &list[i]; p.Bits() == d.Length && d.Pool.Contains(p.Addr()) {
			return codec.StatusSuccess, x.offer(delegated(p, d))
		}
	}
	return 0, false
}

// onAnySubnet reports whether a prefix is, in part, on the network itself.
func (x *exchange) onAnySubnet(p netip.Prefix) bool {
	for i := range x.n.Subnets {
		if x.n.Subnets[i].Prefix.Overlaps(p) {
			return true
		}
	}
	return false
}

func (x *exchange) settledAddresses(ia *codec.IA) (codec.Status, bool) {
	entitled, served := 0, false
	reserved := x.reserved()
	for i := range x.n.Subnets {
		s := &x.n.Subnets[i]
		if !serves(s) {
			continue
		}
		served = true
		for _, a := range entitlement(x.p.Port, reserved, s) {
			if s.Prefix.Contains(a) {
				entitled++
			}
		}
	}
	if !served {
		return codec.StatusNoAddrsAvail, true
	}
	held := x.find(ia)
	if len(held) == 0 || entitled > 0 && len(held) != entitled || entitled == 0 && len(held) != 1 {
		return 0, false
	}
	for i := range held {
		a := held[i].Addr()
		s := x.subnetOf(a)
		if s == nil || entitled > 0 && !slices.Contains(entitlement(x.p.Port, reserved, s), a) || entitled == 0 && !x.pooled(s, a) {
			return 0, false
		}
		if !x.offer(grant{prefix: held[i].Prefix, preferred: s.Preferred, valid: s.Valid}) {
			return 0, false
		}
	}
	return codec.StatusSuccess, true
}

// offer adds a grant if there is room for it.
func (x *exchange) offer(g grant) bool {
	if !x.fits(&g) {
		return false
	}
	x.add(g)
	return true
}

// entitlement is the list that a client's own addresses on a subnet are in: the
// port's, else those reserved for the client. Others may be in it.
func entitlement(p *topology.Port, reserved []netip.Addr, s *topology.Subnet) []netip.Addr {
	if slices.ContainsFunc(p.Fixed, s.Prefix.Contains) {
		return p.Fixed
	}
	return reserved
}

// subnetOf is the served subnet that an address is on, nil if there is none.
func (x *exchange) subnetOf(a netip.Addr) *topology.Subnet {
	for i := range x.n.Subnets {
		if s := &x.n.Subnets[i]; serves(s) && s.Prefix.Contains(a) {
			return s
		}
	}
	return nil
}

// pooled reports whether an address is of a pool and nobody's by configuration.
func (x *exchange) pooled(s *topology.Subnet, a netip.Addr) bool {
	in := false
	for _, r := range s.Pools {
		in = in || r.Contains(a)
	}
	if !in {
		return false
	}
	if o, ok := x.n.Configured(a); ok && !x.p.Owns(o) {
		return false
	}
	// Not if it is the client's own either: Choose knows.
	return !x.n.DHCPv6.Reserves(a)
}
