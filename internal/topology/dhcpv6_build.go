package topology

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
)

// dhcpv6Of is what DHCPv6 serves on a network; nil if nothing.
func dhcpv6Of(spec *NetworkSpec, subnets []Subnet) *DHCPv6 {
	served := len(spec.Delegations) > 0
	for i := range subnets {
		served = served || subnets[i].Mode != SLAAC
	}
	if !served {
		return nil
	}
	d := &DHCPv6{byDUID: map[string]int{}, owners: map[netip.Addr]int{}}
	for i := range spec.Subnets {
		for _, r := range spec.Subnets[i].Reservations {
			d.reserve(r)
		}
	}
	for i := range spec.Delegations {
		d.Delegations = append(d.Delegations, delegationOf(&spec.Delegations[i]))
	}
	return d
}

// reserve adds addresses to those of their client.
func (d *DHCPv6) reserve(r Reservation) {
	i, ok := d.byDUID[r.DUID]
	if !ok {
		i = len(d.Reservations)
		d.byDUID[r.DUID] = i
		d.Reservations = append(d.Reservations, Reservation{DUID: r.DUID})
	}
	d.Reservations[i].Addresses = append(d.Reservations[i].Addresses, r.Addresses...)
	for _, a := range r.Addresses {
		d.owners[a] = i
	}
}

// delegationOf applies the defaults of a pool.
func delegationOf(s *DelegationSpec) Delegation {
	d := Delegation{Pool: s.Pool.Masked(), Length: s.Length}
	d.Preferred, d.Valid = lifetimesOf(s.Preferred, s.Valid)
	if s.Exclude != nil {
		d.ExcludeLength, d.ExcludeSubnet = s.Exclude.Length, s.Exclude.Subnet
	}
	return d
}

// equal reports whether two have the same content; nil is a content.
func (d *DHCPv6) equal(e *DHCPv6) bool { return reflect.DeepEqual(d, e) }

// equal reports whether two sets have the same content; nil is a content.
func (s *OptionSet) equal(t *OptionSet) bool { return s == t || reflect.DeepEqual(s, t) }

// giveOptions gives each port its options: the network's one set to those that
// have none of their own. A set that is as it was keeps its pointer.
func (b *builtNetwork) giveOptions() {
	if b.net.DHCPv6 == nil {
		b.options = nil
		return
	}
	shared := compileOptions(nil, b.in.spec)
	if !shared.equal(b.options) {
		b.options = shared
	}
	for i, p := range b.net.Ports {
		p.Options = b.options
		if own := b.in.ports[i].spec.Options; len(own) > 0 {
			p.Options = compileOptions(own, b.in.spec)
		}
	}
}

// delegatedOf are the delegated prefixes whose ports are still there, sorted,
// so that the order they came in makes no difference.
func delegatedOf(in *networkInput, n *Network) []DelegatedPrefix {
	if n.Router == nil {
		return nil // nobody routes
	}
	ports := make(map[uint16]*Port, len(n.Ports))
	for _, p := range n.Ports {
		ports[p.Key] = p
	}
	var list []DelegatedPrefix
	for _, d := range in.delegated {
		p := ports[d.Port]
		if p == nil {
			continue
		}
		if d.MAC.IsZero() {
			d.MAC = p.MAC
		}
		if d.Prefix = d.Prefix.Masked(); !d.MAC.IsZero() {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b DelegatedPrefix) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(a.Port, b.Port), a.NextHop.Compare(b.NextHop))
	})
	// One prefix has one way.
	return slices.CompactFunc(list, func(a, b DelegatedPrefix) bool { return a.Prefix == b.Prefix })
}
