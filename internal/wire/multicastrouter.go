package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// MRDAdvertLen is the length in octets of a Multicast Router Advertisement (RFC 4286 section 3.2).
	MRDAdvertLen = 8
	// MRDLen is that of a Multicast Router Solicitation or Termination (RFC 4286 sections 4.1 and 5.1).
	MRDLen = 4

	mrdQueryInterval = 4
	mrdRobustness    = 6
)

// AllSnoopers is ff02::6a, to which multicast routers advertise themselves (RFC 4286 section 8).
var AllSnoopers = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x6a})

// MRDAdvert is a Multicast Router Advertisement from its type on (RFC 4286 section
// 3.2). Its gate is CheckMRD.
type MRDAdvert []byte

// Interval is the time between two of them (RFC 4286 section 3.2.2).
func (a MRDAdvert) Interval() time.Duration { return time.Duration(a[icmpCode]) * time.Second }

// QueryInterval is the sender's as a querier (RFC 4286 section 3.2.4).
func (a MRDAdvert) QueryInterval() time.Duration {
	return time.Duration(binary.BigEndian.Uint16(a[mrdQueryInterval:])) * time.Second
}

// CheckMRD is the gate of Multicast Router Discovery's messages of one type, with
// the rules of RFC 4286 sections 3.5, 4.4 and 5.4: a link-local source and the
// destination of the type. All are sent with hop limit 1 and a Router Alert (section 2),
// and others are refused, as of Multicast Listener Discovery.
func CheckMRD(p *Packet, typ uint8) (ICMPv6, Fault) {
	n, to := MRDLen, AllSnoopers
	switch typ {
	case TypeMRDAdvert:
		n = MRDAdvertLen
	case TypeMRDSolicit:
		to = AllRouters
	}
	m, f := CheckListener(p, typ, n)
	switch {
	case f != FaultNone:
		return nil, f
	case p.IPv6.SourceUnspecified():
		return nil, FaultUnspecifiedSource
	case p.IPv6.Destination() != to:
		return nil, FaultListenerDestination
	}
	return m, FaultNone
}

// AppendMRDAdvert appends a Multicast Router Advertisement, its checksum zero, to
// b; times are in whole seconds (RFC 4286 section 3.2).
func AppendMRDAdvert(b []byte, interval, queryInterval time.Duration, robustness int) []byte {
	b = append(b, TypeMRDAdvert, byte(interval/time.Second), 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(queryInterval/time.Second))
	return binary.BigEndian.AppendUint16(b, uint16(robustness))
}

// AppendMRDTermination appends a Multicast Router Termination, its checksum zero,
// to b (RFC 4286 section 5.1).
func AppendMRDTermination(b []byte) []byte { return append(b, TypeMRDTermination, 0, 0, 0) }

// AppendMRDSolicit appends a Multicast Router Solicitation, its checksum zero, to b
// (RFC 4286 section 4.1).
func AppendMRDSolicit(b []byte) []byte { return append(b, TypeMRDSolicit, 0, 0, 0) }
