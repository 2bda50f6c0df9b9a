package bench

import (
	"encoding/binary"

	"damselfly/internal/wire"
)

// bareRoom is room for what a bare responder reads and writes.
const bareRoom = 256

// Where things are in a frame with DHCPv6 that has no extension header.
const (
	bareUDP     = 54
	bareMessage = bareUDP + 8
	bareOptions = bareMessage + 4
)

// bareDHCPv6 makes the answer to a client's message in b, for which there must be
// bareRoom, and returns its length, 0 for none. It stores nothing and checks
// nothing: the address is made of the end of the client's DUID (RFC 9915 section
// 11), under fd00:d1::/64.
func bareDHCPv6(b, f []byte) int {
	end := bareUDP + int(binary.BigEndian.Uint16(f[18:]))
	if end > len(f) || end < bareOptions || f[bareUDP+3] != 547&0xff {
		return 0
	}
	var client, ia []byte
	for o := f[bareOptions:end]; len(o) >= 4; {
		n := 4 + int(binary.BigEndian.Uint16(o[2:]))
		if n > len(o) {
			return 0
		}
		switch binary.BigEndian.Uint16(o) {
		case 1:
			client = o[:n]
		case 3:
			ia = o[:n]
		}
		o = o[n:]
	}
	if len(client) < 10 || len(client) > 64 {
		return 0
	}
	b = append(b[:0], f[6:12]...)
	b = append(b, BareMAC[:]...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, wire.ProtocolUDP, 64)
	source := wire.LinkLocal(BareMAC).As16()
	b = append(b, source[:]...)
	b = append(b, f[22:38]...)
	b = append(b, 547>>8, 547&0xff, 546>>8, 546&0xff, 0, 0, 0, 0)
	b = append(b, f[bareMessage:bareOptions]...)
	if b[bareMessage] == 1 {
		b[bareMessage] = 2 // ADVERTISE to SOLICIT
	} else {
		b[bareMessage] = 7 // REPLY
	}
	b = append(b, client...)
	b = append(b, 0, 2, 0, 10, 0, 3, 0, 1)
	b = append(b, BareMAC[:]...)
	if len(ia) >= 16 {
		b = append(b, 0, 3, 0, 40)
		b = append(b, ia[4:8]...)
		b = append(b, 0, 0, 5, 220, 0, 0, 9, 96) // T1 1500, T2 2400
		b = append(b, 0, 5, 0, 24, 0xfd, 0, 0, 0xd1, 0, 0, 0, 0, 0, 1)
		b = append(b, client[len(client)-6:]...)
		b = append(b, 0, 0, 11, 184, 0, 0, 15, 160) // 3000, 4000
	}
	length := len(b) - bareUDP
	binary.BigEndian.PutUint16(b[18:], uint16(length))
	binary.BigEndian.PutUint16(b[bareUDP+4:], uint16(length))
	s := uint32(length) + wire.ProtocolUDP + sum16(b[22:])
	if length%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	s = s>>16 + s&0xffff
	s += s >> 16
	if s = uint32(^uint16(s)); s == 0 {
		s = 0xffff // RFC 8200 section 8.1
	}
	binary.BigEndian.PutUint16(b[bareUDP+6:], uint16(s))
	return len(b)
}
