// Package ra sends and guards Router Advertisements (RFC 4861 section 6). What
// an advertisement contains is compiled into the snapshot; here it gets its
// headers, the lifetimes that count down and its checksum.
//
//	solicit.go   Router Solicitation: answered, or re-sent where a guest is the router
//	guard.go     Router Advertisements of guests
//	build.go     the frames, unsolicited ones for the owner of the timers included
package ra

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Solicit handles a Router Solicitation (RFC 4861 sections 6.1.1 and 6.2.6). On
// a network that Damselfly advertises it answers with all of the network's
// advertisements, the only answer of more than one frame; elsewhere it re-sends
// the question, since a guest may be the router.
func Solicit(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	rs, fault := wire.CheckRouterSolicit(&p.Packet)
	if fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	why := p.Honest(rs.SourceLinkLayer())
	n := p.Network
	switch {
	// A host that is still probing its address may ask from it already (RFC 4429
	// section 3.2). The answer leaves by its port alone, so it takes the address from nobody.
	case why == reason.Learning && advertised(n):
	case why != 0:
		return why
	case !advertised(n):
		return p.Relay(r)
	}
	if !p.IPv6.DestinationMulticast() {
		if owner, ok := n.Owner(p.IPv6.Destination()); !ok || owner.Port != nil {
			return reason.Misdirected
		}
	}
	// "In all cases, Router Advertisements sent in response to a Router
	// Solicitation MUST be delayed by a random time between 0 and
	// MAX_RA_DELAY_TIME seconds" (RFC 4861 section 6.2.6), so that the routers of
	// a link do not all answer at once. This link has one router and the answer
	// reaches one guest, so there is nothing to collide with: it leaves at once.
	//
	// "In addition, consecutive Router Advertisements sent to the all-nodes
	// multicast address MUST be rate limited to no more than one advertisement
	// every MIN_DELAY_BETWEEN_RAS seconds" (same section), which spares the other
	// hosts. An answer to a source without an address goes to all nodes, but
	// leaves by the port that asked alone, no more often than the port's limit
	// of RS. What all guests hear, the owner of the timers sends, at that distance.
	h := headers(n.Router.MAC, n.Router.LinkLocal)
	// Unicast wakes nobody else up (RFC 7772 section 5.1) and is allowed for a
	// source that has an address (RFC 4861 section 6.2.6).
	if !p.IPv6.SourceUnspecified() {
		h.DestinationMAC, h.Destination = p.Ethernet.Source(), p.IPv6.Source()
	}
	if p.Signing != nil && p.Signing.Adverts != nil {
		for _, frame := range p.Signing.Adverts {
			copy(r.Back(&p.Frame, len(frame)), frame)
		}
		return reason.Answered
	}
	if p.Signs() {
		made := len(r.List())
		if !Signed(n.Send.Identity, n.Adverts, &h, p.Now, p.Signing.Nonce, func(size int) []byte { return r.Back(&p.Frame, size) }) {
			r.Undo(made)
			return reason.NotSigned
		}
		return reason.Answered
	}
	for i := range n.Adverts {
		a := &n.Adverts[i]
		put(r.Back(&p.Frame, frameLen(a)), &h, a, p.Now)
	}
	return reason.Answered
}
