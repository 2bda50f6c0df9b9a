package dhcpv6

import (
	"net/netip"
	"slices"
	"strings"

	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// external is the server that answers for the network instead, invalid if none
// does. One message may ask for addresses of all subnets, so one subnet that is
// served elsewhere makes the whole network so.
func (x *exchange) external() netip.Addr {
	for i := range x.n.Subnets {
		if to := x.n.Subnets[i].RelayTo; to.IsValid() {
			return to
		}
	}
	return netip.Addr{}
}

// forward sends the message to an external server.
func (x *exchange) forward(to netip.Addr) pipeline.Reason {
	if relays := x.q.Relays(); len(relays) > 0 && relays[0].Relay.HopCount() >= codec.HopCountLimit {
		return reason.OfDHCPv6(codec.FaultRelayHops) // RFC 9915 section 19.1.2
	}
	m, ok := x.relayForward()
	if !ok {
		return reason.DHCPv6TooLarge
	}
	if x.s.Uplink == nil || !x.s.Uplink.Forward(to, m) {
		return reason.DHCPv6ServerUnreachable
	}
	return reason.DHCPv6Forwarded
}

// relayForward wraps the message as it came: the link by its gateway, the port
// by name as Interface-ID, and the MAC it came from (RFC 9915 section 19.1, RFC
// 6939 section 4). The result is valid until the next message.
func (x *exchange) relayForward() ([]byte, bool) {
	message, hops := []byte(x.q.Message), uint8(0)
	link := x.gateway()
	if relays := x.q.Relays(); len(relays) > 0 {
		outer := &relays[0]
		message, hops = outer.Relay, outer.Relay.HopCount()+1
		if !x.p.IPv6.Source().IsLinkLocalUnicast() {
			link = netip.IPv6Unspecified() // RFC 9915 section 19.1.2
		}
	}
	x.w.Reset(x.relayBuf[:])
	x.w.BeginRelayForward(hops, link, x.p.IPv6.Source())
	x.w.Option(codec.OptionInterfaceID, []byte(x.p.Port.Name))
	if hops == 0 {
		x.w.ClientLinkLayer(x.p.Ethernet.Source())
	}
	x.w.Option(codec.OptionRelayMessage, message)
	return x.w.Finish()
}

// gateway is the router's address on the subnet that is served elsewhere, else
// any of its global ones.
func (x *exchange) gateway() netip.Addr {
	for i := range x.n.Subnets {
		if s := &x.n.Subnets[i]; s.RelayTo.IsValid() && s.Gateway.IsValid() {
			return s.Gateway
		}
	}
	if a := x.n.Router.Addresses; len(a) > 0 {
		return a[0].Addr()
	}
	return netip.IPv6Unspecified()
}

// Return takes what an external server sent to the relay, a Relay-reply, back to
// the port that its Interface-ID names: one frame to r, or the reason why not
// (RFC 9915 section 19.2). The caller has made sure that the server sent it.
func Return(s *topology.Snapshot, data []byte, r *pipeline.Replies) pipeline.Reason {
	var hop codec.Hop
	if f := codec.CheckRelayReply(data, &hop); f != codec.FaultNone {
		return reason.OfDHCPv6(f)
	}
	if hop.InterfaceID == nil {
		return reason.DHCPv6UnknownLink
	}
	p := portNamed(s, string(hop.InterfaceID.Body()))
	if p == nil || p.Network == nil || p.OFPort == 0 {
		return reason.UnknownPort
	}
	n := s.Network(p.Network.Key)
	if n == nil || n.Router == nil {
		return reason.UnknownNetwork
	}
	if len(hop.Message) > maxRelayed {
		return reason.DHCPv6TooLarge
	}
	peer := hop.Relay.PeerAddress()
	h := wire.Headers{
		SourceMAC: n.Router.MAC, DestinationMAC: p.MAC,
		Source: n.Router.LinkLocal, Destination: peer, HopLimit: hopLimit,
	}
	if !peer.IsLinkLocalUnicast() {
		h.Source = sourceFor(n.Router, peer)
	}
	if p.Unknown || p.MAC.IsZero() {
		// Whose the address is nobody knows; the port's hosts do, and IPv6 lets
		// them take it from a group's frame (RFC 6085 section 3 is the converse).
		h.DestinationMAC = wire.AllNodesMAC
	}
	to := uint16(codec.ClientPort)
	if codec.MessageType(hop.Message[0]) == codec.RelayReply {
		to = codec.ServerPort
	}
	b := r.To(p.OFPort, p.VLAN, codec.FrameHeaderLen+len(hop.Message))
	copy(b[codec.FrameHeaderLen:], hop.Message)
	codec.PutFrame(b, &h, codec.ServerPort, to, len(hop.Message))
	return reason.Answered
}

// maxRelayed is the longest message that a frame of 1,500 octets takes to the client.
const maxRelayed = 1500 - wire.IPv6Len - wire.UDPLen

// portNamed finds a port by its name, nil if there is none.
func portNamed(s *topology.Snapshot, name string) *topology.Port {
	i, ok := slices.BinarySearchFunc(s.Ports, name, func(p *topology.Port, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return nil
	}
	return s.Ports[i]
}
