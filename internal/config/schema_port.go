package config

import "damselfly/internal/topology"

func port(p *topology.PortSpec) reader {
	return func(v value) {
		v.fields(keys{
			"name":         text(&p.Name),
			"network":      text(&p.Network),
			"mac":          mac(&p.MAC),
			"addresses":    many(&p.Addresses, address),
			"router":       boolean(&p.Router),
			"unknown":      boolean(&p.Unknown),
			"limits":       limits(&p.Limits, &p.MaxLeases),
			"options":      many(&p.Options, option),
			"dhcpv6_relay": boolean(&p.DHCPv6Relay),
		}.without("allowed_address_pairs", "port_security", "parent", "vlan", "security_groups", "project", "metadata"))
	}
}
