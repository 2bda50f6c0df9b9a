package wire

import "net/netip"

const (
	// NeighborLen is the length in octets of a Neighbor Solicitation or Advertisement without options (RFC 4861 sections 4.3 and 4.4).
	NeighborLen = 24

	neighborTarget = 8
	advertFlags    = 4
)

// Flags of a Neighbor Advertisement, in the first octet behind the checksum (RFC 4861 section 4.4).
const (
	FlagRouter    = 0x80 // R: the sender is a router
	FlagSolicited = 0x40 // S: sent in answer to a solicitation
	FlagOverride  = 0x20 // O: replaces a cached link-layer address
)

// NeighborSolicit is a Neighbor Solicitation from its type on (RFC 4861
// section 4.3). Its gate is CheckNeighborSolicit.
type NeighborSolicit []byte

// CheckNeighborSolicit applies every rule of RFC 4861 section 7.1.1, with
// those of RFC 6980 section 5 and RFC 2464 section 6.
func CheckNeighborSolicit(p *Packet) (NeighborSolicit, Fault) {
	m, f := checkType(p, TypeNeighborSolicit, NeighborLen)
	if f != FaultNone {
		return nil, f
	}
	ns := NeighborSolicit(m)
	if ns[neighborTarget] == multicastOctet {
		return nil, FaultMulticastTarget
	}
	linkLayer, f := ns.Options().check(OptionSourceLinkLayer)
	if f != FaultNone {
		return nil, f
	}
	if p.IPv6.SourceUnspecified() {
		switch {
		// "If the IP source address is the unspecified address, the IP
		// destination address is a solicited-node multicast address."
		case !isSolicitedNode(p.IPv6[ipDst:]):
			return nil, FaultNotSolicitedNode
		// "... there is no source link-layer address option in the message."
		case linkLayer:
			return nil, FaultUnspecifiedWithLinkLayer
		}
	}
	return ns, FaultNone
}

// Target is the address asked about, never zoned.
func (ns NeighborSolicit) Target() netip.Addr { return netip.AddrFrom16(ns.Target16()) }

// Target16 is the address asked about as bytes.
func (ns NeighborSolicit) Target16() [16]byte {
	return [16]byte(ns[neighborTarget : neighborTarget+16])
}

// Options follow the target.
func (ns NeighborSolicit) Options() Options { return Options(ns[NeighborLen:]) }

// SourceLinkLayer is the sender's MAC as its option says (RFC 4861 section 4.6.1).
func (ns NeighborSolicit) SourceLinkLayer() (MAC, bool) {
	return ns.Options().linkLayer(OptionSourceLinkLayer)
}

// Nonce tells a node's own duplicate address probe, looped back, from another's (RFC 7527 section 4.1).
func (ns NeighborSolicit) Nonce() ([]byte, bool) { return ns.Options().Find(OptionNonce).Nonce() }

// NeighborAdvert is a Neighbor Advertisement from its type on (RFC 4861
// section 4.4). Its gate is CheckNeighborAdvert.
type NeighborAdvert []byte

// CheckNeighborAdvert applies every rule of RFC 4861 section 7.1.2, with those
// of RFC 6980 section 5 and RFC 2464 section 6.
func CheckNeighborAdvert(p *Packet) (NeighborAdvert, Fault) {
	m, f := checkType(p, TypeNeighborAdvert, NeighborLen)
	if f != FaultNone {
		return nil, f
	}
	na := NeighborAdvert(m)
	switch {
	case na[neighborTarget] == multicastOctet:
		return nil, FaultMulticastTarget
	// "If the IP Destination Address is a multicast address the Solicited flag is zero."
	case p.IPv6.DestinationMulticast() && na.Flags()&FlagSolicited != 0:
		return nil, FaultSolicitedMulticast
	}
	if _, f := na.Options().check(OptionTargetLinkLayer); f != FaultNone {
		return nil, f
	}
	return na, FaultNone
}

// Flags is the octet of FlagRouter, FlagSolicited and FlagOverride; its other bits are reserved and to be ignored.
func (na NeighborAdvert) Flags() uint8 { return na[advertFlags] }

// Target is the address advertised, never zoned.
func (na NeighborAdvert) Target() netip.Addr { return netip.AddrFrom16(na.Target16()) }

// Target16 is the address advertised as bytes.
func (na NeighborAdvert) Target16() [16]byte {
	return [16]byte(na[neighborTarget : neighborTarget+16])
}

// Options follow the target.
func (na NeighborAdvert) Options() Options { return Options(na[NeighborLen:]) }

// TargetLinkLayer is the target's MAC as its option says (RFC 4861 section 4.6.1).
func (na NeighborAdvert) TargetLinkLayer() (MAC, bool) {
	return na.Options().linkLayer(OptionTargetLinkLayer)
}
