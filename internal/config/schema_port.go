package config

import "damselfly/internal/topology"

func port(p *topology.PortSpec) reader {
	return func(v value) {
		v.fields(keys{
			"name":      text(&p.Name),
			"network":   text(&p.Network),
			"mac":       mac(&p.MAC),
			"addresses": many(&p.Addresses, address),
			"router":    boolean(&p.Router),
			"unknown":   boolean(&p.Unknown),
			"limits":    limits(&p.Limits),
		}.without("options", "allowed_address_pairs", "port_security", "dhcpv6_relay", "parent", "vlan",
			"security_groups", "project", "metadata"))
	}
}
