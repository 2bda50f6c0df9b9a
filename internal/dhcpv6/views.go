package dhcpv6

import (
	"encoding/binary"
	"net/netip"
)

// ORO is the body of an Option Request: option codes, two octets each (RFC
// 9915 section 21.7). Its gate is Request.Read.
type ORO []byte

// Len is the number of codes.
func (o ORO) Len() int { return len(o) / 2 }

// Code is the i-th code, counted from 0.
func (o ORO) Code(i int) uint16 { return binary.BigEndian.Uint16(o[2*i:]) }

// Contains reports whether code is among them.
func (o ORO) Contains(code uint16) bool {
	for ; len(o) >= 2; o = o[2:] {
		if binary.BigEndian.Uint16(o) == code {
			return true
		}
	}
	return false
}

const enterpriseLen = 4 // an enterprise number (RFC 9915 section 21.16)

// UserClass is the body of a User Class option: classes, each behind a
// two-octet length (RFC 9915 section 21.15). Its gate is Request.Read.
type UserClass []byte

// Next gives the first class and the classes behind it; false at the end.
func (u UserClass) Next() (class []byte, rest UserClass, ok bool) {
	class, r, ok := nextClass(u)
	return class, UserClass(r), ok
}

// VendorClass is the body of a Vendor Class option (RFC 9915 section 21.16).
// Its gate is Request.Read.
type VendorClass []byte

// Enterprise is the vendor's number.
func (v VendorClass) Enterprise() uint32 { return binary.BigEndian.Uint32(v) }

// Classes are the classes of that vendor, in the form of a User Class.
func (v VendorClass) Classes() UserClass { return UserClass(v[enterpriseLen:]) }

// VendorOpts is the body of a Vendor-specific Information option (RFC 9915
// section 21.17). Its gate is Request.Read.
type VendorOpts []byte

// Enterprise is the vendor's number.
func (v VendorOpts) Enterprise() uint32 { return binary.BigEndian.Uint32(v) }

// Options are the vendor's, with codes of its own.
func (v VendorOpts) Options() Options { return Options(v[enterpriseLen:]) }

// nextClass cuts one item behind a two-octet length off b.
func nextClass(b []byte) (class, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return nil, nil, false
	}
	return b[2:n:n], b[n:], true
}

// wellFormedClasses reports whether items behind lengths fill b.
func wellFormedClasses(b []byte) bool {
	for len(b) > 0 {
		_, rest, ok := nextClass(b)
		if !ok {
			return false
		}
		b = rest
	}
	return true
}

// wellFormedVendorClass reports whether b is a number and classes that fill the rest.
func wellFormedVendorClass(b []byte) bool {
	return len(b) >= enterpriseLen && wellFormedClasses(b[enterpriseLen:])
}

// wellFormedVendorOpts reports whether b is a number and options that fill the rest.
func wellFormedVendorOpts(b []byte) bool {
	return len(b) >= enterpriseLen && Options(b[enterpriseLen:]).wellFormed()
}

// FQDN is the body of a Client FQDN option (RFC 4704 section 4). Its gate is
// Request.Read.
type FQDN []byte

// Flags of a Client FQDN option (RFC 4704 section 4.1).
const (
	FQDNServerUpdates = 0x01 // S: the server should make, or made, the AAAA update
	FQDNOverride      = 0x02 // O: the server did not as the client wished
	FQDNNoUpdates     = 0x04 // N: the server should make, or made, no update
)

// Flags is the octet of FQDNServerUpdates, FQDNOverride and FQDNNoUpdates.
func (f FQDN) Flags() uint8 { return f[0] }

// Name is the client's name; a partial one does not end in the root label,
// and an empty one asks the server for a name (RFC 4704 section 4.2).
func (f FQDN) Name() Name { return Name(f[1:]) }

// valid reports whether there are flags and one whole or partial name.
func (f FQDN) valid() bool {
	if len(f) == 0 {
		return false
	}
	name := f[1:]
	n, fault := nameLen(name)
	return fault == FaultNone && n == len(name)
}

// PDExclude is the body of an OPTION_PD_EXCLUDE, which says which prefix of a
// delegated one the requesting router must not use (RFC 6603 section 4.2).
// Prefix is its gate.
type PDExclude []byte

// Prefix is the excluded prefix inside delegated; false if the option does not
// describe one that is longer and inside.
func (e PDExclude) Prefix(delegated netip.Prefix) (netip.Prefix, bool) {
	if len(e) < 2 || !delegated.IsValid() || !delegated.Addr().Is6() {
		return netip.Prefix{}, false
	}
	from, to := delegated.Bits(), int(e[0])
	if to <= from || to > maxBits128 || len(e)-1 != excludeLen(from, to) {
		return netip.Prefix{}, false
	}
	a := delegated.Masked().Addr().As16()
	for i := from; i < to; i++ {
		k := i - from
		if e[1+k/8]&(0x80>>(k%8)) != 0 {
			a[i/8] |= 0x80 >> (i % 8)
		}
	}
	return netip.PrefixFrom(netip.AddrFrom16(a), to), true
}

// excludeLen is the number of octets for the bits between two prefix lengths (RFC 6603 section 4.2).
func excludeLen(from, to int) int { return (to-from-1)/8 + 1 }
