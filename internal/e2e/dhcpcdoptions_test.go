package e2e

import (
	"crypto/hmac"
	"crypto/md5"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/mdlayher/packet"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// everyOption has dhcpcd ask for every option that the network has, some under
// numbers alone.
const everyOption = `define6 103 string captive_portal
define6 144 binhex dnr
define6 65001 binhex by_number
option dhcp6_name_servers, domain_search, sntp_servers, ntp_server, info_refresh_time, sol_max_rt, inf_max_rt
option dhcp6_bootfile_url, bootfile_param, captive_portal, dnr, vivso, by_number, fqdn
hostname guest.example.test
fqdn both
`

// TestDHCPcdOptions has dhcpcd ask for all that can be told: one for several IAs,
// 0 among them, with several addresses, which comes back upon a Reconfigure; one
// with Rapid Commit; and one for options alone.
func TestDHCPcdOptions(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "options"))
		serve(t, s)
		var clients []*dhcpcd
		var seen []*lab.Capture
		for i, o := range []struct {
			lab.GuestOptions
			asks string
		}{
			{lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11", Offloads: ndExt}, "option dhcp6_reconfigure_accept\nia_na 0\nia_na 7\nia_pd 2 lo/0"},
			{lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"}, "option dhcp6_rapid_commit\nia_na 1"},
			{lab.GuestOptions{Name: "vm3", MAC: "02:00:00:00:00:14"}, "inform6"},
		} {
			g := addGuest(t, s, o.GuestOptions)
			linkReady(t, g)
			seen = append(seen, dhcpv6At(t, g))
			clients = append(clients, newDHCPcd(t, g, everyOption+o.asks))
			clients[i].start(t)
		}
		clients[0].waits(t, dhcpcdAddress, from("fd00:d3::"))
		clients[1].told(t, "BOUND6", 0)
		clients[2].told(t, "INFORM6", 0)
		for _, c := range clients {
			if got := c.env(t, "new_dhcp6_bootfile_url"); got != "tftp://[2001:db8::69]/boot.efi" {
				t.Errorf("%s was told to boot %q", c.guest.Name, got)
			}
		}

		configure(t, s, strings.Replace(topologyOf(t, "options"), "2001:db8::53", "2001:db8::54", 1))
		clients[0].waits(t, "new_dhcp6_name_servers", from("2001:db8::54"))
		refuses(t, s, clients[0], seen[0])
		for _, c := range clients {
			c.end(t, syscall.SIGALRM)
		}
		both := heardBy(t, seen[0])
		judge(t, "options/dhcpcd", both)
		for i := range both {
			both[i].Sent = true // a replay cannot make the Reconfigure
		}
		write(t, ndExt, "options/dhcpcd", both)
		keep(t, ndExt, "options/dhcpcd-rapid", seen[1])
		keep(t, ndExt, "options/dhcpcd-inform", seen[2])
	})
}

// refuses sends dhcpcd the Reconfigure that it followed once more, and one that
// is signed with another key: it follows neither.
func refuses(t *testing.T, s *stage.Stage, c *dhcpcd, seen *lab.Capture) {
	t.Helper()
	good := arrives(t, seen, "the Reconfigure", func(f []byte) bool { return dhcpv6Type(f) == typeReconfigure }).Data
	renews := of(seen, typeRenew)
	if renews == 0 {
		t.Fatal("it did not come back with a Renew")
	}
	var wire *packet.Conn
	err := s.Within(func() error {
		port, err := net.InterfaceByName(c.guest.Name)
		if err != nil {
			return err
		}
		wire, err = packet.Listen(port, packet.Raw, 0, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	for n, frame := range [][]byte{good, forged(t, good)} {
		if _, err := wire.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]}); err != nil {
			t.Fatal(err)
		}
		lab.WaitFor(t, patience, "dhcpcd to refuse a Reconfigure", func() error {
			text, err := os.ReadFile(filepath.Join(c.dir, "out"))
			if strings.Count(string(text), "authentication failed") <= n {
				return errNotYet
			}
			return err
		})
	}
	if now := of(seen, typeRenew); now != renews {
		t.Errorf("it came back %d times upon what is not the server's", now-renews)
	}
}

// forged is a Reconfigure that would come next, under a key that nobody has.
func forged(t *testing.T, good []byte) []byte {
	t.Helper()
	message := slices.Clone(good[dhcpv6Start:])
	m, err := dhcpv6.MessageFromBytes(message)
	if err != nil {
		t.Fatal(err)
	}
	auth := m.GetOneOption(dhcpv6.OptionAuth).ToBytes()
	at := strings.Index(string(message), string(auth))
	message[at+10]++ // replay detection
	digest := message[at+12 : at+28]
	clear(digest)
	h := hmac.New(md5.New, []byte("nobody's own key"))
	h.Write(message)
	copy(digest, h.Sum(nil))

	p := gopacket.NewPacket(good, layers.LayerTypeEthernet, gopacket.Default)
	ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	udp := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, p.LinkLayer().(*layers.Ethernet), ip, udp, gopacket.Payload(message))
}
