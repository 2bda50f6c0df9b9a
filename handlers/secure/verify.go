package secure

import (
	"net/netip"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// verify judges a signed message: 0 if it goes on, p.Signing says whether as one
// that is secured.
func (l *Lane) verify(p *packet.Packet, fixed int, r *pipeline.Replies) pipeline.Reason {
	if well, fault := wellFormed(p); !well {
		return reason.OfFault(fault)
	}
	m, fault := l.check(p, fixed)
	if fault == send.FaultNone {
		l.Verified.Add(1)
		p.Signing.Verified = true
		p.Frame.Note |= punt.SecureVerified
		return 0
	}
	l.Faults[fault].Add(1)
	switch {
	case p.Network.Send.Mode == topology.SendObserve:
		return 0
	// Messages without the CGA option "MUST be treated as unsecured" (RFC 3971 section
	// 5.1.2): who knows their key by a certificate may take more from them.
	case fault == send.FaultNoCGA && p.Network.Send.Mode == topology.SendPrefer:
		return l.unsecured(p, r)
	case fault == send.FaultTimestamp && timeless(p, &m):
		p.Signing.Stale = true
		return 0
	}
	return reason.OfSEND(fault)
}

// timeless reports whether a message goes on whatever time it says that it was sent at,
// so that "nodes that have large differences in their clocks" can "continue
// communicating with each other by exchanging NS/NA pairs" (RFC 3971 section 5.3.4.2): a
// question, which "the receiver SHOULD respond to", and an answer. A probe is the
// router's alone to object to; others would learn by it who holds its target.
func timeless(p *packet.Packet, m *send.Message) bool {
	if p.ICMPv6().Type() == wire.TypeNeighborSolicit {
		return !p.IPv6.SourceUnspecified() || needsSignature(p)
	}
	return solicited(p, m)
}

// solicited reports whether a message is an answer by whose nonce who asked knows that it
// is no old one, nothing else (RFC 3971 section 5.3.4.1).
func solicited(p *packet.Packet, m *send.Message) bool {
	return p.ICMPv6().Type() == wire.TypeNeighborAdvert && !p.IPv6.DestinationMulticast() && m.Nonce != nil
}

// wellFormed applies the gate of the message's type, so that nothing is computed for
// what its handler would not take.
func wellFormed(p *packet.Packet) (bool, wire.Fault) {
	var f wire.Fault
	switch p.ICMPv6().Type() {
	case wire.TypeNeighborSolicit:
		_, f = wire.CheckNeighborSolicit(&p.Packet)
	case wire.TypeNeighborAdvert:
		_, f = wire.CheckNeighborAdvert(&p.Packet)
	case wire.TypeRouterSolicit:
		_, f = wire.CheckRouterSolicit(&p.Packet)
	case wire.TypeRouterAdvert:
		_, f = wire.CheckRouterAdvert(&p.Packet)
	}
	return f == wire.FaultNone, f
}

// check applies all rules of RFC 3971 sections 5.1.2, 5.2.2 and 5.3.4, those that cost
// little first, and remembers whose message passed.
func (l *Lane) check(p *packet.Packet, fixed int) (m send.Message, f send.Fault) {
	if m, f = send.Read(p.ICMPv6(), fixed); f != send.FaultNone {
		return m, f
	}
	// A link-layer address that is not signed is not to be believed, and which one
	// others take is not known here.
	if hidden(wire.Options(p.Payload[m.Covered():])) {
		return m, send.FaultBehind
	}
	a, f := l.signer(p, &m)
	if f != send.FaultNone {
		return m, f
	}
	return m, l.judge(p, &m, a)
}

// judge verifies a message as that of an address.
func (l *Lane) judge(p *packet.Packet, m *send.Message, a netip.Addr) send.Fault {
	if f := m.VerifyAddress(a); f != send.FaultNone {
		return f
	}
	peer := send.Peer{Network: p.Network.Name, Addr: a}
	stale := l.Peers.Check(p.Now, peer, m.Timestamp, m.SignatureHead())
	switch asker, _ := p.Network.Asker(); {
	case stale == send.FaultReplay && (!solicited(p, m) || l.Peers.Taken(peer, m.Timestamp, m.SignatureHead())):
		return stale
	case solicited(p, m) && p.IPv6.Destination() == asker: // whose nonce it has
		stale = send.FaultNone
	case stale == send.FaultReplay:
		stale = send.FaultTimestamp
	}
	if f := m.VerifySignature(p.IPv6, p.Network.Send.MinBits); f != send.FaultNone {
		return f
	}
	// Whose address another port has may have its key too, but not its place.
	if stale != send.FaultNone || p.Claim(a) == packet.Foreign {
		return stale
	}
	return l.Peers.Accept(p.Now, peer, m.Timestamp, m.SignatureHead(), p.Port.Name)
}

// hidden reports whether there is a link-layer address among options.
func hidden(o wire.Options) bool {
	return o.Find(wire.OptionSourceLinkLayer) != nil || o.Find(wire.OptionTargetLinkLayer) != nil
}

// signer is the address that a message is signed for, if it says all that a message
// of its type must: solicitations a nonce. In an answer to Damselfly's own question it
// is that of the question; an answer without one is judged as one that nobody asked
// for (RFC 3971 sections 5.1.1, 5.3.3 and 5.3.4.1).
func (l *Lane) signer(p *packet.Packet, m *send.Message) (netip.Addr, send.Fault) {
	source := p.IPv6.Source()
	switch p.ICMPv6().Type() {
	case wire.TypeNeighborSolicit, wire.TypeRouterSolicit:
		switch {
		case m.Nonce == nil:
			return source, send.FaultNoNonce
		case !source.IsUnspecified():
		case p.ICMPv6().Type() == wire.TypeRouterSolicit:
			return source, send.FaultNoAddress
		default:
			return wire.NeighborSolicit(p.Payload).Target(), send.FaultNone
		}
	case wire.TypeNeighborAdvert:
		na := wire.NeighborAdvert(p.Payload)
		if na.Target() != source {
			return source, send.FaultTarget
		}
		asker, _ := p.Network.Asker()
		if p.IPv6.Destination() == asker && m.Nonce != nil && !l.Questions.Asked(p.Now, source, m.Nonce) {
			return source, send.FaultNonce
		}
	}
	return source, send.FaultNone
}
