package flows

import (
	"testing"

	"damselfly/internal/wire"
)

// arp is ARP from a guest: its sender's and its target's address.
func arp(in uint32, src, sha wire.MAC, spa, tpa [4]byte) packet {
	p := frame(in, src, wire.MAC{255, 255, 255, 255, 255, 255}, 0x0806).set(ARPSHA, MAC(sha))
	copy(p.fields[ARPSPA][:], spa[:])
	copy(p.fields[ARPTPA][:], tpa[:])
	return p
}

// ip4 is an IPv4 packet to guest 2.
func ip4(in uint32, src wire.MAC, from [4]byte, proto uint8) packet {
	p := frame(in, src, guest2, 0x0800).set(IPProto, U8(proto))
	copy(p.fields[IPv4Src][:], from[:])
	return p
}

// sourceCases are frames of secured ports by where they say they come from.
func sourceCases() []sourceCase {
	const own1, local1, own2 = "fd00:b1::ff:fe00:11", "fe80::ff:fe00:11", "fd00:b1::ff:fe00:12"
	tcp := func(in uint32, src wire.MAC, from string) packet { return ip6(in, src, guest2, from, own2, 6) }
	forged := mac(0x66)
	all := wire.MAC{0x33, 0x33, 0, 0, 0, 1}
	report := func(from string) packet {
		return icmp6(1, guest1, wire.MAC{0x33, 0x33, 0, 0, 0, 0x16}, from, "ff02::16", 143)
	}
	vrrp := func(in uint32, src wire.MAC, from string) packet {
		return ip6(in, src, wire.MAC{0x33, 0x33, 0, 0, 0, 0x12}, from, "ff02::12", 112)
	}
	four := [4]byte{192, 0, 2, 13}
	return []sourceCase{
		{"router", "own global", tcp(1, guest1, own1), "out 2"},
		{"router", "own link-local", tcp(1, guest1, local1), "out 2"},
		{"router", "forged MAC", tcp(1, forged, own1), "drop-spoofed"},
		{"router", "another's MAC and address", tcp(1, guest2, own2), "drop-spoofed"},
		{"router", "another's address", tcp(1, guest1, own2), "drop-spoofed"},
		{"router", "another's link-local", tcp(1, guest1, "fe80::ff:fe00:12"), "drop-spoofed"},
		{"router", "the router's address", tcp(1, guest1, "fd00:b1::1"), "drop-spoofed"},
		{"router", "the router's link-local", tcp(1, guest1, "fe80::1"), "drop-spoofed"},
		{"router", "nobody's on the prefix", tcp(1, guest1, "fd00:b1::77"), "punt source lane 1"},
		{"router", "nobody's link-local", tcp(1, guest1, "fe80::77"), "punt source lane 1"},
		{"router", "off the link", tcp(1, guest1, "2001:db8::77"), "drop-spoofed"},
		{"router", "nowhere", tcp(1, guest1, "::"), "drop-spoofed"},
		{"router", "forged MAC, IPv4", frame(1, forged, guest2, 0x0800), "drop-spoofed"},
		{"router", "forged MAC, ARP", arp(1, forged, forged, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}), "drop-spoofed"},
		{"router", "ARP of another's MAC", arp(1, guest1, guest2, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}), "drop-spoofed"},
		{"router", "ARP of one's own", arp(1, guest1, guest1, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}), "out 2"},
		{"router", "a report without an address", report("::"), "out 2"},
		{"router", "a report from one's own", report(local1), "out 2"},
		{"router", "a report from another's", report("fe80::ff:fe00:12"), "drop-spoofed"},
		{"router", "a report from nowhere to far away", icmp6(1, guest1, guest2, "::", own2, 143), "drop-spoofed"},
		{"router", "a listener query", icmp6(1, guest1, all, local1, "ff02::1", 130), "drop-mld-query"},
		{"router", "an RA with the router's address", icmp6(1, guest1, all, "fe80::1", "ff02::1", 134), "drop-spoofed"},
		{"router", "a Redirect with the router's address", icmp6(1, guest1, guest2, "fe80::1", own2, 137), "drop-spoofed"},
		{"router", "an RA with another's MAC", icmp6(1, guest2, all, "fe80::1", "ff02::1", 134), "drop-spoofed"},
		{"router", "an inverse question where there are none", icmp6(1, guest1, guest2, local1, "ff02::1", 141), "drop-inverse"},
		{"router", "an inverse answer", icmp6(1, guest1, guest2, local1, "fe80::ff:fe00:12", 142), "drop-inverse"},
		{"l2", "an inverse question without a router", icmp6(1, guest1, guest2, local1, "ff02::1", 141), "drop-inverse"},
		{"send-require", "a question for certificates", icmp6(1, guest1, wire.AllRoutersMAC, local1, "ff02::2", 148), "punt send lane 1"},
		{"send-require", "a question for certificates from nowhere", icmp6(1, guest1, wire.AllRoutersMAC, "::", "ff02::2", 148), "punt send lane 1"},
		{"send-require", "a guest's certificates", icmp6(1, guest1, all, local1, "ff02::1", 149), "drop-path"},
		{"inverse", "an inverse question", icmp6(1, guest1, guest2, local1, "ff02::1", 141), "punt inverse lane 1"},
		{"inverse", "an inverse question from another's address", icmp6(1, guest1, guest2, own2, "ff02::1", 141), "drop-spoofed"},
		{"inverse", "an inverse question from nowhere", icmp6(1, guest1, guest2, "::", "ff02::1", 141), "drop-spoofed"},
		{"inverse", "an inverse answer where there are questions", icmp6(1, guest1, guest2, local1, "fe80::ff:fe00:12", 142), "drop-inverse"},
		{"router", "VRRP without a pair", vrrp(1, guest1, local1), "drop-next-header"},
		{"router-guest", "a listener query of a router", icmp6(3, guest3, all, "fe80::ff:fe00:13", "ff02::1", 130), "out 1, out 2"},
		{"router-guest", "a listener query of a router from another's", icmp6(3, guest3, all, local1, "ff02::1", 130), "drop-spoofed"},

		{"prefixes", "nobody's where only DHCPv6 gives addresses", tcp(1, guest1, "2001:db8:1::77"), "drop-spoofed"},
		{"prefixes", "nobody's where guests make their own", tcp(1, guest1, "2001:db8:2::77"), "punt source lane 1"},
		{"prefixes", "one's own where only DHCPv6 gives addresses", tcp(1, guest1, "2001:db8:1::11"), "out 2"},
		{"l2", "any unicast without a prefix", tcp(1, guest1, "2001:db8::77"), "punt source lane 1"},
		{"l2", "another's without a prefix", tcp(1, guest1, "fe80::ff:fe00:12"), "drop-spoofed"},
		{"l2", "nowhere without a prefix", tcp(1, guest1, "::"), "drop-spoofed"},
		{"dhcpv6", "a leased address", tcp(1, guest1, own1), "out 2"},
		{"dhcpv6", "a delegated prefix", tcp(2, guest2, "2001:db8:8000:101::5"), ""},
		{"dhcpv6", "another's delegated prefix by a pair of more", tcp(4, mac(0x14), "2001:db8:8000:101::5"), "drop-spoofed"},
		{"dhcpv6", "an address of another's delegated prefix as a pair", tcp(4, mac(0x14), "2001:db8:8000:102::9"), "out 2"},
		{"dhcpv6", "what is delegated to nobody by a pair of more", tcp(4, mac(0x14), "2001:db8:8000:201::5"), "out 2"},
		{"dhcpv6", "another's delegated prefix", tcp(1, guest1, "2001:db8:8000:101::5"), "drop-spoofed"},

		{"unknown", "anything from where anything may be", tcp(3, forged, "2001:db8::77"), "out 2"},
		{"open", "anything from a port that is not secured", tcp(1, forged, "2001:db8::77"), "out 2"},
		{"open", "another's address from a port that is not secured", tcp(1, guest1, "fe80::ff:fe00:12"), "out 2"},
		{"open", "another's address from a port that is", ip6(2, guest2, guest1, local1, local1, 6), "drop-spoofed"},

		{"pairs", "a pair", tcp(1, virtualMAC, "fd00:b1::50"), "out 2"},
		{"pairs", "a pair with the port's MAC", tcp(1, guest1, "fd00:b1::50"), "drop-spoofed"},
		{"pairs", "a pair of others", tcp(4, mac(0x14), "fd00:b1::50"), "drop-spoofed"},
		{"pairs", "the MAC of a pair of others", tcp(4, virtualMAC, "fd00:b1::50"), "drop-spoofed"},
		{"pairs", "the MAC of a pair with one's own address", tcp(1, virtualMAC, own1), "drop-spoofed"},
		{"pairs", "a prefix", tcp(1, guest1, "fd00:b1:0:0:f::7"), "out 2"},
		{"pairs", "another's share of a prefix", tcp(2, guest2, "fd00:b1:0:0:f::7"), "drop-spoofed"},
		{"pairs", "VRRP of others with an address of the pair", vrrp(2, guest2, "fd00:b1::50"), "drop-spoofed"},
		{"pairs", "to a pair's MAC", ip6(4, mac(0x14), virtualMAC, "fe80::ff:fe00:14", "fd00:b1::50", 6), "out 1, out 2, out 3"},
		{"pairs", "VRRP with the MAC of the pair", vrrp(1, virtualMAC, local1), "out 2, out 3, out 4"},
		{"pairs", "VRRP with the port's MAC", vrrp(1, guest1, local1), "out 2, out 3, out 4"},
		{"pairs", "VRRP from another's address", vrrp(1, virtualMAC, "fe80::ff:fe00:12"), "drop-spoofed"},
		{"pairs", "VRRP from afar", vrrp(1, guest1, local1).set(IPTTL, U8(254)), "drop-next-header"},

		{"pairs", "IPv4 of one's own", ip4(3, guest3, four, 6), "out 2"},
		{"pairs", "IPv4 of another", ip4(3, guest3, [4]byte{192, 0, 2, 99}, 6), "drop-spoofed"},
		{"pairs", "IPv4 of a pair", ip4(3, guest3, [4]byte{198, 51, 100, 9}, 6), "out 2"},
		{"pairs", "IPv4 of a pair with its MAC", ip4(3, virtualMAC, [4]byte{192, 0, 2, 50}, 6), "out 2"},
		{"pairs", "IPv4 of a pair with the port's MAC", ip4(3, guest3, [4]byte{192, 0, 2, 50}, 6), "drop-spoofed"},
		{"pairs", "IPv4 of a neighbour from a port bound to its MAC", ip4(4, mac(0x14), four, 6), "drop-spoofed"},
		{"pairs", "IPv4 from a port bound to its MAC", ip4(4, mac(0x14), [4]byte{10, 0, 0, 1}, 6), "out 2"},
		{"pairs", "IPv4 with the MAC of an IPv6 pair", ip4(1, virtualMAC, [4]byte{10, 0, 0, 1}, 6), "drop-spoofed"},
		{"pairs", "DHCPv4", ip4(3, guest3, [4]byte{}, 17).set(UDPSrc, U16(68)).set(UDPDst, U16(67)), "out 2"},
		{"pairs", "IPv4 from nowhere", ip4(3, guest3, [4]byte{}, 6), "drop-spoofed"},
		{"pairs", "ARP", arp(3, guest3, guest3, four, [4]byte{192, 0, 2, 1}), "out 1, out 2, out 4"},
		{"pairs", "an ARP probe", arp(3, guest3, guest3, [4]byte{}, four), "out 1, out 2, out 4"},
		{"pairs", "an ARP probe for another", arp(3, guest3, guest3, [4]byte{}, [4]byte{192, 0, 2, 1}), "drop-spoofed"},
		{"pairs", "ARP for another", arp(3, guest3, guest3, [4]byte{192, 0, 2, 1}, four), "drop-spoofed"},
		{"pairs", "ARP for a neighbour", arp(4, mac(0x14), mac(0x14), four, [4]byte{192, 0, 2, 1}), "drop-spoofed"},
		{"pairs", "ARP of a pair", arp(3, virtualMAC, virtualMAC, [4]byte{192, 0, 2, 50}, four), "out 1, out 2, out 4"},
	}
}

type sourceCase struct {
	topology, name string
	in             packet
	want           string
}

// TestSource runs each frame through every environment. Nothing of it depends on
// Damselfly being there but what is learned.
func TestSource(t *testing.T) {
	t.Parallel()
	for _, tt := range sourceCases() {
		t.Run(tt.topology+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			for name, env := range envs {
				sw := &fakeSwitch{Set: Compile(named[tt.topology](), env)}
				if got := sw.run(tt.in); got != tt.want {
					t.Errorf("%s: %q, want %q", name, got, tt.want)
				}
			}
		})
	}
}
