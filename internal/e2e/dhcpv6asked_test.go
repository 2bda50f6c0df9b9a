package e2e

import (
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"damselfly/internal/lab"
)

// TestDHCPv6Asked asks what no client of Debian can be made to ask.
func TestDHCPv6Asked(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "options"))
		serve(t, s)
		guest := addGuest(t, s, lab.GuestOptions{Name: "asker", MAC: "02:00:00:00:00:13"})
		behindRelays := addGuest(t, s, lab.GuestOptions{Name: "relay", MAC: "02:00:00:00:00:20"})
		linkReady(t, guest)
		linkReady(t, behindRelays)
		a := newAsker(t, guest, 546)
		for _, play := range []struct {
			capture string
			at      *lab.Guest
			run     func(t *testing.T)
		}{
			{"options/asker-elsewhere", guest, a.asksElsewhere},
			{"options/asker-renumbered", guest, a.wasRenumbered},
			{"options/asker-excludes", guest, a.asksForExclusion},
			{"options/asker-registers", guest, a.registers},
			{"options/relay-nested", behindRelays, newAsker(t, behindRelays, 547).relaysTwice},
		} {
			t.Run(play.capture, func(t *testing.T) {
				seen := dhcpv6At(t, play.at)
				play.run(t)
				keep(t, ndExt, play.capture, seen)
			})
		}
	})
}

// at is an IA_NA with an address.
func at(ip net.IP) *dhcpv6.OptIANA {
	return &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}, Options: dhcpv6.IdentityOptions{Options: dhcpv6.Options{
		&dhcpv6.OptIAAddress{IPv6Addr: ip, PreferredLifetime: time.Minute, ValidLifetime: time.Hour}}}}
}

// asksElsewhere confirms and requests an address of another link.
func (a *asker) asksElsewhere(t *testing.T) {
	server := a.ask(t, message(t, dhcpv6.MessageTypeConfirm, clientOf(1), at(elsewhere))).Options.ServerID()
	a.ask(t, message(t, dhcpv6.MessageTypeRequest, clientOf(1), dhcpv6.OptServerID(server), at(elsewhere)))
}

// wasRenumbered renews what it was given together with an address of before.
func (a *asker) wasRenumbered(t *testing.T) {
	first := a.ask(t, rapid(t, clientOf(2)))
	ia := first.Options.OneIANA()
	ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: elsewhere, PreferredLifetime: time.Minute, ValidLifetime: time.Hour})
	a.ask(t, message(t, dhcpv6.MessageTypeRenew, clientOf(2), dhcpv6.OptServerID(first.Options.ServerID()), ia))
}

// asksForExclusion asks for a prefix and what of it is excluded. (dhcpcd 9.4.1 can
// too, but ends its Request with three octets that belong to no option.)
func (a *asker) asksForExclusion(t *testing.T) {
	a.ask(t, message(t, dhcpv6.MessageTypeSolicit, clientOf(3), &dhcpv6.OptIAPD{IaId: [4]byte{0, 0, 0, 1}},
		dhcpv6.OptRequestedOption(dhcpv6.OptionPDExclude)))
}

// registers registers an address of its own choice, from that address.
func (a *asker) registers(t *testing.T) {
	own := net.ParseIP("fd00:d3::ff:fe00:13")
	if _, err := a.guest.Run("ip", "-6", "addr", "add", own.String()+"/128", "dev", "eth0", "nodad"); err != nil {
		t.Fatal(err)
	}
	registrar := &asker{guest: a.guest, to: a.to}
	_ = a.conn.Close()
	// A process that is being started may still hold the port for a moment.
	lab.WaitFor(t, patience, "the port to be free", func() error {
		return a.guest.Within(func() (err error) {
			registrar.conn, err = net.ListenUDP("udp6", &net.UDPAddr{IP: own, Port: 546})
			return err
		})
	})
	defer registrar.conn.Close()
	registrar.ask(t, message(t, 36, clientOf(4),
		&dhcpv6.OptIAAddress{IPv6Addr: own, PreferredLifetime: time.Minute, ValidLifetime: time.Hour}))
}

// relaysTwice is two relays, each with Interface-ID and Remote-ID, and the client
// behind them.
func (a *asker) relaysTwice(t *testing.T) {
	var m dhcpv6.DHCPv6 = rapid(t, clientOf(5))
	for _, hop := range []string{"inner", "outer"} {
		r, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.ParseIP("fd00:d3::1"), net.ParseIP("fe80::99"))
		if err != nil {
			t.Fatal(err)
		}
		r.AddOption(dhcpv6.OptInterfaceID([]byte(hop)))
		r.AddOption(&dhcpv6.OptRemoteID{EnterpriseNumber: uint32(iana.EnterpriseIDCiscoSystems), RemoteID: []byte(hop + " circuit")})
		m = r
	}
	for range 10 {
		a.send(t, m.ToBytes())
		if err := a.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.conn.Read(make([]byte, 2048)); err == nil {
			return
		}
	}
	t.Fatal("nothing came back")
}
