package wire

import "net/netip"

// Well-known multicast groups and the Ethernet addresses they map to.
var (
	// AllNodes is ff02::1, every node on the link (RFC 4291 section 2.7.1).
	AllNodes = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 1})
	// AllRouters is ff02::2, every router on the link (RFC 4291 section 2.7.1).
	AllRouters = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 2})
	// AllMLDv2Routers is ff02::16, to which MLDv2 Reports go (RFC 9777 section 5.2.15).
	AllMLDv2Routers = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x16})
	// AllNodesMAC is 33:33:00:00:00:01, to which AllNodes maps (RFC 2464 section 7).
	AllNodesMAC = MAC{0x33, 0x33, 0, 0, 0, 1}
	// AllRoutersMAC is 33:33:00:00:00:02, to which AllRouters maps (RFC 2464 section 7).
	AllRoutersMAC = MAC{0x33, 0x33, 0, 0, 0, 2}
)

// SolicitedNode is the multicast group that a holder of a joins: ff02::1:ff00:0/104
// with the low 24 bits of a (RFC 4291 section 2.7.1).
func SolicitedNode(a netip.Addr) netip.Addr {
	low := a.As16()
	return netip.AddrFrom16([16]byte{
		0: 0xff, 1: 0x02, 11: 1, 12: 0xff,
		13: low[13], 14: low[14], 15: low[15],
	})
}

// isSolicitedNode reports whether a lies in ff02::1:ff00:0/104.
func isSolicitedNode(a []byte) bool {
	return [13]byte(a) == [13]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff}
}

// MulticastMAC is the Ethernet address of an IPv6 multicast group: 33:33 and
// the group's low 32 bits (RFC 2464 section 7).
func MulticastMAC(group netip.Addr) MAC {
	low := group.As16()
	return MAC{0x33, 0x33, low[12], low[13], low[14], low[15]}
}

// EUI64 is the address that a host with this MAC forms on prefix by modified
// EUI-64 (RFC 4291 appendix A, RFC 2464 section 4). Only the first 64 bits of
// prefix count.
func EUI64(prefix netip.Prefix, mac MAC) netip.Addr {
	a := prefix.Masked().Addr().As16()
	// The universal/local bit is inverted, so that short hand-made
	// identifiers like ::1 read as local (RFC 4291 section 2.5.1).
	copy(a[8:], []byte{mac[0] ^ 0x02, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	return netip.AddrFrom16(a)
}

// LinkLocal is the EUI-64 address of mac on fe80::/64 (RFC 4291 section 2.5.6).
func LinkLocal(mac MAC) netip.Addr {
	return EUI64(linkLocalPrefix, mac)
}

var linkLocalPrefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 64)
