package dhcpv6

import (
	"encoding/binary"
	"net/netip"

	"damselfly/internal/wire"
)

// FrameHeaderLen is the length in octets of the Ethernet, IPv6 and UDP headers before a message.
const FrameHeaderLen = wire.HeadersLen + wire.UDPLen

var (
	// AllServersAndRelays is ff02::1:2, where clients send to (RFC 9915 section 7.1).
	AllServersAndRelays = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 13: 1, 15: 2})
	// AllServers is ff05::1:3, where relays may send to (RFC 9915 section 7.1).
	AllServers = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x05, 13: 1, 15: 3})
)

// PutFrame finishes the frame in b around a message of length octets that
// stands at FrameHeaderLen, where a Writer over b[FrameHeaderLen:] put it:
// headers and UDP checksum. A server sends from ServerPort to ClientPort, or
// to ServerPort of a relay (RFC 9915 section 7.2). length is at most 65,527.
// It returns the frame's length in octets.
func PutFrame(b []byte, h *wire.Headers, from, to uint16, length int) int {
	n := FrameHeaderLen + length
	b = b[:n]
	ip := wire.IPv6(b[wire.EthernetLen:])
	copy(b, h.DestinationMAC[:])
	copy(b[wire.MACLen:], h.SourceMAC[:])
	binary.BigEndian.PutUint16(b[2*wire.MACLen:], wire.EtherTypeIPv6)
	src, dst := h.Source.As16(), h.Destination.As16()
	binary.BigEndian.PutUint32(ip, 6<<28)
	binary.BigEndian.PutUint16(ip[4:], uint16(wire.UDPLen+length))
	ip[6], ip[7] = wire.ProtocolUDP, h.HopLimit
	copy(ip[8:], src[:])
	copy(ip[24:], dst[:])
	udp := b[wire.HeadersLen:]
	binary.BigEndian.PutUint16(udp, from)
	binary.BigEndian.PutUint16(udp[2:], to)
	binary.BigEndian.PutUint32(udp[4:], uint32(wire.UDPLen+length)<<16)
	sum := (wire.PseudoSum(ip, wire.ProtocolUDP, len(udp)) + wire.SumBody(udp)).Checksum()
	if sum == 0 {
		// A checksum of 0 would read as none (RFC 8200 section 8.1).
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
	return n
}
