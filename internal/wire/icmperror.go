package wire

import "encoding/binary"

// Codes of ICMPv6 errors (RFC 4443 section 3).
const (
	// CodeNoRoute: no route to the destination (RFC 4443 section 3.1).
	CodeNoRoute = 0
	// CodeBeyondScope: the destination is beyond the scope of the source address (RFC 4443 section 3.1).
	CodeBeyondScope = 2
	// CodeAddressUnreachable: nobody on the link answers to the address (RFC 4443 section 3.1).
	CodeAddressUnreachable = 3
	// CodePortUnreachable: nobody listens on the port (RFC 4443 section 3.1).
	CodePortUnreachable = 4
	// CodeRejectRoute: the route to the destination rejects (RFC 4443 section 3.1).
	CodeRejectRoute = 6
	// CodeProhibited: communication with the destination is administratively prohibited (RFC 4443 section 3.1).
	CodeProhibited = 1
	// CodeErroneousField: a header field that cannot be (RFC 4443 section 3.4).
	CodeErroneousField = 0
	// CodeUnknownNextHeader: a next header that is not known (RFC 4443 section 3.4).
	CodeUnknownNextHeader = 1
	// CodeUnknownOption: an IPv6 option that is not known (RFC 4443 section 3.4).
	CodeUnknownOption = 2
)

const (
	// MinMTU is what every IPv6 link carries, in octets (RFC 8200 section 5).
	MinMTU = 1280
	// errorHeaderLen is the part of an error before what it quotes, in octets (RFC 4443 section 3.1).
	errorHeaderLen = 8
	// lastError is the highest ICMPv6 type that is an error (RFC 4443 section 2.1).
	lastError = 127
)

// IsError reports whether an ICMPv6 type is an error's (RFC 4443 section 2.1).
func IsError(typ uint8) bool { return typ <= lastError }

// ErrorFrameLen is the length in octets of the frame that PutError writes about
// a packet: it quotes as much as fits MinMTU (RFC 4443 section 2.4 (c)).
func ErrorFrameLen(about IPv6) int {
	return EthernetLen + min(MinMTU, IPv6Len+errorHeaderLen+len(about))
}

// PutError writes a whole frame with an ICMPv6 error about a packet into b,
// which must have room for ErrorFrameLen(about) octets, and returns that length.
// word is the field behind the checksum: the MTU, a pointer, or 0.
func PutError(b []byte, h *Headers, typ, code uint8, word uint32, about IPv6) int {
	n := ErrorFrameLen(about)
	b = b[:n]
	body := b[HeadersLen:]
	sum := h.put(b, ProtocolICMPv6, len(body))
	binary.BigEndian.PutUint32(body, uint32(typ)<<24|uint32(code)<<16)
	binary.BigEndian.PutUint32(body[4:], word)
	copy(body[errorHeaderLen:], about)
	ICMPv6(body).setChecksum((sum + SumBody(body)).Checksum())
	return n
}
