package e2e

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// twoNetworks have the same MACs on both; one has a router, the other a port
// behind which anybody may be.
const twoNetworks = blue + `
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: red1, network: red, mac: "02:00:00:00:00:11"}
  - {name: red2, network: red, mac: "02:00:00:00:00:12"}
  - {name: red3, network: red, unknown: true}
`

const mac1, mac2, mac3 = "02:00:00:00:00:11", "02:00:00:00:00:12", "02:00:00:00:00:13"

// party is the guests of twoNetworks with a capture at each.
type party struct {
	*stage.Stage
	daemon           *stage.Daemon
	vm1, vm2, vm3    *lab.Guest
	red1, red2, red3 *lab.Guest
	at               map[string]*lab.Capture
}

func newParty(t *testing.T, ndExt bool) *party {
	p := &party{Stage: newStage(t, ndExt, strings.Replace(twoNetworks, "networks:\n", "networks:\n  - name: red\n", 1)), at: map[string]*lab.Capture{}}
	p.daemon = serve(t, p.Stage)
	add := func(name, mac, ipv4 string) *lab.Guest {
		o := quick(name, mac)
		o.Addresses = []netip.Prefix{netip.MustParsePrefix(ipv4)}
		if mac == mac1 {
			o.Sysctls = nil // both do Duplicate Address Detection
		}
		g := addGuest(t, p.Stage, o)
		p.at[name] = watch(t, g, nil)
		return g
	}
	p.vm1, p.vm2, p.vm3 = add("vm1", mac1, "10.0.0.1/24"), add("vm2", mac2, "10.0.0.2/24"), add("vm3", mac3, "10.0.0.3/24")
	p.red1, p.red2, p.red3 = add("red1", mac1, "10.0.0.1/24"), add("red2", mac2, "10.0.0.2/24"), add("red3", mac3, "10.0.0.3/24")
	return p
}

// ends injects frames at vm1 and waits until the flows of a drop role have
// counted them; nobody else may see one.
func (p *party) ends(t *testing.T, role string, frames ...[]byte) {
	t.Helper()
	before := metrics(t, p.daemon)[drops(role)]
	inject(t, p.vm1, frames...)
	marker := datagram(t, mac1, broadcast, "after "+role)
	inject(t, p.vm1, marker)
	arrives(t, p.at["vm2"], "the frame after", like(marker))
	arrives(t, p.at["vm3"], "the frame after", like(marker))
	waitMetric(t, p.daemon, drops(role), before+float64(len(frames)))
	for name, c := range p.at {
		for _, f := range frames {
			// A tag is easily lost on the way to a packet socket; addresses and
			// payload are not.
			if got := received(c, func(got []byte) bool { return cmp.Equal(got, f) }); len(got) > 0 {
				t.Errorf("%s: %s received % x", role, name, got[0])
			}
		}
		if got := received(c, holding("must not arrive")); len(got) > 0 {
			t.Errorf("%s: %s received % x", role, name, got[0])
		}
	}
}

func TestSwitch(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newParty(t, ndExt)
		t.Run("IPv4 and ARP", p.carriesIPv4)
		t.Run("multicast spares the sender", p.sparesSender)
		t.Run("unknown unicast", p.unknownUnicast)
		t.Run("tagged frames", p.dropsTagged)
		t.Run("foreign Ethernet type", func(t *testing.T) {
			p.ends(t, "drop-ethertype", frameOf(t, ethernet(t, mac1, "01:80:c2:00:00:0e", 0x88cc), gopacket.Payload("must not arrive, LLDP "+strings.Repeat("x", 60))))
		})
		t.Run("unknown next header", func(t *testing.T) {
			p.ends(t, "drop-next-header", frameOf(t, ethernet(t, mac1, mac2, layers.EthernetTypeIPv6),
				ipv6("fe80::ff:fe00:11", "fe80::ff:fe00:12", 200), gopacket.Payload("must not arrive")))
		})
		t.Run("cut header chain", func(t *testing.T) {
			// A fragment header is next header, 0, offset and M, identification
			// (RFC 8200 section 4.5).
			fragment := func(octets ...byte) []byte {
				return frameOf(t, ethernet(t, mac1, mac2, layers.EthernetTypeIPv6),
					ipv6("fe80::ff:fe00:11", "fe80::ff:fe00:12", layers.IPProtocolIPv6Fragment), gopacket.Payload(octets))
			}
			p.ends(t, "drop-header-chain",
				// Destination Options that claim 88 octets, of which 17 are there.
				fragment(append([]byte{60, 0, 0, 1, 0, 0, 0, 7, 58, 10}, "must not arrive"...)...),
				// ICMPv6, of which nothing is there.
				fragment(58, 0, 0, 1, 0, 0, 0, 8),
				// What could complete it.
				fragment(append([]byte{58, 0, 0, 8, 0, 0, 0, 8}, "must not arrive"...)...))
		})
		t.Run("a guest's RA and Redirect", p.dropsRouterMessages)
		t.Run("networks are apart", p.networksApart)
	})
}

func (p *party) carriesIPv4(t *testing.T) {
	for range 2 {
		if out, err := p.vm1.Run("ping", "-4", "-c", "1", "-W", "5", "10.0.0.2"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := p.vm1.Run("ip", "neigh", "show", "10.0.0.2"); err != nil || !strings.Contains(out, mac2) {
		t.Errorf("ARP: %q %v", out, err)
	}
}

func (p *party) sparesSender(t *testing.T) {
	group := datagram(t, mac1, "01:00:5e:00:01:01", "to the group")
	last := datagram(t, mac2, broadcast, "the last one")
	inject(t, p.vm1, group)
	for _, name := range []string{"vm2", "vm3"} {
		arrives(t, p.at[name], name, like(group))
	}
	inject(t, p.vm2, last)
	arrives(t, p.at["vm1"], "vm1", like(last))
	for _, c := range []*lab.Capture{p.at["vm1"], p.at["red1"]} {
		if got := received(c, like(group)); len(got) > 0 {
			t.Errorf("came back or over: % x", got[0])
		}
	}
}

func (p *party) unknownUnicast(t *testing.T) {
	p.ends(t, "drop-unknown-mac", datagram(t, mac1, "02:00:00:00:00:99", "must not arrive"))
	stranger := datagram(t, mac1, "02:00:00:00:00:98", "whoever is there")
	inject(t, p.red1, stranger)
	arrives(t, p.at["red3"], "red3", like(stranger))
	marker := datagram(t, mac1, broadcast, "after the stranger's")
	inject(t, p.red1, marker)
	arrives(t, p.at["red2"], "red2", like(marker))
	if got := received(p.at["red2"], like(stranger)); len(got) > 0 {
		t.Error("a port that takes no unknown MACs got it too")
	}
	// What lives behind the port need not be configured to be a sender.
	answer := datagram(t, "02:00:00:00:00:98", mac1, "here I am")
	inject(t, p.red3, answer)
	arrives(t, p.at["red1"], "red1", like(answer))
}

func (p *party) dropsTagged(t *testing.T) {
	tag := func(id uint16, next layers.EthernetType) *layers.Dot1Q {
		return &layers.Dot1Q{VLANIdentifier: id, Type: next}
	}
	inner := gopacket.Payload(datagram(t, mac1, mac2, "must not arrive")[14:])
	p.ends(t, "drop-tagged",
		frameOf(t, ethernet(t, mac1, mac2, layers.EthernetTypeDot1Q), tag(5, layers.EthernetTypeIPv4), inner),
		frameOf(t, ethernet(t, mac1, mac2, layers.EthernetTypeDot1Q), tag(0, layers.EthernetTypeIPv4), inner),
		frameOf(t, ethernet(t, mac1, mac2, layers.EthernetTypeQinQ), tag(5, layers.EthernetTypeDot1Q), tag(6, layers.EthernetTypeIPv4), inner),
	)
}

func (p *party) dropsRouterMessages(t *testing.T) {
	waitAddr(t, p.vm2, "fd00:b1::/64")
	before := routeLines(t, p.vm2)
	p.ends(t, "drop-guest-ra", routerAdvert(t, mac1, "fe80::ff:fe00:11", "fd00:bad::"))
	p.ends(t, "drop-spoofed", icmp6Frame(t, mac1, mac2, "fe80::1", "fe80::ff:fe00:12", layers.ICMPv6TypeRedirect,
		&layers.ICMPv6Redirect{
			TargetAddress: netip.MustParseAddr("fe80::ff:fe00:11").AsSlice(), DestinationAddress: netip.MustParseAddr("2001:db8::1").AsSlice(),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hardware(t, mac1)}},
		}))
	if diff := cmp.Diff(before, routeLines(t, p.vm2)); diff != "" {
		t.Errorf("vm2's routes changed:\n%s", diff)
	}
	out, err := p.vm2.Run("ip", "-6", "route", "get", "2001:db8::1")
	if err != nil || !strings.Contains(out, "via fe80::1 ") {
		t.Errorf("vm2's way out: %q %v", out, err)
	}
}

// networksApart has the same MACs, link-local and IPv4 addresses in use on both
// networks.
func (p *party) networksApart(t *testing.T) {
	for _, g := range []*lab.Guest{p.vm1, p.red1} {
		waitAddr(t, g, "fe80::/64") // Duplicate Address Detection did not fail
	}
	seen := len(p.at["vm2"].Frames())
	ping(t, p.red1, linkLocal(t, p.red2)+"%eth0")
	red, blue := datagram(t, mac1, broadcast, "on red"), datagram(t, mac1, broadcast, "on blue")
	inject(t, p.red1, red)
	arrives(t, p.at["red2"], "red2", like(red))
	inject(t, p.vm1, blue)
	arrives(t, p.at["vm2"], "vm2", like(blue))
	for _, f := range p.at["vm2"].Frames()[seen:] {
		if layer := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeICMPv6Echo); layer != nil {
			t.Errorf("vm2 saw red's ping: % x", f.Data)
		}
	}
	if got := received(p.at["vm2"], like(red)); len(got) > 0 {
		t.Error("red's broadcast came to blue")
	}
	if got := received(p.at["red2"], like(blue)); len(got) > 0 {
		t.Error("blue's broadcast came to red")
	}
}
