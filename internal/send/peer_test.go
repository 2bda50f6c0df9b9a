package send_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"testing"
	"time"

	"damselfly/internal/send"
	"damselfly/internal/wire"
)

// now is the time of every test.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newKey is a key of so many bits in a PEM file.
func newKey(t testing.TB, bits int) (*send.Key, []byte) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	file := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	k, err := send.ParseKey(file)
	if err != nil {
		t.Fatal(err)
	}
	return k, file
}

var prefix = netip.MustParsePrefix("fe80::/64")

// advert is a Router Advertisement from an identity, signed.
func advert(t testing.TB, id *send.Identity, nonce []byte) []byte {
	t.Helper()
	body := append([]byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 1, 2, 0, 0, 0, 0xa, 1)
	h := wire.Headers{SourceMAC: wire.MAC{2, 0, 0, 0, 0xa, 1}, DestinationMAC: wire.AllNodesMAC, Source: id.Address, Destination: wire.AllNodes, HopLimit: 255}
	n := wire.HeadersLen + len(body)
	frame := make([]byte, n+id.Overhead(len(nonce)))
	wire.PutICMPv6(frame, &h, body, wire.SumBody(body))
	if err := id.Sign(frame, n, now, nonce); err != nil {
		t.Fatal(err)
	}
	return frame
}
