package puntport

import (
	"encoding/binary"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// dhcpv6Server is the port that servers and relays listen at (RFC 9915 section 7.2).
const dhcpv6Server = 547

// classOf is the class that the switch handed a frame over as; None for a frame
// that no flow of ours hands over by the punt port, or of which it cannot be told.
func classOf(frame []byte) punt.Class {
	const upper = wire.EthernetLen + wire.IPv6Len
	if len(frame) < upper+4 || wire.Ethernet(frame).EtherType() != wire.EtherTypeIPv6 {
		return punt.None
	}
	switch next := frame[wire.EthernetLen+6]; next {
	case wire.ProtocolICMPv6, wire.ProtocolUDP:
		return ofUpper(next, frame[upper:])
	}
	// Behind extension headers, where hardly anything is that is answered.
	var p wire.Packet
	if wire.Cut(frame, &p) != wire.FaultNone || len(p.Payload) < 4 {
		return punt.None
	}
	return ofUpper(p.Protocol, p.Payload)
}

// ofUpper is classOf by the upper-layer header.
func ofUpper(protocol uint8, b []byte) punt.Class {
	switch protocol {
	case wire.ProtocolUDP:
		if binary.BigEndian.Uint16(b[2:]) == dhcpv6Server {
			return punt.DHCPv6
		}
	case wire.ProtocolICMPv6:
		switch b[0] {
		case wire.TypeNeighborSolicit:
			return punt.NS
		case wire.TypeNeighborAdvert:
			return punt.NA
		case wire.TypeRouterSolicit, wire.TypeRouterAdvert:
			return punt.RS
		case wire.TypeMLDQuery, wire.TypeMLDv1Report, wire.TypeMLDDone, wire.TypeMLDv2Report,
			wire.TypeMRDAdvert, wire.TypeMRDSolicit, wire.TypeMRDTermination:
			return punt.MLD
		case wire.TypePathSolicit:
			return punt.SEND
		case wire.TypeInverseSolicit:
			return punt.Inverse
		case wire.TypeEchoRequest:
			return punt.Echo
		}
	}
	return punt.None
}
