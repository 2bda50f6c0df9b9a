package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum is a ones' complement sum of 16-bit big-endian words, not yet folded and
// not complemented (RFC 1071 section 1). Sums of parts add up with + as long
// as every part but the last has an even number of octets; 65,536 folded parts
// fit before it overflows.
type Sum uint32

// SumBody sums b, an odd last octet counting as the high half of a word. The
// result is folded: at most 0xffff.
func SumBody(b []byte) Sum {
	// The sum does not care for byte order but at the end (RFC 1071 section
	// 2 (B)), so eight octets are added as they lie, carries going round.
	var acc, c uint64
	for len(b) >= 32 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), c)
		acc, c = bits.Add64(acc, 0, c)
		acc += c
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc += c
		b = b[8:]
	}
	var tail uint64
	if len(b) >= 4 {
		tail = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		tail += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		tail += uint64(b[0])
	}
	acc, c = bits.Add64(acc, tail, 0)
	acc += c

	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	return Sum(bits.ReverseBytes16(Sum(acc).fold()))
}

// PseudoSum sums the pseudo-header of a packet whose upper-layer message has
// length octets (RFC 8200 section 8.1). The addresses are those of the header:
// with a routing header in the chain that is not the final destination.
func PseudoSum(ip IPv6, protocol uint8, length int) Sum {
	return SumBody(ip[ipSrc:ipSrc+32]) + lengthSum(protocol, length)
}

// lengthSum is the share of the pseudo-header behind its addresses.
func lengthSum(protocol uint8, length int) Sum {
	return Sum(length>>16) + Sum(length&0xffff) + Sum(protocol)
}

// AddressSum sums one address; the zero Addr counts as ::.
func AddressSum(a netip.Addr) Sum {
	b := a.As16()
	return SumBody(b[:])
}

// Checksum is the value for the checksum field: the folded sum, complemented
// (RFC 1071 section 1).
func (s Sum) Checksum() uint16 { return ^s.fold() }

// fold brings s to 16 bits, carries going round.
func (s Sum) fold() uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}

// Checksum is the upper-layer checksum of message, whose own checksum field
// must be zero (RFC 8200 section 8.1). For UDP a result of 0 must be sent as 0xffff.
func Checksum(src, dst netip.Addr, protocol uint8, message []byte) uint16 {
	s := AddressSum(src) + AddressSum(dst) + lengthSum(protocol, len(message))
	return (s + SumBody(message)).Checksum()
}

// VerifyChecksum reports whether message, with its checksum field as received,
// sums up with ip's pseudo-header (RFC 1071 section 1).
func VerifyChecksum(ip IPv6, protocol uint8, message []byte) bool {
	return (PseudoSum(ip, protocol, len(message)) + SumBody(message)).fold() == 0xffff
}

// IsPseudoChecksum reports whether field is just the pseudo-header's sum, not
// complemented: what a guest leaves in the checksum field when it believes
// that its network card will finish the checksum. Such a frame never crossed a
// cable, and its message is to be taken as good.
func IsPseudoChecksum(ip IPv6, protocol uint8, length int, field uint16) bool {
	return PseudoSum(ip, protocol, length).fold() == field
}

// UpdateChecksum is the checksum of a message in which words summing up to
// before were replaced by words summing up to after (RFC 1624 section 3,
// equation 3).
func UpdateChecksum(checksum uint16, before, after Sum) uint16 {
	return (Sum(^checksum) + Sum(^before.fold()) + Sum(after.fold())).Checksum()
}
