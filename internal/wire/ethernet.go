package wire

import "encoding/binary"

const (
	// EthernetLen is the length in octets of an untagged Ethernet II header (RFC 2464 section 3).
	EthernetLen = 14

	// EtherTypeIPv6 is the EtherType of IPv6 (RFC 2464 section 3).
	EtherTypeIPv6 = 0x86dd
	// EtherTypeVLAN is the EtherType of a customer tag (IEEE 802.1Q section 9.5).
	EtherTypeVLAN = 0x8100
	// EtherTypeServiceVLAN is the EtherType of a service tag (IEEE 802.1Q section 9.5).
	EtherTypeServiceVLAN = 0x88a8
	// EtherTypeLegacyQinQ is what older switches use for an outer tag.
	EtherTypeLegacyQinQ = 0x9100

	// minEtherType is the least value that is a type; below it is a length (IEEE 802.3 section 3.2.6).
	minEtherType = 0x0600
)

const (
	ethDst  = 0
	ethSrc  = 6
	ethType = 12
)

// Ethernet is a whole frame seen through its Ethernet II header. Its gate is
// Cut; alone, len(e) >= EthernetLen is enough.
type Ethernet []byte

// Destination is where the frame goes.
func (e Ethernet) Destination() MAC { return MAC(e[ethDst : ethDst+MACLen]) }

// Source is who claims to have sent the frame.
func (e Ethernet) Source() MAC { return MAC(e[ethSrc : ethSrc+MACLen]) }

// EtherType is the protocol carried (RFC 2464 section 3).
func (e Ethernet) EtherType() uint16 { return binary.BigEndian.Uint16(e[ethType:]) }

// Payload is what follows the header, padding included.
func (e Ethernet) Payload() []byte { return e[EthernetLen:] }
