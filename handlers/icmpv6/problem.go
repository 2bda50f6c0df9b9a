package icmpv6

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// forRouter reports whether a packet is for the router itself.
func forRouter(p *packet.Packet) bool {
	to := p.IPv6.Destination()
	return p.Router != nil && (p.Router.Holds(to) || to == p.Network.Router.LinkLocal)
}

// Unreadable tells the sender of a packet to the router itself, of which only the
// IPv6 header could be cut, what of the others cannot be processed (RFC 4443
// section 3.4). It returns 0 where that is nobody's to hear.
func Unreadable(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	if len(p.IPv6) == 0 || p.Routed || !forRouter(p) {
		return 0
	}
	if why := p.Honest(wire.MAC{}, false); why != 0 {
		return why
	}
	why, _ := problem(p, r)
	return why
}

// problem sends a Parameter Problem if one is due. done says that the packet ends
// with that or by an option that asks for it.
func problem(p *packet.Packet, r *pipeline.Replies) (why pipeline.Reason, done bool) {
	found, verdict := wire.FindProblem(p.IPv6)
	switch {
	case verdict == wire.Processable:
		return 0, false
	case verdict == wire.Discard:
		return reason.OptionDiscards, true
	case !MayError(p, wire.TypeParameterProblem, found.Code):
		return reason.NoErrorDue, true
	}
	h := wire.Headers{
		SourceMAC:      p.Network.Router.MAC,
		DestinationMAC: p.Ethernet.Source(),
		Source:         p.IPv6.Destination(),
		Destination:    p.IPv6.Source(),
		HopLimit:       wire.DefaultHopLimit,
	}
	if h.Source.IsMulticast() {
		h.Source = sourceFor(p.Network.Router, h.Destination)
	}
	wire.PutError(r.Back(&p.Frame, wire.ErrorFrameLen(p.IPv6)), &h, wire.TypeParameterProblem, found.Code, found.Pointer, p.IPv6)
	return reason.ParameterProblem, true
}
