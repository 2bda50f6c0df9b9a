package wire

import (
	"encoding/binary"
	"net/netip"
)

const (
	// IPv6Len is the length in octets of the fixed IPv6 header (RFC 8200 section 3).
	IPv6Len = 40
	// MaxHopLimit is the hop limit that proves a sender is on the link (RFC 4861 section 7.1.1).
	MaxHopLimit = 255
	// DefaultHopLimit is the hop limit of what Damselfly sends where nothing
	// asks for another. No standard sets it: it is the default hosts use, and
	// what our Router Advertisements tell them unless configured otherwise.
	DefaultHopLimit = 64
)

// Protocol numbers as they stand in a Next Header field (RFC 8200 section 3).
const (
	ProtocolHopByHop    = 0   // RFC 8200 section 4.3
	ProtocolTCP         = 6   // RFC 9293 section 3.1
	ProtocolUDP         = 17  // RFC 768
	ProtocolRouting     = 43  // RFC 8200 section 4.4
	ProtocolFragment    = 44  // RFC 8200 section 4.5
	ProtocolGRE         = 47  // RFC 2784 section 2
	ProtocolESP         = 50  // RFC 4303 section 2
	ProtocolAH          = 51  // RFC 4302 section 2
	ProtocolICMPv6      = 58  // RFC 4443 section 1
	ProtocolNoNext      = 59  // RFC 8200 section 4.7
	ProtocolDestination = 60  // RFC 8200 section 4.6
	ProtocolVRRP        = 112 // RFC 9568 section 5.1.2.4
	ProtocolSCTP        = 132 // RFC 9260 section 3
	ProtocolMobility    = 135 // RFC 6275 section 6.1
	ProtocolHIP         = 139 // RFC 7401 section 5.1
	ProtocolShim6       = 140 // RFC 5533 section 5.1
)

const (
	ipPayloadLen = 4
	ipNextHeader = 6
	ipHopLimit   = 7
	ipSrc        = 8
	ipDst        = 24
)

// IPv6 is one IPv6 packet: header and just as much payload as its length
// field says. Its gate is Cut; alone, len(ip) >= IPv6Len is enough for all
// getters.
type IPv6 []byte

// Version is the IP version, 6 behind the gate (RFC 8200 section 3).
func (ip IPv6) Version() uint8 { return ip[0] >> 4 }

// TrafficClass is the DSCP and ECN octet (RFC 8200 section 7).
func (ip IPv6) TrafficClass() uint8 { return ip[0]<<4 | ip[1]>>4 }

// FlowLabel is the 20-bit flow label (RFC 8200 section 6).
func (ip IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(ip) & 0xfffff }

// PayloadLength is the number of octets behind the header, extension headers included.
func (ip IPv6) PayloadLength() int { return int(binary.BigEndian.Uint16(ip[ipPayloadLen:])) }

// NextHeader is the protocol of the first header behind this one.
func (ip IPv6) NextHeader() uint8 { return ip[ipNextHeader] }

// HopLimit is how many more hops the packet may make.
func (ip IPv6) HopLimit() uint8 { return ip[ipHopLimit] }

// Source is the sender's address, never zoned.
func (ip IPv6) Source() netip.Addr { return netip.AddrFrom16(ip.Source16()) }

// Destination is the receiver's address, never zoned.
func (ip IPv6) Destination() netip.Addr { return netip.AddrFrom16(ip.Destination16()) }

// Source16 is the sender's address as bytes.
func (ip IPv6) Source16() [16]byte { return [16]byte(ip[ipSrc : ipSrc+16]) }

// Destination16 is the receiver's address as bytes.
func (ip IPv6) Destination16() [16]byte { return [16]byte(ip[ipDst : ipDst+16]) }

// SourceUnspecified reports whether the source is ::, a node without an
// address yet (RFC 4291 section 2.5.2).
func (ip IPv6) SourceUnspecified() bool { return isUnspecified(ip[ipSrc:]) }

// sourceInternal reports whether the source is ::1 or in ::ffff:0:0/96.
func (ip IPv6) sourceInternal() bool {
	if binary.BigEndian.Uint64(ip[ipSrc:]) != 0 {
		return false
	}
	low := binary.BigEndian.Uint64(ip[ipSrc+8:])
	return low == 1 || low>>32 == 0xffff
}

// SourceLinkLocal reports whether the source lies in fe80::/10 (RFC 4291 section 2.5.6).
func (ip IPv6) SourceLinkLocal() bool { return ip[ipSrc] == 0xfe && ip[ipSrc+1]&0xc0 == 0x80 }

// DestinationMulticast reports whether the destination is a multicast group (RFC 4291 section 2.7).
func (ip IPv6) DestinationMulticast() bool { return ip[ipDst] == multicastOctet }

// Payload is what follows the fixed header.
func (ip IPv6) Payload() []byte { return ip[IPv6Len:] }

// multicastOctet is the first octet of every IPv6 multicast address (RFC 4291 section 2.7).
const multicastOctet = 0xff

// isUnspecified reports whether the 16 octets at a are ::.
func isUnspecified(a []byte) bool {
	return binary.LittleEndian.Uint64(a)|binary.LittleEndian.Uint64(a[8:]) == 0
}
