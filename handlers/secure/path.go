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
// none does. It needs no signature. A router without certificates says nothing, so that
// a guest that is one may.
//
// "Routers SHOULD NOT send Certification Path Advertisements more than MAX_CPA_RATE times
// within a second", which is ten, for the sake of a link that all hosts share. Here the
// answer leaves by the port that asked alone, as often as its limit of class send lets
// it ask.
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
	// "A link-local unicast address assigned to the sending interface, or to the
	// unspecified address" (section 6.4.1).
	if !p.IPv6.SourceLinkLocal() && !p.IPv6.SourceUnspecified() {
		return reason.OfFault(wire.FaultNotLinkLocal)
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
	// All-Nodes multicast address", and the identifier "MUST be zero for advertisements
	// sent to the All-Nodes multicast address" (section 6.4.2).
	var advert send.PathAdvert
	if !p.IPv6.SourceUnspecified() {
		h.Destination, advert.Identifier = wire.SolicitedNode(p.IPv6.Source()), s.Identifier()
	}
	h.DestinationMAC = wire.MulticastMAC(h.Destination)
	put := func() { advert.Put(r.Back(&p.Frame, advert.FrameLen()), &h) }
	anchors := path(&advert, s, chain)
	if advert.All == 0 {
		advert.Anchors = anchors
		put()
		return reason.Answered
	}
	one, all := s.Component()
	for c := advert.All - 1; c >= 0; c-- {
		if !all && c != one {
			continue
		}
		advert.Component, advert.Certificate, advert.Anchors = c, chain.Certificate(c), nil
		// "If present, these options MUST appear in the first component."
		if c == advert.All-1 && fits(&advert, anchors) {
			advert.Anchors = anchors
		}
		put()
	}
	if advert.Certificate == nil {
		return reason.NoCertificate
	}
	return reason.Answered
}

// path finds the first trust anchor that the chain leads to, of those asked for, or all of
// the chain where none is, and notes the path's length in advert: 0 for none. It returns
// the option of that anchor or, where there is none, those asked for: as many as the link
// that every host has takes; the first are those it wants most.
func path(advert *send.PathAdvert, s send.PathSolicit, chain *send.Chain) (anchors []byte) {
	advert.All = chain.Len()
	for anchor := range s.Anchors {
		if advert.All = chain.Below(anchor); advert.All > 0 {
			return send.AppendAnchor(nil, anchor)
		}
		if all := send.AppendAnchor(anchors, anchor); fits(advert, all) {
			anchors = all
		}
	}
	return anchors
}

// fits reports whether an advertisement has room for Trust Anchor options.
func fits(advert *send.PathAdvert, anchors []byte) bool {
	return advert.FrameLen()+len(anchors) <= wire.EthernetLen+wire.MinMTU
}

// PathAdvert handles a guest's Certification Path Advertisement: hosts would take
// the guest for a router's.
func PathAdvert() pipeline.Reason { return reason.GuestPathAdvert }
