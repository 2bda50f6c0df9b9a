package wire

// Fragmentation says what a Fragment header, if there was one, made of the packet.
type Fragmentation uint8

const (
	// Whole: no Fragment header.
	Whole Fragmentation = iota
	// AtomicFragment: a Fragment header with offset 0 and no more fragments; the whole packet is here (RFC 6946 section 4).
	AtomicFragment
	// FirstFragment: offset 0 with more to come; the upper-layer message is only begun here (RFC 8200 section 4.5).
	FirstFragment
	// LaterFragment: an offset; no upper-layer header is here (RFC 8200 section 4.5).
	LaterFragment
)

// Packet is one frame cut into views, all of them into the frame's own buffer
// and valid as long as that is. Cut fills it; with a Fault only the fields said
// there are to be relied on.
type Packet struct {
	// Ethernet is the whole frame, padding included; set unless Cut gave FaultTruncated.
	Ethernet Ethernet
	// IPv6 is the packet without padding; set for FaultNone and for every fault from FaultMulticastSource on.
	IPv6 IPv6
	// Payload begins at the upper-layer header and ends with the packet; set for FaultNone. It holds at least the fixed
	// header of the protocols Cut knows: TCP, UDP, ICMPv6, SCTP, ESP, GRE, VRRP.
	Payload []byte
	// Protocol is that of Payload; with FaultUnknownNextHeader the number that is not known, with FaultLaterFragment the
	// next header that the Fragment header names.
	Protocol uint8
	// Extensions is the number of extension headers walked, Fragment headers included.
	Extensions uint8
	// Fragment is what the Fragment headers said; the most incomplete one counts.
	Fragment Fragmentation
	// RouterAlert: the Hop-by-Hop Options header has a Router Alert of value 0, that of Multicast Listener Discovery (RFC 2711 section 2.1).
	RouterAlert bool
	// SourceRouted: there is a Routing header of type 0, whose sender chooses the way (RFC 5095 section 1).
	SourceRouted bool
	// Authenticated: there is an Authentication Header (RFC 4302), which nobody here can verify.
	Authenticated bool
}

// Cut reads one frame's headers into p, which is overwritten whole, and keeps
// no bytes. It accepts untagged Ethernet II carrying one IPv6 packet, Ethernet
// padding behind it, and a chain of at most MaxExtensionHeaders extension
// headers that ends in an upper-layer header that is whole. It is the gate of
// Ethernet, IPv6 and Packet.
func Cut(frame []byte, p *Packet) Fault {
	*p = Packet{}
	if len(frame) < EthernetLen {
		return FaultTruncated
	}
	p.Ethernet = frame
	if f := checkEthernet(p.Ethernet); f != FaultNone {
		return f
	}
	b := frame[EthernetLen:]
	if len(b) < IPv6Len {
		return FaultTruncated
	}
	ip := IPv6(b)
	if ip.Version() != 6 {
		return FaultBadVersion
	}
	// A switch matches on what it extracted from a frame whose length field
	// lies, and an error message built from the claimed length would carry
	// memory that was never received: so the field must fit what is here.
	n := ip.PayloadLength()
	switch {
	case n == 0:
		return FaultZeroPayloadLength
	case n > len(b)-IPv6Len:
		return FaultBadLength
	}
	p.IPv6 = ip[: IPv6Len+n : IPv6Len+n]
	switch {
	case ip[ipSrc] == multicastOctet:
		return FaultMulticastSource
	case ip.sourceInternal():
		return FaultInternalSource
	case isUnspecified(ip[ipDst:]):
		return FaultUnspecifiedDestination
	}
	return p.walk()
}

// checkEthernet admits untagged Ethernet II with IPv6 and a possible sender.
// Priority tags, stacked tags and SNAP are all ways to show a filter one frame
// and the receiving host another (VU#855201), so nothing is unwrapped.
func checkEthernet(e Ethernet) Fault {
	switch t := e.EtherType(); t {
	case EtherTypeIPv6:
	case EtherTypeVLAN, EtherTypeServiceVLAN, EtherTypeLegacyQinQ:
		return FaultTagged
	default:
		if t < minEtherType {
			return FaultNotEthernetII
		}
		return FaultNotIPv6
	}
	switch src := e.Source(); {
	case src.IsMulticast():
		return FaultMulticastSourceMAC
	case src.IsZero():
		return FaultZeroSourceMAC
	}
	return FaultNone
}

// ICMPv6 is the upper-layer message as ICMPv6; valid if Protocol is ProtocolICMPv6.
func (p *Packet) ICMPv6() ICMPv6 { return ICMPv6(p.Payload) }
