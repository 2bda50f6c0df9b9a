package dhcpv6_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	client "github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/mdlayher/dhcp6"

	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	const (
		dns    = "23=fd0000b1000000000000000000000053"
		search = "24=06677565737473076578616d706c6500"
		portal = "103=68747470733a2f2f706f7274616c2e6578616d706c652f"
		ntp    = "56=00010010fd0000b1000000000000000000000123"
	)
	tests := []struct {
		name string
		m    client.DHCPv6
		want string
	}{
		{"nothing asked", message(inform, "a"), "reply"},
		{"no client id", &client.Message{MessageType: inform}, "reply"},
		{"for us", message(inform, "a", toUs), "reply"},
		{"names", message(inform, "a", oro(24, 23)), "reply " + dns + " " + search},
		{"all, those that may not stand here too", message(inform, "a", oro(1, 2, 7, 14, 20, 23, 24, 32, 56, 82, 94, 103, 148, 9999)),
			"reply 148= " + dns + " " + search + " 32=00000e10 " + ntp + " 82=00000078 94=0001 " + portal},
		{"no refresh time for leases", message(solicit, "a", oro(32, 82)), "advertise 7=c8 82=00000078"},
		{"name", message(solicit, "a", oro(39), client.WithFQDN(1, "guest.example")), "advertise 7=c8 39=06056775657374076578616d706c6500"},
		{"name that was not asked back", message(solicit, "a", client.WithFQDN(1, "guest.example")), "advertise 7=c8"},
		{"reconfigure", message(solicit, "a", option(20)), "advertise 7=c8 20="},
		{"no reconfigure without a lease", message(request, "a", toUs, option(20)), "reply 20="},
		{"no key without state", message(inform, "a", option(20)), "reply"},
		{"an Option Request of 500 codes", message(inform, "a", oro(many(500)...)), "reply 148= " + dns + " " + search + " 32=00000e10 " + ntp + " 82=00000078 94=0001 " + portal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := newWorld(t, nil).ask("vm1", tt.m); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func many(n int) (codes []client.OptionCode) {
	for i := range n {
		codes = append(codes, client.OptionCode(i))
	}
	return codes
}

// TestOptionsThatDoNotFit asks for more than an answer holds: what does not fit
// is left out, what follows is not.
func TestOptionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *topology.Spec) {
		s.Networks[0].Options = []topology.OptionSpec{{Code: 200, Raw: make([]byte, 500)}, {Code: 201, Raw: make([]byte, 400)}, {Code: 202, Raw: []byte{7}}}
	})
	m := relayForward("::", message(solicit, "a", na(1), oro(200, 201, 202)).ToBytes(), client.WithOption(client.OptInterfaceID(make([]byte, 400))))
	got := w.tell(w.serve("relay", of("relay", m).bytes()))
	if !strings.HasPrefix(got, "advertise na1(3600/5760 fd00:b1::100 7200/14400) 200=00") || strings.Contains(got, "201=") || !strings.HasSuffix(got, " 202=07") {
		t.Error(got)
	}
	m = relayForward("::", m, client.WithOption(client.OptInterfaceID(make([]byte, 900))))
	if got := w.tell(w.serve("relay", of("relay", m).bytes())); got != "(dhcpv6-too-large)" {
		t.Error(got)
	}
}

// TestOtherReader has the other library read an answer.
func TestOtherReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, replies := w.serve("vm1", of("vm1", message(request, "a", toUs, na(1), pd(2), oro(23, 24, 67)).ToBytes()).bytes())
	var p dhcp6.Packet
	o := open(t, replies[0].Data)
	if err := p.UnmarshalBinary(o.data); err != nil {
		t.Fatal(err)
	}
	if p.MessageType != dhcp6.MessageTypeReply || p.TransactionID != [3]byte{1, 2, 3} {
		t.Errorf("%+v", p)
	}
	for _, code := range []dhcp6.OptionCode{dhcp6.OptionClientID, dhcp6.OptionServerID, dhcp6.OptionIANA, dhcp6.OptionIAPD, 23, 24} {
		if _, err := p.Options.GetOne(code); err != nil {
			t.Errorf("option %d: %v", code, err)
		}
	}
}

// TestReconfigure gives a client a key, and makes a Reconfigure that the client
// can verify by it.
func TestReconfigure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	m := message(request, "a", toUs, na(1), option(20))
	first := w.ask("vm1", m)
	const key = "01010203000000000000000000000000"
	if !strings.Contains(first, " 11=030100") || !strings.Contains(first, "01"+key) || !strings.HasSuffix(first, " 20=") {
		t.Errorf("request: %s", first)
	}
	again := w.ask("vm1", m)
	if !strings.Contains(again, "01"+key) || again <= first {
		t.Errorf("request repeated: %s, want the same key and a greater replay value than in %s", again, first)
	}
	if got := w.ask("vm1", message(renew, "a", toUs, na(1, "fd00:b1::100"), option(20))); strings.Contains(got, " 11=") {
		t.Errorf("renew tells a key that is known: %s", got)
	}
	leases := w.book.View().Leases(lease.Filter{}, w.clock)
	if len(leases) != 1 || !leases[0].ReconfAccept() {
		t.Fatalf("%+v", leases)
	}
	r := pipeline.NewReplies(1024)
	n := w.Network(blueKey)
	if !dhcpv6.Reconfigure(serverID, n, &topology.Port{OFPort: 23}, &leases[0], codec.Renew, 99, r) || len(r.List()) != 1 || r.List()[0].Out != 23 {
		t.Fatalf("%+v", r.List())
	}
	o := open(t, r.List()[0].Data)
	if got := describe(o.message(t)); !strings.HasPrefix(got, "reconfigure 19=05 11=030100000000000000006302") {
		t.Error(got)
	}
	if !codec.VerifyReconfigure(o.data, leases[0].ReconfKey) || codec.VerifyReconfigure(o.data, [16]byte{1}) {
		t.Error("the digest is wrong, or any will do")
	}
	if got := w.ask("vm1", message(renew, "a", toUs, na(1, "fd00:b1::100"))); strings.Contains(got, "20=") {
		t.Errorf("renew without accepting: %s", got)
	}
	w.replay = 1000
	if got := w.ask("vm2", message(request, "b", toUs, pd(1), option(20))); strings.Contains(got, " 11=") || !strings.HasSuffix(got, " 20=") {
		t.Errorf("without a replay value: %s", got)
	}
	leases = w.book.View().Leases(lease.Filter{}, w.clock)
	if dhcpv6.Reconfigure(serverID, n, &topology.Port{OFPort: 23}, &leases[0], codec.Renew, 100, r) {
		t.Error("sent to a client that does not accept it any more")
	}
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	// Where ports are bound to their addresses, few of these get this far.
	w := newWorld(t, func(s *topology.Spec) {
		for i := range s.Ports {
			no := false
			s.Ports[i].PortSecurity = &no
		}
	})
	from := func(port, a string, m []byte) string {
		d := of(port, m)
		d.src = netip.MustParseAddr(a)
		return w.tell(w.serve(port, d.bytes()))
	}
	register := func(a string, valid uint32) []byte {
		body := append(netip.MustParseAddr(a).AsSlice(), 0, 0, 0, 60)
		return message(36, "a", option(5, binary.BigEndian.AppendUint32(body, valid)...)).ToBytes()
	}
	answer := func(port, a string, m []byte) (pipeline.Reason, []byte) {
		d := of(port, m)
		d.src = netip.MustParseAddr(a)
		why, replies := w.serve(port, d.bytes())
		if len(replies) == 0 {
			return why, nil
		}
		o := open(t, replies[0].Data)
		if o.ip.DstIP.String() != a || o.udp.DstPort != 546 {
			t.Errorf("answer to %v", o.ip.DstIP)
		}
		return why, o.data
	}
	why, data := answer("vm1", "fd00:b1::abc", register("fd00:b1::abc", 600))
	if why != reason.Answered || data[0] != 37 || !bytes.Equal(data[1:4], []byte{1, 2, 3}) || !bytes.HasSuffix(data, register("fd00:b1::abc", 600)[len(register("fd00:b1::abc", 600))-28:]) {
		t.Errorf("%s %x", reason.Name(why), data)
	}
	if c := w.book.View().Counts(); c.Registrations != 1 {
		t.Errorf("%+v", c)
	}
	if got := from("vm2", "fd00:b1::abc", register("fd00:b1::abc", 600)); got != "(dhcpv6-registration-refused)" {
		t.Errorf("another's: %s", got)
	}
	if got := from("vm1", "fd00:b2::abc", register("fd00:b2::abc", 600)); got != "(dhcpv6-registration-refused)" {
		t.Errorf("another link's: %s", got)
	}
	if got := from("vm1", "fd00:b1::abd", register("fd00:b1::abc", 600)); got != "(dhcpv6-registration-source)" {
		t.Errorf("not its own: %s", got)
	}
	if got := from("vm1", "fd00:b1::22", register("fd00:b1::22", 600)); got != "(forged-source)" {
		t.Errorf("a fixed address of another: %s", got)
	}
	if why, _ := answer("vm1", "fd00:b1::abc", register("fd00:b1::abc", 0)); why != reason.Answered || w.book.View().Counts().Registrations != 0 {
		t.Errorf("end: %s", reason.Name(why))
	}
}

// TestRelayed has two relays nested and everything echoed that must be.
func TestRelayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	inner := relayForward("fd00:b1::1", message(request, "a", toUs, na(1)).ToBytes(), client.WithOption(client.OptInterfaceID([]byte("eth7"))), option(37, 0, 0, 0x7e, 0xd9, 'x'), option(79, 0, 1, 2, 3, 4, 5, 6, 7))
	d := of("relay", relayForward("::", inner, client.WithOption(client.OptInterfaceID([]byte{0, 255}))))
	d.sport = 547
	why, replies := w.serve("relay", d.bytes())
	if why != reason.Answered {
		t.Fatal(reason.Name(why))
	}
	o := open(t, replies[0].Data)
	if o.udp.DstPort != 547 || o.udp.SrcPort != 547 || o.ip.DstIP.String() != d.src.String() {
		t.Errorf("%v %v", o.ip.DstIP, o.udp)
	}
	outer := o.message(t).(*client.RelayMessage)
	in := outer.Options.RelayMessage().(*client.RelayMessage)
	if !bytes.Equal(outer.Options.InterfaceID(), []byte{0, 255}) || string(in.Options.InterfaceID()) != "eth7" || in.Options.RemoteID() == nil ||
		outer.MessageType != client.MessageTypeRelayReply || in.MessageType != client.MessageTypeRelayReply || in.GetOneOption(79) != nil ||
		!in.LinkAddr.Equal(netip.MustParseAddr("fd00:b1::1").AsSlice()) || in.PeerAddr.String() != wire.LinkLocal(wire.MAC{2, 8, 8, 8, 8, 8}).String() {
		t.Errorf("%v", outer)
	}
	if got := describe(outer); got != "reply na1(3600/5760 fd00:b1::100 7200/14400)" {
		t.Error(got)
	}
	if l := w.book.View().Leases(lease.Filter{}, w.clock); len(l) != 1 || l[0].MAC != macOf("relay") {
		t.Errorf("%+v", l)
	}
	// A relay may send to the router alone and from a port of its own.
	d = of("relay", relayForward("::", message(inform, "a").ToBytes(), option(135, 0, 0)))
	d.src, d.dst, d.to, d.sport = wire.LinkLocal(macOf("relay")), serverLL, topology.RouterMAC("blue"), 4547
	why, replies = w.serve("relay", d.bytes())
	if why != reason.Answered {
		t.Fatal(reason.Name(why))
	}
	if o := open(t, replies[0].Data); o.udp.DstPort != 4547 {
		t.Errorf("answer to port %d", o.udp.DstPort)
	}
}

// TestExternalServer passes messages on to another server and back.
func TestExternalServer(t *testing.T) {
	t.Parallel()
	server := netip.MustParseAddr("2001:db8::547")
	w := newWorld(t, func(s *topology.Spec) {
		n := &s.Networks[0]
		n.Subnets[0].RelayTo, n.Subnets[0].Pools, n.Subnets[0].Reservations, n.Subnets[0].RapidCommit = server, nil, nil, false
	})
	m := message(request, "a", na(1), client.WithServerID(duidOf("theirs")))
	if got := w.ask("vm1", m); got != "(dhcpv6-forwarded)" || len(w.sent) != 1 {
		t.Fatalf("%s, %d sent", got, len(w.sent))
	}
	if !bytes.HasPrefix(w.sent[0], server.AsSlice()) {
		t.Errorf("sent to %x", w.sent[0][:16])
	}
	d, err := client.FromBytes(w.sent[0][16:])
	if err != nil {
		t.Fatal(err)
	}
	fw := d.(*client.RelayMessage)
	hw, mac := fw.Options.ClientLinkLayerAddress()
	if fw.MessageType != client.MessageTypeRelayForward || fw.HopCount != 0 || fw.LinkAddr.String() != "fd00:b1::1" ||
		fw.PeerAddr.String() != wire.LinkLocal(macOf("vm1")).String() || string(fw.Options.InterfaceID()) != "vm1" ||
		hw != 1 || wire.MAC(mac) != macOf("vm1") || !bytes.Equal(fw.Options.RelayMessage().ToBytes(), m.ToBytes()) {
		t.Errorf("%v", fw)
	}
	answer := message(client.MessageTypeReply, "a", client.WithServerID(duidOf("theirs")))
	back, err := client.NewRelayReplFromRelayForw(fw, answer)
	if err != nil {
		t.Fatal(err)
	}
	r := pipeline.NewReplies(1024)
	if why := dhcpv6.Return(w.Snapshot, back.ToBytes(), r); why != reason.Answered || len(r.List()) != 1 || r.List()[0].Out != firstOF+3 {
		t.Fatalf("%s %+v", reason.Name(why), r.List())
	}
	o := open(t, r.List()[0].Data)
	if !bytes.Equal(o.data, answer.ToBytes()) || wire.MAC(o.eth.DstMAC) != macOf("vm1") || o.ip.SrcIP.String() != serverLL.String() || o.udp.DstPort != 546 {
		t.Errorf("%v %v %x", o.eth, o.ip, o.data)
	}
	for _, m := range []*client.Message{message(inform, "a"), message(confirm, "a", na(1, "fd00:b1::5"))} {
		if got := w.ask("vm1", m); got != "(dhcpv6-forwarded)" {
			t.Errorf("%v: %s", m.MessageType, got)
		}
	}
	w.sent = w.sent[:1]
	// A relay behind us is relayed in turn.
	if got := w.tell(w.serve("relay", of("relay", relayForward("fd00:b1::1", m.ToBytes())).bytes())); got != "(dhcpv6-forwarded)" {
		t.Fatal(got)
	}
	d, err = client.FromBytes(w.sent[1][16:])
	if err != nil {
		t.Fatal(err)
	}
	if fw = d.(*client.RelayMessage); fw.HopCount != 1 || string(fw.Options.InterfaceID()) != "relay" || !fw.Options.RelayMessage().IsRelay() {
		t.Errorf("%v", fw)
	}
	far := relayForward("fd00:b1::1", m.ToBytes())
	far[1] = 8
	if got := w.tell(w.serve("relay", of("relay", far).bytes())); got != "(dhcpv6-relay-hops)" {
		t.Errorf("a message that passed 8 relays before: %s", got)
	}
	r.Reset()
	if why := dhcpv6.Return(w.Snapshot, replace(back.ToBytes(), "\x00\x03vm1", "\x00\x06bridge"), r); why != reason.Answered {
		t.Fatal(reason.Name(why))
	}
	if o := open(t, r.List()[0].Data); wire.MAC(o.eth.DstMAC) != wire.AllNodesMAC || r.List()[0].Out != firstOF {
		t.Errorf("to any MAC behind a port: %v", o.eth)
	}
	for name, data := range map[string][]byte{"unknown-port": replace(back.ToBytes(), "vm1", "vm9"), "dhcpv6-no-relay-message": back.ToBytes()[:34], "dhcpv6-short": nil} {
		r.Reset()
		if why := dhcpv6.Return(w.Snapshot, data, r); reason.Name(why) != name || len(r.List()) > 0 {
			t.Errorf("got %s, want %s", reason.Name(why), name)
		}
	}
}

func replace(b []byte, old, with string) []byte {
	return bytes.Replace(b, []byte(old), []byte(with), 1)
}
