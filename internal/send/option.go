package send

import (
	"encoding/binary"

	"damselfly/internal/wire"
)

// MaxNonce is the longest Nonce option that is taken, in octets: an answer has to
// carry it again.
const MaxNonce = 64

// Message is what a signed message says beside its own matter. Its parts are views
// into the frame.
type Message struct {
	// CGA are the parameters of the sender's address.
	CGA Parameters
	// Timestamp is when it was sent, in the form of Stamp.
	Timestamp uint64
	// Nonce is the whole option, nil where there is none.
	Nonce []byte

	keyHash   []byte
	signature []byte // with its padding
	covered   []byte // the message up to the signature
}

// Signed reports whether options hold an RSA Signature option.
func Signed(o wire.Options) bool { return o.Find(optionSignature) != nil }

// Read takes the options of a signed message apart; fixed is the length in octets
// of what stands before them. "The receiver MUST ignore any options that come after
// the first RSA Signature option" (RFC 3971 section 5.2.2), which is left to
// whoever reads the message: Covered says how much of it counts.
func Read(m wire.ICMPv6, fixed int) (s Message, f Fault) {
	var stamped bool
	for o := wire.Options(m[fixed:]); len(o) > 0; {
		opt, rest, fault := o.Next()
		if fault != wire.FaultNone {
			return s, FaultSignatureOption
		}
		switch opt.Type() {
		case optionCGA:
			if s.CGA != nil {
				return s, FaultDuplicateOption
			}
			if s.CGA, f = readCGA(opt); f != FaultNone {
				return s, f
			}
		case optionTimestamp:
			switch {
			case stamped:
				return s, FaultDuplicateOption
			case len(opt) != timestampLen:
				return s, FaultTimestampOption
			}
			s.Timestamp, stamped = binary.BigEndian.Uint64(opt[timestampLen-8:]), true
		case wire.OptionNonce:
			if s.Nonce != nil {
				return s, FaultDuplicateOption
			}
			s.Nonce = opt
		case optionSignature:
			if len(opt) <= signatureHeader {
				return s, FaultSignatureOption
			}
			s.keyHash, s.signature = opt[4:signatureHeader], opt[signatureHeader:]
			s.covered = m[:len(m)-len(o)]
			return s, s.check(stamped)
		}
		o = rest
	}
	return s, FaultSignatureOption
}

// check finds what is missing.
func (s *Message) check(stamped bool) Fault {
	switch {
	case !stamped:
		return FaultNoTimestamp
	case len(s.Nonce) > MaxNonce:
		return FaultNonceLength
	}
	return FaultNone
}

// SignatureHead are the first octets of the signature, which no two messages share;
// VerifySignature has found it long enough.
func (s *Message) SignatureHead() uint64 {
	if len(s.signature) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(s.signature)
}

// Covered is how many octets of the message the signature covers.
func (s *Message) Covered() int { return len(s.covered) }

// readCGA takes a CGA option apart (RFC 3971 section 5.1).
func readCGA(opt wire.Option) (Parameters, Fault) {
	padding := int(opt[2])
	if padding > len(opt)-cgaHeader {
		return nil, FaultCGAOption
	}
	return ReadParameters(opt[cgaHeader : len(opt)-padding])
}
