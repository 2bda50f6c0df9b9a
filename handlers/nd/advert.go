package nd

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Advertise handles a guest's Neighbor Advertisement: it re-sends it if the
// guest may say so, unicast ones to their destination, else drops it (RFC 4861
// section 7.1.2).
func Advertise(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	na, fault := wire.CheckNeighborAdvert(&p.Packet)
	switch {
	case fault != wire.FaultNone:
		return reason.OfFault(fault)
	// The source is "an address assigned to the interface from which the
	// advertisement is sent", RFC 4861 section 4.4.
	case p.IPv6.SourceUnspecified():
		return reason.OfFault(wire.FaultUnspecifiedSource)
	}
	if why := p.Honest(na.TargetLinkLayer()); why != 0 {
		return why
	}
	if owner, known := p.Network.Owner(na.Target()); known && !p.Owns(owner) {
		return reason.ForgedTarget
	}
	// The R flag marks the neighbour a router in the cache of who hears it; a
	// host that sees it go from 1 to 0 drops that default router (RFC 4861
	// section 7.2.5).
	if na.Flags()&wire.FlagRouter != 0 && !p.Port.Router {
		return reason.ForgedRouterFlag
	}
	return p.Relay(r)
}

// Redirect handles a guest's Redirect: it would steer the traffic of others, and
// none is accepted from a guest, router or not (RFC 4861 sections 8.1 and 11.1).
func Redirect() pipeline.Reason { return reason.GuestRedirect }
