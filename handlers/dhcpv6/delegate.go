package dhcpv6

import (
	"encoding/binary"
	"net/netip"

	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/topology"
)

// delegate chooses the prefix of an IA (RFC 9915 section 18.3.2, RFC 8168
// section 3).
func (x *exchange) delegate(ia *codec.IA) codec.Status {
	p, d, err := x.c.ChoosePrefix(x.ask(ia), x.prefixHint(ia))
	status := codec.StatusNoPrefixAvail
	if err != nil {
		return status
	}
	g := delegated(p, d)
	if !x.give(ia, &g, &status) {
		return status
	}
	return codec.StatusSuccess
}

// prefixHint is what the client would like: the first prefix it names, else the
// first length.
func (x *exchange) prefixHint(ia *codec.IA) (hint netip.Prefix) {
	for i := range x.q.Hints(ia) {
		h := &x.q.Hints(ia)[i]
		if !h.LengthOnly() {
			return h.Prefix()
		}
		if !hint.IsValid() && h.Bits > 0 {
			hint = h.Prefix()
		}
	}
	return hint
}

// delegated is a prefix as it goes out.
func delegated(p netip.Prefix, d *topology.Delegation) grant {
	return grant{prefix: p, preferred: d.Preferred, valid: d.Valid, exclude: excluded(p, d)}
}

// excluded is the part of a delegated prefix that stays on the link to the
// requesting router (RFC 6603 section 4.2); the zero Prefix is none.
func excluded(p netip.Prefix, d *topology.Delegation) netip.Prefix {
	if d.ExcludeLength <= p.Bits() {
		return netip.Prefix{}
	}
	// The subnet's number ends where the excluded prefix does.
	a := p.Addr().As16()
	hi, lo := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])
	shift := uint(128 - d.ExcludeLength)
	if shift < 64 {
		lo |= d.ExcludeSubnet << shift
		if shift > 0 {
			hi |= d.ExcludeSubnet >> (64 - shift)
		}
	} else {
		hi |= d.ExcludeSubnet << (shift - 64)
	}
	binary.BigEndian.PutUint64(a[:], hi)
	binary.BigEndian.PutUint64(a[8:], lo)
	return netip.PrefixFrom(netip.AddrFrom16(a), d.ExcludeLength)
}
