package config

import (
	"net/netip"

	"damselfly/internal/topology"
)

func port(p *topology.PortSpec) reader {
	return func(v value) {
		v.fields(keys{
			"name":                  text(&p.Name),
			"network":               text(&p.Network),
			"mac":                   mac(&p.MAC),
			"parent":                text(&p.Parent),
			"vlan":                  integer(&p.VLAN, 1, topology.MaxVLAN),
			"addresses":             many(&p.Addresses, hostAddress),
			"allowed_address_pairs": many(&p.Pairs, addressPair),
			"port_security":         optional(&p.PortSecurity, boolean),
			"router":                boolean(&p.Router),
			"unknown":               boolean(&p.Unknown),
			"limits":                limits(&p.Limits, bounds{&p.MaxLeases, &p.MaxAddresses, &p.MaxNeighbors, &p.MaxGroups, &p.MaxConnections}),
			"options":               many(&p.Options, option),
			"dhcpv6_relay":          boolean(&p.DHCPv6Relay),
			"multicast":             optional(&p.Multicast, portMulticast),
			"security_groups":       groupNames(&p.SecurityGroups),
			"project":               text(&p.Project),
			"metadata":              optional(&p.Instance, instance),
		})
	}
}

func portMulticast(m *topology.PortMulticastSpec) reader {
	return func(v value) {
		v.fields(keys{"groups": many(&m.Groups, multicastGroup), "router": boolean(&m.Router), "fast_leave": optional(&m.FastLeave, boolean)})
	}
}

// multicastGroup reads the address of an IPv6 multicast group.
func multicastGroup(to *netip.Addr) reader {
	return func(v value) {
		s, ok := textOf(v, "ff15::1234")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is6() || a.Is4In6() || a.Zone() != "" || !a.IsMulticast() {
			v.wrong("%q is no IPv6 multicast group; write one such as ff15::1234", s)
			return
		}
		*to = a
	}
}

// addressPair reads what a port may send from beside its own; without an
// address that is every one, which nobody means by leaving it out.
func addressPair(p *topology.AddressPair) reader {
	return func(v value) {
		v.fields(keys{"address": addressOrPrefix(&p.Prefix), "mac": mac(&p.MAC)})
	}
}

// hostAddress reads an address of either family.
func hostAddress(to *netip.Addr) reader {
	return func(v value) {
		s, ok := textOf(v, "fd00:b1::11")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is4() && !isAddress(a) {
			v.wrong("%q is no IPv6 or IPv4 address; write one such as fd00:b1::11 or 192.0.2.11", s)
			return
		}
		*to = a
	}
}

// addressOrPrefix reads an address of either family, or a prefix of such.
func addressOrPrefix(to *netip.Prefix) reader {
	return func(v value) {
		s, ok := textOf(v, "fd00:b1::50")
		if !ok {
			return
		}
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			*to = netip.PrefixFrom(a, a.BitLen())
			return
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			v.wrong("%q is no address or prefix; write one such as fd00:b1::50 or fd00:b1:0:0:f::/80", s)
			return
		}
		*to = p
	}
}
