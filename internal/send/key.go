package send

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
)

// Sizes of keys in bits. A message of 1,280 octets has to have room for the key and
// the signature of its sender's, and for what it says.
const (
	// DefaultMinBits is the shortest key that is trusted where nothing else is said
	// (RFC 3971 section 5.1.3, minbits).
	DefaultMinBits = 1024
	// MaxOwnBits is the longest key of a router's own.
	MaxOwnBits = 2048
	// MaxBits is the longest key that is computed with: "at least 2048 bits" (same section).
	MaxBits = 4096
	// maxKeyOctets is the longest SubjectPublicKeyInfo with such a key, and some more.
	maxKeyOctets = MaxBits/8 + 128
)

// MaxOwnSec is the highest Sec that a modifier is searched for: each one more takes
// 65,536 times as long, and this takes some tens of milliseconds.
const MaxOwnSec = 1

// keyHashLen is the length in octets of what names a key (RFC 3971 section 5.2).
const keyHashLen = 16

// Key is a router's own key.
type Key struct {
	private *rsa.PrivateKey
	public  []byte // SubjectPublicKeyInfo
	hash    [keyHashLen]byte
}

// ParseKey reads a PEM file with an RSA key, in PKCS #1 or PKCS #8.
func ParseKey(file []byte) (*Key, error) {
	block, _ := pem.Decode(file)
	if block == nil {
		return nil, errors.New("holds no PEM block: write an RSA key, as `openssl genrsa 2048` does")
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		var ok bool
		if private, ok = any.(*rsa.PrivateKey); err != nil || !ok {
			return nil, fmt.Errorf("holds a %s that is no RSA key: write one as `openssl genrsa 2048` does", block.Type)
		}
	}
	if n := private.N.BitLen(); n < DefaultMinBits || n > MaxOwnBits {
		return nil, fmt.Errorf("is an RSA key of %d bits: give one of %d to %d", n, DefaultMinBits, MaxOwnBits)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Key{private: private, public: public, hash: hashOf(public)}, nil
}

// hashOf names a key: the leftmost 128 bits of its SHA-1 hash (RFC 3971 section 5.2).
func hashOf(public []byte) (h [keyHashLen]byte) {
	sum := sha1.Sum(public)
	return [keyHashLen]byte(sum[:keyHashLen])
}

// Equal reports whether two keys are the same.
func (k *Key) Equal(other *Key) bool {
	return k == other || k != nil && other != nil && k.private.Equal(other.private)
}

// Hash names the key: what its signatures carry (RFC 3971 section 5.2).
func (k *Key) Hash() [keyHashLen]byte { return k.hash }

// FindModifier returns a modifier whose hash begins with as many zero bits as sec
// asks for (RFC 3972 section 4 steps 1 to 3). It ends early with ctx, and takes
// long for a sec above MaxOwnSec.
func (k *Key) FindModifier(ctx context.Context, sec uint8) (m Modifier, err error) {
	_, _ = rand.Read(m[:]) // never fails (crypto/rand)
	p := makeParameters(m, netip.PrefixFrom(netip.IPv6Unspecified(), 64), 0, k.public)
	for n := 1; !zeros(p.hash2(), sec); n++ {
		for i := modifierLen - 1; i >= 0; i-- {
			if p[i]++; p[i] != 0 {
				break
			}
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return Modifier{}, ctx.Err()
		}
	}
	return p.Modifier(), nil
}
