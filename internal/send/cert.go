package send

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/wire"
)

// maxCertificate is the longest certificate in octets: its advertisement, without the
// name of an anchor, has to fit the MTU that every link has. (Fragments of it would be
// allowed, RFC 6980 section 5, but what takes them is long gone.)
const maxCertificate = 1280 - wire.IPv6Len - pathAdvertLen - certificateHeader - wire.OptionUnit

// maxChain is how many certificates a path may have.
const maxChain = 8

// sendRouter is the extended key usage of who may advertise as a router (RFC 6494
// section 7).
var sendRouter = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 23}

// Chain is a router's certificate and those above it, without the trust anchor's.
type Chain struct {
	// options are the Certificate options, the router's own first.
	options [][]byte
	// names and keys are the subjects, their key identifiers, and those of the
	// issuer of the last: where a host's trust anchor may be. What stands before one are
	// the certificates below it.
	names, keys [][]byte
	// from and until are when all of them are valid.
	from, until time.Time
	// blocks are the addresses that they are about, of those that say.
	blocks []*blocks
}

// ParseChain reads a PEM file with the certificate of key's owner, and behind it
// those of its issuers in order. It has to be valid for a router, as far as it says
// what it is for (RFC 6494 section 7).
func ParseChain(file []byte, key *Key) (*Chain, error) {
	var list []*x509.Certificate
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(list)+1, err)
		}
		list = append(list, c)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("holds no certificate in PEM form")
	case len(list) > maxChain:
		return nil, fmt.Errorf("holds %d certificates: give at most %d, the router's own first", len(list), maxChain)
	}
	if public, ok := list[0].PublicKey.(*rsa.PublicKey); !ok || !public.Equal(&key.private.PublicKey) {
		return nil, errors.New("the first certificate is not the key's: give the router's own first, then those above it")
	}
	c := &Chain{}
	for i, cert := range list {
		if err := c.add(cert); err != nil {
			return nil, fmt.Errorf("certificate %d %w", i+1, err)
		}
		if i+1 < len(list) {
			if err := cert.CheckSignatureFrom(list[i+1]); err != nil {
				return nil, fmt.Errorf("certificate %d is not issued by the next: %w", i+1, err)
			}
		}
	}
	last := list[len(list)-1]
	c.names = append(c.names, last.RawIssuer)
	c.keys = append(c.keys, last.AuthorityKeyId)
	return c, authorize(list[0])
}

// add appends one certificate.
func (c *Chain) add(cert *x509.Certificate) error {
	if len(cert.Raw) > maxCertificate {
		return fmt.Errorf("has %d octets: hosts are sent at most %d", len(cert.Raw), maxCertificate)
	}
	n := units(certificateHeader + len(cert.Raw))
	opt := make([]byte, n)
	opt[0], opt[1], opt[2] = optionCertificate, uint8(n/wire.OptionUnit), certificateX509
	copy(opt[certificateHeader:], cert.Raw)
	c.options = append(c.options, opt)
	if c.from.Before(cert.NotBefore) {
		c.from = cert.NotBefore
	}
	if c.until.IsZero() || c.until.After(cert.NotAfter) {
		c.until = cert.NotAfter
	}
	c.names = append(c.names, cert.RawSubject)
	c.keys = append(c.keys, cert.SubjectKeyId)
	for _, e := range cert.Extensions {
		if !e.Id.Equal(addressBlocks) {
			continue
		}
		b, err := parseBlocks(e.Value)
		if err != nil {
			return fmt.Errorf("has address blocks that cannot be read: %w", err)
		}
		c.blocks = append(c.blocks, b)
	}
	return nil
}

// authorize looks at what the router's certificate says of usage. Hosts of RFC 6494
// want it to say that it is a router's, "even if they include the anyExtendedKeyUsage
// OID"; one that says nothing is for those of RFC 3971 alone.
func authorize(cert *x509.Certificate) error {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) > 0 && !slices.ContainsFunc(cert.UnknownExtKeyUsage, sendRouter.Equal) {
		return errors.New("the router's certificate is for other uses: it needs the extended key usage 1.3.6.1.5.5.7.3.23 (RFC 6494 section 7)")
	}
	return nil
}

// Covers reports whether the path is for a prefix: each certificate has to be, and one
// that says nothing of addresses is for what those above it are (RFC 3971 sections
// 6.3.1 and 6.3.2).
func (c *Chain) Covers(p netip.Prefix) bool {
	return !slices.ContainsFunc(c.blocks, func(b *blocks) bool { return !b.cover(p) })
}

// Until is when the first of the certificates ends.
func (c *Chain) Until() time.Time { return c.until }

// endsSoon is how long before their end certificates are worth a word.
const endsSoon = 7 * 24 * time.Hour

// Dated says what hosts find wrong with the certificates at a time, whatever else they
// are good for (RFC 5280 section 6.1.3), or are going to; valid is whether they take
// them still. "" is nothing.
func (c *Chain) Dated(now time.Time) (what string, valid bool) {
	const form = "2006-01-02 15:04 MST"
	switch {
	case now.Before(c.from):
		return "its certificates are not valid before " + c.from.UTC().Format(form) + ": hosts that ask for them do not take it for a router", false
	case now.After(c.until):
		return "its certificates were valid until " + c.until.UTC().Format(form) + ": hosts that ask for them do not take it for a router; renew them", false
	case now.Add(endsSoon).After(c.until):
		return "its certificates are valid until " + c.until.UTC().Format(form) + ": renew them before", true
	}
	return "", true
}

// Equal reports whether two chains are the same.
func (c *Chain) Equal(other *Chain) bool {
	return c == other || c != nil && other != nil && slices.EqualFunc(c.options, other.options, bytes.Equal)
}

// Len is how many certificates there are.
func (c *Chain) Len() int { return len(c.options) }

// Certificate is the option with the certificate of a component, nil for none.
func (c *Chain) Certificate(component int) []byte {
	if component < 0 || component >= len(c.options) {
		return nil
	}
	return c.options[component]
}

// Below is how many certificates there are below a trust anchor, by its option, 0 for an
// anchor that the path does not lead to. "The certificate of the trust anchor itself
// SHOULD NOT be sent" (RFC 3971 section 6.4.2), but the router's own always is.
func (c *Chain) Below(anchor wire.Option) int {
	form, name := anchorName(anchor)
	at, same := -1, func(n []byte) bool { return bytes.Equal(n, name) }
	switch {
	case form == anchorDN:
		at = slices.IndexFunc(c.names, same)
	case form == anchorSKID && len(name) > 0:
		at = slices.IndexFunc(c.keys, same)
	}
	if at < 0 {
		return 0
	}
	return max(at, 1)
}
