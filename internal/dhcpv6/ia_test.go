package dhcpv6

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Every prefix length clears the bits that netip clears.
func TestPrefixBits(t *testing.T) {
	t.Parallel()
	for bits := range 129 {
		r := mustRead(t, message(Solicit, cid, "0019002900000000 00000000 00000000 001a0019 00000000 00000000", fmt.Sprintf("%02x", bits), strings.Repeat("ff", 16)), onLink())
		want := netip.PrefixFrom(netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), bits).Masked()
		h := &r.Hints(&r.IAs()[0])[0]
		if h.Prefix() != want || h.LengthOnly() != (bits == 0) {
			t.Errorf("%v, want %v", h.Prefix(), want)
		}
	}
}

// Each IA has its own hints.
func TestHintsOfSeveralIAs(t *testing.T) {
	t.Parallel()
	r := mustRead(t, message(Solicit, cid, iana, "0003000c00000001 00000000 00000000",
		"0003002800000002 00000000 00000000 0005001820010db8000000000000000000000002 00000000 00000000"), onLink())
	var got []string
	for i := range r.IAs() {
		for _, h := range r.Hints(&r.IAs()[i]) {
			got = append(got, fmt.Sprint(r.IAs()[i].ID, " ", h.Address))
		}
	}
	if s := strings.Join(got, ", "); s != "0 2001:db8::1, 2 2001:db8::2" {
		t.Error(s)
	}
}

// A relayed registration is the client's own by what the relay nearest to it saw.
func TestRelayedRegistration(t *testing.T) {
	t.Parallel()
	inner := relay(0, message(AddrRegInform, cid, addr))
	copy(inner[relayPeer:], octets("20010db8000000000000000000000001"))
	r := mustRead(t, relay(1, inner), onLink())
	if r.Registered().Address != netip.MustParseAddr("2001:db8::1") || r.Registered().Valid != 7200 {
		t.Errorf("%+v", r.Registered())
	}
}

// A relay cannot ask to have the client's message or its own wish back.
func TestEchoRequestOfMessage(t *testing.T) {
	t.Parallel()
	r := mustRead(t, relay(0, message(Solicit, cid), "002b00040009002b"), onLink())
	var w Writer
	w.Reset(make([]byte, 128))
	w.OpenRelayReplies(r)
	w.Begin(Reply, 1)
	same(t, "echo", &w, "0d0020010000000000000000000000000001fe800000000000000000000000000002 00090004 07000001")
}
