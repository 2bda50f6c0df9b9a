package secure

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// unsigned decides a message without a signature: 0 if it may go on.
func (l *Lane) unsigned(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch p.Network.Send.Mode {
	case topology.SendRequire:
		// Who has no address yet has no key to sign for it with (RFC 3971 section 5.1.1).
		if p.ICMPv6().Type() == wire.TypeRouterSolicit && p.IPv6.SourceUnspecified() {
			return 0
		}
		return reason.SendUnsigned
	case topology.SendPrefer:
		return l.unsecured(p, r)
	}
	return 0
}

// unsecured ends what speaks unsigned for an address whose holder signs: what is not
// secured may not change entries that are (RFC 3971 section 8). A probe for such an
// address changes nothing, and its holder has to hear it to object.
func (l *Lane) unsecured(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch p.ICMPv6().Type() {
	case wire.TypeRouterSolicit, wire.TypeRouterAdvert:
		if p.Secured(p.IPv6.Source()) {
			return reason.SendUnsecured
		}
	case wire.TypeNeighborSolicit:
		ns, fault := wire.CheckNeighborSolicit(&p.Packet)
		switch {
		case fault != wire.FaultNone:
		case !p.IPv6.SourceUnspecified():
			if p.Secured(p.IPv6.Source()) {
				return reason.SendUnsecured
			}
		case p.Secured(ns.Target()) && !p.OwnsAddress(ns.Target()):
			if why := p.Honest(ns.SourceLinkLayer()); why != 0 {
				return why
			}
			return p.Relay(r)
		}
	case wire.TypeNeighborAdvert:
		if p.Secured(wire.NeighborAdvert(p.Payload).Target()) {
			return reason.SendUnsecured
		}
	}
	return 0
}
