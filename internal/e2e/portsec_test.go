package e2e

import (
	octets "encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// secured is blue with addresses of both families and a port that is not secured.
const secured = `
networks:
  - {name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64"}, {prefix: "fd00:d1::/64", mode: dhcpv6-stateful}]}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: [10.0.0.1, 192.0.2.1, fd00:d1::11]}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12", addresses: [10.0.0.2, fd00:d1::12]}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14", port_security: false}
`

// udp6 is a datagram that says from where it claims to come.
func udp6(t *testing.T, src, dst, from, to, text string) []byte {
	t.Helper()
	ip := ipv6(from, to, layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 9999, DstPort: 9999}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(text))
}

// udp4 is the same of IPv4.
func udp4(t *testing.T, src, dst, from, text string) []byte {
	t.Helper()
	return udp4Ports(t, src, dst, from, text, 9999, 9999)
}

// udp4Ports is udp4 between two ports.
func udp4Ports(t *testing.T, src, dst, from, text string, source, destination layers.UDPPort) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: netip.MustParseAddr(from).AsSlice(), DstIP: netip.MustParseAddr("10.0.0.2").AsSlice()}
	udp := &layers.UDP{SrcPort: source, DstPort: destination}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(text))
}

// arpSays is an ARP reply to all: from has the MAC sender.
func arpSays(t *testing.T, src, sender, from string) []byte {
	t.Helper()
	return frameOf(t, ethernet(t, src, broadcast, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPReply,
		SourceHwAddress: hardware(t, sender), SourceProtAddress: netip.MustParseAddr(from).AsSlice(),
		DstHwAddress: hardware(t, broadcast), DstProtAddress: netip.MustParseAddr(from).AsSlice(),
	}, gopacket.Payload("must not arrive   "))
}

// TestPortSecurity has one guest claim what is not its own: it ends at its port,
// counted, and nobody else sees it. What is its own passes.
func TestPortSecurity(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, secured)
		p := &party{Stage: s, daemon: serve(t, s), at: map[string]*lab.Capture{}}
		add := func(name, mac, ipv4 string) *lab.Guest {
			o := quick(name, mac)
			o.Addresses = []netip.Prefix{netip.MustParsePrefix(ipv4)}
			g := addGuest(t, s, o)
			p.at[name] = watch(t, g, nil)
			return g
		}
		p.vm1, p.vm2, p.vm3 = add("vm1", mac1, "10.0.0.1/24"), add("vm2", mac2, "10.0.0.2/24"), add("vm3", mac3, "10.0.0.3/24")
		vm4 := add("vm4", "02:00:00:00:00:14", "10.0.0.4/24")
		booted(t, bluePrefix, p.vm1, p.vm2, p.vm3, vm4)
		p.ownPass(t)
		p.forgedEnd(t)
		if ndExt {
			p.solicitedToAllEnds(t)
		}
		p.openPasses(t, vm4)
	})
}

// ownPass sends from everything that is vm1's.
func (p *party) ownPass(t *testing.T) {
	t.Run("what is one's own", func(t *testing.T) {
		p.carriesIPv4(t)
		ping(t, p.vm1, linkLocal(t, p.vm2)+"%eth0")
		ping(t, p.vm1, "fd00:b1::ff:fe00:12")
		fixed := udp6(t, mac1, mac2, "fd00:d1::11", "fd00:d1::12", "from a fixed address")
		inject(t, p.vm1, fixed)
		arrives(t, p.at["vm2"], "a fixed address", like(fixed))
		// Without an IPv4 address of its own a port is bound to its MAC alone.
		free := udp4(t, mac3, mac2, "10.0.0.77", "from a port without IPv4 addresses")
		inject(t, p.vm3, free)
		arrives(t, p.at["vm2"], "IPv4 of a port without addresses", like(free))
	})
}

// forgedEnd sends from everything that is not.
func (p *party) forgedEnd(t *testing.T) {
	const own, text, forged = "fd00:b1::ff:fe00:11", "must not arrive", "02:00:00:00:00:66"
	for name, frames := range map[string][][]byte{
		"MAC": {
			udp6(t, forged, mac2, own, "fd00:b1::ff:fe00:12", text),
			udp6(t, mac3, mac2, "fd00:b1::ff:fe00:13", "fd00:b1::ff:fe00:12", text),
			udp4(t, forged, mac2, "10.0.0.1", text),
			arpSays(t, forged, mac1, "10.0.0.1"),
		},
		"IPv6 source": {
			udp6(t, mac1, mac2, "fd00:b1::ff:fe00:13", "fd00:b1::ff:fe00:12", text), // another guest's
			udp6(t, mac1, mac2, "fe80::ff:fe00:13", "fe80::ff:fe00:12", text),
			udp6(t, mac1, mac2, "fd00:b1::1", "fd00:b1::ff:fe00:12", text), // the router's
			udp6(t, mac1, mac2, "fe80::1", "fe80::ff:fe00:12", text),
			udp6(t, mac1, mac2, "fd00:d1::77", "fd00:d1::12", text),         // given by DHCPv6 alone
			udp6(t, mac1, mac2, "2001:db8::1", "fd00:b1::ff:fe00:12", text), // off the link
			udp6(t, mac1, mac2, "::", "fd00:b1::ff:fe00:12", text),
		},
		"IPv4 source": {udp4(t, mac1, mac2, "10.0.0.2", text), udp4(t, mac1, mac2, "10.0.0.3", text), udp4(t, mac1, mac2, "0.0.0.0", text)},
		"ARP": {
			arpSays(t, mac1, mac1, "10.0.0.2"), arpSays(t, mac1, mac1, "10.0.0.77"),
			arpSays(t, mac1, mac2, "10.0.0.1"),
		},
		"ND from another's address": {icmp6Frame(t, mac1, mac2, "fd00:b1::ff:fe00:13", "fd00:b1::ff:fe00:12", layers.ICMPv6TypeNeighborSolicitation,
			&layers.ICMPv6NeighborSolicitation{TargetAddress: netip.MustParseAddr("fd00:b1::ff:fe00:12").AsSlice()})},
	} {
		t.Run("forged "+name, func(t *testing.T) { p.ends(t, "drop-spoofed", frames...) })
	}
	t.Run("a DHCPv4 server", func(t *testing.T) {
		p.ends(t, "drop-dhcpv4-server", udp4Ports(t, mac1, mac2, "10.0.0.1", text, 67, 68),
			udp4Ports(t, mac1, broadcast, "10.0.0.1", text, 67, 1068), udp4Ports(t, mac1, broadcast, "10.0.0.1", text, 1067, 68))
	})
	t.Run("a listener query", func(t *testing.T) {
		p.ends(t, "drop-mld-query", icmp6Frame(t, mac1, "33:33:00:00:00:01", "fe80::ff:fe00:11", "ff02::1", layers.ICMPv6TypeMLDv1MulticastListenerQueryMessage,
			gopacket.Payload(make([]byte, 20))))
	})
	t.Run("a Router Advertisement in the router's name", func(t *testing.T) {
		before := routeLines(t, p.vm2)
		p.ends(t, "drop-spoofed", routerAdvert(t, mac1, "fe80::1", "fd00:bad::"))
		if diff := cmp.Diff(before, routeLines(t, p.vm2)); diff != "" {
			t.Errorf("vm2's routes changed:\n%s", diff)
		}
	})
}

// solicitedToAllEnds has vm1 tell all of its own address as if they had asked (RFC
// 4861 section 7.1.2), which a flow sees where the datapath shows it the flags.
func (p *party) solicitedToAllEnds(t *testing.T) {
	t.Run("a solicited advertisement to all", func(t *testing.T) {
		const own = "fd00:b1::ff:fe00:11"
		told := icmp6Frame(t, mac1, "33:33:00:00:00:01", own, "ff02::1", layers.ICMPv6TypeNeighborAdvertisement,
			&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: netip.MustParseAddr(own).AsSlice(),
				Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hardware(t, mac1)}}})
		inject(t, p.vm1, told)
		waitMetric(t, p.daemon, "damselfly_frames_total{class=na,reason=solicited-flag-multicast}", 1)
		if got := received(p.at["vm2"], like(told)); len(got) > 0 {
			t.Errorf("vm2 received % x", got[0])
		}
	})
}

// openPasses sends the like from a port that is not secured.
func (p *party) openPasses(t *testing.T, vm4 *lab.Guest) {
	t.Run("a port that is not secured", func(t *testing.T) {
		ping(t, vm4, "fd00:b1::ff:fe00:12")
		for _, frame := range [][]byte{
			udp6(t, "02:00:00:00:00:66", mac2, "2001:db8::1", "fd00:b1::ff:fe00:12", "from anywhere"),
			udp4(t, "02:00:00:00:00:66", mac2, "10.0.0.99", "from any IPv4 address"),
			udp4Ports(t, "02:00:00:00:00:14", mac2, "10.0.0.4", "from a DHCPv4 server", 67, 68),
		} {
			inject(t, vm4, frame)
			arrives(t, p.at["vm2"], "what an open port sends", like(frame))
		}
	})
}

// paired is two guests that share addresses, a proxy and one that talks to them.
const paired = `
networks: [{name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64"}]}]
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", allowed_address_pairs: [{address: "fd00:b1::50", mac: "00:00:5e:00:02:01"}, {address: "fd00:b1::51"}]}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12", allowed_address_pairs: [{address: "fd00:b1::50", mac: "00:00:5e:00:02:01"}, {address: "fd00:b1::51"}]}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14", router: true, allowed_address_pairs: [{address: "fd00:b1:0:0:f::/80"}]}
`

// TestAddressPairs moves addresses between the guests that share them, as VRRP
// does, with a MAC that moves along and with the guests' own, and reaches an
// address that a guest answers for as a proxy (RFC 4861 section 7.2.8).
func TestAddressPairs(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, paired)
		d := serve(t, s)
		guests := map[string]*lab.Guest{}
		for name, mac := range map[string]string{"vm1": mac1, "vm2": mac2, "vm3": mac3, "vm4": "02:00:00:00:00:14"} {
			guests[name] = addGuest(t, s, quick(name, mac))
		}
		vm1, vm2, vm3, vm4 := guests["vm1"], guests["vm2"], guests["vm3"], guests["vm4"]
		booted(t, bluePrefix, vm1, vm2, vm3, vm4)
		t.Run("with a MAC of its own", func(t *testing.T) { movesWithMAC(t, vm1, vm2, vm3) })
		t.Run("with the guests' MACs", func(t *testing.T) { movesBetweenMACs(t, vm1, vm2, vm3) })
		t.Run("a stranger", func(t *testing.T) { strangerTakesNone(t, d, vm3) })
		t.Run("a proxy", func(t *testing.T) {
			const proxied = "fd00:b1:0:0:f::7"
			for _, args := range [][]string{
				{"sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.eth0.forwarding=1", "net.ipv6.conf.eth0.proxy_ndp=1", "net.ipv6.neigh.eth0.proxy_delay=0"},
				{"ip", "link", "set", "lo", "up"},
				{"ip", "-6", "addr", "add", proxied + "/128", "dev", "lo"},
				{"ip", "-6", "neigh", "add", "proxy", proxied, "dev", "eth0"},
			} {
				must(t, vm4, args...)
			}
			ping(t, vm3, proxied)
		})
	})
}

// must runs a command in a guest.
func must(t *testing.T, g *lab.Guest, args ...string) {
	t.Helper()
	if out, err := g.Run(args[0], args[1:]...); err != nil {
		t.Fatalf("%s: %v: %v\n%s", g.Name, args, err, out)
	}
}

// addAddress gives a guest an address without probing for it, and waits for its
// kernel to take what is sent there: it does so a moment later.
func addAddress(t *testing.T, g *lab.Guest, address string) {
	t.Helper()
	must(t, g, "ip", "-6", "addr", "add", address+"/64", "dev", "eth0", "nodad")
	lab.WaitFor(t, patience, g.Name+" to take "+address, func() error {
		out, err := g.Run("ip", "-6", "route", "get", address)
		if err != nil || !strings.HasPrefix(out, "local ") {
			return fmt.Errorf("%s%w", out, errNotYet)
		}
		return nil
	})
}

// movesWithMAC has the address and its MAC at one guest, then at the other. Who
// talks to it keeps its neighbour entry and notices nothing.
func movesWithMAC(t *testing.T, vm1, vm2, vm3 *lab.Guest) {
	const virtual, address = "00:00:5e:00:02:01", "fd00:b1::50"
	take := func(g *lab.Guest) {
		must(t, g, "ip", "link", "set", "eth0", "address", virtual)
		addAddress(t, g, address)
	}
	give := func(g *lab.Guest, own string) {
		must(t, g, "ip", "-6", "addr", "del", address+"/64", "dev", "eth0")
		must(t, g, "ip", "link", "set", "eth0", "address", own)
	}
	take(vm1)
	ping(t, vm3, address)
	give(vm1, mac1)
	if _, err := vm3.Run("ping", "-6", "-c", "1", "-W", "1", address); err == nil {
		t.Error("nobody has the address, and it answers")
	}
	at2 := watch(t, vm2, nil)
	take(vm2)
	ping(t, vm3, address)
	arrives(t, at2, "the request", func(f []byte) bool { return len(f) > 54 && f[54] == layers.ICMPv6TypeEchoRequest })
	give(vm2, mac2)
}

// movesBetweenMACs has the address at one guest, then at the other, which tells
// everybody by an unsolicited advertisement (RFC 4861 section 7.2.6).
func movesBetweenMACs(t *testing.T, vm1, vm2, vm3 *lab.Guest) {
	const address = "fd00:b1::51"
	addAddress(t, vm1, address)
	ping(t, vm3, address)
	must(t, vm1, "ip", "-6", "addr", "del", address+"/64", "dev", "eth0")
	addAddress(t, vm2, address)
	at3 := watch(t, vm3, nil)
	told := icmp6Frame(t, mac2, "33:33:00:00:00:01", address, "ff02::1", layers.ICMPv6TypeNeighborAdvertisement,
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x20, TargetAddress: netip.MustParseAddr(address).AsSlice(),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hardware(t, mac2)}}})
	inject(t, vm2, told)
	arrives(t, at3, "the advertisement", like(told))
	ping(t, vm3, address)
}

// strangerTakesNone has a guest claim what two others share.
func strangerTakesNone(t *testing.T, d *stage.Daemon, vm3 *lab.Guest) {
	before := metrics(t, d)[drops("drop-spoofed")]
	inject(t, vm3,
		udp6(t, mac3, mac1, "fd00:b1::50", "fd00:b1::ff:fe00:11", "must not arrive"),
		udp6(t, "00:00:5e:00:02:01", mac1, "fd00:b1::50", "fd00:b1::ff:fe00:11", "must not arrive"))
	waitMetric(t, d, drops("drop-spoofed"), before+2)
	must(t, vm3, "sysctl", "-qw", "net.ipv6.conf.eth0.dad_transmits=1")
	must(t, vm3, "ip", "-6", "addr", "add", "fd00:b1::50/64", "dev", "eth0")
	lab.WaitFor(t, patience, "the probe to fail", func() error {
		out, err := vm3.Run("ip", "-6", "addr", "show", "dev", "eth0", "dadfailed")
		if err != nil || out == "" {
			return errors.New("not refused yet")
		}
		return nil
	})
	must(t, vm3, "ip", "-6", "addr", "del", "fd00:b1::50/64", "dev", "eth0")
}

// TestFloodOfSources: a guest that sends from random addresses makes few
// megaflows, on the prefix, where they could be learned, and off it.
func TestFloodOfSources(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		booted(t, bluePrefix, vm1, vm2)
		const sent, source = 3000, 14 + 8
		random := rand.New(rand.NewPCG(3, 4))
		for name, from := range map[string]string{"on the prefix": "fd00:b1::", "link-local": "fe80::", "off the link": "2001:db8::"} {
			frame := udp6(t, mac1, mac2, from, "fd00:b1::ff:fe00:12", "must not arrive")
			at2 := watch(t, vm2, holding("must not arrive"))
			for range sent {
				octets.BigEndian.PutUint64(frame[source+8:], random.Uint64())
				inject(t, vm1, frame)
			}
			ping(t, vm1, "fd00:b1::ff:fe00:12")
			n := megaflows(t, s)
			t.Logf("%s: %d megaflows", name, n)
			if n >= 2000 {
				t.Errorf("%s: %d megaflows, want fewer than 2,000", name, n)
			}
			if got := received(at2, holding("must not arrive")); len(got) > 0 {
				t.Errorf("%s: vm2 received %d of them", name, len(got))
			}
		}
		// A busy machine loses many before the switch sees them; of those that it
		// saw, the limit lets 20 a second pass.
		waitMetric(t, d, "damselfly_meter_dropped_total{class=source,port=vm1}", sent/6)
		waitMetric(t, d, drops("drop-spoofed"), sent/6)
	})
}
