package wire

import (
	"encoding/binary"
	"net/netip"
)

// Options of Inverse Neighbor Discovery.
const (
	OptionSourceAddressList = 9  // RFC 3122 section 3.1
	OptionTargetAddressList = 10 // RFC 3122 section 3.1
)

const (
	// InverseLen is the length in octets of an Inverse Neighbor Discovery message without options (RFC 3122 section 2.1).
	InverseLen = 8
	// minInverseSolicit is the length in octets of a solicitation with the two options that it must have (RFC 3122 section 4.3.1).
	minInverseSolicit = InverseLen + 2*LinkLayerOptionLen
	// addressListHeader is the length in octets of an address list option before its addresses (RFC 3122 section 3.1).
	addressListHeader = 8
	// addressLen is the length in octets of an IPv6 address.
	addressLen = 16
	// maxAddressList is the most addresses that an option's length can say.
	maxAddressList = (255*OptionUnit - addressListHeader) / addressLen
	// mtuOptionLen is the length in octets of an MTU option (RFC 4861 section 4.6.4).
	mtuOptionLen = 8
)

// InverseSolicit is an Inverse Neighbor Discovery Solicitation from its type on
// (RFC 3122 section 2.1). Its gate is CheckInverseSolicit.
type InverseSolicit []byte

// CheckInverseSolicit applies every rule of RFC 3122 section 4.3.1, with those of
// RFC 6980 section 5 and RFC 2464 section 6, and that lists name addresses.
func CheckInverseSolicit(p *Packet) (InverseSolicit, Fault) {
	m, f := checkType(p, TypeInverseSolicit, minInverseSolicit)
	if f != FaultNone {
		return nil, f
	}
	switch {
	case p.IPv6.SourceUnspecified():
		return nil, FaultUnspecifiedSource
	// "If the message includes an IP Authentication Header, the message authenticates
	// correctly": nobody shares a key for that with Damselfly.
	case p.Authenticated:
		return nil, FaultAuthentication
	}
	is := InverseSolicit(m)
	var source, target bool
	for o := is.Options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f == FaultNone {
			f = checkInverseOption(opt, &source, &target)
		}
		if f != FaultNone {
			return nil, f
		}
		o = rest
	}
	// "The Target Link-Layer Address is a required option and MUST be present", and so the
	// source's.
	if !source || !target {
		return nil, FaultMissingLinkLayer
	}
	return is, FaultNone
}

// checkInverseOption checks one option and notes the link-layer addresses there are.
func checkInverseOption(opt Option, source, target *bool) Fault {
	there := source
	switch opt.Type() {
	case OptionTargetLinkLayer:
		there = target
	case OptionSourceLinkLayer:
	case OptionSourceAddressList:
		return checkAddressList(opt)
	case OptionMTU:
		if len(opt) != mtuOptionLen {
			return FaultMTULength
		}
		return FaultNone
	default:
		return FaultNone
	}
	switch {
	case len(opt) != LinkLayerOptionLen:
		return FaultLinkLayerLength
	case *there:
		return FaultDuplicateLinkLayer
	}
	*there = true
	return FaultNone
}

// checkAddressList wants one address or more and nothing else: "n = (Length - 1)/2",
// in units of 8 octets, and "the minimum value for Length is 3" (RFC 3122 section
// 3.1). An address may be of any kind, but one that no interface has.
func checkAddressList(opt Option) Fault {
	if len(opt) < addressListHeader+addressLen || (len(opt)-addressListHeader)%addressLen != 0 {
		return FaultAddressList
	}
	for b := opt[addressListHeader:]; len(b) > 0; b = b[addressLen:] {
		if isUnspecified(b) {
			return FaultAddressList
		}
	}
	return FaultNone
}

// Options follow the reserved field.
func (is InverseSolicit) Options() Options { return Options(is[InverseLen:]) }

// SourceLinkLayer is the sender's MAC as its option says.
func (is InverseSolicit) SourceLinkLayer() MAC {
	m, _ := is.Options().linkLayer(OptionSourceLinkLayer)
	return m
}

// TargetLinkLayer is the MAC asked about.
func (is InverseSolicit) TargetLinkLayer() MAC {
	m, _ := is.Options().linkLayer(OptionTargetLinkLayer)
	return m
}

// SourceAddresses yields the addresses that the sender says are its own (RFC
// 3122 section 2.1).
func (is InverseSolicit) SourceAddresses(yield func(netip.Addr) bool) {
	for o := is.Options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return
		}
		o = rest
		if opt.Type() != OptionSourceAddressList {
			continue
		}
		for b := opt[addressListHeader:]; len(b) > 0; b = b[addressLen:] {
			if !yield(netip.AddrFrom16([addressLen]byte(b))) {
				return
			}
		}
	}
}

// InverseRoom is how many addresses one Inverse Neighbor Discovery Advertisement
// has room for on a link of this MTU, at least one.
func InverseRoom(mtu int) int {
	room := mtu - IPv6Len - InverseLen - 2*LinkLayerOptionLen - addressListHeader
	return min(max(room/addressLen, 1), maxAddressList)
}

// InverseAdvertFrameLen is the length in octets of the frame of an Inverse
// Neighbor Discovery Advertisement that lists n addresses.
func InverseAdvertFrameLen(n int) int {
	return HeadersLen + InverseLen + 2*LinkLayerOptionLen + addressListHeader + n*addressLen
}

// PutInverseAdvert writes a whole frame with an Inverse Neighbor Discovery
// Advertisement and its checksum into b, which must have room for
// InverseAdvertFrameLen octets, and returns that length. The addresses are those
// of h.SourceMAC, at most maxAddressList; the link-layer addresses of source and
// target are the pair of the solicitation the other way round (RFC 3122 sections
// 4.2.1 and A.2.2; where section 2.2 calls also the target "the sender of the
// advertisement", receivers read the source alone, section 4.2.2).
func PutInverseAdvert(b []byte, h *Headers, addresses []netip.Addr) int {
	n := InverseAdvertFrameLen(len(addresses))
	b = b[:n]
	sum := h.put(b, ProtocolICMPv6, n-HeadersLen)
	m := b[HeadersLen:]
	binary.BigEndian.PutUint64(m, TypeInverseAdvert<<56)
	o := m[InverseLen:]
	putLinkLayer(o, OptionSourceLinkLayer, h.SourceMAC)
	putLinkLayer(o[LinkLayerOptionLen:], OptionTargetLinkLayer, h.DestinationMAC)
	list := o[2*LinkLayerOptionLen:]
	binary.BigEndian.PutUint64(list, OptionTargetAddressList<<56|uint64(1+2*len(addresses))<<48)
	for i, a := range addresses {
		sixteen := a.As16()
		copy(list[addressListHeader+i*addressLen:], sixteen[:])
	}
	ICMPv6(m).setChecksum((sum + SumBody(m)).Checksum())
	return n
}
