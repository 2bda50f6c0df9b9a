package wire

import "encoding/binary"

// MaxExtensionHeaders bounds the headers between IPv6 and the upper layer. RFC
// 8200 section 4.1 knows six of them in one packet that has all; a longer chain
// only serves to hide what is behind it, and RFC 8504 section 5.3 allows a limit.
const MaxExtensionHeaders = 8

const (
	// extLenUnit is the unit in octets of an extension header's length field, which does not count the first such unit (RFC 6564 section 4).
	extLenUnit = 8
	// authLenUnit is the unit in octets of AH's length field, which does not count the first two (RFC 4302 section 2.2).
	authLenUnit = 4
	// fragmentLen is the fixed length in octets of a Fragment header (RFC 8200 section 4.5).
	fragmentLen = 8
	// fragmentOffsetMask selects the offset from the word at fragmentField (RFC 8200 section 4.5).
	fragmentOffsetMask = 0xfff8
	// fragmentMore is the M flag of the word at fragmentField (RFC 8200 section 4.5).
	fragmentMore  = 0x0001
	fragmentField = 2
	// optionsField is where the options of a Hop-by-Hop Options header begin (RFC 8200 section 4.3).
	optionsField = 2
	// optionPad1, optionPadN and optionRouterAlert are types of options (RFC 8200 section 4.2, RFC 2711 section 2.1).
	optionPad1, optionPadN, optionRouterAlert = 0, 1, 5
	// routingType is where a Routing header says its type (RFC 8200 section 4.4).
	routingType = 2
)

// walk follows the next headers to the upper layer. Cut has proven p.IPv6.
//
// Every header whose format is known is stepped over, so that Neighbor
// Discovery and Router Advertisements cannot hide behind one (RFC 7113 section
// 3); the caller sees from Extensions that there was something and decides. A
// header of unknown format ends the walk, since a receiver that does know it
// might find anything behind it.
func (p *Packet) walk() Fault {
	next, b := p.IPv6.NextHeader(), p.IPv6.Payload()
	for {
		min := upperLen(next)
		if min > 0 {
			return p.finish(next, b, min)
		}
		if next == ProtocolNoNext {
			p.Protocol = next
			return FaultNoUpperLayer
		}
		if !isExtension(next) {
			p.Protocol = next
			return FaultUnknownNextHeader
		}
		if next == ProtocolHopByHop && p.Extensions > 0 {
			return FaultHopByHopNotFirst
		}
		if p.Extensions == MaxExtensionHeaders {
			return FaultChainTooLong
		}
		n := extensionLen(next, b)
		if n == 0 {
			return FaultChainTruncated
		}
		p.Extensions++
		switch next {
		case ProtocolFragment:
			p.Fragment = max(p.Fragment, fragmentation(b))
		case ProtocolHopByHop:
			p.RouterAlert = hasRouterAlert(b[optionsField:n])
		case ProtocolRouting:
			p.SourceRouted = p.SourceRouted || b[routingType] == 0
		case ProtocolAH:
			p.Authenticated = true
		}
		next = b[0]
		b = b[n:]
		if p.Fragment == LaterFragment {
			p.Protocol = next
			return FaultLaterFragment
		}
	}
}

// finish ends the walk at the upper-layer header, of which min octets must be
// here: also a first fragment has to hold the whole chain, or a filter could
// not tell what it lets through (RFC 7112 section 5).
func (p *Packet) finish(protocol uint8, b []byte, min int) Fault {
	if len(b) < min {
		return FaultChainTruncated
	}
	p.Protocol = protocol
	p.Payload = b
	return FaultNone
}

// upperLen is the length in octets of an upper-layer protocol's fixed header,
// 0 for a protocol that is none. ESP counts as one: what it hides is for its
// receiver alone (RFC 7112 section 3).
func upperLen(protocol uint8) int {
	switch protocol {
	case ProtocolICMPv6:
		return icmpHeaderLen
	case ProtocolUDP:
		return UDPLen
	case ProtocolTCP:
		return 20 // RFC 9293 section 3.1
	case ProtocolSCTP:
		return 12 // RFC 9260 section 3.1
	case ProtocolESP:
		return 8 // RFC 4303 section 2
	case ProtocolVRRP:
		return 8 // RFC 9568 section 5.1
	case ProtocolGRE:
		return 4 // RFC 2784 section 2.1
	}
	return 0
}

// isExtension reports whether protocol is an extension header of known format (RFC 7045 section 4).
func isExtension(protocol uint8) bool {
	switch protocol {
	case ProtocolHopByHop, ProtocolRouting, ProtocolFragment, ProtocolAH, ProtocolDestination,
		ProtocolMobility, ProtocolHIP, ProtocolShim6:
		return true
	}
	return false
}

// extensionLen is the length in octets of the extension header at b, 0 if b ends before it does.
func extensionLen(protocol uint8, b []byte) int {
	if len(b) < extLenUnit {
		return 0
	}
	n := (int(b[1]) + 1) * extLenUnit
	switch protocol {
	case ProtocolFragment:
		n = fragmentLen
	case ProtocolAH:
		n = (int(b[1]) + 2) * authLenUnit
	}
	if n > len(b) {
		return 0
	}
	return n
}

// hasRouterAlert reports whether a Router Alert of value 0 is among the options of
// a header, which may be anything.
func hasRouterAlert(o []byte) bool {
	for len(o) > 1 {
		if o[0] == optionPad1 {
			o = o[1:]
			continue
		}
		n := 2 + int(o[1])
		if n > len(o) {
			return false
		}
		if o[0] == optionRouterAlert && n == 4 {
			return o[2] == 0 && o[3] == 0
		}
		o = o[n:]
	}
	return false
}

// fragmentation reads the Fragment header at b, whose length extensionLen has proven.
func fragmentation(b []byte) Fragmentation {
	word := binary.BigEndian.Uint16(b[fragmentField:])
	switch {
	case word&fragmentOffsetMask != 0:
		return LaterFragment
	case word&fragmentMore != 0:
		return FirstFragment
	}
	return AtomicFragment
}
