package handlers_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"damselfly/fixtures"
)

// anchorKey puts the trust anchor's key identifier into a Trust Anchor option (RFC
// 6495 section 3).
func anchorKey(t *testing.T, name []byte) {
	t.Helper()
	block, _ := pem.Decode(fixtures.Anchor)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	copy(name, c.SubjectKeyId)
}
