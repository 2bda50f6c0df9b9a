package dhcpv6

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	insomniac "github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/rfc1035label"
	"github.com/mdlayher/dhcp6"
	"github.com/mdlayher/dhcp6/dhcp6opts"
)

func seeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{solicitNA, requestNA, requestPD, relayed, replyNA, full} {
		f.Add(octets(s))
	}
	f.Add(relay(1, relay(0, octets(full), "00120001aa"), "00250005 00000009 bb", "002b00020026", "00260001cc"))
	f.Add(message(AddrRegInform, cid, addr))
}

// readAsMeant reads data as if the server meant by it were this one and the address its sender's.
func readAsMeant(data []byte, r *Request) Fault {
	c := *onLink()
	if f := r.Read(data, &c); f == FaultWrongServerID {
		c.ServerID = r.ServerID
	} else if f == FaultRegistrationSource {
		c.Source = r.Registered().Address
	}
	return r.Read(data, &c)
}

// What passes here, both oracles read as we do.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Request
		if readAsMeant(bytes.Clone(data)[:len(data):len(data)], &r) != FaultNone {
			return
		}
		agreesWithInsomniac(t, &r)
		agreesWithMdlayher(t, &r)
	})
}

// A relay's message that passes is read by both oracles with the same hops,
// and its Relay-replies go back the same way with the same identifiers.
func FuzzRelay(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Request
		if readAsMeant(data, &r) != FaultNone || len(r.Relays()) == 0 {
			return
		}
		for i := range r.Relays() {
			sameHop(t, &r.Relays()[i])
		}
		var w Writer
		w.Reset(make([]byte, len(data)+64*MaxRelays))
		w.OpenRelayReplies(&r)
		w.Begin(Reply, r.TransactionID())
		b, ok := w.Finish()
		if !ok {
			t.Fatal("the way back is longer than the way here")
		}
		for i := range r.Relays() {
			there := &r.Relays()[i]
			if f := pastReply(&b, there); f != FaultNone {
				t.Fatalf("relay %d: %v", i, f)
			}
		}
		if Message(b).Type() != Reply || Message(b).TransactionID() != r.TransactionID() {
			t.Fatalf("inside: %x", b)
		}
	})
}

// pastReply reads the Relay-reply in b, which must fit the hop it answers, and leaves what it carries in b.
func pastReply(b *[]byte, there *Hop) Fault {
	var back Hop
	if f := CheckRelayReply(*b, &back); f != FaultNone {
		return f
	}
	if !bytes.Equal(back.Relay[1:RelayLen], there.Relay[1:RelayLen]) || !bytes.Equal(back.InterfaceID, there.InterfaceID) ||
		!bytes.Equal(back.RemoteID, there.RemoteID) {
		return FaultRelayOption
	}
	*b = back.Message
	return FaultNone
}

// sameHop compares one relay's header and opaque identifiers with both oracles.
func sameHop(t *testing.T, h *Hop) {
	t.Helper()
	var m dhcp6opts.RelayMessage
	if err := m.UnmarshalBinary(h.Relay); err != nil {
		t.Fatalf("mdlayher/dhcp6: %v", err)
	}
	inner, err := m.Options.GetOne(dhcp6.OptionRelayMsg)
	if err != nil || !bytes.Equal(inner, h.Message) || m.HopCount != h.Relay.HopCount() ||
		!bytes.Equal(m.LinkAddress, h.Relay.LinkAddress().AsSlice()) || !bytes.Equal(m.PeerAddress, h.Relay.PeerAddress().AsSlice()) {
		t.Fatalf("mdlayher/dhcp6 reads %+v of %x", m, h.Relay)
	}
	// insomniacslk/dhcp fails a relay over any option it cannot read, so it gets the ones judged here alone.
	b := bytes.Clone(h.Relay[:RelayLen])
	for _, opt := range []Option{h.InterfaceID, Option(h.RemoteID)} {
		b = append(b, opt...)
	}
	o, err := insomniac.RelayMessageFromBytes(b)
	if err != nil {
		t.Fatalf("insomniacslk/dhcp: %v", err)
	}
	if o.HopCount != h.Relay.HopCount() || h.InterfaceID != nil && !bytes.Equal(o.Options.InterfaceID(), h.InterfaceID.Body()) {
		t.Fatalf("insomniacslk/dhcp reads %v of %x", o, h.Relay)
	}
	if h.RemoteID != nil && (o.Options.RemoteID().EnterpriseNumber != h.RemoteID.Enterprise() || !bytes.Equal(o.Options.RemoteID().RemoteID, h.RemoteID.ID())) {
		t.Fatalf("insomniacslk/dhcp reads %v of %x", o, h.Relay)
	}
}

// What is built here, both oracles read as it was meant, and it is never longer than its room.
func FuzzBuild(f *testing.F) {
	f.Add(uint32(7), []byte("0123456789abcdefghijklmnopqrstuv"), uint8(56), uint8(60), uint16(512), "fine")
	f.Add(uint32(0), []byte{}, uint8(0), uint8(129), uint16(40), "")
	f.Fuzz(func(t *testing.T, iaid uint32, body []byte, bits, excluded uint8, room uint16, text string) {
		if bits > 128 || excluded > 128 {
			return
		}
		var raw [16]byte
		copy(raw[:], body)
		a := netip.AddrFrom16(raw)
		p := netip.PrefixFrom(a, int(bits))
		preferred, valid := iaid>>1, iaid
		buf := bytes.Repeat([]byte{0xee}, int(room)+16)
		var w Writer
		w.Reset(buf[:room:room])
		w.Begin(Reply, iaid)
		w.Option(OptionClientID, octets(clientDUID))
		w.OpenIANA(iaid, 1, 2)
		w.Address(a, preferred, valid)
		w.Status(StatusSuccess, text)
		w.Close()
		w.OpenIAPD(iaid, 3, 4)
		w.PrefixExcluding(p, netip.PrefixFrom(a, int(excluded)), preferred, valid)
		w.Close()
		w.Option(OptionBootFileURL, body)
		w.Addresses(OptionDNSServers, []netip.Addr{a, a})
		b, ok := w.Finish()
		if !bytes.Equal(buf[room:], bytes.Repeat([]byte{0xee}, 16)) {
			t.Fatal("wrote past the room")
		}
		need := 4 + 14 + 16 + 28 + 6 + len(text) + 16 + 29 + 4 + len(body) + 36
		if excluded > bits {
			need += 5 + excludeLen(int(bits), int(excluded))
		}
		if ok != (need <= int(room)) || ok && len(b) != need {
			t.Fatalf("%d octets of %d needed, room for %d: %v", len(b), need, room, ok)
		}
		if !ok {
			return
		}
		readBack(t, b, iaid, p, netip.PrefixFrom(a, int(excluded)), text)
	})
}

// readBack has both oracles read what FuzzBuild built.
func readBack(t *testing.T, b []byte, iaid uint32, p, excluded netip.Prefix, text string) {
	t.Helper()
	m, err := insomniac.MessageFromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.ToBytes()[:62], b[:62]) {
		t.Fatalf("insomniacslk/dhcp writes it otherwise:\n%x\n%x", m.ToBytes(), b)
	}
	na, pd := m.Options.OneIANA(), m.Options.OneIAPD()
	addr := na.Options.OneAddress()
	if binary.BigEndian.Uint32(na.IaId[:]) != iaid || !addr.IPv6Addr.Equal(p.Addr().AsSlice()) || addr.ValidLifetime != seconds(iaid) ||
		addr.PreferredLifetime != seconds(iaid>>1) || na.Options.Status().StatusMessage != text {
		t.Fatalf("insomniacslk/dhcp: %v", na)
	}
	prefix := pd.Options.Prefixes()[0]
	if got := prefix.Prefix; (got == nil) != (p.Bits() == 0) || got != nil && flat(got.IP, p.Bits(), 0, 0).prefix != p.Masked() {
		t.Fatalf("insomniacslk/dhcp: %v, ours %v", got, p)
	}
	if excluded.Bits() > p.Bits() {
		raw := prefix.Options.GetOne(insomniac.OptionPDExclude).ToBytes()
		if got, ok := PDExclude(raw).Prefix(p); !ok || got != excluded.Masked() {
			t.Fatalf("excluded %v of %v, read back %v", excluded, p, got)
		}
	}
	var k dhcp6.Packet
	if err := k.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	pds, err := dhcp6opts.GetIAPD(k.Options)
	if err != nil {
		t.Fatal(err)
	}
	got, err := dhcp6opts.GetIAPrefix(pds[0].Options)
	if err != nil || int(got[0].PrefixLength) != p.Bits() || !got[0].Prefix.Equal(p.Masked().Addr().AsSlice()) {
		t.Fatalf("mdlayher/dhcp6: %v %v", got, err)
	}
	servers, err := dhcp6opts.GetDNSServers(k.Options)
	if err != nil || len(servers) != 2 || !servers[1].Equal(p.Addr().AsSlice()) {
		t.Fatalf("mdlayher/dhcp6: %v %v", servers, err)
	}
}

// Names that are written read back as they were, to the oracle too; names
// that are read are never compressed, and are written alike if they can be.
func FuzzNames(f *testing.F) {
	f.Add("example.com", octets("076578616d706c6503636f6d00"))
	f.Add("a.", octets("0161000162 00"))
	f.Add("", octets("c000"))
	f.Add(strings.Repeat("a.", 126), octets("00"))
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		if b, err := AppendName(nil, text); err == nil {
			name, rest, fault := NextName(b)
			want := strings.TrimSuffix(text, ".")
			if fault != FaultNone || len(rest) != 0 || name.String() != want || len(b) > maxName {
				t.Fatalf("%q: %v %q", text, fault, name)
			}
			if labels, err := rfc1035label.FromBytes(b); err != nil || len(labels.Labels) != 1 || labels.Labels[0] != want {
				t.Fatalf("%q: the oracle reads %v %v", text, labels, err)
			}
		}
		name, rest, fault := NextName(data)
		if fault != FaultNone {
			return
		}
		if len(name) > maxName || len(name)+len(rest) != len(data) || !name.Complete() {
			t.Fatalf("%x: %x", data, name)
		}
		labels, err := rfc1035label.FromBytes(name)
		if err != nil || len(labels.Labels) != 1 {
			t.Fatalf("%x: the oracle reads %v %v", name, labels, err)
		}
		s := name.String()
		if !strings.Contains(s, `\`) && s != "" {
			if s != labels.Labels[0] {
				t.Fatalf("%q, the oracle %q", s, labels.Labels[0])
			}
			if b, err := AppendName(nil, s); err != nil || !bytes.Equal(b, name) {
				t.Fatalf("%q: written as %x %v, was %x", s, b, err, name)
			}
		}
	})
}
