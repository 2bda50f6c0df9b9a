package topology

import (
	"encoding/binary"
	"net/netip"

	"damselfly/internal/wire"
)

// words is how many words of 16 bits an address has.
const words = 8

// PrefixTranslation maps the addresses of two prefixes to each other so that
// every checksum over an address stays what it is (RFC 6296 section 2.6). The
// shorter of two prefixes is taken as if it were as long as the other (section
// 3.7).
type PrefixTranslation struct {
	// Inner and Outer are of one length, at most 64.
	Inner, Outer netip.Prefix
	// adjustment is what the prefix's change is made up for with, added on the way
	// out (RFC 6296 section 3.1).
	adjustment uint16
}

// NewPrefixTranslation returns the translation of two prefixes of at most 64 bits.
func NewPrefixTranslation(inner, outer netip.Prefix) PrefixTranslation {
	bits := max(inner.Bits(), outer.Bits())
	t := PrefixTranslation{
		Inner: netip.PrefixFrom(inner.Masked().Addr(), bits),
		Outer: netip.PrefixFrom(outer.Masked().Addr(), bits),
	}
	// "It then calculates the difference between these values: internal minus
	// external", RFC 6296 section 3.1, in ones' complement.
	t.adjustment = onesSum(sumOf(t.Inner.Addr()), ^sumOf(t.Outer.Addr()))
	return t
}

// Out maps an inner address to the outer one; ok is false for an address without
// a mapping.
func (t PrefixTranslation) Out(a netip.Addr) (out netip.Addr, ok bool) {
	return t.mapped(a, t.Inner, t.Outer, t.adjustment)
}

// In maps an outer address to the inner one, as Out does the other way.
func (t PrefixTranslation) In(a netip.Addr) (in netip.Addr, ok bool) {
	return t.mapped(a, t.Outer, t.Inner, ^t.adjustment)
}

// Whole reports whether the adjustment is made to the subnet's number, so that
// all addresses of one /64 go to those of one other (RFC 6296 section 3.4).
func (t PrefixTranslation) Whole() bool { return t.Inner.Bits() <= subnetWordEnd-16 }

// subnetWordEnd is where the word ends in which a /48 or shorter is adjusted
// (RFC 6296 section 3.4).
const subnetWordEnd = 64

// mapped overwrites the prefix and adds to the word that is adjusted. A word of
// all ones stands for the same number as one of zeroes in ones' complement: so
// none is made, and one that is there already has no mapping back (RFC 6296
// sections 3.2 and 3.3).
func (t PrefixTranslation) mapped(a netip.Addr, from, to netip.Prefix, adjustment uint16) (netip.Addr, bool) {
	if !from.Contains(a) {
		return netip.Addr{}, false
	}
	octets, prefix := a.As16(), to.Addr().As16()
	word := subnetWordEnd/16 - 1
	if !t.Whole() {
		// "If an NPTv6 Translator discovers a datagram with an IID of all-zeros while
		// performing address mapping, that datagram MUST be dropped", section 3.7.
		if binary.BigEndian.Uint64(octets[8:]) == 0 {
			return netip.Addr{}, false
		}
		// "These words MUST be inspected in that sequence and the first that is not
		// initially 0xFFFF chosen", section 3.5.
		for word = subnetWordEnd / 16; word < words && wordOf(octets[:], word) == 0xffff; word++ {
		}
	}
	if word == words || wordOf(octets[:], word) == 0xffff {
		return netip.Addr{}, false
	}
	for i := range octets {
		bits := min(max(to.Bits()-8*i, 0), 8)
		keep := byte(0xff >> bits)
		octets[i] = octets[i]&keep | prefix[i]&^keep
	}
	sum := onesSum(wordOf(octets[:], word), adjustment)
	if sum == 0xffff {
		sum = 0
	}
	binary.BigEndian.PutUint16(octets[2*word:], sum)
	return netip.AddrFrom16(octets), true
}

func wordOf(octets []byte, word int) uint16 { return binary.BigEndian.Uint16(octets[2*word:]) }

// onesSum adds in ones' complement.
func onesSum(a, b uint16) uint16 { return ^(wire.Sum(a) + wire.Sum(b)).Checksum() }

// sumOf sums the words of an address in ones' complement.
func sumOf(a netip.Addr) uint16 { return ^wire.AddressSum(a).Checksum() }
