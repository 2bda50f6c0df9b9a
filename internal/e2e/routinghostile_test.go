package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/lab"
	"damselfly/internal/topology"
)

// evilPacket is one that a guest sends to a router, and what may come back.
type evilPacket struct {
	name     string
	from, to string
	hops     uint8
	next     layers.IPProtocol
	payload  []byte
	mac      string // where it goes, "" for the router
	// says is the type and code of the error that comes back, "" for nothing at all.
	says string
}

// evilMessage is an ICMPv6 message of a type with room for what errors quote.
func evilMessage(typ uint8, n int) []byte {
	return append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, make([]byte, n)...)
}

// behindOptions puts a Destination Options header of padding in front.
func behindOptions(next layers.IPProtocol, payload []byte) []byte {
	return append([]byte{byte(next), 0, 1, 4, 0, 0, 0, 0}, payload...)
}

func evilPackets() []evilPacket {
	const own, nowhere, red = "fd00:b1::ff:fe00:11", "2001:db8:ffff::1", "fd00:ed::ff:fe00:12"
	udp := []byte{0x9c, 0x40, 0, 53, 0, 12, 0, 0, 'e', 'v', 'i', 'l'}
	const icmp, datagram, options, routing, fragment, hopByHop = layers.IPProtocolICMPv6, layers.IPProtocolUDP, layers.IPProtocolIPv6Destination, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Fragment, layers.IPProtocolIPv6HopByHop
	router := topology.RouterMAC("blue").String()
	return []evilPacket{
		{name: "no route, for comparison", from: own, to: nowhere, hops: 64, next: datagram, payload: udp, says: "1/0"},
		{name: "the last hop, for comparison", from: own, to: red, hops: 1, next: datagram, payload: udp, says: "3/0"},
		{name: "an echo reply to nowhere", from: own, to: nowhere, hops: 64, next: icmp, payload: evilMessage(129, 48), says: "1/0"},
		// "An ICMPv6 error message MUST NOT be originated as a result of receiving [...]
		// an ICMPv6 error message" (RFC 4443 section 2.4 (e.1)), which types 0 to 127
		// are (section 2.1).
		{name: "an error to nowhere", from: own, to: nowhere, hops: 64, next: icmp, payload: evilMessage(1, 48)},
		{name: "an error of no known type", from: own, to: nowhere, hops: 64, next: icmp, payload: evilMessage(100, 48)},
		{name: "an error at its last hop", from: own, to: red, hops: 1, next: icmp, payload: evilMessage(3, 48)},
		{name: "an error behind options", from: own, to: nowhere, hops: 64, next: options, payload: behindOptions(icmp, evilMessage(1, 48))},
		{name: "an error behind options at its last hop", from: own, to: red, hops: 1, next: options, payload: behindOptions(icmp, evilMessage(2, 48))},
		{name: "an error that is too long", from: own, to: "fd00:71::ff:fe00:13", hops: 64, next: icmp, payload: evilMessage(1, 1300)},
		{name: "an error that quotes nothing", from: own, to: nowhere, hops: 64, next: icmp, payload: []byte{1, 0, 0, 0}},
		{name: "a message without a type", from: own, to: nowhere, hops: 64, next: icmp},
		{name: "a first fragment of an error", from: own, to: nowhere, hops: 64, next: fragment, payload: append([]byte{byte(icmp), 0, 0, 1, 0, 0, 0, 7}, evilMessage(1, 48)...)},
		// (e.2) a Redirect, (e.3) to a group, (e.5) and (e.6) from what is nobody's.
		{name: "a Redirect", from: own, to: red, hops: 1, next: icmp, payload: evilMessage(137, 48)},
		{name: "to a group at its last hop", from: own, to: "ff05::1", hops: 1, next: datagram, payload: udp},
		{name: "to a group of its node", from: own, to: "ff01::1", hops: 64, next: datagram, payload: udp},
		{name: "by broadcast to nowhere", from: own, to: nowhere, hops: 64, next: datagram, payload: udp, mac: broadcast},
		{name: "by multicast to nowhere", from: own, to: nowhere, hops: 1, next: datagram, payload: udp, mac: "33:33:00:00:00:02"},
		{name: "from a group", from: "ff02::1", to: nowhere, hops: 64, next: datagram, payload: udp},
		{name: "from nobody", from: "::", to: nowhere, hops: 64, next: datagram, payload: udp},
		{name: "from nobody at its last hop", from: "::", to: red, hops: 1, next: datagram, payload: udp},
		{name: "from the node itself", from: "::1", to: red, hops: 1, next: datagram, payload: udp},
		{name: "from IPv4", from: "::ffff:192.0.2.1", to: red, hops: 1, next: datagram, payload: udp},
		{name: "from the router's own address", from: "fd00:b1::1", to: red, hops: 1, next: datagram, payload: udp},
		{name: "from the router's link-local address", from: "fe80::1", to: red, hops: 64, next: datagram, payload: udp},
		{name: "from another network at its last hop", from: red, to: nowhere, hops: 1, next: datagram, payload: udp},
		{name: "from another network to nowhere", from: red, to: nowhere, hops: 64, next: datagram, payload: udp},
		{name: "from the anycast address of the link", from: "fd00:b1::", to: nowhere, hops: 64, next: datagram, payload: udp},
		{name: "to nobody", from: own, to: "::", hops: 64, next: datagram, payload: udp},
		{name: "to the node itself", from: own, to: "::1", hops: 64, next: datagram, payload: udp},
		{name: "to a link-local address beyond the router", from: own, to: "fe80::ff:fe00:12", hops: 64, next: datagram, payload: udp},
		{name: "without a hop left", from: own, to: red, hops: 0, next: datagram, payload: udp},
		{name: "without a hop left to nowhere", from: own, to: nowhere, hops: 0, next: datagram, payload: udp},
		// A router that is not where the packet goes looks at neither (RFC 8200
		// section 4), so it goes on and comes to an end as any other.
		{name: "a source route to nowhere", from: own, to: nowhere, hops: 64, next: routing, payload: slices.Concat([]byte{byte(datagram), 2, 0, 1, 0, 0, 0, 0}, make([]byte, 16), udp), says: "1/0"},
		// RFC 5095 section 3: type 0 is unknown now, and what RFC 8200 section 4.4
		// says of that counts.
		{name: "a source route by the router", from: own, to: "fd00:ed::1", hops: 64, next: routing, payload: slices.Concat([]byte{byte(datagram), 2, 0, 1, 0, 0, 0, 0}, make([]byte, 16), udp), says: "4/0"},
		{name: "a router alert to nowhere", from: own, to: nowhere, hops: 64, next: hopByHop, payload: append([]byte{byte(datagram), 0, 5, 2, 0, 0, 1, 0}, udp...), says: "1/0"},
		{name: "the router's MAC as its own", from: own, to: nowhere, hops: 64, next: datagram, payload: udp, mac: router, says: "1/0"},
	}
}

// frame is the packet on the link. Checksums are right where they can be.
func (h *evilPacket) frame(t *testing.T, src string) []byte {
	t.Helper()
	mac := h.mac
	if mac == "" {
		mac = topology.RouterMAC("blue").String()
	}
	ip := ipv6(h.from, h.to, h.next)
	ip.HopLimit = h.hops
	f := frameOf(t, ethernet(t, src, mac, layers.EthernetTypeIPv6), ip, gopacket.Payload(h.payload))
	if at := 14 + 40; h.next == layers.IPProtocolICMPv6 && len(h.payload) >= 4 {
		sum := checksum(f[14:], at-14)
		f[at+2], f[at+3] = byte(sum>>8), byte(sum)
	}
	return f
}

// checksum is that of RFC 8200 section 8.1 over the ICMPv6 message at an offset of
// a packet.
func checksum(packet []byte, at int) uint16 {
	sum := uint32(len(packet)-at) + uint32(layers.IPProtocolICMPv6)
	for _, b := range [][]byte{packet[8:40], packet[at:]} {
		for i, v := range b {
			sum += uint32(v) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestRoutingHostile sends to a router what no host sends, from a port that is not
// secured: an error comes back only where one may (RFC 4443 section 2.4 (e)), and
// nothing is carried on that must not be.
func TestRoutingHostile(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, strings.Replace(routed, `{name: vm1, network: blue`, `{name: vm1, port_security: false, network: blue, limits: {error: none}`, 1))
		serve(t, s)
		var vm [4]*lab.Guest
		for i, mac := range []string{mac1, mac2, mac3} {
			vm[i+1] = addGuest(t, s, quick(fmt.Sprint("vm", i+1), mac))
		}
		waitAddr(t, vm[1], "fd00:b1::/64")
		waitAddr(t, vm[2], "fd00:ed::/64")
		waitAddr(t, vm[3], "fd00:71::/64")
		lab.WaitFor(t, patience, "vm3 answers", func() error {
			_, err := vm[1].Run("ping", "-6", "-c", "1", "-W", "1", "fd00:71::ff:fe00:13")
			return err
		})
		at := [4]*lab.Capture{}
		for i := 1; i <= 3; i++ {
			at[i] = watch(t, vm[i], func(f []byte) bool { return len(f) >= 62 && f[12] == 0x86 && f[13] == 0xdd })
		}
		router := topology.RouterMAC("blue").String()
		isError := func(f []byte) bool { return f[20] == byte(layers.IPProtocolICMPv6) && f[54] < 128 }
		for i, h := range evilPackets() {
			before := [4]int{}
			for i := 1; i <= 3; i++ {
				before[i] = len(at[i].Frames())
			}
			frame := h.frame(t, mac1)
			inject(t, vm[1], frame)
			// What comes back for a mark after it comes after what comes back for it:
			// frames of one port keep their order in the lane of errors.
			mark := fmt.Sprintf("mark %d of all", i)
			inject(t, vm[1], udp6Frame(t, mac1, router, "fd00:b1::ff:fe00:11", "2001:db8:ffff::2", 40000, 53, []byte(mark)))
			arrives(t, at[1], "the error about "+mark, func(f []byte) bool { return isError(f) && holding(mark)(f) })
			says := ""
			for _, f := range at[1].Frames()[before[1]:] {
				switch {
				case f.Sent || bytes.Contains(f.Data, []byte(mark)) || !isError(f.Data):
				case says != "":
					t.Errorf("%s: two errors", h.name)
				default:
					says = fmt.Sprintf("%d/%d", f.Data[54], f.Data[55])
					if len(f.Data) > 14+1280 {
						t.Errorf("%s: an error of %d octets", h.name, len(f.Data))
					}
				}
			}
			if says != h.says {
				t.Errorf("%s: the error %q comes back, want %q", h.name, says, h.says)
			}
			for i := 2; i <= 3; i++ {
				for _, f := range at[i].Frames()[before[i]:] {
					if !f.Sent && (bytes.Contains(f.Data, []byte("evil")) || isError(f.Data)) {
						t.Errorf("%s: vm%d got % x", h.name, i, f.Data)
					}
				}
			}
		}
	})
}
