package send

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
)

// The CGA Parameters data structure (RFC 3972 section 3).
const (
	modifierLen  = 16
	prefixLen    = 8
	countOffset  = modifierLen + prefixLen
	keyOffset    = countOffset + 1
	extensionLen = 4 // type and length of an extension field (RFC 4581 section 2)
)

const (
	// maxCollisions is the highest collision count (RFC 3972 section 5).
	maxCollisions = 2
	// secLen is how many zero octets of Hash2 one more Sec asks for (RFC 3972 section 2).
	// Of the values RFC 4982 section 6 keeps 0 to 2 for this and SHA-1 and has given
	// none of the others away since, so "all security parameter values" are processed as
	// RFC 3972 section 5 has it.
	secLen = 2
)

// Modifier is the random part of an address's parameters (RFC 3972 section 3).
type Modifier [modifierLen]byte

// Parameters is a CGA Parameters data structure: modifier, subnet prefix, collision
// count, public key and extension fields. Its gate is ReadParameters.
type Parameters []byte

// ReadParameters checks that b is whole parameters: a key in one DER sequence,
// whose content is Verify's to judge, and extension fields that fill the rest (RFC
// 4581 section 2).
func ReadParameters(b []byte) (Parameters, Fault) {
	if len(b) < keyOffset {
		return nil, FaultParameters
	}
	n, ok := sequence(b[keyOffset:])
	if !ok {
		return nil, FaultParameters
	}
	for ext := b[keyOffset+n:]; len(ext) > 0; {
		if len(ext) < extensionLen {
			return nil, FaultParameters
		}
		n := extensionLen + int(binary.BigEndian.Uint16(ext[2:]))
		if n > len(ext) {
			return nil, FaultParameters
		}
		ext = ext[n:]
	}
	return Parameters(b), FaultNone
}

// sequence is the length in octets of the DER sequence at the start of b, with its
// header; ok is false where it is none or does not end in b.
func sequence(b []byte) (n int, ok bool) {
	if len(b) < 2 || b[0] != 0x30 {
		return 0, false
	}
	switch n = int(b[1]); {
	case n < 0x80:
		n += 2
	case n == 0x81 && len(b) > 2:
		n = 3 + int(b[2])
	case n == 0x82 && len(b) > 3:
		n = 4 + int(binary.BigEndian.Uint16(b[2:]))
	default:
		return 0, false
	}
	return n, n <= len(b)
}

// Modifier is the random part.
func (p Parameters) Modifier() Modifier { return Modifier(p[:modifierLen]) }

// CollisionCount is how many addresses of the same parameters were taken already.
func (p Parameters) CollisionCount() uint8 { return p[countOffset] }

// PublicKey is the key as a DER-encoded SubjectPublicKeyInfo (RFC 3972 section 3).
func (p Parameters) PublicKey() []byte {
	n, _ := sequence(p[keyOffset:])
	return p[keyOffset : keyOffset+n]
}

// Extensions are the extension fields (RFC 4581 section 2); none is known here, and
// all of them are hashed.
func (p Parameters) Extensions() []byte { return p[keyOffset+len(p.PublicKey()):] }

// hash1 is the hash that the interface identifier is made of (RFC 3972 section 4
// step 5).
func (p Parameters) hash1() uint64 {
	h := sha1.Sum(p)
	return binary.BigEndian.Uint64(h[:])
}

// hash2 is the hash that must begin with zeros: of the parameters with the prefix and
// the collision count zero (RFC 3972 section 4 step 2, which takes as much of it as
// the highest Sec looks at).
func (p Parameters) hash2() [sha1.Size]byte {
	b := append([]byte(nil), p...)
	clear(b[modifierLen:keyOffset])
	return sha1.Sum(b)
}

// Bits of an interface identifier that are not the hash's: the three of Sec, the
// universal and the group bit (RFC 3972 section 2).
const (
	secShift    = 61
	identifying = ^uint64(0xe3 << 56)
)

// SecOf is the security parameter of an address: its leftmost three bits of the
// interface identifier (RFC 3972 section 2).
func SecOf(a netip.Addr) uint8 {
	b := a.As16()
	return b[8] >> 5
}

// zeros reports whether hash2 begins with as many zeros as sec asks for.
func zeros(hash2 [sha1.Size]byte, sec uint8) bool {
	for _, b := range hash2[:secLen*int(sec)] {
		if b != 0 {
			return false
		}
	}
	return true
}

// address is that which the parameters make, of this Sec.
func (p Parameters) address(sec uint8) netip.Addr {
	var a [16]byte
	copy(a[:], p[modifierLen:countOffset])
	binary.BigEndian.PutUint64(a[8:], p.hash1()&identifying|uint64(sec)<<secShift)
	return netip.AddrFrom16(a)
}

// VerifyAddress checks that an address is made of the parameters (RFC 3972 section
// 5). It costs two hashes at most.
func (p Parameters) VerifyAddress(a netip.Addr) Fault {
	b := a.As16()
	sec := SecOf(a)
	switch {
	case p.CollisionCount() > maxCollisions:
		return FaultCollisionCount
	case subtle.ConstantTimeCompare(b[:prefixLen], p[modifierLen:countOffset]) == 0:
		return FaultPrefix
	case (p.hash1()^binary.BigEndian.Uint64(b[8:]))&identifying != 0:
		return FaultHash1
	case !zeros(p.hash2(), sec):
		return FaultHash2
	}
	return FaultNone
}

// makeParameters composes parameters without extension fields.
func makeParameters(m Modifier, prefix netip.Prefix, count uint8, key []byte) Parameters {
	p := make(Parameters, keyOffset, keyOffset+len(key))
	copy(p, m[:])
	a := prefix.Masked().Addr().As16()
	copy(p[modifierLen:], a[:prefixLen])
	p[countOffset] = count
	return append(p, key...)
}
