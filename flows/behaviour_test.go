package flows

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/wire"
)

// Octets of the messages of the cases, by RFC 4861 section 4 and RFC 2464:
// Ethernet 14, IPv6 40, NS and NA 24, one link-layer option 8, a Nonce of RFC
// 3971 section 5.3.2 8 more.
const (
	octetsBare   = 78
	octetsOption = 86
	octetsNonce  = 94
)

var (
	guest1, guest2, guest3 = mac(0x11), mac(0x12), mac(0x13)
	routerMAC              = wire.MAC{2, 0, 0, 0, 0xa, 1}
	allNodesMAC            = wire.MAC{0x33, 0x33, 0, 0, 0, 1}
)

func at(s string) Value { return Addr(netip.MustParseAddr(s)) }

// frame is an untagged frame from a port.
func frame(in uint32, src, dst wire.MAC, etherType uint16) packet {
	return packet{octets: 100}.set(InPort, U32(in)).set(EthSrc, MAC(src)).set(EthDst, MAC(dst)).set(EthType, U16(etherType))
}

// ip6 is an IPv6 packet with hop limit 255.
func ip6(in uint32, src, dst wire.MAC, from, to string, proto uint8) packet {
	return frame(in, src, dst, 0x86dd).set(IPv6Src, at(from)).set(IPv6Dst, at(to)).set(IPProto, U8(proto)).set(IPTTL, U8(255))
}

func icmp6(in uint32, src, dst wire.MAC, from, to string, typ uint8) packet {
	return ip6(in, src, dst, from, to, 58).set(ICMPv6Type, U8(typ))
}

// solicitAll is guest 1 asking everyone for a target, with its own option.
func solicitAll(target, group string, groupMAC wire.MAC) packet {
	return sized(icmp6(1, guest1, groupMAC, "fe80::ff:fe00:11", group, 135).set(NDTarget, at(target)).
		set(NDSLL, MAC(guest1)), octetsOption)
}

func sized(p packet, octets uint16) packet {
	p.octets = octets
	return p
}

// behaviour is the network of routerGuestSpec: guests 1 and 2, guest 3 a
// router, the router's own address fd00:b1::1. want is what happens with nd_ext,
// plain what happens without where that is something else, away what happens
// while Damselfly is away.
var behaviour = []struct {
	name              string
	in                packet
	want, plain, away string
}{
	{name: "a tagged frame", in: frame(1, guest1, guest2, 0x0800).set(VLANVID, U16(0x1000|5)), want: "drop-tagged"},
	{name: "a priority tag", in: frame(1, guest1, guest2, 0x0800).set(VLANVID, U16(0x1000)), want: "drop-tagged"},
	{name: "a port that nobody knows", in: frame(77, guest1, guest2, 0x0800), want: "miss in table 0"},
	{name: "an unknown Ethernet type", in: frame(1, guest1, guest2, 0x88cc), want: "drop-ethertype"},
	{name: "a group as source MAC", in: frame(1, allNodesMAC, guest2, 0x0800), want: "drop-source"},
	{name: "a group as IPv6 source", in: ip6(1, guest1, guest2, "ff02::1", "fe80::12", 17), want: "drop-source"},
	{name: "IPv4 to a known MAC", in: frame(1, guest1, guest2, 0x0800), want: "out 2"},
	{name: "an ARP broadcast spares the sender", in: frame(1, guest1, wire.MAC{255, 255, 255, 255, 255, 255}, 0x0806).set(ARPSHA, MAC(guest1)), want: "out 2, out 3"},
	{name: "an unknown MAC", in: frame(1, guest1, mac(0x99), 0x0800), want: "drop-unknown-mac"},
	{name: "TCP between guests", in: ip6(1, guest1, guest2, "fd00:b1::ff:fe00:11", "fd00:b1::ff:fe00:12", 6), want: "out 2"},
	{name: "to oneself", in: ip6(1, guest1, guest1, "fe80::ff:fe00:11", "fe80::ff:fe00:11", 6), want: ""},
	{name: "an unknown next header", in: ip6(1, guest1, guest2, "fe80::11", "fe80::12", 200), want: "drop-next-header"},
	{name: "a cut header chain", in: ip6(1, guest1, guest2, "fe80::11", "fe80::12", 0), want: "drop-header-chain"},
	{name: "ICMPv6 cut off", in: icmp6(1, guest1, guest2, "fe80::11", "fe80::12", 0), want: "drop-header-chain"},
	{name: "no hop limit", in: ip6(1, guest1, guest2, "fe80::11", "fe80::12", 17).set(IPTTL, U8(0)), want: "drop-header-chain"},
	{name: "a later fragment to a global address", in: ip6(1, guest1, guest2, "fe80::ff:fe00:11", "fd00:b1::ff:fe00:12", 44).set(IPFrag, U8(3)), want: "out 2"},
	{name: "a later fragment to a link-local", in: ip6(1, guest1, guest2, "fe80::11", "fe80::12", 17).set(IPFrag, U8(3)), want: "drop-header-chain"},
	{name: "a later fragment to a group", in: ip6(1, guest1, allNodesMAC, "fe80::11", "ff02::1", 17).set(IPFrag, U8(3)), want: "drop-header-chain"},

	{name: "NS to all for a known guest", in: solicitAll("fd00:b1::ff:fe00:12", "ff02::1:ff00:12", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x12}),
		want: "answer", plain: "punt ns lane 1", away: "out 2, out 3"},
	{name: "NS to all for the router", in: solicitAll("fd00:b1::1", "ff02::1:ff00:1", wire.MAC{0x33, 0x33, 0xff, 0, 0, 1}),
		want: "answer", plain: "punt ns lane 1", away: "out 2, out 3"},
	{name: "NS to all for an unknown target", in: solicitAll("fd00:b1::77", "ff02::1:ff00:77", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x77}),
		want: "punt ns lane 1", away: "out 2, out 3"},
	{name: "NS for one's own address", in: solicitAll("fd00:b1::ff:fe00:11", "ff02::1:ff00:11", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x11}),
		want: "punt ns lane 1", away: "out 2, out 3"},
	{name: "NS with a nonce behind", in: sized(solicitAll("fd00:b1::ff:fe00:12", "ff02::1:ff00:12", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x12}), octetsNonce),
		want: "punt ns lane 1", away: "drop-away"},
	{name: "NS with another's option", in: solicitAll("fd00:b1::ff:fe00:12", "ff02::1:ff00:12", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x12}).set(NDSLL, MAC(guest2)),
		want: "punt ns lane 1", away: "drop-away"},
	{name: "NS without option", in: sized(solicitAll("fd00:b1::ff:fe00:12", "ff02::1:ff00:12", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x12}).set(NDSLL, Value{}), octetsBare),
		want: "punt ns lane 1", away: "drop-away"},
	{name: "DAD", in: sized(icmp6(1, guest1, wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x12}, "::", "ff02::1:ff00:12", 135).set(NDTarget, at("fd00:b1::ff:fe00:12")), octetsBare),
		want: "punt ns lane 1", away: "drop-away"},
	{name: "NS with hop limit 64", in: solicitAll("fd00:b1::1", "ff02::1:ff00:1", wire.MAC{0x33, 0x33, 0xff, 0, 0, 1}).set(IPTTL, U8(64)), want: "drop-nd-invalid"},
	{name: "NS with a code", in: solicitAll("fd00:b1::1", "ff02::1:ff00:1", wire.MAC{0x33, 0x33, 0xff, 0, 0, 1}).set(ICMPv6Code, U8(1)), want: "drop-nd-invalid"},
	{name: "NS as a first fragment", in: solicitAll("fd00:b1::1", "ff02::1:ff00:1", wire.MAC{0x33, 0x33, 0xff, 0, 0, 1}).set(IPFrag, U8(1)), want: "drop-nd-invalid"},

	{name: "NUD without option", in: sized(nud(), octetsBare), want: "out 2"},
	{name: "NUD with option", in: sized(nud().set(NDSLL, MAC(guest1)), octetsOption), want: "out 2"},
	{name: "NUD with a nonce behind", in: sized(nud().set(NDSLL, MAC(guest1)), octetsNonce), want: "punt ns lane 1", away: "drop-away"},
	{name: "NUD cut short", in: sized(nud().set(NDSLL, MAC(guest1)), octetsBare), want: "punt ns lane 1", away: "drop-away"},
	{name: "NUD from another's address", in: sized(nud().set(IPv6Src, at("fd00:b1::ff:fe00:13")), octetsBare), want: "drop-spoofed"},
	{name: "NUD from an address nobody is known to hold", in: sized(nud().set(IPv6Src, at("fd00:b1::77")), octetsBare), want: "punt ns lane 1", away: "drop-away"},
	{name: "NUD to the wrong MAC", in: sized(nud().set(EthDst, MAC(guest3)), octetsBare), want: "punt ns lane 1", away: "drop-away"},
	{name: "NUD to the router", in: sized(icmp6(1, guest1, routerMAC, "fe80::ff:fe00:11", "fd00:b1::1", 135).set(NDTarget, at("fd00:b1::1")).set(NDSLL, MAC(guest1)), octetsOption),
		want: "answer", plain: "punt ns lane 1", away: "drop-away"},

	{name: "NA of one's own", in: sized(advert(), octetsOption), want: "out 2"},
	{name: "NA of one's own without option", in: sized(advert().set(NDTLL, Value{}), octetsBare), want: "out 2"},
	{name: "NA of one's own to all", in: sized(advert().set(IPv6Dst, at("ff02::1")).set(EthDst, MAC(allNodesMAC)), octetsOption), want: "out 2, out 3"},
	{name: "NA for another's address", in: sized(advert().set(NDTarget, at("fd00:b1::ff:fe00:13")), octetsOption), want: "punt na lane 1", away: "drop-away"},
	{name: "NA with another's MAC", in: sized(advert().set(NDTLL, MAC(guest3)), octetsOption), want: "punt na lane 1", away: "drop-away"},
	{name: "NA of one's own, solicited", in: sized(advert().set(NDReserved, U32(0x60000000)), octetsOption), want: "out 2"},
	{name: "NA that claims a router", in: sized(advert().set(NDReserved, U32(0xe0000000)), octetsOption), want: "punt na lane 1", plain: "out 2"},
	{name: "NA with reserved bits", in: sized(advert().set(NDReserved, U32(0x60000001)), octetsOption), want: "punt na lane 1", plain: "out 2"},
	{name: "NA of a router guest", in: sized(icmp6(3, guest3, guest1, "fe80::ff:fe00:13", "fe80::ff:fe00:11", 136).set(NDTarget, at("fe80::ff:fe00:13")).
		set(NDTLL, MAC(guest3)).set(NDReserved, U32(0xe0000000)), octetsOption), want: "out 1"},
	{name: "NA of one's own to all, overriding", in: toAll(advert().set(NDReserved, U32(0x20000000))), want: "out 2, out 3"},
	{name: "NA to all, solicited", in: toAll(advert().set(NDReserved, U32(0x40000000))), want: "punt na lane 1", plain: "out 2, out 3"},
	{name: "NA to all, solicited and overriding", in: toAll(advert().set(NDReserved, U32(0x60000000))), want: "punt na lane 1", plain: "out 2, out 3"},
	{name: "NA without option to all, solicited", in: sized(toAll(advert().set(NDTLL, Value{}).set(NDReserved, U32(0x40000000))), octetsBare),
		want: "punt na lane 1", plain: "out 2, out 3"},
	{name: "NA to another group, solicited", in: toAll(advert().set(NDReserved, U32(0x40000000))).set(IPv6Dst, at("ff05::2")), want: "punt na lane 1", plain: "out 2, out 3"},
	{name: "NA of a router guest to all", in: toAll(routerAdvert().set(NDReserved, U32(0x80000000))), want: "out 1, out 2"},
	{name: "NA of a router guest to all, overriding", in: toAll(routerAdvert().set(NDReserved, U32(0xa0000000))), want: "out 1, out 2"},
	{name: "NA of a router guest to all, solicited", in: toAll(routerAdvert().set(NDReserved, U32(0xe0000000))), want: "punt na lane 3", plain: "out 1, out 2"},
	{name: "NA of a router guest to all, solicited with reserved bits", in: toAll(routerAdvert().set(NDReserved, U32(0xc0000001))), want: "punt na lane 3", plain: "out 1, out 2"},
	{name: "NA of a router guest with reserved bits", in: sized(routerAdvert().set(NDReserved, U32(0xc0000001)), octetsOption), want: "out 1"},
	{name: "NA with something behind", in: sized(advert(), octetsNonce), want: "punt na lane 1", away: "drop-away"},

	{name: "RS", in: icmp6(1, guest1, wire.MAC{0x33, 0x33, 0, 0, 0, 2}, "fe80::ff:fe00:11", "ff02::2", 133), want: "punt rs lane 1", away: "drop-away"},
	{name: "RA from a guest", in: icmp6(1, guest1, allNodesMAC, "fe80::ff:fe00:11", "ff02::1", 134), want: "drop-guest-ra"},
	{name: "RA from a router guest", in: icmp6(3, guest3, allNodesMAC, "fe80::ff:fe00:13", "ff02::1", 134), want: "punt rs lane 3", away: "drop-away"},
	{name: "Redirect", in: icmp6(3, guest3, guest1, "fe80::ff:fe00:13", "fe80::ff:fe00:11", 137), want: "drop-redirect"},

	{name: "echo to the router", in: icmp6(1, guest1, routerMAC, "fd00:b1::ff:fe00:11", "fd00:b1::1", 128), want: "answer"},
	{name: "echo to the router's link-local", in: icmp6(1, guest1, routerMAC, "fe80::ff:fe00:11", "fe80::1", 128), want: "answer"},
	{name: "echo from nowhere", in: icmp6(1, guest1, routerMAC, "::", "fe80::1", 128), want: "drop-spoofed"},
	{name: "echo to all nodes", in: icmp6(1, guest1, allNodesMAC, "fe80::ff:fe00:11", "ff02::1", 128), want: "out 2, out 3, punt echo lane 1", away: "out 2, out 3, drop-away"},
	{name: "echo to all routers", in: icmp6(1, guest1, wire.MAC{0x33, 0x33, 0, 0, 0, 2}, "fe80::ff:fe00:11", "ff02::2", 128), want: "punt echo lane 1", away: "drop-away"},
	{name: "echo between guests", in: icmp6(1, guest1, guest2, "fe80::ff:fe00:11", "fe80::ff:fe00:12", 128), want: "out 2"},
}

// dhcpv6 is a datagram between two ports.
func dhcpv6(in uint32, src, dst wire.MAC, from, to uint16) packet {
	addresses := map[wire.MAC]string{guest1: "fe80::ff:fe00:11", guest2: "fe80::ff:fe00:12"}
	return ip6(in, src, dst, addresses[src], addresses[dst], 17).set(UDPSrc, U16(from)).set(UDPDst, U16(to))
}

// routerAdvert is guest 3, a router, telling guest 1 of its link-local address.
func routerAdvert() packet {
	return icmp6(3, guest3, guest1, "fe80::ff:fe00:13", "fe80::ff:fe00:11", 136).set(NDTarget, at("fe80::ff:fe00:13")).set(NDTLL, MAC(guest3))
}

// toAll sends an advertisement with its option to all nodes.
func toAll(p packet) packet {
	return sized(p.set(IPv6Dst, at("ff02::1")).set(EthDst, MAC(allNodesMAC)), octetsOption)
}

// dhcpv4 is UDP of IPv4 between two ports.
func dhcpv4(in uint32, src, dst wire.MAC, from, to uint16) packet {
	return ip4(in, src, [4]byte{10, 0, 0, 1}, 17).set(EthDst, MAC(dst)).set(UDPSrc, U16(from)).set(UDPDst, U16(to))
}

// nud is guest 1 probing guest 2 (RFC 4861 section 7.3).
func nud() packet {
	return icmp6(1, guest1, guest2, "fe80::ff:fe00:11", "fd00:b1::ff:fe00:12", 135).set(NDTarget, at("fd00:b1::ff:fe00:12"))
}

// advert is guest 1 telling guest 2 of its own address.
func advert() packet {
	return icmp6(1, guest1, guest2, "fe80::ff:fe00:11", "fe80::ff:fe00:12", 136).set(NDTarget, at("fd00:b1::ff:fe00:11")).set(NDTLL, MAC(guest1))
}

// TestBehaviour runs each frame through the flows as a switch would.
func TestBehaviour(t *testing.T) {
	s := named["router-guest"]()
	for _, tt := range behaviour {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plain, away := tt.want, tt.want
			if tt.plain != "" {
				plain, away = tt.plain, tt.plain
			}
			if tt.away != "" {
				away = tt.away
			}
			for env, want := range map[string]string{"ndext-pulse": tt.want, "ndext": tt.want, "pulse": plain, "plain": plain} {
				sw := &fakeSwitch{Set: Compile(s, envs[env])}
				if got := sw.run(tt.in); got != want {
					t.Errorf("%s: %q, want %q", env, got, want)
				}
			}
			sw := &fakeSwitch{Set: Compile(s, envs["pulse"]), dead: map[uint32]bool{envs["pulse"].PulsePort: true}}
			if got := sw.run(tt.in); got != away {
				t.Errorf("while away: %q, want %q", got, away)
			}
		})
	}
}

// TestBehaviourElsewhere holds the frames that need another topology.
func TestBehaviourElsewhere(t *testing.T) {
	tests := []struct {
		topology, name string
		in             packet
		want           string
	}{
		{"unbound", "to a guest that is not there", frame(1, guest1, guest2, 0x0800), "drop-unknown-mac"},
		{"unbound", "from a guest that is not there", frame(2, guest2, guest1, 0x0800), "miss in table 0"},
		{"unknown", "an unknown MAC", frame(1, guest1, mac(0x99), 0x0800), "out 3, out 4"},
		{"unknown", "an unknown MAC from where it may live", frame(3, mac(0x98), mac(0x99), 0x0800), "out 4"},
		{"unknown", "NS from where anything may live", sized(icmp6(3, mac(0x98), guest2, "fe80::98", "fe80::ff:fe00:12", 135).
			set(NDTarget, at("fe80::ff:fe00:12")).set(NDSLL, MAC(mac(0x98))), octetsOption), "punt ns lane 3"},
		{"l2", "to the same MAC on another network", frame(3, guest1, guest2, 0x0800), "drop-unknown-mac"},
		{"l2", "a flood ends with the network", frame(1, guest1, allNodesMAC, 0x0800), "out 2"},
		{"l2", "echo to all nodes without a router", icmp6(1, guest1, allNodesMAC, "fe80::ff:fe00:11", "ff02::1", 128), "out 2"},
		{"l2-groups", "DHCPv6 of a client without groups", dhcpv6(1, guest1, guest2, 546, 547), "out 2"},
		{"l2-groups", "DHCPv6 of its server", dhcpv6(2, guest2, guest1, 547, 546), "out 1"},
		{"l2-groups", "DHCPv6 of a guest that is no server", dhcpv6(1, guest1, guest2, 547, 546), "drop-dhcpv6-server"},
		{"l2-groups", "DHCPv4 of its server", dhcpv4(2, guest2, guest1, 67, 68), "out 1"},
		{"l2-groups", "DHCPv4 of a guest that is no server", dhcpv4(1, guest1, guest2, 67, 68), "drop-dhcpv4-server"},
		{"l2", "from the port of DHCPv4 servers", dhcpv4(1, guest1, guest2, 67, 1068), "drop-dhcpv4-server"},
		{"l2", "to the port of DHCPv4 clients", dhcpv4(1, guest1, guest2, 1067, 68), "drop-dhcpv4-server"},
		{"l2", "DHCPv4 of a client", dhcpv4(1, guest1, guest2, 68, 67), "out 2"},
		{"l2", "the same ports of IPv6", dhcpv4(1, guest1, guest2, 67, 68).set(EthType, U16(0x86dd)).set(IPv6Src, at("fe80::ff:fe00:11")).set(IPTTL, U8(64)), "out 2"},
		{"open", "DHCPv4 of a server that is not secured", dhcpv4(1, guest1, guest2, 67, 68), "out 2"},
		{"unknown", "DHCPv4 of a server behind a port of anybody's", dhcpv4(3, guest3, guest1, 67, 68), "out 1"},
		{"pairs", "DHCPv4 of a server with an address of its own", ip4(3, guest3, [4]byte{192, 0, 2, 13}, 17).set(UDPSrc, U16(67)).set(UDPDst, U16(68)), "drop-dhcpv4-server"},
		{"l2-groups", "DHCPv6 to a server without groups", dhcpv6(2, guest2, guest1, 546, 547), "drop-denied"},
		{"l2-groups", "UDP without groups", dhcpv6(2, guest2, guest1, 546, 545), "drop-denied"},
		{"l2-groups", "a listener query", icmp6(2, guest2, allNodesMAC, "fe80::ff:fe00:12", "ff02::1", 130).set(IPTTL, U8(1)), "out 1"},
		{"l2-groups", "a listener query from afar", icmp6(2, guest2, allNodesMAC, "fe80::ff:fe00:12", "ff02::1", 130), "drop-denied"},
		{"l2-groups", "a listener report", icmp6(1, guest1, allNodesMAC, "fe80::ff:fe00:11", "ff02::16", 143).set(IPTTL, U8(1)), "out 2"},
		{"l2-groups", "a router solicitation", icmp6(1, guest1, wire.MAC{0x33, 0x33, 0, 0, 0, 2}, "fe80::ff:fe00:11", "ff02::2", 133), "punt rs lane 1"},
		{"local", "to LOCAL", frame(1, guest1, guest2, 0x0800), "out LOCAL"},
		{"local", "from LOCAL", frame(Local, guest2, guest1, 0x0800), "out 1"},
		{"limits", "echo where the limit forbids it", icmp6(1, guest1, routerMAC, "fe80::ff:fe00:11", "fe80::1", 128), "drop-echo"},
		{"limits", "NS without a limit", sized(solicitAll("fe80::77", "ff02::1:ff00:77", wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x77}), octetsOption), "punt ns lane 1"},
	}
	for _, tt := range tests {
		t.Run(tt.topology+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			sw := &fakeSwitch{Set: Compile(named[tt.topology](), envs["ndext-pulse"])}
			if got := sw.run(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestAnswerFields looks at the answers that flows make, field by field (RFC
// 4861 section 7.2.4, RFC 4443 section 4.2).
func TestAnswerFields(t *testing.T) {
	s := named["router-guest"]()
	ask := func(target, group string, last byte) packet {
		return solicitAll(target, group, wire.MAC{0x33, 0x33, 0xff, 0, 0, last}).
			set(IPv6Label, U32(0x12345)).set(IPDSCP, U8(8)).set(IPECN, U8(1))
	}
	guest, router, asker := "fd00:b1::ff:fe00:12", "fd00:b1::1", "fe80::ff:fe00:11"
	advert := func(from string, mac wire.MAC, flags uint32) packet {
		return sized(icmp6(1, mac, guest1, from, asker, 136), octetsOption).set(NDTarget, at(from)).
			set(NDTLL, MAC(mac)).set(NDReserved, U32(flags)).set(NDOptionsType, U8(2))
	}
	tests := []struct {
		name     string
		in, want packet
	}{
		{"a guest", ask(guest, "ff02::1:ff00:12", 0x12), advert(guest, guest2, 0x60000000)},
		{"a guest that is a router", ask("fd00:b1::ff:fe00:13", "ff02::1:ff00:13", 0x13), advert("fd00:b1::ff:fe00:13", guest3, 0xe0000000)},
		{"the router", ask(router, "ff02::1:ff00:1", 1), advert(router, routerMAC, 0xe0000000)},
		{"echo", icmp6(1, guest1, routerMAC, asker, router, 128).set(IPv6Label, U32(5)), icmp6(1, routerMAC, guest1, router, asker, 129).set(IPTTL, U8(64))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sw := &fakeSwitch{Set: Compile(s, envs["ndext"])}
			if got := sw.run(tt.in); got != "answer" {
				t.Fatalf("%q, want an answer", got)
			}
			if diff := cmp.Diff(headers(tt.want), headers(sw.left[0])); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
		})
	}
}

// headers are the fields that are on the wire and not zero, by name. The
// source option of a solicitation is the octets that became the target's.
func headers(p packet) map[string]string {
	out := map[string]string{}
	for f := EthDst; f < Fields; f++ {
		if f != NDSLL && p.fields[f] != (Value{}) {
			out[f.String()] = f.text(p.fields[f])
		}
	}
	return out
}
