package loadgen

import (
	"bytes"
	"encoding/binary"

	"damselfly/internal/wire"
)

// spareRoom is how many solicitations of others a guest answers between two of
// its own sendings at most.
const spareRoom = 16

// own answers a kernel that asks who has the address that it wants to answer to.
// Guests have no kernel that would.
func (l *Load) own(s *station, f []byte) {
	if len(f) != 86 || f[20] != wire.ProtocolICMPv6 || f[54] != wire.TypeNeighborSolicit || f[78] != 1 || s.owned == spareRoom || !s.has(f[62:78]) {
		return
	}
	s.owned++
	s.send(advertisement(f, s.guest.MAC))
}

// has tells whether an address is one that the guest asks from.
func (s *station) has(a []byte) bool {
	for _, own := range s.guest.Addresses {
		if bytes.Equal(a, own.AsSlice()) {
			return true
		}
	}
	// Router Solicitations come from addresses that differ in octet 8.
	link := wire.LinkLocal(s.guest.MAC).As16()
	return bytes.Equal(a[:8], link[:8]) && bytes.Equal(a[9:], link[9:])
}

// advertisement answers a solicitation that has one option, the source's
// link-layer address (RFC 4861 section 7.2.4).
func advertisement(ns []byte, mac wire.MAC) []byte {
	a := bytes.Clone(ns)
	copy(a, ns[6:12])
	copy(a[6:], mac[:])
	copy(a[22:], ns[62:78])
	copy(a[38:], ns[22:38])
	a[54], a[58] = wire.TypeNeighborAdvert, 0x60 // solicited, override
	a[78] = 2                                    // the target's link-layer address
	copy(a[80:], mac[:])
	binary.BigEndian.PutUint16(a[56:], 0)
	binary.BigEndian.PutUint16(a[56:], ^uint16(sum(a)))
	return a
}
