// Package icmpv6 answers what is asked of the router itself, echo requests (RFC
// 4443 section 4), and tells senders what rules rejected and no router could
// carry on (section 3).
package icmpv6

import (
	"net/netip"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Echo answers an echo request to an address of the router, to all nodes or to
// all routers (RFC 4443 section 4.2). Identifier, sequence number and data go
// back as they came; flow label and traffic class are 0.
func Echo(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	router := p.Network.Router
	if router == nil {
		return reason.NotOurs
	}
	request, fault := wire.CheckEchoRequest(&p.Packet)
	if fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	// A reply to a borrowed source would be sent to its owner by the asker's
	// hand, once per node if asked of all (RFC 4443 section 5.2).
	if why := p.Honest(wire.MAC{}, false); why != 0 {
		return why
	}
	from := p.IPv6.Destination()
	if from == wire.AllNodes || from == wire.AllRouters {
		from = sourceFor(router, p.IPv6.Source())
	} else if owner, ok := p.Network.Owner(from); (!ok || owner.Port != nil || owner.Floating != nil) && (p.Router == nil || !p.Router.Holds(from)) {
		return reason.NotOurs
	}
	if to := p.Ethernet.Destination(); to != router.MAC && !to.IsMulticast() {
		return reason.Misdirected
	}
	if p.Extensions > 0 && p.Router != nil {
		if why, done := problem(p, r); done {
			return why
		}
	}
	h := wire.Headers{
		SourceMAC:      router.MAC,
		DestinationMAC: p.Ethernet.Source(),
		Source:         from,
		Destination:    p.IPv6.Source(),
		HopLimit:       wire.DefaultHopLimit,
	}
	wire.PutEchoReply(r.Back(&p.Frame, wire.HeadersLen+len(request)), &h, &p.Packet, request)
	return reason.Answered
}

// sourceFor chooses the router's address to answer a multicast request from
// (RFC 4443 section 2.2): the one on the longest prefix that holds the asker's
// address, else the link-local one.
func sourceFor(router *topology.RouterInterface, asker netip.Addr) netip.Addr {
	from, bits := router.LinkLocal, -1
	for _, a := range router.Addresses {
		if a.Bits() > bits && a.Contains(asker) {
			from, bits = a.Addr(), a.Bits()
		}
	}
	return from
}
