package wire

import "encoding/binary"

// ICMPv6 message types.
const (
	TypeDestinationUnreachable = 1   // RFC 4443 section 3.1
	TypePacketTooBig           = 2   // RFC 4443 section 3.2
	TypeTimeExceeded           = 3   // RFC 4443 section 3.3
	TypeParameterProblem       = 4   // RFC 4443 section 3.4
	TypeEchoRequest            = 128 // RFC 4443 section 4.1
	TypeEchoReply              = 129 // RFC 4443 section 4.2
	TypeMLDQuery               = 130 // RFC 9777 section 5.1
	TypeMLDv1Report            = 131 // RFC 2710 section 3
	TypeMLDDone                = 132 // RFC 2710 section 3
	TypeRouterSolicit          = 133 // RFC 4861 section 4.1
	TypeRouterAdvert           = 134 // RFC 4861 section 4.2
	TypeNeighborSolicit        = 135 // RFC 4861 section 4.3
	TypeNeighborAdvert         = 136 // RFC 4861 section 4.4
	TypeRedirect               = 137 // RFC 4861 section 4.5
	TypeInverseSolicit         = 141 // RFC 3122 section 2.1
	TypeInverseAdvert          = 142 // RFC 3122 section 2.2
	TypeMLDv2Report            = 143 // RFC 9777 section 5.2
	TypePathSolicit            = 148 // RFC 3971 section 6.4.1
	TypePathAdvert             = 149 // RFC 3971 section 6.4.2
	TypeMRDAdvert              = 151 // RFC 4286 section 3
	TypeMRDSolicit             = 152 // RFC 4286 section 4
	TypeMRDTermination         = 153 // RFC 4286 section 5
)

const (
	// icmpHeaderLen is the length in octets of type, code and checksum (RFC 4443 section 2.1).
	icmpHeaderLen = 4

	icmpType     = 0
	icmpCode     = 1
	icmpChecksum = 2
)

// ICMPv6 is an ICMPv6 message from its type to the packet's end. Its gate is
// Cut with Packet.Protocol equal to ProtocolICMPv6 for the getters, and
// CheckICMPv6 for believing them.
type ICMPv6 []byte

// Type is the message's type.
func (m ICMPv6) Type() uint8 { return m[icmpType] }

// Code is the variant of the type.
func (m ICMPv6) Code() uint8 { return m[icmpCode] }

// Checksum is the checksum as received (RFC 4443 section 2.3).
func (m ICMPv6) Checksum() uint16 { return binary.BigEndian.Uint16(m[icmpChecksum:]) }

func (m ICMPv6) setChecksum(c uint16) { binary.BigEndian.PutUint16(m[icmpChecksum:], c) }
