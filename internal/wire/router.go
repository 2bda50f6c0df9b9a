package wire

import (
	"encoding/binary"
	"time"
)

const (
	// RouterSolicitLen is the length in octets of a Router Solicitation without options (RFC 4861 section 4.1).
	RouterSolicitLen = 8
	// RouterAdvertLen is the length in octets of a Router Advertisement without options (RFC 4861 section 4.2).
	RouterAdvertLen = 16

	advertHopLimit  = 4
	advertFlagsRA   = 5
	advertLifetime  = 6
	advertReachable = 8
	advertRetrans   = 12
)

// Flags of a Router Advertisement.
const (
	FlagManaged        = 0x80 // M: addresses by DHCPv6 (RFC 4861 section 4.2)
	FlagOther          = 0x40 // O: other configuration by DHCPv6 (RFC 4861 section 4.2)
	FlagHomeAgent      = 0x20 // H: a Mobile IPv6 home agent (RFC 6275 section 7.1)
	FlagPreferenceMask = 0x18 // Prf: two bits, signed: 01 high, 00 medium, 11 low (RFC 4191 section 2.2)
)

// RouterSolicit is a Router Solicitation from its type on (RFC 4861 section
// 4.1). Its gate is CheckRouterSolicit.
type RouterSolicit []byte

// CheckRouterSolicit applies every rule of RFC 4861 section 6.1.1, with those
// of RFC 6980 section 5 and RFC 2464 section 6.
func CheckRouterSolicit(p *Packet) (RouterSolicit, Fault) {
	m, f := checkType(p, TypeRouterSolicit, RouterSolicitLen)
	if f != FaultNone {
		return nil, f
	}
	rs := RouterSolicit(m)
	linkLayer, f := rs.Options().check(OptionSourceLinkLayer)
	switch {
	case f != FaultNone:
		return nil, f
	// "If the IP source address is the unspecified address, there is no source
	// link-layer address option in the message."
	case linkLayer && p.IPv6.SourceUnspecified():
		return nil, FaultUnspecifiedWithLinkLayer
	}
	return rs, FaultNone
}

// Options follow the fixed part.
func (rs RouterSolicit) Options() Options { return Options(rs[RouterSolicitLen:]) }

// SourceLinkLayer is the sender's MAC as its option says (RFC 4861 section 4.6.1).
func (rs RouterSolicit) SourceLinkLayer() (MAC, bool) {
	return rs.Options().linkLayer(OptionSourceLinkLayer)
}

// RouterAdvert is a Router Advertisement from its type on (RFC 4861 section
// 4.2). Its gate is CheckRouterAdvert.
type RouterAdvert []byte

// CheckRouterAdvert applies every rule of RFC 4861 section 6.1.2, with those
// of RFC 6980 section 5 and RFC 2464 section 6.
func CheckRouterAdvert(p *Packet) (RouterAdvert, Fault) {
	m, f := checkType(p, TypeRouterAdvert, RouterAdvertLen)
	if f != FaultNone {
		return nil, f
	}
	// "IP Source Address is a link-local address. Routers must use their
	// link-local address as the source for Router Advertisement and Redirect
	// messages so that hosts can uniquely identify routers."
	if !p.IPv6.SourceLinkLocal() {
		return nil, FaultNotLinkLocal
	}
	ra := RouterAdvert(m)
	if _, f := ra.Options().check(OptionSourceLinkLayer); f != FaultNone {
		return nil, f
	}
	return ra, FaultNone
}

// HopLimit is what hosts are to send with; 0 leaves it to them.
func (ra RouterAdvert) HopLimit() uint8 { return ra[advertHopLimit] }

// Flags is the octet of FlagManaged, FlagOther, FlagHomeAgent and FlagPreferenceMask.
func (ra RouterAdvert) Flags() uint8 { return ra[advertFlagsRA] }

// Lifetime is how long the sender is a default router; 0 is not, at most 65,535 s.
func (ra RouterAdvert) Lifetime() time.Duration {
	return time.Duration(binary.BigEndian.Uint16(ra[advertLifetime:])) * time.Second
}

// ReachableTime is how long a neighbour is taken as reachable once confirmed; 0 leaves it to the host. The wire has milliseconds.
func (ra RouterAdvert) ReachableTime() time.Duration {
	return time.Duration(binary.BigEndian.Uint32(ra[advertReachable:])) * time.Millisecond
}

// RetransTimer is the time between solicitations; 0 leaves it to the host. The wire has milliseconds.
func (ra RouterAdvert) RetransTimer() time.Duration {
	return time.Duration(binary.BigEndian.Uint32(ra[advertRetrans:])) * time.Millisecond
}

// Options follow the fixed part.
func (ra RouterAdvert) Options() Options { return Options(ra[RouterAdvertLen:]) }

// SourceLinkLayer is the sender's MAC as its option says (RFC 4861 section 4.6.1).
func (ra RouterAdvert) SourceLinkLayer() (MAC, bool) {
	return ra.Options().linkLayer(OptionSourceLinkLayer)
}
