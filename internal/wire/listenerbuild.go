package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// routerAlert is the Hop-by-Hop Options header of Multicast Listener Discovery: a
// Router Alert of value 0 and padding (RFC 2711 section 2.1), with room for the
// next header in front.
var routerAlert = [hopByHopLen]byte{ProtocolICMPv6, 0, optionRouterAlert, 2, 0, 0, optionPadN, 0}

const (
	// hopByHopLen is the length in octets of routerAlert.
	hopByHopLen = 8
	// ListenerHeadersLen is the length in octets of all headers before a message
	// of Multicast Listener Discovery.
	ListenerHeadersLen = HeadersLen + hopByHopLen
)

// PutListener writes a whole frame around body, a message of Multicast Listener
// or Router Discovery with a zero checksum field, behind a Router Alert, and its
// checksum. It returns the frame's length, ListenerHeadersLen+len(body), for which b must have
// room.
func PutListener(b []byte, h *Headers, body []byte) int {
	n := ListenerHeadersLen + len(body)
	b = b[:n]
	h.HopLimit = ListenerHopLimit
	h.put(b, ProtocolHopByHop, hopByHopLen+len(body))
	copy(b[HeadersLen:], routerAlert[:])
	copy(b[ListenerHeadersLen:], body)
	sum := PseudoSum(IPv6(b[EthernetLen:]), ProtocolICMPv6, len(body)) + SumBody(body)
	ICMPv6(b[ListenerHeadersLen:]).setChecksum(sum.Checksum())
	return n
}

// Query is what a Multicast Listener Query says.
type Query struct {
	// Version is 1 or 2; in version 1 all but MaxResponse and Group is left out.
	Version     int
	MaxResponse time.Duration
	// Group is the zero Addr in a General Query.
	Group netip.Addr
	// Suppress is the S flag.
	Suppress   bool
	Robustness int
	Interval   time.Duration
	Sources    []netip.Addr
}

// Append appends the message, its checksum zero, to b (RFC 9777 section 5.1).
func (q *Query) Append(b []byte) []byte {
	n := len(b)
	b = append(b, make([]byte, MLDv1Len)...)
	m := b[n:]
	m[icmpType] = TypeMLDQuery
	ms := uint64(q.MaxResponse / time.Millisecond)
	if q.Version == 2 {
		ms = uint64(floatCode(ms, 15, 12))
	}
	binary.BigEndian.PutUint16(m[mldMaxResponse:], uint16(min(ms, 0xffff)))
	if q.Group.IsValid() {
		a := q.Group.As16()
		copy(m[mldGroup:], a[:])
	}
	if q.Version == 1 {
		return b
	}
	flags := byte(q.Robustness)
	if q.Robustness > queryRobustness {
		flags = 0 // "if it exceeds 7, the QRV field is set to zero", section 5.1.8
	}
	if q.Suppress {
		flags |= querySuppress
	}
	b = append(b, flags, byte(floatCode(uint64(q.Interval/time.Second), 7, 4)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(q.Sources)))
	for _, s := range q.Sources {
		a := s.As16()
		b = append(b, a[:]...)
	}
	return b
}

// floatCode is v in a field of the given width beside its top bit: as it is if
// that bit stays 0, else as a mantissa of mant bits and an exponent of three (RFC
// 9777 sections 5.1.3 and 5.1.9).
func floatCode(v uint64, width, mant int) uint16 {
	if v < 1<<width {
		return uint16(v)
	}
	most := uint64(1)<<(mant+1) - 1
	v = min(v, most<<10)
	exp := bits.Len64(v) - (mant + 1) - 3
	exp = max(exp, 0)
	return uint16(1<<width | exp<<mant | int(v>>(exp+3))&(1<<mant-1))
}

// Record is one record of a report to send.
type Record struct {
	Type    RecordType
	Group   netip.Addr
	Sources []netip.Addr
}

// AppendReport appends an MLDv2 Report with these records, its checksum zero, to
// b (RFC 9777 section 5.2).
func AppendReport(b []byte, records []Record) []byte {
	b = append(b, TypeMLDv2Report, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(records)))
	for i := range records {
		r := &records[i]
		b = append(b, byte(r.Type), 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.Sources)))
		for _, a := range append([]netip.Addr{r.Group}, r.Sources...) {
			octets := a.As16()
			b = append(b, octets[:]...)
		}
	}
	return b
}

// AppendListenerV1 appends MLDv1's Report or Done for a group, its checksum zero,
// to b (RFC 2710 section 3).
func AppendListenerV1(b []byte, typ uint8, group netip.Addr) []byte {
	a := group.As16()
	return append(append(b, typ, 0, 0, 0, 0, 0, 0, 0), a[:]...)
}
