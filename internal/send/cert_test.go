package send_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/wire"
)

func certificates(t testing.TB, file []byte) (list []*x509.Certificate) {
	t.Helper()
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

func routerChain(t testing.TB) *send.Chain {
	t.Helper()
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := send.ParseChain(fixtures.RouterChain, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// anchorOption is a Trust Anchor option (RFC 3971 section 6.4.3).
func anchorOption(form byte, name []byte) []byte {
	n := (4 + len(name) + 7) / 8 * 8
	b := make([]byte, n)
	b[0], b[1], b[2], b[3] = 15, byte(n/8), form, byte(n-4-len(name))
	copy(b[4:], name)
	return b
}

// TestChainDated: what is past, or near its end, is told of beforehand.
func TestChainDated(t *testing.T) {
	t.Parallel()
	c := routerChain(t)
	var from, until time.Time
	for _, cert := range certificates(t, fixtures.RouterChain) {
		if cert.NotBefore.After(from) {
			from = cert.NotBefore
		}
		if until.IsZero() || cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	for _, tt := range []struct {
		at    time.Time
		want  string
		valid bool
	}{
		{from.Add(-time.Second), "its certificates are not valid before " + from.UTC().Format("2006-01-02 15:04 MST"), false},
		{from, "", true}, {until.Add(-8 * 24 * time.Hour), "", true},
		{until.Add(-6 * 24 * time.Hour), "its certificates are valid until " + until.UTC().Format("2006-01-02 15:04 MST"), true},
		{until, "its certificates are valid until ", true},
		{until.Add(time.Second), "its certificates were valid until ", false},
	} {
		what, valid := c.Dated(tt.at)
		if valid != tt.valid || !strings.HasPrefix(what, tt.want) || (what == "") != (tt.want == "") {
			t.Errorf("at %v: %q, %v", tt.at, what, valid)
		}
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	c := routerChain(t)
	if c.Len() != 2 {
		t.Fatalf("%d certificates", c.Len())
	}
	for i, cert := range certificates(t, fixtures.RouterChain) {
		o := c.Certificate(i)
		if o[0] != 16 || int(o[1])*8 != len(o) || o[2] != 1 || !bytes.HasPrefix(o[4:], cert.Raw) {
			t.Errorf("certificate %d is not in %x", i, o)
		}
	}
	if c.Certificate(2) != nil || c.Certificate(-1) != nil {
		t.Error("there is a third certificate")
	}
	anchor := certificates(t, fixtures.Anchor)[0]
	for _, tt := range []struct {
		name   string
		option []byte
		want   int
	}{
		{"the anchor's name", anchorOption(1, anchor.RawSubject), 2},
		{"the site's name", anchorOption(1, certificates(t, fixtures.RouterChain)[1].RawSubject), 1},
		{"the router's name", anchorOption(1, certificates(t, fixtures.RouterChain)[0].RawSubject), 1},
		{"the anchor's key", anchorOption(3, anchor.SubjectKeyId), 2},
		{"another's name", anchorOption(1, anchor.RawSubject[:len(anchor.RawSubject)-1]), 0},
		{"a domain name", anchorOption(2, []byte("example.test")), 0},
		{"no key", anchorOption(3, nil), 0},
	} {
		if got := c.Below(wire.Option(tt.option)); got != tt.want {
			t.Errorf("below %s: %d", tt.name, got)
		}
	}
	for p, want := range map[string]bool{
		"fd00:b1::/64": true, "fd00:b1:0:0:8000::/65": true, "fd00:b0::/15": false, "fd00:b1::/63": false,
		"fd00:c0::/64": true, "fd00:c6:ffff::/48": true, "fd00:c7::/112": true, "fd00:c7::/111": false, "2001:db8::/32": false,
	} {
		if got := c.Covers(netip.MustParsePrefix(p)); got != want {
			t.Errorf("the certificate is for %s: %v", p, got)
		}
	}
}

// issued is a chain of the router's key and an issuer, with the values of the address
// block extension of each (nil for none), and the router's usages.
func issued(t *testing.T, router, issuer []byte, usages ...x509.ExtKeyUsage) (*send.Chain, error) {
	t.Helper()
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	above, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	blocks := func(value []byte) []pkix.Extension {
		if value == nil {
			return nil
		}
		return []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 7}, Critical: true, Value: value}}
	}
	year := time.Now().AddDate(1, 0, 0)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site"}, NotAfter: year, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, ExtraExtensions: blocks(issuer),
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "router"}, NotAfter: year, ExtKeyUsage: usages, ExtraExtensions: blocks(router)}
	var file []byte
	for _, c := range []struct {
		cert   *x509.Certificate
		public any
	}{{own, certificates(t, fixtures.RouterChain)[0].PublicKey}, {ca, &above.PublicKey}} {
		der, err := x509.CreateCertificate(rand.Reader, c.cert, ca, c.public, above)
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return send.ParseChain(file, key)
}

// TestChainBlocks: a path is for what all of its certificates are for; one that has no
// address blocks, or those of its issuer, is for its issuer's (RFC 3971 sections 6.3.1
// and 6.3.2, RFC 6494 section 4.1).
func TestChainBlocks(t *testing.T) {
	t.Parallel()
	unhex := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	var (
		// As RFC 3779 section 2.2.3 has them: fd00:b1::/32, 2001:db8::/32, ::/0, and inherit.
		ours, other = unhex("300f300d04020002" + "30070305" + "00fd0000b1"), unhex("300f300d04020002" + "30070305" + "0020010db8")
		null        = unhex("300b300904020002" + "30030301" + "00")
		inherit     = unhex("30083006040200020500")
	)
	for _, tt := range []struct {
		name           string
		router, issuer []byte
		want           bool
	}{
		{"none says anything", nil, nil, true},
		{"the router's", ours, nil, true},
		{"the issuer's", nil, ours, true},
		{"the issuer's is for others", nil, other, false},
		{"the router inherits", inherit, ours, true},
		{"the router inherits what is for others", inherit, other, false},
		{"all for the router, little for the issuer", null, other, false},
		{"the router's is beyond its issuer's", ours, other, false},
		{"both", ours, null, true},
	} {
		c, err := issued(t, tt.router, tt.issuer)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := c.Covers(netip.MustParsePrefix("fd00:b1::/64")); got != tt.want {
			t.Errorf("%s: covered %t", tt.name, got)
		}
	}
	if _, err := issued(t, nil, []byte{0x30, 1}); err == nil || !strings.Contains(err.Error(), "certificate 2 has address blocks") {
		t.Errorf("an issuer's blocks that are none: %v", err)
	}
	// "even if they include the anyExtendedKeyUsage OID" (RFC 6494 section 7).
	if _, err := issued(t, nil, nil, x509.ExtKeyUsageAny); err == nil || !strings.Contains(err.Error(), "RFC 6494") {
		t.Errorf("for any usage: %v", err)
	}
}

// TestChainRefused: what a router's certificates may not be.
func TestChainRefused(t *testing.T) {
	t.Parallel()
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newKey(t, 1024)
	blocks := strings.SplitAfter(string(fixtures.RouterChain), "-----END CERTIFICATE-----\n")
	damaged := []byte(strings.Replace(blocks[0], "MII", "AII", 1))
	for _, tt := range []struct {
		name string
		file []byte
		key  *send.Key
		want string
	}{
		{"nothing", []byte("nothing"), key, "no certificate"},
		{"damaged", damaged, key, "cannot be read"},
		{"of another key", fixtures.RouterChain, other, "is not the key's"},
		{"in the wrong order", []byte(blocks[1] + blocks[0]), key, "is not the key's"},
		{"not issued by the next", append([]byte(blocks[0]), fixtures.Anchor...), key, "not issued by the next"},
		{"too many", bytes.Repeat([]byte(blocks[0]), 9), key, "at most 8"},
		{"for a web server", fixtures.ServerChain, key, "RFC 6494"},
	} {
		if _, err := send.ParseChain(tt.file, tt.key); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// FuzzPathSolicit: whatever it is, reading it ends, and anchors are whole options.
func FuzzPathSolicit(f *testing.F) {
	f.Add([]byte{148, 0, 0, 0, 0x12, 0x34, 0xff, 0xff})
	f.Add(append([]byte{148, 0, 0, 0, 0x12, 0x34, 0, 0}, anchorOption(2, []byte("example.test"))...))
	chain := routerChain(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) < 4 || len(message) > 1400 {
			return
		}
		frame := make([]byte, wire.HeadersLen+len(message))
		wire.PutICMPv6(frame, &wire.Headers{SourceMAC: wire.MAC{2}, Source: prefix.Addr().Next(), Destination: wire.AllRouters, HopLimit: 255}, message, 0)
		frame[wire.HeadersLen] = 148
		wire.FinishICMPv6(frame)
		var p wire.Packet
		if fault := wire.Cut(frame, &p); fault != wire.FaultNone {
			t.Fatal(fault)
		}
		s, f, special := send.CheckPathSolicit(&p)
		if f != wire.FaultNone || special != send.FaultNone {
			return
		}
		for a := range s.Anchors {
			if a[0] != 15 || len(a) != 8*int(a[1]) {
				t.Fatalf("anchor %x", a)
			}
			chain.Below(a)
		}
	})
}

// FuzzMessage: whatever the options are, taking them apart ends, and what passes is
// within the message.
func FuzzMessage(f *testing.F) {
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		f.Fatal(err)
	}
	id := send.NewIdentity(key, send.Modifier{}, 0, nil)
	f.Add(advert(f, id, []byte{14, 1, 1, 2, 3, 4, 5, 6})[wire.HeadersLen:])
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) < 16 || len(message) > 1400 {
			return
		}
		m, fault := send.Read(wire.ICMPv6(message), 16)
		if fault != send.FaultNone {
			return
		}
		if m.CGA == nil {
			if f := m.VerifyAddress(id.Address); f != send.FaultNoCGA {
				t.Fatal(f)
			}
			return
		}
		if m.Covered() > len(message) || len(m.CGA.PublicKey()) == 0 {
			t.Fatalf("%d octets covered of %d", m.Covered(), len(message))
		}
		_ = m.VerifyAddress(id.Address)
		frame := make([]byte, wire.EthernetLen+wire.IPv6Len)
		if m.VerifySignature(wire.IPv6(frame[wire.EthernetLen:]), send.DefaultMinBits) == send.FaultNone {
			t.Fatal("somebody signed")
		}
	})
}
