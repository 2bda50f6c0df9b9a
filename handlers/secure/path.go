package secure

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/send"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// PathSolicit handles a Certification Path Solicitation: it sends the certificates
// that lead from a trust anchor to the router (RFC 3971 section 6.4.5), or says that
// none does. It needs no signature.
func PathSolicit(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	n := p.Network
	if !n.Signs() || n.Router == nil || n.Send.Identity.Chain == nil {
		return reason.NoCertificate
	}
	s, fault, special := send.CheckPathSolicit(&p.Packet)
	switch {
	case fault != wire.FaultNone:
		return reason.OfFault(fault)
	case special != send.FaultNone:
		return reason.OfSEND(special)
	}
	if why := p.Honest(wire.MAC{}, false); why != 0 && why != reason.Learning {
		return why
	}
	if d := p.IPv6.Destination(); d != wire.AllRouters && d != n.Router.LinkLocal && d != wire.SolicitedNode(n.Router.LinkLocal) {
		return reason.Misdirected
	}
	chain := n.Send.Identity.Chain
	h := wire.Headers{
		SourceMAC: n.Router.MAC, DestinationMAC: p.Ethernet.Source(),
		Source: n.Router.LinkLocal, Destination: wire.AllNodes, HopLimit: wire.MaxHopLimit,
	}
	// "the Solicited-Node multicast address of the receiver or the link-scoped
	// All-Nodes multicast address" (RFC 3971 section 6.4.2).
	if !p.IPv6.SourceUnspecified() {
		h.Destination = wire.SolicitedNode(p.IPv6.Source())
	}
	h.DestinationMAC = wire.MulticastMAC(h.Destination)
	advert := send.PathAdvert{Identifier: s.Identifier(), All: chain.Len()}
	put := func() { advert.Put(r.Back(&p.Frame, advert.FrameLen()), &h) }
	asked, below := 0, false
	for anchor := range s.Anchors {
		asked++
		below = below || chain.Below(anchor)
		// As many as the link that every host has takes; the first are those it wants most.
		if advert.FrameLen()+len(anchor) <= wire.EthernetLen+wire.MinMTU {
			advert.Anchors = append(advert.Anchors, anchor...)
		}
	}
	if asked > 0 && !below {
		advert.All = 0
		put()
		return reason.Answered
	}
	advert.Anchors = nil
	one, all := s.Component()
	for c := chain.Len() - 1; c >= 0; c-- {
		if all || c == one {
			advert.Component, advert.Certificate = c, chain.Certificate(c)
			put()
		}
	}
	if advert.Certificate == nil {
		return reason.NoCertificate
	}
	return reason.Answered
}

// PathAdvert handles a guest's Certification Path Advertisement: hosts would take
// the guest for a router's.
func PathAdvert() pipeline.Reason { return reason.GuestPathAdvert }
