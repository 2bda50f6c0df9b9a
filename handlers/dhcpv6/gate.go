package dhcpv6

import (
	"net/netip"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Concerns reports whether p, which is UDP, is between a DHCPv6 client or relay
// and a server, going either way.
func Concerns(p *packet.Packet) bool {
	if p.Fragment == wire.LaterFragment {
		return false
	}
	to := wire.UDP(p.Payload).DestinationPort()
	return to == codec.ServerPort || to == codec.ClientPort
}

// read takes in p's message and says whether it may be answered: 0, or the
// reason why not.
func (s *Server) read(p *packet.Packet) pipeline.Reason {
	udp, offloaded, fault := wire.CheckUDP(&p.Packet)
	if fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	if offloaded {
		s.Stats.Offloaded.Add(1)
	}
	data := udp.Data()
	if len(data) == 0 {
		return reason.OfDHCPv6(codec.FaultShort)
	}
	// What servers say is refused before all else, whatever ports it uses: "DHCPv6-Shield", RFC 7610 section 4.
	typ := codec.MessageType(data[0])
	if typ.FromServer() || udp.DestinationPort() == codec.ClientPort {
		return reason.OfDHCPv6(codec.FaultServerMessage)
	}
	n := p.Network
	if n.DHCPv6 == nil || n.Router == nil {
		return reason.DHCPv6NotServed
	}
	if why := s.sender(p, udp, typ); why != 0 {
		return why
	}
	if why := destination(p, n.Router); why != 0 {
		return why
	}
	x := &s.x
	x.begin(s, p, udp.SourcePort())
	c := codec.Context{ServerID: s.ID, Source: p.IPv6.Source(), Multicast: p.IPv6.DestinationMulticast()}
	f := x.q.Read(data, &c)
	if f == codec.FaultWrongServerID && x.external().IsValid() {
		f = codec.FaultNone // that server's
	}
	if f != codec.FaultNone {
		return reason.OfDHCPv6(f)
	}
	s.Stats.Messages[x.q.Type()].Add(1)
	return x.link()
}

// sender judges where a message came from. Registrations come from the address
// they register (RFC 9686 section 4.2).
func (s *Server) sender(p *packet.Packet, udp wire.UDP, typ codec.MessageType) pipeline.Reason {
	if typ == codec.RelayForward {
		if !p.Port.DHCPv6Relay {
			return reason.DHCPv6RelayNotAllowed
		}
	} else {
		if udp.SourcePort() != codec.ClientPort {
			return reason.DHCPv6SourcePort
		}
		if typ != codec.AddrRegInform && !p.IPv6.Source().IsLinkLocalUnicast() {
			return reason.DHCPv6SourceAddress
		}
	}
	if p.IPv6.SourceUnspecified() {
		return reason.DHCPv6SourceAddress
	}
	return p.Honest(wire.MAC{}, false)
}

// destination judges where a message went to: clients and relays reach all
// servers, relays also the router alone (RFC 9915 section 19.1). What a client
// sends to the router alone is left to the message's own gate.
func destination(p *packet.Packet, router *topology.RouterInterface) pipeline.Reason {
	switch to := p.IPv6.Destination(); {
	case to == codec.AllServersAndRelays, to == codec.AllServers && p.Port.DHCPv6Relay:
	case owns(router, to):
		if p.Ethernet.Destination() != router.MAC {
			return reason.Misdirected
		}
		return 0
	default:
		return reason.NotOurs
	}
	if !p.Ethernet.Destination().IsMulticast() {
		return reason.Misdirected
	}
	return 0
}

// owns reports whether a is one of the router's addresses.
func owns(router *topology.RouterInterface, a netip.Addr) bool {
	if a == router.LinkLocal {
		return true
	}
	for _, own := range router.Addresses {
		if own.Addr() == a {
			return true
		}
	}
	return false
}

// link finds out whether the relay nearest to the client that says so names a
// link of the network (RFC 9915 section 13.1).
func (x *exchange) link() pipeline.Reason {
	relays := x.q.Relays()
	for i := len(relays) - 1; i >= 0; i-- {
		a := relays[i].Relay.LinkAddress()
		if a.IsUnspecified() || a.IsLinkLocalUnicast() {
			continue
		}
		if !x.onLink(a) {
			return reason.DHCPv6UnknownLink
		}
		break
	}
	return 0
}

// onLink reports whether a lies on a subnet of the network.
func (x *exchange) onLink(a netip.Addr) bool {
	for i := range x.n.Subnets {
		if x.n.Subnets[i].Prefix.Contains(a) {
			return true
		}
	}
	return false
}
