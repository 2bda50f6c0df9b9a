package lease

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"net/netip"

	"damselfly/internal/topology"
)

// wide is a number of 128 bits.
type wide struct{ hi, lo uint64 }

func wideOf(a [16]byte) wide {
	return wide{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])}
}

func (x wide) octets() (a [16]byte) {
	binary.BigEndian.PutUint64(a[:], x.hi)
	binary.BigEndian.PutUint64(a[8:], x.lo)
	return a
}

func (x wide) plus(y wide) wide {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	hi, _ := bits.Add64(x.hi, y.hi, carry)
	return wide{hi, lo}
}

func (x wide) minus(y wide) wide {
	lo, borrow := bits.Sub64(x.lo, y.lo, 0)
	hi, _ := bits.Sub64(x.hi, y.hi, borrow)
	return wide{hi, lo}
}

func (x wide) less(y wide) bool { return x.hi < y.hi || x.hi == y.hi && x.lo < y.lo }

// shifted is x shifted left by up to 128 bits.
func (x wide) shifted(n uint8) wide {
	if n >= 64 {
		return wide{x.lo << (n - 64), 0}
	}
	return wide{x.hi<<n | x.lo>>(64-n), x.lo << n}
}

// mod is x modulo y, which is not 0.
func (x wide) mod(y wide) wide {
	if y.hi == 0 {
		_, r := bits.Div64(x.hi%y.lo, x.lo, y.lo)
		return wide{0, r}
	}
	for n := bits.LeadingZeros64(y.hi); n >= 0; n-- {
		if z := y.shifted(uint8(n)); !x.less(z) {
			x = x.minus(z)
		}
	}
	return x
}

// span is a row of places of one size: the addresses of a pool, or the prefixes
// of one length that a prefix divides into.
type span struct {
	first, count wide
	bits         uint8 // the length of each place
}

func addressSpan(r topology.AddrRange) span {
	first, last := wideOf(r.First.As16()), wideOf(r.Last.As16())
	return span{first, last.minus(first).plus(wide{0, 1}), 128}
}

func prefixSpan(d *topology.Delegation) span {
	count := wide{0, 1}.shifted(uint8(d.Length - d.Pool.Bits()))
	return span{wideOf(d.Pool.Masked().Addr().As16()), count, uint8(d.Length)}
}

// at is the i-th place.
func (s span) at(i wide) place {
	return place{s.first.plus(i.shifted(128 - s.bits)).octets(), s.bits}
}

// contains reports whether a place of the span's size is one of its own.
func (s span) contains(p place) bool {
	offset := wideOf(p.addr).minus(s.first)
	return p.bits == s.bits && offset.less(s.size())
}

// size is what the span covers, in addresses.
func (s span) size() wide { return s.count.shifted(128 - s.bits) }

// overlaps reports whether p has addresses of the span.
func (s span) overlaps(p place) bool {
	first := wideOf(p.addr)
	last := first.plus(wide{0, 1}.shifted(128 - p.bits)).minus(wide{0, 1})
	end := s.first.plus(s.size()).minus(wide{0, 1})
	return !last.less(s.first) && !end.less(first)
}

// chooser picks places for one IA in the manner of RFC 7943 section 4: a keyed
// function of pool, client and a counter. The same client gets the same place
// as long as it is free, and nobody without the secret can tell which.
type chooser struct {
	secret [32]byte
	input  []byte
}

func newChooser(secret [32]byte, network string, s span, duid []byte, iaid uint32) chooser {
	first, count := s.first.octets(), s.count.octets()
	b := append([]byte{byte(len(network))}, network...)
	b = append(append(append(b, first[:]...), count[:]...), s.bits, byte(len(duid)))
	b = append(b, duid...)
	return chooser{secret, binary.BigEndian.AppendUint32(b, iaid)}
}

// number is the counter-th choice among count.
func (c chooser) number(counter uint32, count wide) wide {
	mac := hmac.New(sha256.New, c.secret[:])
	_, _ = mac.Write(binary.BigEndian.AppendUint32(c.input, counter))
	x := wideOf([16]byte(mac.Sum(nil)))
	if count == (wide{}) {
		return x // 2^128 of them
	}
	return x.mod(count)
}

// anycast reports whether an address is one that all routers or servers of its
// subnet share: the subnet-router anycast address (RFC 4291 section 2.6.1), or
// one of the highest 128 identifiers of a /64 (RFC 2526 section 2).
func anycast(subnet netip.Prefix, a netip.Addr) bool {
	if a == subnet.Masked().Addr() {
		return subnet.Bits() < 127
	}
	o := a.As16()
	return subnet.Bits() == 64 && binary.BigEndian.Uint64(o[8:]) >= 0xfdffffffffffff80 && binary.BigEndian.Uint64(o[8:]) <= 0xfdffffffffffffff
}
