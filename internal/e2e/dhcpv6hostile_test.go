package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/lab"
)

// openMeters lets ports say as much DHCPv6 as they like.
const openMeters = "limits: {dhcpv6: 50000/50000}\n"

// ended names the counter of DHCPv6 frames that ended for a reason.
func endedFor(reason string) string {
	return "damselfly_frames_total{class=dhcpv6,reason=" + reason + "}"
}

// TestDHCPv6Hostile has one guest play server and relay and thousands of
// clients. What it may not is dropped by name; what it takes is bounded; its
// neighbour is served.
func TestDHCPv6Hostile(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, openMeters+stateful)
		d := serve(t, s)
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
		vm3 := addGuest(t, s, lab.GuestOptions{Name: "vm3", MAC: "02:00:00:00:00:13"})
		linkReady(t, vm2)
		linkReady(t, vm3)
		bad, good := newAsker(t, vm2, 546), newAsker(t, vm3, 546)

		advertise := message(t, dhcpv6.MessageTypeAdvertise, clientOf(1), dhcpv6.OptServerID(clientOf(9)))
		ip := ipv6("fe80::ff:fe00:12", "fe80::ff:fe00:13", layers.IPProtocolUDP)
		udp := &layers.UDP{SrcPort: 547, DstPort: 546}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		before := metrics(t, d)[drops("drop-dhcpv6-server")]
		inject(t, vm2, frameOf(t, ethernet(t, "02:00:00:00:00:12", "02:00:00:00:00:13", layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(advertise.ToBytes())))
		waitMetric(t, d, drops("drop-dhcpv6-server"), before+1)

		relayed, err := dhcpv6.EncapsulateRelay(rapid(t, clientOf(1)), dhcpv6.MessageTypeRelayForward, net.IPv6unspecified, net.ParseIP("fe80::99"))
		if err != nil {
			t.Fatal(err)
		}
		relay := newAsker(t, vm2, 547)
		relay.send(t, relayed.ToBytes())
		waitMetric(t, d, endedFor("dhcpv6-relay-not-allowed"), 1)
		bad.send(t, advertise.ToBytes())
		waitMetric(t, d, endedFor("dhcpv6-server-message"), 1)

		const clients = 3000
		for i := range clients {
			bad.send(t, rapid(t, clientOf(100+i)).ToBytes())
			if i == clients/2 {
				if a := addressIn(good.ask(t, rapid(t, clientOf(2)))); !a.IsValid() {
					t.Error("beside the flood vm3 was given nothing")
				}
			}
		}
		if a := addressIn(good.ask(t, rapid(t, clientOf(2)))); !a.IsValid() {
			t.Error("after the flood vm3 was given nothing")
		}
		// Its own last answer comes behind all that wait.
		if m := bad.ask(t, rapid(t, clientOf(99))); addressIn(m).IsValid() || !strings.Contains(m.Summary(), "NoAddrsAvail") {
			t.Errorf("a port that holds all it may was answered\n%s", m.Summary())
		}
		count := map[string]int{}
		for _, l := range leasesOf(t, d) {
			count[l.Port]++
		}
		if count["vm2"] != 16 || count["vm3"] != 1 {
			t.Errorf("leases by port: %v", count)
		}
	})
}
