package ra

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Guard handles a guest's Router Advertisement: it re-sends that of a port with
// Router on a network that Damselfly does not advertise, after validation, and
// drops all others, malformed ones too, under one reason (RFC 6105 section 1).
func Guard(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	if !p.Port.Router || advertised(p.Network) {
		return reason.GuestRA
	}
	ra, fault := wire.CheckRouterAdvert(&p.Packet)
	if fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	if why := p.Honest(ra.SourceLinkLayer()); why != 0 {
		return why
	}
	return p.Relay(r)
}
