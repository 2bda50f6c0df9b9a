package dhcpv6

import (
	"encoding/binary"
	"net/netip"
)

// OpenIANA begins an IA_NA, until Close. T1 and T2 are in seconds; 0 leaves
// them to the client (RFC 9915 section 21.4).
func (w *Writer) OpenIANA(iaid, t1, t2 uint32) { w.openIA(OptionIANA, iaid, t1, t2) }

// OpenIAPD begins an IA_PD, until Close; see OpenIANA (RFC 9915 section 21.21).
func (w *Writer) OpenIAPD(iaid, t1, t2 uint32) { w.openIA(OptionIAPD, iaid, t1, t2) }

func (w *Writer) openIA(code uint16, iaid, t1, t2 uint32) {
	if b := w.openOption(code, iaLen); b != nil {
		binary.BigEndian.PutUint32(b, iaid)
		binary.BigEndian.PutUint32(b[4:], t1)
		binary.BigEndian.PutUint32(b[8:], t2)
	}
}

// Address writes an IA Address with its lifetimes in seconds; 0 and 0 tells
// the client to stop using it (RFC 9915 section 21.6).
func (w *Writer) Address(a netip.Addr, preferred, valid uint32) {
	b := w.option(OptionIAAddr, iaAddrLen)
	if b == nil {
		return
	}
	a16 := a.As16()
	copy(b, a16[:])
	binary.BigEndian.PutUint32(b[16:], preferred)
	binary.BigEndian.PutUint32(b[20:], valid)
}

// Prefix writes an IA Prefix with its lifetimes in seconds (RFC 9915 section
// 21.22). p must be valid; its host bits are written as 0.
func (w *Writer) Prefix(p netip.Prefix, preferred, valid uint32) {
	putPrefix(w.option(OptionIAPrefix, iaPrefLen), p, preferred, valid)
}

// PrefixExcluding is Prefix with the one prefix inside that the requesting
// router must not use (RFC 6603 section 4.2). excluded must lie inside p; one
// that is not longer than p cannot be told and is left out.
func (w *Writer) PrefixExcluding(p, excluded netip.Prefix, preferred, valid uint32) {
	from, to := p.Bits(), excluded.Bits()
	if to <= from {
		w.Prefix(p, preferred, valid)
		return
	}
	putPrefix(w.openOption(OptionIAPrefix, iaPrefLen), p, preferred, valid)
	if b := w.option(OptionPDExclude, 1+excludeLen(from, to)); b != nil {
		b[0] = uint8(to)
		clear(b[1:])
		a := excluded.Addr().As16()
		for i := from; i < to; i++ {
			k := i - from
			b[1+k/8] |= a[i/8] >> (7 - i%8) & 1 << (7 - k%8)
		}
	}
	w.Close()
}

// putPrefix writes the fixed part of an IA Prefix, if there was room for it.
func putPrefix(b []byte, p netip.Prefix, preferred, valid uint32) {
	if b == nil {
		return
	}
	binary.BigEndian.PutUint32(b, preferred)
	binary.BigEndian.PutUint32(b[4:], valid)
	b[8] = uint8(p.Bits())
	a := masked(p.Addr().As16(), b[8]).As16()
	copy(b[9:], a[:])
}
