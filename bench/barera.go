package bench

import (
	"encoding/binary"
	"time"

	"damselfly/internal/wire"
)

// BareLifetime is the router lifetime in Bare's Router Advertisements.
const BareLifetime = 1800 * time.Second

// rsLen is the length of a Router Solicitation with one link-layer address option.
const rsLen = 70

// bareMade makes the answer to what is no Neighbor Solicitation in b, for which
// there must be bareRoom, and returns its length, 0 for none.
func bareMade(b, f []byte) int {
	if f[20] == wire.ProtocolUDP {
		return bareDHCPv6(b, f)
	}
	return bareRouterAdvert(b, f)
}

// isNS says whether a frame is a Neighbor Solicitation, as all that a bare
// responder is sent and that is neither DHCPv6 nor a Router Solicitation.
func isNS(f []byte) bool { return f[20] == wire.ProtocolICMPv6 && f[54] == wire.TypeNeighborSolicit }

// bareRouterAdvert makes the answer to a Router Solicitation: link-layer address,
// MTU and one prefix (RFC 4861 section 4.2), to who asked.
func bareRouterAdvert(b, f []byte) int {
	b = append(b[:0], f[6:12]...)
	b = append(b, BareMAC[:]...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 64, wire.ProtocolICMPv6, 255)
	source := wire.LinkLocal(BareMAC).As16()
	b = append(b, source[:]...)
	b = append(b, f[22:38]...)
	lifetime := uint16(BareLifetime / time.Second)
	b = append(b, wire.TypeRouterAdvert, 0, 0, 0, 64, 0, byte(lifetime>>8), byte(lifetime), 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 1, 1)
	b = append(b, BareMAC[:]...)
	b = append(b, 5, 1, 0, 0, 0, 0, 1500>>8, 1500&0xff)
	b = append(b, 3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0, 0xfd, 0, 0, 0xb1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	s := 64 + wire.ProtocolICMPv6 + sum16(b[22:])
	s = s>>16 + s&0xffff
	s += s >> 16
	binary.BigEndian.PutUint16(b[56:], ^uint16(s))
	return len(b)
}
