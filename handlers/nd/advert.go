package nd

import (
	"damselfly/handlers/learn"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Advertise handles a guest's Neighbor Advertisement: it re-sends it if the
// guest may say so, unicast ones to their destination, else drops it (RFC 4861
// section 7.1.2). What it tells of addresses that nobody configured, l learns
// and, of neighbours of the router, v.
func Advertise(p *packet.Packet, l *learn.Lane, v *resolve.Lane, r *pipeline.Replies) pipeline.Reason {
	na, fault := wire.CheckNeighborAdvert(&p.Packet)
	switch {
	case fault != wire.FaultNone:
		return reason.OfFault(fault)
	// The source is "an address assigned to the interface from which the
	// advertisement is sent", RFC 4861 section 4.4.
	case p.IPv6.SourceUnspecified():
		return reason.OfFault(wire.FaultUnspecifiedSource)
	}
	why := p.Honest(na.TargetLinkLayer())
	if why != 0 && why != reason.Learning {
		return why
	}
	claim := p.Claim(na.Target())
	if claim == packet.Foreign {
		return reason.ForgedTarget
	}
	// The R flag marks the neighbour a router in the cache of who hears it; a
	// host that sees it go from 1 to 0 drops that default router (RFC 4861
	// section 7.2.5).
	if na.Flags()&wire.FlagRouter != 0 && !p.Port.Router {
		return reason.ForgedRouterFlag
	}
	if p.Stale() {
		if claim != packet.Own {
			why = reason.Learning
		}
		return relay(p, why, r)
	}
	if ends := v.Advertise(p, na); ends != 0 {
		return ends
	}
	// Who hears it would believe it before the address's holder could object.
	if ends := l.Advertise(p, na.Target(), claim); ends != 0 {
		return ends
	}
	if why != 0 {
		why = l.Source(p)
	}
	return relay(p, why, r)
}

// Redirect handles a guest's Redirect: it would steer the traffic of others, and
// none is accepted from a guest, router or not (RFC 4861 sections 8.1 and 11.1).
func Redirect() pipeline.Reason { return reason.GuestRedirect }
