package flows

import (
	"net/netip"

	"damselfly/internal/wire"
)

var (
	linkLocalMulticast = netip.MustParsePrefix("ff02::/16")
	linkLocal          = netip.MustParsePrefix("fe80::/10")
	multicast          = netip.MustParsePrefix("ff00::/8")
	loopback           = netip.MustParsePrefix("::1/128")
	mapped             = netip.MustParsePrefix("::ffff:0:0/96")
	solicitedNodes     = netip.MustParsePrefix("ff02::1:ff00:0/104")

	groupBit = wire.MAC{0: 0x01}
)

// passedProtocols are the upper-layer protocols a guest may send: TCP, UDP,
// GRE, ESP, AH, ICMPv6, no next header (59) and SCTP. Anything else could hide
// a header that no flow can see (RFC 7113 section 3).
var passedProtocols = []uint8{6, 17, 47, 50, 51, protoICMPv6, 59, 132}

// Priorities of the guard table.
const (
	guardTagged  = 500
	guardShort   = 450
	guardDrop    = 400
	guardPass    = 300
	guardLocal   = 210
	guardUnknown = 200
	guardOther   = 100
)

// guardFlows drop what no later table may be asked to judge.
func (b *builder) guardFlows() {
	t := uint8(TableGuard)
	ip6 := Match{}.IPv6()

	// An access port sends untagged frames; a tag it puts on itself ends the
	// frame, whatever is behind it. VLAN 0 has a VID of zero too, so what counts
	// is the bit that says a tag is there.
	b.add(t, guardTagged, RoleDropTagged, Match{}.WithMask(VLANVID, U16(vlanPresent), U16(vlanPresent)))
	b.add(t, guardDrop, RoleDropSource, Match{}.WithMask(EthSrc, MAC(groupBit), MAC(groupBit)))
	for _, never := range []netip.Prefix{multicast, loopback, mapped} {
		b.add(t, guardDrop, RoleDropSource, ip6.SrcIn(never))
	}
	// A first fragment that ends inside an extension header reads as an
	// unfragmented packet of protocol 0 or hop limit 0; one that ends behind
	// the last extension header as ICMPv6 of type 0. (The bridge is told to
	// show the headers of first fragments: see package bridge.)
	b.add(t, guardDrop, RoleDropHeaderChain, Match{}.Proto(0))
	b.add(t, guardDrop, RoleDropHeaderChain, ip6.With(IPTTL, U8(0)))
	b.add(t, guardDrop, RoleDropHeaderChain, Match{}.ICMPv6(0))
	// One that ends before or within its transport header reads as ports 0, which
	// nobody has: whatever has passed this has its ports in the first fragment, for
	// the shield of DHCPv6 and for the rules of security groups (RFC 7112 section 5).
	for _, cut := range []Match{
		Match{}.Proto(6).With(TCPSrc, Value{}).With(TCPDst, Value{}),
		Match{}.Proto(protoUDP).With(UDPSrc, Value{}).With(UDPDst, Value{}),
		Match{}.Proto(132).With(SCTPSrc, Value{}).With(SCTPDst, Value{}),
	} {
		b.add(t, guardDrop, RoleDropHeaderChain, cut.With(IPFrag, U8(fragFirst)))
	}
	// Later fragments to where Neighbor Discovery and DHCPv6 go could complete
	// a message that the first fragment hid (RFC 6980 section 5).
	later := ip6.With(IPFrag, U8(fragLater))
	b.add(t, guardDrop, RoleDropHeaderChain, later.DstIn(linkLocalMulticast))
	b.add(t, guardDrop, RoleDropHeaderChain, later.DstIn(linkLocal))

	b.add(t, guardPass, RoleGuard, later, Resubmit{TableSource})
	for _, p := range passedProtocols {
		b.add(t, guardPass, RoleGuard, Match{}.Proto(p), Resubmit{TableSource})
	}
	b.add(t, guardPass, RoleGuard, vrrpAdvert(), Resubmit{TableSource})
	b.add(t, guardUnknown, RoleDropNextHeader, ip6)
	for _, et := range []uint16{ethTypeIPv4, ethTypeARP} {
		b.add(t, guardOther, RoleGuard, Match{}.With(EthType, U16(et)), Resubmit{TableSource})
	}
	b.add(t, 0, RoleDropEtherType, nil)
}
