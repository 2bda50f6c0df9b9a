package send_test

import (
	"crypto/sha1"
	"encoding/asn1"
	"math/big"
)

// keyHash is the leftmost 128 bits of a key's SHA-1 hash (RFC 3971 section 5.2).
func keyHash(public []byte) []byte {
	h := sha1.Sum(public)
	return h[:16]
}

// derOfModulus is a SubjectPublicKeyInfo with a modulus of so many bits that is
// nobody's; of a negative number of bits it is even.
func derOfModulus(bits int, exponent int64) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(max(bits, -bits)-1))
	if bits > 0 {
		n.Add(n, big.NewInt(1))
	}
	key, err := asn1.Marshal(struct{ N, E *big.Int }{n, big.NewInt(exponent)})
	if err != nil {
		panic(err)
	}
	der, err := asn1.Marshal(struct {
		Algorithm struct {
			ID   asn1.ObjectIdentifier
			Null asn1.RawValue
		}
		Key asn1.BitString
	}{
		Algorithm: struct {
			ID   asn1.ObjectIdentifier
			Null asn1.RawValue
		}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue},
		Key: asn1.BitString{Bytes: key, BitLength: len(key) * 8},
	})
	if err != nil {
		panic(err)
	}
	return der
}

// Keys that a router may not have, made by openssl: of 768 bits, and of a curve.
const (
	shortKey = `-----BEGIN RSA PRIVATE KEY-----
MIIBywIBAAJhALxC+nWPeDWZOrabeYZpf1wC1qDyXbAKc7xLQVWcJttSxPrMbvyO
y8QSgoq2c3gklKWJ9eMshcLHxB5HQzPcvN08C6tZUFooAvkKh/S/O4W19j8nerPz
SAHtEqu2W6+QDQIDAQABAmEAgM9vIQrGHB44jwL39mCulJ0Yj0zlj3LHV3lCPbo2
1+/c+SDxe3qUrxZfHVvSy8xyf8K9JPX3ZuPeOIGjDjzyUSb1BMRyfC2atmU9cAS5
4ECI20hApvy/OxZh7S/KKy19AjEA5kKGkEzG5d/9plNGnVXqmLLF1m9fFYP6jyZ1
nC0ccxwWEcp9dRXF7mqbcj+0Nwu/AjEA0U6Q5oJ68uDFBaQwG3ZNR8ErUgUAgIXH
+y5aa+C90C9rEASeesBD2qZLs3e+GgczAjEAoLKJCygqH8BFW9D+lUui4FLT86Xi
bDehpEopBogNNODDHkN9bzt02cGZHxEKiugtAjAncHNzS/DY5Sua1YZPFmqXc7my
+chPb2XwWZqmKzH5EYZN/WDTZnkisSUgixaiFusCMCn35YRoTKVcVPkFdHnMyVbh
UHeE9qn7Ple09sCkuSich1/2J88IdTN7/IS4m+c/eQ==
-----END RSA PRIVATE KEY-----`
	curveKey = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIEwejNZ12Ak/t9964zF6JfcVNrHRCRtNgUiax9v2vOkboAoGCCqGSM49
AwEHoUQDQgAEoIyf5lQdX6kVw7ec0gjFqCQAQuGsSBuQcd/cOC3EbhFlaMlTen6f
IDTV6oFWADD7vqhi1p8fIYsZLK75+E4yLg==
-----END EC PRIVATE KEY-----`
)
