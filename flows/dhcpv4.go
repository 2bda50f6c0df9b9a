package flows

import "damselfly/internal/topology"

// The ports of DHCPv4 (RFC 2131 section 4.1).
const (
	dhcpv4Server = 67
	dhcpv4Client = 68
)

// Priorities of DHCPv4 in the services table, above what carries IPv4 on and
// below all that is of IPv6.
const (
	serviceGate4 = 30
	serviceDrop4 = 20
)

// serverUDP4 are what only a DHCPv4 server sends. Either of its two ports gives it
// away: a client looks at one of them alone, and which is its own affair.
func serverUDP4() []Match {
	udp := Match{}.With(EthType, U16(ethTypeIPv4)).With(IPProto, U8(protoUDP))
	return []Match{udp.With(UDPSrc, U16(dhcpv4Server)), udp.With(UDPDst, U16(dhcpv4Client))}
}

// baseDHCPv4Flows end what DHCPv4 servers send, as Neutron does.
func (b *builder) baseDHCPv4Flows() {
	for _, m := range serverUDP4() {
		b.add(TableServices, serviceDrop4, RoleDropDHCPv4Server, m)
	}
}

// portDHCPv4Flows let a port be a DHCPv4 server that is not secured.
func (b *builder) portDHCPv4Flows(p *topology.Port) {
	if p.Secured {
		return
	}
	for _, m := range serverUDP4() {
		b.add(TableServices, serviceGate4, RoleGate, m.From(p.Key), onward)
	}
}
