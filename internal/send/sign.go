package send

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"time"

	"damselfly/internal/wire"
)

// Option types of Secure Neighbor Discovery.
const (
	optionCGA         = 11 // RFC 3971 section 5.1
	optionSignature   = 12 // RFC 3971 section 5.2
	optionTimestamp   = 13 // RFC 3971 section 5.3.1
	optionTrustAnchor = 15 // RFC 3971 section 6.4.3
	optionCertificate = 16 // RFC 3971 section 6.4.4
)

const (
	// cgaHeader is type, length, pad length and a reserved octet (RFC 3971 section 5.1).
	cgaHeader = 4
	// signatureHeader is type, length, a reserved field and the key's hash (RFC 3971 section 5.2).
	signatureHeader = 4 + keyHashLen
	// timestampLen is the length in octets of a Timestamp option (RFC 3971 section 5.3.1).
	timestampLen = 16
	// typeTagLen is the length in octets of typeTag.
	typeTagLen = 16
)

// typeTag sets signatures of SEND apart from others of the same key (RFC 3971
// section 5.2).
var typeTag = [typeTagLen]byte{0x08, 0x6f, 0xca, 0x5e, 0x10, 0xb2, 0x00, 0xc9, 0x9c, 0x8c, 0xe0, 0x01, 0x64, 0x27, 0x7c, 0x08}

// Identity is a router's key with the address that is made of it. It does not
// change and may be used by any goroutine.
type Identity struct {
	Key *Key
	// Address is the link-local address.
	Address netip.Addr
	// Chain are the router's certificates, nil for none.
	Chain *Chain

	cga []byte // the CGA option
}

var linkLocal = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 64)

// NewIdentity makes the link-local address of a key, a modifier and how many such
// addresses turned out to be taken. Its Sec is the highest, up to MaxOwnSec, that the
// modifier pays for.
func NewIdentity(k *Key, m Modifier, collisions uint8, chain *Chain) *Identity {
	p := makeParameters(m, linkLocal, collisions, k.public)
	sec := uint8(MaxOwnSec)
	for !zeros(p.hash2(), sec) {
		sec--
	}
	n := units(cgaHeader + len(p))
	cga := make([]byte, n)
	cga[0], cga[1], cga[2] = optionCGA, uint8(n/wire.OptionUnit), uint8(n-cgaHeader-len(p))
	copy(cga[cgaHeader:], p)
	return &Identity{Key: k, Address: p.address(sec), Chain: chain, cga: cga}
}

// units is n rounded up to whole units of an option.
func units(n int) int { return (n + wire.OptionUnit - 1) / wire.OptionUnit * wire.OptionUnit }

// Overhead is how many octets a signature adds to a message, with a nonce option
// of so many octets.
func (i *Identity) Overhead(nonce int) int {
	return len(i.cga) + timestampLen + nonce + units(signatureHeader+i.Key.private.Size())
}

// MaxOverhead is the most that signing with a key adds to a message.
func MaxOverhead(k *Key) int {
	return units(cgaHeader+keyOffset+len(k.public)) + timestampLen + MaxNonce + units(signatureHeader+k.private.Size())
}

// Sign completes a frame whose first n octets are a whole ICMPv6 message from
// i.Address, and which has room for Overhead octets more: it adds the options CGA,
// Timestamp, Nonce and RSA Signature in that order (RFC 3971 section 5.2.1). nonce
// is a whole option, empty for none.
func (i *Identity) Sign(frame []byte, n int, now time.Time, nonce []byte) error {
	b := frame[:n]
	b = append(b, i.cga...)
	b = append(b, optionTimestamp, timestampLen/wire.OptionUnit, 0, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, Stamp(now))
	b = append(b, nonce...)
	wire.FinishICMPv6(b)
	digest := digestOf(b[wire.EthernetLen:], b[wire.HeadersLen:])
	signature, err := rsa.SignPKCS1v15(nil, i.Key.private, crypto.SHA1, digest[:])
	if err != nil {
		return err
	}
	size := units(signatureHeader + len(signature))
	b = append(b, optionSignature, uint8(size/wire.OptionUnit), 0, 0)
	b = append(b, i.Key.hash[:]...)
	b = append(b, signature...)
	wire.FinishICMPv6(frame[:len(b)+size-signatureHeader-len(signature)])
	return nil
}

// digestOf hashes what a signature covers: the tag, source and destination of the
// IPv6 header, and the message up to the RSA Signature option, with the checksum
// that it would have if it ended there (RFC 3971 section 5.2).
func digestOf(ip, message []byte) [sha1.Size]byte {
	h := sha1.New()
	h.Write(typeTag[:])
	h.Write(ip[8:40])
	h.Write(message)
	var digest [sha1.Size]byte
	h.Sum(digest[:0])
	return digest
}
