package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lab"
)

// TestDHCPv6Reconfigure changes what a port's client was told: the client is
// asked to come back, under the key it was given, and learns it (RFC 9915
// sections 18.3.11 and 20.4). A client that never said that it takes Reconfigure
// hears nothing.
func TestDHCPv6Reconfigure(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, stateful)
		serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
		linkReady(t, vm1)
		linkReady(t, vm2)
		accepting, plain := newAsker(t, vm1, 546), newAsker(t, vm2, 546)

		first := accepting.ask(t, rapid(t, clientOf(1), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionReconfAccept}))
		auth := first.GetOneOption(dhcpv6.OptionAuth)
		if auth == nil || first.GetOneOption(dhcpv6.OptionReconfAccept) == nil {
			t.Fatalf("the first answer brings no reconfigure key:\n%s", first.Summary())
		}
		key, ok := codec.Auth(auth.ToBytes()).Key()
		if !ok {
			t.Fatalf("the Authentication option holds no key: % x", auth.ToBytes())
		}
		if unasked := plain.ask(t, rapid(t, clientOf(2))); unasked.GetOneOption(dhcpv6.OptionAuth) != nil {
			t.Error("a client that takes no Reconfigure was given a key")
		}

		configure(t, s, strings.Replace(stateful, "2001:db8::53", "2001:db8::54", 1))
		m, raw := accepting.receive(t, patience, func(m *dhcpv6.Message) bool { return m.MessageType == dhcpv6.MessageTypeReconfigure })
		if m == nil {
			t.Fatal("no Reconfigure came")
		}
		if m.TransactionID != (dhcpv6.TransactionID{}) {
			t.Errorf("a Reconfigure of transaction %v", m.TransactionID)
		}
		if !m.Options.ClientID().Equal(clientOf(1)) || !m.Options.ServerID().Equal(first.Options.ServerID()) {
			t.Errorf("a Reconfigure for %v of %v", m.Options.ClientID(), m.Options.ServerID())
		}
		if how := m.GetOneOption(dhcpv6.OptionReconfMessage); how == nil || !slices.Equal(how.ToBytes(), []byte{5}) {
			t.Errorf("asks for %v, not for a Renew", how)
		}
		verifyReconfigure(t, raw, m.GetOneOption(dhcpv6.OptionAuth).ToBytes(), auth.ToBytes(), key)

		got := accepting.ask(t, message(t, dhcpv6.MessageTypeRenew, clientOf(1), dhcpv6.OptServerID(first.Options.ServerID()),
			first.Options.OneIANA(), dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer)))
		if dns := got.Options.DNS(); len(dns) != 1 || dns[0].String() != "2001:db8::54" {
			t.Errorf("back with a Renew, it was told %v", dns)
		}
		plain.send(t, rapid(t, clientOf(2)).ToBytes())
		if next, _ := plain.receive(t, patience, func(*dhcpv6.Message) bool { return true }); next == nil || next.MessageType != dhcpv6.MessageTypeReply {
			t.Errorf("a client that takes no Reconfigure got %v before its answer", next)
		}
	})
}

// verifyReconfigure checks the digest of a Reconfigure twice: as our own client
// would, and by hand (RFC 9915 section 20.4.1).
func verifyReconfigure(t *testing.T, raw, auth, before []byte, key [16]byte) {
	t.Helper()
	if !codec.VerifyReconfigure(raw, key) {
		t.Error("the digest is not one of the key")
	}
	forged := key
	forged[0] ^= 1
	if codec.VerifyReconfigure(raw, forged) {
		t.Error("the digest is right for another key too")
	}
	if len(auth) != 28 || auth[0] != 3 || auth[1] != 1 || auth[2] != 0 || auth[11] != 2 {
		t.Fatalf("Authentication of % x", auth)
	}
	if was, is := before[3:11], auth[3:11]; bytes.Compare(was, is) >= 0 {
		t.Errorf("replay detection % x after % x", is, was)
	}
	at := strings.Index(string(raw), string(auth)) + 12
	zeroed := slices.Clone(raw)
	clear(zeroed[at : at+16])
	h := hmac.New(md5.New, key[:])
	h.Write(zeroed)
	if !hmac.Equal(h.Sum(nil), auth[12:]) {
		t.Errorf("HMAC-MD5 is % x, not % x", h.Sum(nil), auth[12:])
	}
}
