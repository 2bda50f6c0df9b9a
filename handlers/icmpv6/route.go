package icmpv6

import (
	"encoding/binary"
	"net/netip"

	"damselfly/handlers/floating"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// mistake is an ICMPv6 error without what it is about.
type mistake struct {
	typ, code uint8
	// word is the field behind the checksum: the MTU of Packet Too Big.
	word uint32
	why  pipeline.Reason
}

var mistakes = [punt.Troubles]mistake{
	punt.HopLimit:    {typ: wire.TypeTimeExceeded, why: reason.TimeExceeded},
	punt.NoRoute:     {wire.TypeDestinationUnreachable, wire.CodeNoRoute, 0, reason.NoRoute},
	punt.Unreachable: {wire.TypeDestinationUnreachable, wire.CodeAddressUnreachable, 0, reason.AddressUnreachable},
	punt.Prohibited:  {wire.TypeDestinationUnreachable, wire.CodeProhibited, 0, reason.RouteProhibits},
	punt.RejectRoute: {wire.TypeDestinationUnreachable, wire.CodeRejectRoute, 0, reason.RouteRejects},
	punt.BeyondScope: {wire.TypeDestinationUnreachable, wire.CodeBeyondScope, 0, reason.BeyondScope},
	punt.TooBig:      {typ: wire.TypePacketTooBig, why: reason.PacketTooBig},
	punt.Local:       {wire.TypeDestinationUnreachable, wire.CodePortUnreachable, 0, reason.NobodyListens},
}

// Unroutable tells the sender of a packet why its router could not carry it on.
// The packet and the topology decide that, not what the switch made of it. Where
// the next hop has to be asked for, or has just been found, it returns
// reason.Resolving and says nothing, and likewise reason.Translated for what no flow
// can translate.
func Unroutable(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	// The Ethernet destination says nothing: what is too big was on its way to the
	// neighbour already.
	if p.Router == nil || p.Routed {
		return reason.NotOurs
	}
	// An error to a borrowed source would be sent to its owner.
	if why := p.Honest(wire.MAC{}, false); why != 0 {
		return why
	}
	to := p.Router.To(p.IPv6.Destination())
	t, mtu, ok := judge(p, &to)
	if m, unmapped := mapping(p, &to); unmapped && t != punt.HopLimit {
		return tell(p, m, r)
	}
	switch untranslated := punt.NoteTrouble(p.Frame.Note) == punt.Untranslated; {
	case untranslated && (!ok || t == punt.Unresolved) && to.Network != nil:
		// A receiver would not accept it either (RFC 4443 section 2.3).
		if floating.IsError(&p.Packet) {
			if _, fault := wire.CheckICMPv6(&p.Packet); fault != wire.FaultNone {
				return reason.OfFault(fault)
			}
		}
		return reason.Translated
	case ok && t == punt.Unresolved, !ok && to.Network != nil && punt.Class(p.Frame.Class) == punt.Unknown:
		return reason.Resolving
	case !ok:
		return reason.NotOurs
	}
	return tell(p, mistakeOf(t, mtu), r)
}

// Unreachable tells the sender of a packet that its next hop does not answer (RFC
// 4861 section 7.2.2).
func Unreachable(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	return tell(p, mistakeOf(punt.Unreachable, 0), r)
}

// mistakeOf is the error that stands for a trouble.
func mistakeOf(t punt.Trouble, mtu int) mistake {
	m := mistakes[t]
	m.word = uint32(mtu)
	return m
}

// mapping finds the address of a packet that lies in a translated prefix and has
// no mapping. One whose interface identifier is zero "MUST be dropped, and an
// ICMPv6 Parameter Problem error SHOULD be generated" (RFC 6296 section 3.7);
// of others the sender is told that the destination is unreachable (section 3.2).
func mapping(p *packet.Packet, to *topology.Way) (m mistake, unmapped bool) {
	const source, destination = 8, 24 // in the header (RFC 8200 section 3)
	external, in := floating.External(p, to.Network)
	at, a := uint32(source), p.IPv6.Source()
	_, ok := p.Router.Outward(external, a)
	if ok = ok || !p.Router.Behind(external, a); ok && in {
		at, a = destination, p.IPv6.Destination()
		_, ok = p.Router.Inward(external, a)
	}
	if ok {
		return m, false
	}
	if octets := a.As16(); binary.BigEndian.Uint64(octets[8:]) == 0 {
		return mistake{wire.TypeParameterProblem, wire.CodeErroneousField, at, reason.NoMapping}, true
	}
	if at == destination {
		return mistakes[punt.NoRoute], true
	}
	return mistakes[punt.Prohibited], true
}

// tell sends an error, if any may be sent.
func tell(p *packet.Packet, m mistake, r *pipeline.Replies) pipeline.Reason {
	if m.why != reason.NobodyListens && !MayError(p, m.typ, m.code) {
		return reason.NoErrorDue
	}
	router := p.Network.Router
	h := wire.Headers{
		SourceMAC:      router.MAC,
		DestinationMAC: p.Ethernet.Source(),
		Source:         sourceOfError(p),
		Destination:    p.IPv6.Source(),
		HopLimit:       wire.DefaultHopLimit,
	}
	if m.why == reason.NobodyListens {
		h.Source = p.IPv6.Destination()
		if why, done := problem(p, r); done {
			return why
		}
		if !MayError(p, m.typ, m.code) {
			return reason.NoErrorDue
		}
		switch p.Protocol {
		case wire.ProtocolTCP:
			if why := answer(p, &h, r); why != reason.Rejected {
				return why
			}
			return m.why
		case wire.ProtocolUDP:
		default:
			return reason.NotOurs
		}
	}
	wire.PutError(r.Back(&p.Frame, wire.ErrorFrameLen(p.IPv6)), &h, m.typ, m.code, m.word, p.IPv6)
	return m.why
}

// judge finds why the router cannot carry a packet on, in the order of the
// flows; ok is false if it can now, or if nobody is to be told. mtu is 0 but for
// what is too big.
func judge(p *packet.Packet, to *topology.Way) (t punt.Trouble, mtu int, ok bool) {
	switch {
	case p.IPv6.Destination() == p.Network.Router.LinkLocal:
		return punt.Local, 0, true
	case to.Silent:
		return 0, 0, false
	case p.IPv6.Source().IsLinkLocalUnicast():
		return punt.BeyondScope, 0, true
	case to.Trouble == punt.Local:
		return punt.Local, 0, true
	case p.IPv6.HopLimit() <= 1:
		return punt.HopLimit, 0, true
	case !p.Router.Admits(p.Network, p.IPv6.Source(), p.IPv6.Destination()):
		return punt.Prohibited, 0, true
	case to.Trouble != 0 && to.Trouble != punt.Unresolved:
		return to.Trouble, 0, true
	case to.MTU > 0 && len(p.IPv6) > to.MTU:
		return punt.TooBig, to.MTU, true
	case to.Trouble != 0:
		return to.Trouble, 0, true
	}
	return 0, 0, false
}

// sourceOfError chooses the router's address that an error comes from, by which
// traceroute names the hop: on the network that the packet came from the one
// nearest to its source, else any global one there, else on another network,
// since what is link-local goes no further than the link (RFC 4443 section 2.2).
func sourceOfError(p *packet.Packet) netip.Addr {
	router, asker := p.Network.Router, p.IPv6.Source()
	from := sourceFor(router, asker)
	if !from.IsLinkLocalUnicast() || asker.IsLinkLocalUnicast() {
		return from
	}
	if a, ok := global(router); ok {
		return a
	}
	for _, n := range p.Router.Networks {
		if a, ok := global(n.Router); ok {
			return a
		}
	}
	return from
}

func global(r *topology.RouterInterface) (a netip.Addr, ok bool) {
	if len(r.Addresses) == 0 {
		return a, false
	}
	return r.Addresses[0].Addr(), true
}
