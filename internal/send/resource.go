package send

import (
	"encoding/asn1"
	"errors"
	"net/netip"
)

// addressBlocks is the extension that says which addresses a certificate is about
// (RFC 3779 section 2.2.1).
var addressBlocks = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 7}

// familyIPv6 is the address family of IPv6 (RFC 3779 section 2.2.3.3).
const familyIPv6 = "\x00\x02"

// blocks are the IPv6 addresses of a certificate; inherited says that they are those
// of its issuer (RFC 3779 section 2.2.3.5).
type blocks struct {
	inherited bool
	ranges    [][2]netip.Addr
}

// cover reports whether all of a prefix lies in one block.
func (b *blocks) cover(p netip.Prefix) bool {
	if b.inherited {
		return true
	}
	low, high := p.Masked().Addr(), lastOf(p)
	for _, r := range b.ranges {
		if r[0].Compare(low) <= 0 && high.Compare(r[1]) <= 0 {
			return true
		}
	}
	return false
}

// lastOf is the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As16()
	for i := p.Bits(); i < 128; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom16(a)
}

var errBlocks = errors.New("they are not as RFC 3779 section 2.2.3 has them")

// parseBlocks reads the value of the extension.
func parseBlocks(der []byte) (*blocks, error) {
	var families []struct {
		Family []byte
		Choice asn1.RawValue
	}
	if rest, err := asn1.Unmarshal(der, &families); err != nil || len(rest) > 0 {
		return nil, errBlocks
	}
	b := &blocks{}
	for _, f := range families {
		if len(f.Family) < 2 || string(f.Family[:2]) != familyIPv6 {
			continue
		}
		if f.Choice.Tag == asn1.TagNull {
			b.inherited = true
			continue
		}
		var list []asn1.RawValue
		if rest, err := asn1.Unmarshal(f.Choice.FullBytes, &list); err != nil || len(rest) > 0 {
			return nil, errBlocks
		}
		for _, v := range list {
			r, err := parseBlock(v)
			if err != nil {
				return nil, err
			}
			b.ranges = append(b.ranges, r)
		}
	}
	return b, nil
}

// parseBlock reads a prefix, or a lowest and a highest address without the bits that
// are all zero or all one at their ends (RFC 3779 section 2.2.3.7 to 2.2.3.9).
func parseBlock(v asn1.RawValue) (r [2]netip.Addr, err error) {
	var bits [2]asn1.BitString
	if v.Tag == asn1.TagBitString {
		_, err = asn1.Unmarshal(v.FullBytes, &bits[0])
		bits[1] = bits[0]
	} else {
		var both struct{ Min, Max asn1.BitString }
		_, err = asn1.Unmarshal(v.FullBytes, &both)
		bits[0], bits[1] = both.Min, both.Max
	}
	if err != nil || bits[0].BitLength > 128 || bits[1].BitLength > 128 {
		return r, errBlocks
	}
	for i, b := range bits {
		var a [16]byte
		copy(a[:], b.Bytes)
		p := netip.PrefixFrom(netip.AddrFrom16(a), b.BitLength)
		r[i] = p.Masked().Addr()
		if i == 1 {
			r[i] = lastOf(p.Masked())
		}
	}
	return r, nil
}
