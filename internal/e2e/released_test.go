package e2e

import (
	"bytes"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lab"
)

// TestReleasedLeaseIsNoticed: the client of a lease that an operator released is
// sent Reconfigure, again while it is silent, and learns by its Renew that it
// holds nothing (RFC 9915 sections 18.3.11 and 18.3.4). A restart in between takes
// nothing from the order of replay detection.
func TestReleasedLeaseIsNoticed(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, stateful)
	d := serve(t, s)
	vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	linkReady(t, vm1)
	accepting := newAsker(t, vm1, 546)
	first := accepting.ask(t, rapid(t, clientOf(1), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionReconfAccept}))
	last := first.GetOneOption(dhcpv6.OptionAuth).ToBytes()
	key, ok := codec.Auth(last).Key()
	if !ok {
		t.Fatalf("no key in % x", last)
	}
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	serve(t, s)

	o := command(t, s, release(s, "--port", "vm1")...)
	o.said(t, 0, o.out, "released 1 leases")
	for came := range 2 {
		m, raw := accepting.receive(t, patience, func(m *dhcpv6.Message) bool { return m.MessageType == dhcpv6.MessageTypeReconfigure })
		if m == nil {
			t.Fatalf("%d Reconfigures came", came)
		}
		auth := m.GetOneOption(dhcpv6.OptionAuth).ToBytes()
		if bytes.Compare(auth[3:11], last[3:11]) <= 0 {
			t.Errorf("replay detection % x after % x", auth[3:11], last[3:11])
		}
		verifyReconfigure(t, raw, auth, last, key)
		last = auth
	}
	got := accepting.ask(t, message(t, dhcpv6.MessageTypeRenew, clientOf(1), dhcpv6.OptServerID(first.Options.ServerID()), first.Options.OneIANA()))
	if status := got.Options.OneIANA().Options.Status(); status == nil || status.StatusCode != iana.StatusNoBinding {
		t.Errorf("the Renew was told %s", got.Summary())
	}
	// The third would be due four seconds after the second.
	if m, _ := accepting.receive(t, 5*time.Second, func(m *dhcpv6.Message) bool { return m.MessageType == dhcpv6.MessageTypeReconfigure }); m != nil {
		t.Error("asked once more although it came back")
	}
}
