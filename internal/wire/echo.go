package wire

import "encoding/binary"

const (
	// EchoLen is the length in octets of an echo message without data (RFC 4443 section 4.1).
	EchoLen = 8

	echoIdentifier = 4
	echoSequence   = 6
)

// Echo is an echo request or reply from its type on (RFC 4443 sections 4.1 and
// 4.2). The gate of a request is CheckEchoRequest.
type Echo []byte

// CheckEchoRequest is the gate of an echo request that can be answered: whole,
// code 0, right checksum, and a source to which a reply can go. An atomic
// fragment is whole (RFC 6946 section 4); any hop limit will do.
func CheckEchoRequest(p *Packet) (Echo, Fault) {
	switch {
	case p.Protocol != ProtocolICMPv6:
		return nil, FaultNotICMPv6
	case p.ICMPv6().Type() != TypeEchoRequest:
		return nil, FaultWrongType
	case p.ICMPv6().Code() != 0:
		return nil, FaultCode
	case len(p.Payload) < EchoLen:
		return nil, FaultShort
	case p.IPv6.SourceUnspecified():
		return nil, FaultUnspecifiedSource
	}
	m, f := CheckICMPv6(p)
	if f != FaultNone {
		return nil, f
	}
	return Echo(m), FaultNone
}

// Identifier tells one pinging process from another.
func (e Echo) Identifier() uint16 { return binary.BigEndian.Uint16(e[echoIdentifier:]) }

// Sequence numbers the requests of one identifier.
func (e Echo) Sequence() uint16 { return binary.BigEndian.Uint16(e[echoSequence:]) }

// Data is what a reply must carry back unmodified (RFC 4443 section 4.2).
func (e Echo) Data() []byte { return e[EchoLen:] }
