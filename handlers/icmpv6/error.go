package icmpv6

import (
	"net/netip"
	"slices"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// MayError reports whether an error of this type and code may be originated
// because of p (RFC 4443 section 2.4 (e)). It is the one place that says so:
// whoever sends an error asks here, then counts on the budget of class Error for
// the rate limit (section 2.4 (f)).
func MayError(p *packet.Packet, typ, code uint8) bool {
	if p.Protocol == wire.ProtocolICMPv6 {
		// An error about an error could go round for ever; a Redirect is none by
		// its number, but counts as one.
		if t := p.ICMPv6().Type(); wire.IsError(t) || t == wire.TypeRedirect {
			return false
		}
	}
	// What went to many would be answered by many. Path MTU discovery of
	// multicast needs the one exception, options that must be reported the other.
	exempt := typ == wire.TypePacketTooBig || typ == wire.TypeParameterProblem && code == wire.CodeUnknownOption
	if (p.IPv6.DestinationMulticast() || p.Ethernet.Destination().IsMulticast()) && !exempt {
		return false
	}
	// The source must be one node's. Multicast sources do not come this far; an
	// address with no bits behind its prefix is all routers' of that prefix.
	if p.IPv6.SourceUnspecified() {
		return false
	}
	source := p.IPv6.Source()
	return !source.IsMulticast() && !anycast(p.Network, source)
}

// anycast reports whether an address is the subnet-router anycast address of a
// prefix of the network, its router's among them (RFC 4291 section 2.6.1).
func anycast(n *topology.Network, a netip.Addr) bool {
	is := func(p netip.Prefix) bool { return p.Bits() < 127 && p.Masked().Addr() == a }
	return slices.ContainsFunc(n.Subnets, func(s topology.Subnet) bool { return is(s.Prefix) }) ||
		n.Router != nil && slices.ContainsFunc(n.Router.Addresses, is)
}

// Reject answers a packet that a rule of a security group rejects, in the name
// of its destination: a TCP segment with a reset (RFC 9293 section 3.10.7.1), so
// that a client gives up at once, anything else with Destination Unreachable,
// administratively prohibited (RFC 4443 section 3.1).
func Reject(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	if why := p.Honest(wire.MAC{}, false); why != 0 {
		return why
	}
	if !MayError(p, wire.TypeDestinationUnreachable, wire.CodeProhibited) {
		return reason.NoErrorDue
	}
	h := wire.Headers{
		SourceMAC:      p.Ethernet.Destination(),
		DestinationMAC: p.Ethernet.Source(),
		Source:         p.IPv6.Destination(),
		Destination:    p.IPv6.Source(),
		HopLimit:       wire.DefaultHopLimit,
	}
	if p.Routed {
		// The router carries the answer back.
		h.SourceMAC, h.DestinationMAC = p.Network.Router.MAC, senderMAC(p)
	}
	return answer(p, &h, r)
}

// senderMAC is the MAC of who sent a packet that a router has carried on since:
// behind an uplink, of the router that leads to it.
func senderMAC(p *packet.Packet) wire.MAC {
	if owner, ok := p.Network.Owner(p.IPv6.Source()); ok {
		return owner.MAC
	}
	if p.Router != nil {
		if w := p.Router.To(p.IPv6.Source()); w.Port == p.Port.Key {
			return w.MAC
		}
	}
	return p.Port.MAC
}

// answer sends a TCP segment a reset, and anything else the error.
func answer(p *packet.Packet, h *wire.Headers, r *pipeline.Replies) pipeline.Reason {
	if p.Protocol != wire.ProtocolTCP {
		wire.PutError(r.Back(&p.Frame, wire.ErrorFrameLen(p.IPv6)), h, wire.TypeDestinationUnreachable, wire.CodeProhibited, 0, p.IPv6)
		return reason.Rejected
	}
	segment := wire.TCP(p.Payload)
	length, ok := segment.SegmentLength()
	if !ok || segment.Flags()&wire.TCPRst != 0 || p.Fragment > wire.AtomicFragment {
		return reason.NoErrorDue
	}
	wire.PutReset(r.Back(&p.Frame, wire.ResetFrameLen), h, segment, length)
	return reason.Rejected
}
