package wire

// CheckICMPv6 is the gate of ICMPv6: the packet carries it, whole, and the
// checksum verifies (RFC 4443 section 2.3). A first fragment cannot pass: its
// checksum covers what is not here.
func CheckICMPv6(p *Packet) (ICMPv6, Fault) {
	if p.Protocol != ProtocolICMPv6 {
		return nil, FaultNotICMPv6
	}
	if p.Fragment > AtomicFragment {
		return nil, FaultFragment
	}
	if p.SourceRouted {
		return nil, FaultRoutingHeader
	}
	if !VerifyChecksum(p.IPv6, ProtocolICMPv6, p.Payload) {
		return nil, FaultChecksum
	}
	return p.ICMPv6(), FaultNone
}

// CheckND is what the gates of all Neighbor Discovery messages have in common,
// for messages that have no gate here. minLen is the length in octets of the
// message's fixed part. The options of m are not walked.
//
// Extension headers before the message are no fault: a host accepts them. A
// caller that wants none reads Packet.Extensions.
func CheckND(p *Packet, minLen int) (m ICMPv6, f Fault) {
	switch {
	case p.Protocol != ProtocolICMPv6:
		return nil, FaultNotICMPv6
	// "Nodes MUST silently ignore the following Neighbor Discovery ... messages
	// if the packets carrying them include an IPv6 Fragmentation Header", RFC
	// 6980 section 5; that includes atomic fragments, which a switch cannot
	// tell from a whole packet.
	case p.Fragment != Whole:
		return nil, FaultFragment
	case p.SourceRouted:
		return nil, FaultRoutingHeader
	// "The IP Hop Limit field has a value of 255, i.e., the packet could not
	// possibly have been forwarded by a router", RFC 4861 sections 6.1.1,
	// 6.1.2, 7.1.1, 7.1.2 and 8.1.
	case p.IPv6.HopLimit() != MaxHopLimit:
		return nil, FaultHopLimit
	}
	m = p.ICMPv6()
	switch {
	case m.Code() != 0:
		return nil, FaultCode
	case len(m) < minLen:
		return nil, FaultShort
	case !VerifyChecksum(p.IPv6, ProtocolICMPv6, m):
		return nil, FaultChecksum
	}
	return m, FaultNone
}

// checkType is CheckND for one message type.
func checkType(p *Packet, typ uint8, minLen int) (ICMPv6, Fault) {
	if p.Protocol == ProtocolICMPv6 && p.ICMPv6().Type() != typ {
		return nil, FaultWrongType
	}
	return CheckND(p, minLen)
}
