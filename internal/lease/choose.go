package lease

import (
	"cmp"
	"net/netip"
	"slices"

	"damselfly/internal/topology"
)

// Ask is one IA of a client that asks.
type Ask struct {
	Network *topology.Network
	Port    *topology.Port
	DUID    []byte
	IAID    uint32
	// Given is what the same answer gives already, bound or not yet: none of it
	// is free, as it will not be once it is bound.
	Given []netip.Prefix
}

// reservations are the addresses of a network that belong to somebody by
// configuration.
type reservations struct {
	of     *topology.Network
	byDUID map[string][]netip.Addr
	duids  map[netip.Addr]string // reserved addresses
	ports  map[netip.Addr]string // fixed addresses, of ports not bound too
}

// indexed returns the Book's side of a network, brought up to this snapshot.
func (tx *Tx) indexed(t *topology.Network) *network {
	n := tx.b.network(t.Name)
	if n.reserved.of == t {
		return n
	}
	r := reservations{of: t, byDUID: map[string][]netip.Addr{}, duids: map[netip.Addr]string{}, ports: map[netip.Addr]string{}}
	for _, p := range t.Ports {
		for _, a := range p.Fixed {
			r.ports[a] = p.Name
		}
	}
	if t.DHCPv6 != nil {
		for _, v := range t.DHCPv6.Reservations {
			r.byDUID[v.DUID] = append(r.byDUID[v.DUID], v.Addresses...)
			for _, a := range v.Addresses {
				r.duids[a] = v.DUID
			}
		}
	}
	n.reserved = r
	clear(n.pools)
	return n
}

// Choose returns the addresses an IA should get on a subnet, and binds none:
// the port's fixed ones, else those reserved for the DUID, else those it has,
// else the hint, if it is free and in a pool (an invalid hint is none), else one
// of the pools. What is taken or in quarantine is not among them. It gives
// ErrNoAddress where nothing is left and ErrNoPool where there never was.
func (tx *Tx) Choose(a Ask, subnet *topology.Subnet, hint netip.Addr) ([]netip.Addr, error) {
	n := tx.indexed(a.Network)
	reserved := n.reserved.byDUID[string(a.DUID)]
	for _, entitled := range [][]netip.Addr{a.Port.Fixed, reserved} {
		var list []netip.Addr
		for _, addr := range entitled {
			if subnet.Prefix.Contains(addr) && tx.allowed(&a, n, addr) && tx.free(&a, addressAt(n, addr), n.reserved.ports[addr] == a.Port.Name) {
				list = append(list, addr)
			}
		}
		if len(list) > 0 {
			return list, nil
		}
	}
	if held := tx.held(&a, n, subnet); len(held) > 0 {
		return held, nil
	}
	if hint.IsValid() && pooled(subnet, hint) && tx.grantable(&a, n, place{hint.As16(), 128}, false) {
		return []netip.Addr{hint}, nil
	}
	for _, r := range subnet.Pools {
		if p, ok := tx.pick(&a, n, addressSpan(r), false); ok {
			return []netip.Addr{netip.AddrFrom16(p.addr)}, nil
		}
	}
	inSubnet := func(addr netip.Addr) bool { return subnet.Prefix.Contains(addr) }
	if len(subnet.Pools) == 0 && !slices.ContainsFunc(a.Port.Fixed, inSubnet) && !slices.ContainsFunc(reserved, inSubnet) {
		return nil, ErrNoPool
	}
	return nil, ErrNoAddress
}

func addressAt(n *network, a netip.Addr) holding { return holding{n, false, place{a.As16(), 128}} }

func pooled(subnet *topology.Subnet, a netip.Addr) bool {
	return subnet.Prefix.Contains(a) && slices.ContainsFunc(subnet.Pools, func(r topology.AddrRange) bool { return r.Contains(a) })
}

// held returns the addresses of a subnet the IA has and may keep.
func (tx *Tx) held(a *Ask, n *network, subnet *topology.Subnet) (list []netip.Addr) {
	c := tx.client(a.Port.Name, asString(a.DUID))
	if c == nil {
		return nil
	}
	for i := range c.entries {
		e := &c.entries[i]
		if addr := netip.AddrFrom16(e.addr); e.kind == Address && e.iaid == a.IAID && e.net == n && e.state == Bound && e.runs(tx.now) && tx.Usable(*a, subnet, addr) {
			list = append(list, addr)
		}
	}
	return list
}

// Usable reports whether an address is one the client may have on the subnet by
// configuration: its port's, reserved for its DUID, or in a pool, and nobody
// else's. It says nothing of who holds it.
func (tx *Tx) Usable(a Ask, subnet *topology.Subnet, addr netip.Addr) bool {
	n := tx.indexed(a.Network)
	return subnet.Prefix.Contains(addr) && tx.allowed(&a, n, addr) &&
		(n.reserved.ports[addr] == a.Port.Name || n.reserved.duids[addr] != "" || pooled(subnet, addr))
}

// allowed reports whether no other has the address by configuration.
func (tx *Tx) allowed(a *Ask, n *network, addr netip.Addr) bool {
	if o, ok := a.Network.Configured(addr); ok && (o.Port == nil || o.Port.Name != a.Port.Name) {
		return false
	}
	if port := n.reserved.ports[addr]; port != "" && port != a.Port.Name {
		return false
	}
	duid := n.reserved.duids[addr]
	return duid == "" || duid == string(a.DUID)
}

// free reports whether nobody else holds h; own is Grant.Own.
func (tx *Tx) free(a *Ask, h holding, own bool) bool {
	if a.gave(h.at) {
		return false
	}
	kind := Address
	if h.delegated {
		kind = Prefix
	}
	c, e := tx.running(h)
	if e != nil && e.state == Bound && e.kind == kind && e.iaid == a.IAID && c.duid == string(a.DUID) && c.port.name == a.Port.Name {
		return true
	}
	_, ok := tx.inWay(h, &Grant{Kind: kind, Port: a.Port.Name, DUID: a.DUID, Own: own})
	return ok
}

// gave reports whether the answer gives p, or part of it, already.
func (a *Ask) gave(p place) bool {
	return slices.ContainsFunc(a.Given, func(q netip.Prefix) bool { return placeOf(q).overlaps(p) })
}

// grantable reports whether a place of a pool may go to the client.
func (tx *Tx) grantable(a *Ask, n *network, p place, delegated bool) bool {
	addr := netip.AddrFrom16(p.addr)
	if delegated {
		return !onLink(a.Network, netip.PrefixFrom(addr, int(p.bits))) && tx.free(a, holding{n, true, p}, false)
	}
	return !special(a.Network, addr) && tx.allowed(a, n, addr) && tx.free(a, holding{n, false, p}, false)
}

// occupied reports whether a place of a pool is anybody's, by configuration or
// by a lease of the committed state.
func (b *Book) occupied(t *topology.Network, n *network, p place, delegated bool) bool {
	addr := netip.AddrFrom16(p.addr)
	if delegated {
		return b.overlapped(n, p) || onLink(t, netip.PrefixFrom(addr, int(p.bits)))
	}
	if n.addrs[p.addr] != nil || n.reserved.ports[addr] != "" || n.reserved.duids[addr] != "" || special(t, addr) {
		return true
	}
	_, owned := t.Configured(addr)
	return owned
}

// onLink reports whether a prefix is, in part, one of the network's own.
func onLink(t *topology.Network, p netip.Prefix) bool {
	return slices.ContainsFunc(t.Subnets, func(s topology.Subnet) bool { return s.Prefix.Overlaps(p) })
}

// special reports whether an address can be no single host's.
func special(t *topology.Network, a netip.Addr) bool {
	return slices.ContainsFunc(t.Subnets, func(s topology.Subnet) bool { return s.Prefix.Contains(a) && anycast(s.Prefix, a) })
}

// ChoosePrefix returns the prefix an IA should get and what it is delegated
// from, and binds none. The hint is a prefix, or only a length in the form
// ::/56; the zero Prefix is none.
//
// A prefix the IA has comes first, then the hint itself if it is free, then a
// free one of the length that is asked, then of the nearest shorter length, a
// larger prefix, then of a longer one (RFC 8168 section 3.2). It gives ErrNoPrefix where
// nothing is left and ErrNoPool where nothing is delegated.
func (tx *Tx) ChoosePrefix(a Ask, hint netip.Prefix) (netip.Prefix, *topology.Delegation, error) {
	if a.Network.DHCPv6 == nil || len(a.Network.DHCPv6.Delegations) == 0 {
		return netip.Prefix{}, nil, ErrNoPool
	}
	n := tx.indexed(a.Network)
	if c := tx.client(a.Port.Name, asString(a.DUID)); c != nil {
		for i := range c.entries {
			e := &c.entries[i]
			if e.kind != Prefix || e.iaid != a.IAID || e.net != n || e.state != Bound || !e.runs(tx.now) {
				continue
			}
			if d := tx.UsablePrefix(a, e.prefix()); d != nil {
				return e.prefix(), d, nil
			}
		}
	}
	if hint.IsValid() {
		hint = hint.Masked()
		if d := tx.UsablePrefix(a, hint); d != nil && tx.grantable(&a, n, placeOf(hint), true) {
			return hint, d, nil
		}
	}
	for _, d := range nearest(a.Network.DHCPv6.Delegations, hint) {
		if p, ok := tx.pick(&a, n, prefixSpan(d), true); ok {
			return netip.PrefixFrom(netip.AddrFrom16(p.addr), int(p.bits)), d, nil
		}
	}
	return netip.Prefix{}, nil, ErrNoPrefix
}

// UsablePrefix returns what a prefix can be delegated from by configuration, nil
// for nothing. It says nothing of who holds it.
func (tx *Tx) UsablePrefix(a Ask, p netip.Prefix) *topology.Delegation {
	if a.Network.DHCPv6 == nil || onLink(a.Network, p) {
		return nil
	}
	list := a.Network.DHCPv6.Delegations
	for i := range list {
		if d := &list[i]; p.Bits() == d.Length && d.Pool.Contains(p.Addr()) {
			return d
		}
	}
	return nil
}

// nearest orders delegations by how near they come to the length of the hint;
// without one they stay in the order of the configuration.
func nearest(list []topology.Delegation, hint netip.Prefix) []*topology.Delegation {
	out := make([]*topology.Delegation, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	if !hint.IsValid() || hint.Bits() == 0 {
		return out
	}
	distance := func(d *topology.Delegation) int {
		if d.Length <= hint.Bits() {
			return hint.Bits() - d.Length
		}
		return 128 + d.Length // smaller than asked: only when nothing else is left
	}
	slices.SortStableFunc(out, func(a, b *topology.Delegation) int { return cmp.Compare(distance(a), distance(b)) })
	return out
}
