package e2e

import (
	octets "encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// barrage is one sort of frame that an attacker sends.
type barrage struct {
	name, from string
	frame      []byte
	vary       func(frame []byte)
}

// Offsets in a frame with IPv6, and with IPv4.
const (
	atSource, atTarget     = 14 + 8, 14 + 40 + 8
	atDestination, atPorts = 14 + 24, 14 + 40
	atSource4, atDest4     = 14 + 12, 14 + 16
	// Of the frame itself.
	atMAC, atOwnMAC = 0, 6
	// Of ARP in it (RFC 826).
	atARPMAC = 14 + 8
)

// balanced puts random octets at an offset whose sum stays the same, so that
// checksums stay right: words and their complements.
func balanced(offset, words int) func([]byte) {
	random := rand.New(rand.NewPCG(1, uint64(offset)))
	return func(f []byte) {
		for i := 0; i < words; i += 2 {
			w := uint16(random.Uint32())
			octets.BigEndian.PutUint16(f[offset+2*i:], w)
			octets.BigEndian.PutUint16(f[offset+2*i+2:], ^w)
		}
	}
}

// balance is the frame with zeros at an offset as balanced leaves them.
const balance = "ffff:0:ffff:0"

// barrages are all sorts: what Damselfly or its flows answer from vm1, data
// also from vm4, whose connections are tracked.
func barrages(t *testing.T) []barrage {
	const own, link = "fd00:b1::11", "fe80::ff:fe00:11"
	ask := func(target string) []byte {
		a := netip.MustParseAddr(target)
		group := wire.SolicitedNode(a)
		to := wire.MulticastMAC(group)
		return icmp6Frame(t, mac1, net.HardwareAddr(to[:]).String(), own, group.String(), layers.ICMPv6TypeNeighborSolicitation,
			&layers.ICMPv6NeighborSolicitation{TargetAddress: a.AsSlice(), Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hardware(t, mac1)}}})
	}
	clients, anew := floodSolicit(t)
	list := []barrage{
		{name: "NS for a known target", from: "vm1", frame: ask(bystanderAddress(2, 0))},
		{name: "NS for the router", from: "vm1", frame: ask("fd00:b1::1")},
		{name: "NS for an unknown target", from: "vm1", frame: ask("fd00:b1::dead")},
		{name: "NS for random targets", from: "vm1", frame: ask("fd00:b1::" + balance), vary: balanced(atTarget+8, 4)},
		{name: "NS for random targets from random sources", from: "vm1",
			frame: icmp6Frame(t, mac1, "33:33:ff:00:00:01", "fe80::"+balance, "ff02::1:ff00:1", layers.ICMPv6TypeNeighborSolicitation,
				&layers.ICMPv6NeighborSolicitation{TargetAddress: netip.MustParseAddr("fd00:b1::" + balance).AsSlice()}),
			vary: both(balanced(atSource+8, 4), balanced(atTarget+8, 4))},
		{name: "RS", from: "vm1", frame: routerSolicit(t)},
		{name: "SOLICIT", from: "vm1", frame: clients, vary: anew},
		{name: "MLD reports", from: "vm1", frame: report(t, mac1, link)},
		{name: "MLD reports of random groups", from: "vm1", frame: firstReport(t, mac1, link), vary: ofGroups()},
		{name: "MLD reports of random groups without an address", from: "vm1", frame: firstReport(t, mac1, "::"), vary: ofGroups()},
	}
	gateway := topology.RouterMAC("blue")
	for _, a := range []struct{ name, mac, own, own4 string }{{"vm1", mac1, own, "10.0.0.1"}, {"vm4", mac4, "fd00:b1::14", "10.0.0.4"}} {
		router := net.HardwareAddr(gateway[:]).String()
		add := func(what string, frame []byte, vary func([]byte)) {
			list = append(list, barrage{name: a.name + ": " + what, from: a.name, frame: frame, vary: vary})
		}
		data := func(mac, from, to string) []byte { return udp6(t, a.mac, mac, from, to, "must not disturb") }
		add("data from random sources", data(mac3, "fd00:b1::"+balance, bystanderAddress(3, 1)), balanced(atSource+8, 4))
		add("data from random sources off the link", data(mac3, "2001:db8::"+balance, bystanderAddress(3, 1)), balanced(atSource+8, 4))
		add("data from random IPv4 sources", udp4(t, a.mac, mac3, "255.255.0.0", "must not disturb"), balanced(atSource4, 2))
		add("data to random addresses", data(mac3, a.own, "2001:db8::"+balance), balanced(atDestination+8, 4))
		add("data to random neighbours", data(mac3, a.own, "fd00:b1::"+balance), balanced(atDestination+8, 4))
		add("data to random addresses by the router", data(router, a.own, "2001:db8::"+balance), balanced(atDestination+8, 4))
		add("data to random ports", datagram6(t, a.mac, mac3, a.own, bystanderAddress(3, 1), 0xffff, 0), balanced(atPorts, 2))
		add("data to random IPv4 addresses", udp4To(t, a.mac, mac3, a.own4, "255.255.0.0"), balanced(atDest4, 2))
		add("data to random MACs", data("02:11:11:11:11:11", a.own, bystanderAddress(3, 1)), anyMAC(atMAC))
		add("data to MACs of the maker", data(mac3, a.own, bystanderAddress(3, 1)), anyOctets(atMAC+1, 5))
		add("data to MACs near a known one", data(mac3, a.own, bystanderAddress(3, 1)), anyOctets(atMAC+3, 3))
		add("data from random MACs", data(mac3, a.own, bystanderAddress(3, 1)), anyMAC(atOwnMAC))
		add("data from MACs near its own", data(mac3, a.own, bystanderAddress(3, 1)), anyOctets(atOwnMAC+3, 3))
		add("ARP from random MACs", arpRequest(t, a.mac, a.own4), anyMAC(atARPMAC))
	}
	return list
}

func both(a, b func([]byte)) func([]byte) {
	return func(f []byte) {
		a(f)
		b(f)
	}
}

// anyOctets makes up n octets from an offset on.
func anyOctets(offset, n int) func([]byte) {
	random := rand.New(rand.NewPCG(5, 6))
	return func(f []byte) {
		var x [8]byte
		octets.BigEndian.PutUint64(x[:], random.Uint64())
		copy(f[offset:offset+n], x[:])
	}
}

// anyMAC makes up a MAC that is no group's.
func anyMAC(offset int) func([]byte) {
	return both(anyOctets(offset, 6), func(f []byte) { f[offset] &^= 1 })
}

// arpRequest asks all for an address.
func arpRequest(t *testing.T, mac, own string) []byte {
	t.Helper()
	return frameOf(t, ethernet(t, mac, "ff:ff:ff:ff:ff:ff", layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
		SourceHwAddress: hardware(t, mac), SourceProtAddress: netip.MustParseAddr(own).AsSlice(),
		DstHwAddress: make([]byte, 6), DstProtAddress: netip.MustParseAddr("10.0.0.9").AsSlice()})
}

// floodClient ends so that, with the transaction, it adds up to what any word
// and its complement do.
const floodClient = "02:00:00:00:ff:fe"

// floodSolicit is vm1's, with the transaction and the client made up anew each
// time.
func floodSolicit(t *testing.T) (frame []byte, vary func([]byte)) {
	const atTransaction, atClient = 14 + 40 + 8 + 2, 14 + 40 + 8 + 4 + 4 + 4 + 4
	frame = solicit(t, mac1, "fe80::ff:fe00:11", floodClient, 1)
	if got := octets.BigEndian.Uint16(frame[atClient:]); got != 0xfffe {
		t.Fatalf("the client's identifier is elsewhere: %x there", got)
	}
	random := rand.New(rand.NewPCG(7, 8))
	return frame, func(f []byte) {
		w := uint16(random.Uint32())
		octets.BigEndian.PutUint16(f[atTransaction:], w)
		octets.BigEndian.PutUint16(f[atClient:], ^w)
	}
}

// report is one of a listener (RFC 9777 section 5.2), of one group.
func report(t *testing.T, mac, from string) []byte {
	source, group := netip.MustParseAddr(from), netip.MustParseAddr("ff02::1:ff00:1234")
	message := append([]byte{143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0}, group.AsSlice()...)
	to := netip.MustParseAddr("ff02::16")
	octets.BigEndian.PutUint16(message[2:], wire.Checksum(source, to, 58, message))
	ip := ipv6(from, to.String(), layers.IPProtocolIPv6HopByHop)
	ip.HopLimit = 1
	alert := []byte{58, 0, 5, 2, 0, 0, 1, 0}
	return frameOf(t, ethernet(t, mac, "33:33:00:00:00:16", layers.EthernetTypeIPv6), ip, gopacket.Payload(append(alert, message...)))
}

// firstReport is a report of the first version (RFC 2710 section 3), which goes to
// the group that it is about.
func firstReport(t *testing.T, mac, from string) []byte {
	source, group := netip.MustParseAddr(from), netip.MustParseAddr("ff1e::"+balance)
	message := append([]byte{131, 0, 0, 0, 0, 0, 0, 0}, group.AsSlice()...)
	octets.BigEndian.PutUint16(message[2:], wire.Checksum(source, group, 58, message))
	ip := ipv6(from, group.String(), layers.IPProtocolIPv6HopByHop)
	ip.HopLimit = 1
	alert := []byte{58, 0, 5, 2, 0, 0, 1, 0}
	return frameOf(t, ethernet(t, mac, "33:33:00:00:ff:ff", layers.EthernetTypeIPv6), ip, gopacket.Payload(append(alert, message...)))
}

// ofGroups makes up the group that a report of the first version is about.
func ofGroups() func([]byte) {
	const atGroup = 14 + 40 + 8 + 8
	random := rand.New(rand.NewPCG(9, 10))
	return func(f []byte) {
		for _, at := range []int{0, 4} {
			w := uint16(random.Uint32())
			for _, group := range []int{atDestination + 8, atGroup + 8} {
				octets.BigEndian.PutUint16(f[group+at:], w)
				octets.BigEndian.PutUint16(f[group+at+2:], ^w)
			}
		}
		copy(f[atMAC+2:atMAC+6], f[atDestination+12:atDestination+16])
	}
}

// udp4To is a datagram to an IPv4 address.
func udp4To(t *testing.T, src, dst, from, to string) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: netip.MustParseAddr(from).AsSlice(), DstIP: netip.MustParseAddr(to).AsSlice()}
	udp := &layers.UDP{SrcPort: 9999, DstPort: 9999}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload("must not disturb"))
}
