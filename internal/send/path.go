package send

import (
	"encoding/binary"

	"damselfly/internal/wire"
)

const (
	// pathSolicitLen is the length in octets of a Certification Path Solicitation
	// without options (RFC 3971 section 6.4.1).
	pathSolicitLen = 8
	// pathAdvertLen is the same of an advertisement (RFC 3971 section 6.4.2).
	pathAdvertLen = 12
	// allComponents asks for the whole path (RFC 3971 section 6.4.1).
	allComponents = 0xffff
	// anchorHeader is type, length, name type and pad length (RFC 3971 section 6.4.3).
	anchorHeader = 4
	// certificateHeader is type, length, certificate type and a reserved octet (RFC
	// 3971 section 6.4.4).
	certificateHeader = 4
	// certificateX509 is the one type of certificate (RFC 3971 section 6.4.4).
	certificateX509 = 1
)

// Forms of a trust anchor's name.
const (
	anchorDN   = 1 // DER of an X.501 name (RFC 3971 section 6.4.3)
	anchorSKID = 3 // SHA-1 subject key identifier (RFC 6495 section 3)
)

// PathSolicit is a Certification Path Solicitation (RFC 3971 section 6.4.1). Its gate
// is CheckPathSolicit.
type PathSolicit []byte

// CheckPathSolicit applies the rules of RFC 3971 section 6.4.5 for solicitations;
// the first fault is that of Neighbor Discovery, the second of what is special here.
func CheckPathSolicit(p *wire.Packet) (PathSolicit, wire.Fault, Fault) {
	m, f := wire.CheckND(p, pathSolicitLen)
	if f != wire.FaultNone {
		return nil, f, FaultNone
	}
	s := PathSolicit(m)
	if s.Identifier() == 0 {
		return nil, wire.FaultNone, FaultIdentifier
	}
	for o := s.options(); len(o) > 0; {
		opt, rest, f := o.Next()
		switch {
		case f != wire.FaultNone:
			return nil, f, FaultNone
		case opt.Type() == optionTrustAnchor && int(opt[3]) > len(opt)-anchorHeader:
			return nil, wire.FaultNone, FaultTrustAnchor
		}
		o = rest
	}
	return s, wire.FaultNone, FaultNone
}

// Identifier is what the answer has to carry.
func (s PathSolicit) Identifier() uint16 { return binary.BigEndian.Uint16(s[4:]) }

// Component is the certificate that is asked for; all for the whole path.
func (s PathSolicit) Component() (n int, all bool) {
	c := binary.BigEndian.Uint16(s[6:])
	return int(c), c == allComponents
}

func (s PathSolicit) options() wire.Options { return wire.Options(s[pathSolicitLen:]) }

// Anchors yields the Trust Anchor options, whole.
func (s PathSolicit) Anchors(yield func(wire.Option) bool) {
	for o := s.options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != wire.FaultNone || opt.Type() == optionTrustAnchor && !yield(opt) {
			return
		}
		o = rest
	}
}

// AppendAnchor appends a Trust Anchor option to b as it is sent, whoever asked with it:
// "Padding octets MUST be set to zero by senders" (RFC 3971 section 6.4.3).
func AppendAnchor(b []byte, o wire.Option) []byte {
	b = append(b, o...)
	clear(b[len(b)-int(o[3]):])
	return b
}

// anchorName is the form and the name in a Trust Anchor option.
func anchorName(o wire.Option) (form uint8, name []byte) {
	return o[2], o[anchorHeader : len(o)-int(o[3])]
}

// PathAdvert is one Certification Path Advertisement to be written (RFC 3971 section
// 6.4.2).
type PathAdvert struct {
	// Identifier is the solicitation's, "zero for advertisements sent to the All-Nodes
	// multicast address".
	Identifier uint16
	// All is how many certificates the path has, Component which of them this is: 0 is
	// the router's own.
	All, Component int
	// Anchors are Trust Anchor options, Certificate a Certificate option, all whole;
	// empty for none.
	Anchors, Certificate []byte
}

// FrameLen is the length in octets of the frame.
func (a *PathAdvert) FrameLen() int {
	return wire.HeadersLen + pathAdvertLen + len(a.Anchors) + len(a.Certificate)
}

// Put writes the frame into b, which must have room for FrameLen octets.
func (a *PathAdvert) Put(b []byte, h *wire.Headers) {
	body := make([]byte, pathAdvertLen, a.FrameLen()-wire.HeadersLen)
	body[0] = wire.TypePathAdvert
	binary.BigEndian.PutUint16(body[4:], a.Identifier)
	binary.BigEndian.PutUint16(body[6:], uint16(a.All))
	binary.BigEndian.PutUint16(body[8:], uint16(a.Component))
	body = append(append(body, a.Anchors...), a.Certificate...)
	wire.PutICMPv6(b, h, body, wire.SumBody(body))
}
