// Package nd handles Neighbor Discovery between neighbours: Neighbor
// Solicitations and Advertisements (RFC 4861 section 7), and the Redirects that
// guests have no business sending.
//
//	solicit.go   Neighbor Solicitation: answered for whom the snapshot knows, re-sent for whom it does not
//	advert.go    Neighbor Advertisement and Redirect of guests: re-sent or dropped
//	inverse.go   Inverse Neighbor Discovery: which addresses a MAC has
//	announce.go  Neighbor Advertisement that nobody asked for, of an address that moved
//
// What the snapshot knows it vouches for, so guests need not ask each other. A
// question for what it does not know, such as an address that a guest made up
// (RFC 8981), or for what several guests share, is left to the guests: it is
// validated and re-sent unchanged. A secured guest speaks of its own alone.
package nd

import (
	"net/netip"

	"damselfly/handlers/learn"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Solicit handles a Neighbor Solicitation: it answers it for the owner of the
// target, re-sends it, or drops it (RFC 4861 sections 7.1.1 and 7.2.4). What it
// tells of addresses that nobody configured, l learns and, of neighbours of the
// router, v.
func Solicit(p *packet.Packet, l *learn.Lane, v *resolve.Lane, r *pipeline.Replies) pipeline.Reason {
	ns, fault := wire.CheckNeighborSolicit(&p.Packet)
	if fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	why := p.Honest(ns.SourceLinkLayer())
	switch {
	case why == reason.Learning && !p.Stale():
		why = l.Source(p)
	// Of who is not bound to its addresses it is not known that they are its own.
	case why == 0 && p.Stale() && !p.IPv6.SourceUnspecified() && p.Claim(p.IPv6.Source()) != packet.Own:
		why = reason.Learning
	}
	if why != 0 && why != reason.Learning {
		return why
	}
	target := ns.Target()
	if p.Port.Uplink && p.Network.OfMetadata(target) {
		return reason.UplinkMetadata
	}
	owner, several, known := p.Holder(target)
	if p.IPv6.SourceUnspecified() && !several {
		if owner, known, why = l.Probe(p, target, owner, known); why != 0 {
			return why
		}
	}
	if mac, linked := ns.SourceLinkLayer(); linked && known && owner.Port == nil && !p.Stale() {
		if ends := v.Solicit(p, mac); ends != 0 {
			return ends
		}
	}
	switch {
	case !known:
		return relay(p, why, r)
	// Only those that share it know who has it now. Whoever is none of them may
	// not take it.
	case several && p.IPv6.SourceUnspecified() && p.Claim(target) == packet.Foreign:
		advertise(p, r, owner, target)
		return reason.Defended
	case several:
		return relay(p, why, r)
	// A host that hears of its own tentative address from others must give it
	// up (RFC 4862 section 5.4.4), and nobody else has the address: so neither
	// an answer nor the question goes out. Of an address that it was leased, or
	// that was learned, that is not certain: where a port is not secured somebody
	// may use it, and the probe is how that comes out (RFC 9915 section 18.2.10.1).
	case p.Owns(owner) && owner.Held && p.IPv6.SourceUnspecified():
		return p.Relay(r)
	case p.Owns(owner):
		return reason.OwnAddress
	case p.IPv6.SourceUnspecified() && protected(p, owner, target):
		return p.Relay(r)
	// Also for a guest that is away: it comes back with its address.
	case p.IPv6.SourceUnspecified():
		advertise(p, r, owner, target)
		return reason.Defended
	case owner.Floating != nil && owner.Floating.Away:
		return reason.TargetUnbound
	case owner.Port == nil:
		advertise(p, r, owner, target)
		return reason.Answered
	case owner.Port.OFPort == 0:
		return reason.TargetUnbound
	case protected(p, owner, target):
		return relay(p, why, r)
	case p.IPv6.DestinationMulticast():
		advertise(p, r, owner, target)
		return reason.Answered
	// A unicast solicitation asks whether the neighbour is alive (RFC 4861
	// section 7.3.1), which only the guest itself can tell.
	case p.Ethernet.Destination() == owner.MAC:
		return relay(p, why, r)
	}
	return reason.Misdirected
}

// protected reports whether its holder alone can answer for an address, on a network
// with Secure Neighbor Discovery: it may be made of a key, as those that guests make
// may be, or its holder was seen to sign for it. RFC 3971 has no way to sign for
// another (RFC 6496 section 1).
func protected(p *packet.Packet, owner topology.Owner, a netip.Addr) bool {
	return p.Network.Send != nil && owner.Port != nil && (owner.Learned || p.Secured(a))
}

// relay re-sends p to other guests unless its source is still being learned:
// what they would keep of it, its sender may turn out not to hold.
func relay(p *packet.Packet, learning pipeline.Reason, r *pipeline.Replies) pipeline.Reason {
	if learning != 0 {
		return learning
	}
	return p.Relay(r)
}

// advertise answers p on behalf of target's owner out of the port that asked.
//
// The Ethernet destination is the asker's own source, not its link-layer option:
// the two are equal but behind ports with Unknown, and the source is where the
// switch saw the frame come from.
func advertise(p *packet.Packet, r *pipeline.Replies, owner topology.Owner, target netip.Addr) {
	h := wire.Headers{
		SourceMAC:      owner.MAC,
		DestinationMAC: p.Ethernet.Source(),
		Source:         target,
		Destination:    p.IPv6.Source(),
		HopLimit:       wire.MaxHopLimit,
	}
	flags := uint8(wire.FlagSolicited | wire.FlagOverride)
	// "If the source of the solicitation is the unspecified address, the node
	// MUST set the Solicited flag to zero and multicast the advertisement to
	// the all-nodes address", RFC 4861 section 7.2.4.
	if p.IPv6.SourceUnspecified() {
		h.DestinationMAC, h.Destination = wire.AllNodesMAC, wire.AllNodes
		flags = wire.FlagOverride
	}
	if owner.Proxied() {
		flags &^= wire.FlagOverride
	}
	if owner.Router {
		flags |= wire.FlagRouter
	}
	if id := signer(p.Network, owner, target); id != nil && p.Signs() {
		b := r.Back(&p.Frame, wire.NeighborAdvertFrameLen+id.Overhead(len(p.Signing.Nonce)))
		wire.PutNeighborAdvert(b, &h, target, owner.MAC, flags)
		if id.Sign(b, wire.NeighborAdvertFrameLen, p.Now, p.Signing.Nonce) == nil {
			return
		}
		r.Undo(len(r.List()) - 1)
	}
	b := r.Back(&p.Frame, wire.NeighborAdvertFrameLen)
	wire.PutNeighborAdvert(b, &h, target, owner.MAC, flags)
}
