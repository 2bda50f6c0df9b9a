package send

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"net/netip"

	"damselfly/internal/wire"
)

// VerifyAddress checks all of a message that costs little: that the address, which
// is the sender's or the one that a probe is for, is made of the parameters, and
// that the key is the one that the signature names (RFC 3971 sections 5.1.2 and
// 5.2.2). No key is known but by a CGA option: no trust anchor of guests is.
func (s *Message) VerifyAddress(a netip.Addr) Fault {
	if s.CGA == nil {
		return FaultNoCGA
	}
	if f := s.CGA.VerifyAddress(a); f != FaultNone {
		return f
	}
	public := s.CGA.PublicKey()
	if len(public) > maxKeyOctets {
		return FaultKeySize
	}
	if h := hashOf(public); !bytes.Equal(h[:], s.keyHash) {
		return FaultKeyHash
	}
	return FaultNone
}

// VerifySignature checks the signature of a message in ip, by a key of at least
// minBits (RFC 3971 section 5.2.2). VerifyAddress comes first.
func (s *Message) VerifySignature(ip wire.IPv6, minBits int) Fault {
	key, f := publicKey(s.CGA.PublicKey(), minBits)
	if f != FaultNone {
		return f
	}
	// "as many bytes long as remain after the end of the signature": what pads the option
	// is no part of it.
	if len(s.signature) < key.Size() {
		return FaultSignatureOption
	}
	// The message as if it ended here, with the checksum that it had then.
	b := make([]byte, wire.EthernetLen+wire.IPv6Len, wire.EthernetLen+wire.IPv6Len+len(s.covered))
	copy(b[wire.EthernetLen:], ip[:wire.IPv6Len])
	b = append(b, s.covered...)
	wire.FinishICMPv6(b)
	digest := digestOf(b[wire.EthernetLen:], b[wire.HeadersLen:])
	if rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], s.signature[:key.Size()]) != nil {
		return FaultSignature
	}
	return FaultNone
}

// maxExponent bounds what a verification costs: a multiplication a bit or two.
const maxExponent = 1<<31 - 1

// publicKey reads a key that may be computed with. Its DER is bounded by then.
func publicKey(der []byte, minBits int) (*rsa.PublicKey, Fault) {
	any, err := x509.ParsePKIXPublicKey(der)
	key, ok := any.(*rsa.PublicKey)
	switch {
	case err != nil || !ok:
		return nil, FaultKey
	case key.N.BitLen() < minBits || key.N.BitLen() > MaxBits:
		return nil, FaultKeySize
	// An even exponent or modulus is no key's.
	case key.E < 3 || key.E > maxExponent || key.E&1 == 0 || key.N.Bit(0) == 0:
		return nil, FaultKey
	}
	return key, FaultNone
}
