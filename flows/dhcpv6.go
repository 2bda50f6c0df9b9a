package flows

import (
	"net/netip"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Where DHCPv6 goes (RFC 9915 sections 7.1 and 7.2).
var (
	dhcpv6Agents  = netip.MustParseAddr("ff02::1:2")
	dhcpv6Servers = netip.MustParseAddr("ff05::1:3")
)

const (
	dhcpv6Client = 546
	dhcpv6Server = 547
)

// Priorities of the DHCPv6 table.
const dhcpv6Gate = 200

func udp6(port uint16) Match { return Match{}.Proto(protoUDP).With(UDPDst, U16(port)) }

// baseDHCPv6Flows end what no port's gate takes.
func (b *builder) baseDHCPv6Flows() {
	b.add(TableDHCPv6, 0, RoleDropDHCPv6Refused, nil)
}

// networkDHCPv6Flows shield a network that Damselfly advertises: what is meant
// for servers reaches no other guest, and no guest is a server (RFC 7610 section
// 5); where Damselfly serves, that includes relays, which hear from it alone. A
// network that is plain L2 carries it all. From which port a client sends is its
// own affair.
func (b *builder) networkDHCPv6Flows(n *topology.Network) {
	if n.Router == nil {
		return
	}
	t := uint8(TableServices)
	b.add(t, serviceDrop, RoleDropDHCPv6Server, udp6(dhcpv6Client).On(n.Key))
	if n.DHCPv6 == nil {
		b.add(t, serviceDrop, RoleDropDHCPv6Unserved, udp6(dhcpv6Server).On(n.Key).DstIn(multicast))
		return
	}
	for _, a := range append([]netip.Addr{dhcpv6Agents, dhcpv6Servers}, n.Router.All()...) {
		b.add(t, serviceGate, RoleGate, udp6(dhcpv6Server).On(n.Key).Dst(a).With(IPFrag, U8(fragNo)), Resubmit{TableDHCPv6})
	}
	b.add(t, serviceDrop, RoleDropDHCPv6Refused, udp6(dhcpv6Server).On(n.Key))
}

// portDHCPv6Flows let a port's messages to servers in, through its meter. A
// guest asks all agents of the link; a relay may also ask all servers, or one by
// its address (RFC 9915 section 19.1).
func (b *builder) portDHCPv6Flows(p *topology.Port, served, plain bool) {
	if plain && p.Secured {
		b.add(TableServices, serviceDrop, RoleDropDHCPv6Server, udp6(dhcpv6Client).From(p.Key))
	}
	if !served {
		return
	}
	if actions, ok := b.throughMeter(p, punt.DHCPv6); ok {
		m := Match{}.From(p.Key)
		if !p.DHCPv6Relay {
			m = m.IPv6().Dst(dhcpv6Agents)
		}
		actions = append(actions, Load(regClass, U32(uint32(punt.DHCPv6))), ToGroup{b.group(groupPunt)})
		b.add(TableDHCPv6, dhcpv6Gate, RoleGate, m, actions...)
	}
}
