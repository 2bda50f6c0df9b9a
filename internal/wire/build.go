package wire

import (
	"encoding/binary"
	"net/netip"
)

const (
	// HeadersLen is the length in octets of the Ethernet and IPv6 headers before every body.
	HeadersLen = EthernetLen + IPv6Len
	// NeighborAdvertFrameLen is the length in octets of a Neighbor Advertisement's frame with its one option: 86.
	NeighborAdvertFrameLen = HeadersLen + NeighborLen + LinkLayerOptionLen
	// NeighborSolicitFrameLen is the same of a Neighbor Solicitation: 86; without the option 8 less.
	NeighborSolicitFrameLen = HeadersLen + NeighborLen + LinkLayerOptionLen

	// linkLayerUnits is LinkLayerOptionLen in OptionUnit.
	linkLayerUnits = LinkLayerOptionLen / OptionUnit
)

// Headers is what the Ethernet and IPv6 headers of a frame to build say;
// traffic class and flow label are 0.
type Headers struct {
	SourceMAC      MAC
	DestinationMAC MAC
	Source         netip.Addr // the zero Addr means ::
	Destination    netip.Addr
	HopLimit       uint8 // MaxHopLimit for all of Neighbor Discovery
}

// put writes the headers before a body of length octets and gives the sum of its pseudo-header.
func (h *Headers) put(b []byte, protocol uint8, length int) Sum {
	b = b[:HeadersLen]
	copy(b[ethDst:], h.DestinationMAC[:])
	copy(b[ethSrc:], h.SourceMAC[:])
	binary.BigEndian.PutUint16(b[ethType:], EtherTypeIPv6)
	ip := b[EthernetLen:]
	binary.BigEndian.PutUint32(ip, 6<<28)
	binary.BigEndian.PutUint16(ip[ipPayloadLen:], uint16(length))
	ip[ipNextHeader] = protocol
	ip[ipHopLimit] = h.HopLimit
	src, dst := h.Source.As16(), h.Destination.As16()
	copy(ip[ipSrc:], src[:])
	copy(ip[ipDst:], dst[:])
	return PseudoSum(ip, protocol, length)
}

// PutNeighborAdvert writes a whole frame with a Neighbor Advertisement for
// target, its target link-layer address option and checksum, into b, which
// must have room for NeighborAdvertFrameLen octets. It returns that length.
// flags are FlagRouter, FlagSolicited and FlagOverride (RFC 4861 section 4.4).
func PutNeighborAdvert(b []byte, h *Headers, target netip.Addr, linkLayer MAC, flags uint8) int {
	b = b[:NeighborAdvertFrameLen]
	sum := h.put(b, ProtocolICMPv6, NeighborAdvertFrameLen-HeadersLen)
	sum += putNeighbor(b[HeadersLen:], TypeNeighborAdvert, flags, target)
	sum += putLinkLayer(b[HeadersLen+NeighborLen:], OptionTargetLinkLayer, linkLayer)
	ICMPv6(b[HeadersLen:]).setChecksum(sum.Checksum())
	return NeighborAdvertFrameLen
}

// PutNeighborSolicit writes a whole frame with a Neighbor Solicitation for
// target and its checksum into b, which must have room for
// NeighborSolicitFrameLen octets, and returns its length. The source
// link-layer address option holds h.SourceMAC; a probe from :: has none (RFC
// 4861 section 4.3).
func PutNeighborSolicit(b []byte, h *Headers, target netip.Addr) int {
	n := NeighborSolicitFrameLen
	probe := !h.Source.IsValid() || h.Source.IsUnspecified()
	if probe {
		n -= LinkLayerOptionLen
	}
	b = b[:n]
	sum := h.put(b, ProtocolICMPv6, n-HeadersLen)
	sum += putNeighbor(b[HeadersLen:], TypeNeighborSolicit, 0, target)
	if !probe {
		sum += putLinkLayer(b[HeadersLen+NeighborLen:], OptionSourceLinkLayer, h.SourceMAC)
	}
	ICMPv6(b[HeadersLen:]).setChecksum(sum.Checksum())
	return n
}

// PutICMPv6 writes a whole frame around body, an ICMPv6 message made before
// with a zero checksum field, and patches the checksum. bodySum is
// SumBody(body), so that only the addresses are summed here. b must have room
// for HeadersLen+len(body) octets, which is returned; body is at most 65,535
// octets.
func PutICMPv6(b []byte, h *Headers, body []byte, bodySum Sum) int {
	n := HeadersLen + len(body)
	b = b[:n]
	sum := h.put(b, ProtocolICMPv6, len(body)) + bodySum
	copy(b[HeadersLen:], body)
	ICMPv6(b[HeadersLen:]).setChecksum(sum.Checksum())
	return n
}

// PutEchoReply writes a whole frame with the reply to request, which came
// through CheckEchoRequest in p, into b and returns its length,
// HeadersLen+len(request), for which b must have room. The checksum is the
// request's, updated by what differs, so the data is only copied.
func PutEchoReply(b []byte, h *Headers, p *Packet, request Echo) int {
	n := HeadersLen + len(request)
	b = b[:n]
	sum := h.put(b, ProtocolICMPv6, len(request))
	copy(b[HeadersLen:], request)
	reply := ICMPv6(b[HeadersLen:])
	reply[icmpType] = TypeEchoReply
	before := PseudoSum(p.IPv6, ProtocolICMPv6, len(request)) + TypeEchoRequest<<8
	reply.setChecksum(UpdateChecksum(reply.Checksum(), before, sum+TypeEchoReply<<8))
	return n
}

// putNeighbor writes the fixed part that both neighbor messages share, the
// checksum field zero, and gives its sum. The sum is made of what is written,
// not read back: a load that spans several fresh stores would stall.
func putNeighbor(m []byte, typ, flags uint8, target netip.Addr) Sum {
	m = m[:NeighborLen]
	binary.BigEndian.PutUint32(m, uint32(typ)<<24)
	binary.BigEndian.PutUint32(m[advertFlags:], uint32(flags)<<24)
	a := target.As16()
	copy(m[neighborTarget:], a[:])
	return SumBody(a[:]) + Sum(typ)<<8 + Sum(flags)<<8
}

// putLinkLayer writes a link-layer address option of 8 octets and gives its sum.
func putLinkLayer(o []byte, typ uint8, m MAC) Sum {
	word := uint64(typ)<<56 | linkLayerUnits<<48 |
		uint64(binary.BigEndian.Uint32(m[:]))<<16 | uint64(binary.BigEndian.Uint16(m[4:]))
	binary.BigEndian.PutUint64(o, word)
	return Sum(word>>48) + Sum(word>>32&0xffff) + Sum(word>>16&0xffff) + Sum(word&0xffff)
}

// FinishICMPv6 makes the frame b, an ICMPv6 message without extension headers
// that was built shorter or longer, whole again: the payload length and the
// checksum are those of all of b.
func FinishICMPv6(b []byte) {
	ip, m := IPv6(b[EthernetLen:]), ICMPv6(b[HeadersLen:])
	binary.BigEndian.PutUint16(ip[ipPayloadLen:], uint16(len(m)))
	ip[ipNextHeader] = ProtocolICMPv6
	m.setChecksum(0)
	m.setChecksum((PseudoSum(ip, ProtocolICMPv6, len(m)) + SumBody(m)).Checksum())
}
