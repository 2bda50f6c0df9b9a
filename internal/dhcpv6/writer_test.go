package dhcpv6

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"damselfly/internal/wire"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Replies that other servers sent, built again octet by octet.
func TestWriterRebuildsCaptures(t *testing.T) {
	t.Parallel()
	var w Writer
	w.Reset(make([]byte, 256))
	w.Begin(Reply, 0x2ffdd1)
	w.OpenIANA(0x02030405, 3600, 5400)
	w.Address(netip.MustParseAddr("2a00:1:1:200:38e6:b22e:c440:acdf"), 4500, 7200)
	w.Close()
	w.Option(OptionClientID, octets(clientDUID))
	w.Option(OptionServerID, octets(serverDUID))
	same(t, "address", &w, replyNA)

	w.Reset(make([]byte, 256))
	w.Begin(Reply, 0x7e1e093)
	w.OpenIAPD(0x02030405, 3600, 5400)
	w.Prefix(netip.MustParsePrefix("2a00:1:1:100::ff/56"), 4500, 7200)
	w.Close()
	w.Raw(octets("0001000a" + clientDUID))
	w.Option(OptionServerID, octets("0001000118464999001122334455"))
	same(t, "prefix", &w, replyPD)
}

func same(t *testing.T, name string, w *Writer, want string) {
	t.Helper()
	got, ok := w.Finish()
	if !ok || !bytes.Equal(got, octets(want)) {
		t.Errorf("%s: %v\n got %x\nwant %x", name, ok, got, octets(want))
	}
}

func TestWriterOptions(t *testing.T) {
	t.Parallel()
	p := netip.MustParsePrefix
	tests := []struct {
		name  string
		write func(*Writer)
		want  string
	}{
		{"preference", func(w *Writer) { w.Uint8(OptionPreference, 255) }, "00070001ff"},
		{"refresh time", func(w *Writer) { w.Uint32(OptionInformationRefresh, 86400) }, "0020000400015180"},
		{"status", func(w *Writer) { w.Status(StatusNoBinding, "no") }, "000d000400036e6f"},
		{"servers", func(w *Writer) { w.Addresses(OptionDNSServers, []netip.Addr{netip.MustParseAddr("2001:db8::53")}) }, "0017001020010db8000000000000000000000053"},
		{"nothing open", func(w *Writer) { w.Close() }, ""},
		{"nested", func(w *Writer) { w.Open(OptionVendorOpts, octets("00000009")); w.Uint8(1, 2) }, "0011000900000009 0001000102"},
		// The example of RFC 6603 section 4.2.
		{"exclude", func(w *Writer) {
			w.PrefixExcluding(p("2001:db8:dead:bee0::/59"), p("2001:db8:dead:beef::/64"), 1, 2)
		}, "001a001f 00000001 00000002 3b 20010db8deadbee00000000000000000 00430002 4078"},
		{"exclude of nothing", func(w *Writer) { w.PrefixExcluding(p("2001:db8::/48"), p("2001:db8::/32"), 1, 2) },
			"001a0019 00000001 00000002 30 20010db8000000000000000000000000"},
		{"link-layer address", func(w *Writer) { w.ClientLinkLayer(wire.MAC{2, 0, 0, 0, 0, 1}) }, "004f0008 0001 020000000001"},
		{"remote id", func(w *Writer) { w.RemoteID(9, []byte{0xaa}) }, "00250005 00000009 aa"},
	}
	for _, tt := range tests {
		var w Writer
		w.Reset(make([]byte, 128))
		w.Begin(Reply, 0)
		tt.write(&w)
		same(t, tt.name, &w, "07000000"+tt.want)
	}
	for _, bits := range []int{60, 64, 65, 128} {
		delegated, excluded := p("2001:db8:dead:bee0::/59"), netip.PrefixFrom(netip.MustParseAddr("2001:db8:dead:beef:1234:5678:9abc:def1"), bits).Masked()
		var w Writer
		w.Reset(make([]byte, 128))
		w.PrefixExcluding(delegated, excluded, 1, 2)
		b, _ := w.Finish()
		body := Options(b[optionHeaderLen+iaPrefLen:]).Find(OptionPDExclude).Body()
		if got, ok := PDExclude(body).Prefix(delegated); !ok || got != excluded {
			t.Errorf("excluded %v, read back %v", excluded, got)
		}
		if _, ok := PDExclude(body).Prefix(excluded); ok {
			t.Errorf("%v taken as part of itself", excluded)
		}
	}
}

// Every size too small gives no message, and no panic.
func TestWriterRoom(t *testing.T) {
	t.Parallel()
	r := mustRead(t, relay(1, relay(0, message(Solicit, cid), "00120001aa"), "00250005 00000009 bb"), onLink())
	write := func(w *Writer) {
		w.OpenRelayReplies(r)
		w.Begin(Reply, 1)
		w.OpenIAPD(1, 2, 3)
		w.PrefixExcluding(netip.MustParsePrefix("2001:db8::/56"), netip.MustParsePrefix("2001:db8::/64"), 4, 5)
		w.Status(StatusSuccess, "yes")
		w.Close()
		w.ReconfigureKey(1, [KeyLen]byte{})
	}
	var w Writer
	w.Reset(make([]byte, 1500))
	write(&w)
	whole, ok := w.Finish()
	if !ok {
		t.Fatal("1,500 octets are not enough")
	}
	for n := range len(whole) {
		w.Reset(make([]byte, n))
		write(&w)
		if b, ok := w.Finish(); ok {
			t.Fatalf("%d octets of %d were enough: %x", n, len(whole), b)
		}
	}
	w.Reset(make([]byte, 70000))
	w.Open(OptionVendorOpts, nil)
	w.Option(1, make([]byte, 65000))
	w.Option(1, make([]byte, 1000))
	if _, ok := w.Finish(); ok {
		t.Error("an option of 66,008 octets was written")
	}
	w.Reset(make([]byte, 70000))
	w.Option(1, make([]byte, 65536))
	if _, ok := w.Finish(); ok {
		t.Error("an option of 65,536 octets was written")
	}
	w.Reset(make([]byte, 1500))
	for range maxDepth + 1 {
		w.Open(OptionVendorOpts, nil)
	}
	if _, ok := w.Finish(); ok {
		t.Error("nested deeper than there is memory for")
	}
}

func TestRelayReplies(t *testing.T) {
	t.Parallel()
	inner := relay(0, message(Solicit, cid), "00120001aa", "0087000204d2")
	r := mustRead(t, relay(1, inner, "00250005 00000009 bb", "00260001cc", "00140000", "002b00020026"), onLink())
	var w Writer
	w.Reset(make([]byte, 1500))
	w.OpenRelayReplies(r)
	w.Begin(Reply, r.TransactionID())
	w.Option(OptionServerID, octets(serverDUID))
	const addresses = "20010000000000000000000000000001 fe800000000000000000000000000002"
	same(t, "two relays", &w, "0d01"+addresses+"0025000500000009bb 00260001cc 00090047"+
		"0d00"+addresses+"00120001aa 0087000204d2 00090016 07abcdef"+sid)

	data, _ := w.Finish()
	var hop Hop
	if f := CheckRelayReply(data, &hop); f != FaultNone || hop.Relay.HopCount() != 1 || hop.RemoteID.Enterprise() != 9 || hop.RemoteID.ID()[0] != 0xbb {
		t.Errorf("%v: %+v", f, hop)
	}
	if f := CheckRelayReply(hop.Message, &hop); f != FaultNone || Message(hop.Message).Type() != Reply || hop.InterfaceID.Body()[0] != 0xaa {
		t.Errorf("%v: %+v", f, hop)
	}
	bad := []struct {
		data []byte
		want Fault
	}{
		{inner, FaultUnknownType},
		{data[:RelayLen-1], FaultShort},
		{data[:RelayLen], FaultNoRelayMessage},
		{append([]byte{13}, relay(0, message(Solicit, cid))[1:]...), FaultUnknownType},
		{append([]byte{13}, relay(0, []byte{7})[1:]...), FaultShort},
	}
	for _, tt := range bad {
		if f := CheckRelayReply(tt.data, &hop); f != tt.want {
			t.Errorf("%x: %v, want %v", tt.data, f, tt.want)
		}
	}
}

func TestRelayForward(t *testing.T) {
	t.Parallel()
	var w Writer
	w.Reset(make([]byte, 1500))
	link, peer := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::2")
	w.BeginRelayForward(3, link, peer)
	w.Option(OptionInterfaceID, []byte("port-7"))
	w.ClientLinkLayer(wire.MAC{2, 0, 0, 0, 0, 1})
	w.Option(OptionRelayMessage, message(Solicit, cid))
	b, _ := w.Finish()
	r := mustRead(t, b, &Context{})
	h := r.Relays()[0]
	if h.Relay.HopCount() != 3 || h.Relay.LinkAddress() != link || h.Relay.PeerAddress() != peer ||
		string(h.InterfaceID.Body()) != "port-7" || h.LinkLayer != (wire.MAC{2, 0, 0, 0, 0, 1}) || r.Type() != Solicit {
		t.Errorf("%+v", h)
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	h := wire.Headers{SourceMAC: wire.MAC{2, 0, 0, 0, 0, 1}, DestinationMAC: wire.MAC{2, 0, 0, 0, 0, 2},
		Source: netip.MustParseAddr("fe80::1"), Destination: netip.MustParseAddr("fe80::2"), HopLimit: 64}
	for odd := range 2 {
		b := make([]byte, 512)
		var w Writer
		w.Reset(b[FrameHeaderLen:])
		w.Begin(Reply, 0xabcdef)
		w.Option(OptionClientID, make([]byte, 14+odd))
		m, _ := w.Finish()
		n := PutFrame(b, &h, ServerPort, ClientPort, len(m))
		var p wire.Packet
		if f := wire.Cut(b[:n], &p); f != wire.FaultNone {
			t.Fatal(f)
		}
		u, offloaded, f := wire.CheckUDP(&p)
		if f != wire.FaultNone || offloaded || !bytes.Equal(u.Data(), m) {
			t.Errorf("%v: %x", f, u)
		}
		packet := gopacket.NewPacket(b[:n], layers.LayerTypeEthernet, gopacket.Default)
		d, ok := packet.Layer(layers.LayerTypeDHCPv6).(*layers.DHCPv6)
		ip := packet.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if !ok || d.MsgType != layers.DHCPv6MsgTypeReply || ip.HopLimit != 64 || u.SourcePort() != 547 || u.DestinationPort() != 546 {
			t.Errorf("gopacket reads %v", packet)
		}
	}
}

// The digest is python3's hmac of the message with zeroes in its place.
func TestReconfigure(t *testing.T) {
	t.Parallel()
	var key [KeyLen]byte
	for i := range key {
		key[i] = byte(i)
	}
	var w Writer
	w.Reset(make([]byte, 256))
	w.Begin(Reconfigure, 0)
	w.Option(OptionServerID, octets(serverDUID))
	w.Option(OptionClientID, octets(clientDUID))
	w.Uint8(OptionReconfMessage, uint8(Renew))
	w.ReconfigureDigest(7)
	const unsigned = "0a000000" + sid + cid + "0013000105 000b001c 03010000000000000000 0702"
	same(t, "unsigned", &w, unsigned+"00000000000000000000000000000000")
	m := w.Message()
	if VerifyReconfigure(m, key) {
		t.Error("no digest passes")
	}
	if !SignReconfigure(m, key) || !VerifyReconfigure(m, key) {
		t.Error("own digest does not pass")
	}
	same(t, "signed", &w, unsigned+reconfigureDigest)
	for i := range m {
		m[i] ^= 1
		if VerifyReconfigure(m, key) {
			t.Errorf("octet %d changed and the digest passes", i)
		}
		m[i] ^= 1
	}
	key[0]++
	if VerifyReconfigure(m, key) {
		t.Error("digest passes with another key")
	}

	w.Reset(make([]byte, 256))
	w.Begin(Reply, 1)
	w.ReconfigureKey(8, key)
	b, _ := w.Finish()
	a := Auth(Options(b[4:]).Find(OptionAuth).Body())
	if got, ok := a.Key(); !ok || got != key || a.Replay() != 8 {
		t.Errorf("key %x, replay %d", got, a.Replay())
	}
	if SignReconfigure(b, key) || VerifyReconfigure(b[:3], key) || VerifyReconfigure(message(Reply), key) || VerifyReconfigure(message(Reply, "00"), key) {
		t.Error("a message without digest passes")
	}
}

func TestDUIDs(t *testing.T) {
	t.Parallel()
	mac := wire.MAC{0, 0x11, 0x22, 0x33, 0x44, 0x55}
	uuid := [16]byte(octets("000102030405060708090a0b0c0d0e0f"))
	tests := []struct {
		name string
		duid DUID
		want string
	}{
		// tshark reads its time as Nov 26, 2012 15:34:36 UTC.
		{"LLT", AppendDUIDLLT(nil, mac, time.Date(2012, 11, 26, 15, 34, 36, 0, time.UTC)), serverDUID},
		{"LL", AppendDUIDLL(nil, wire.MAC{0, 1, 2, 3, 4, 5}), clientDUID},
		// The example of RFC 9915 section 11.3.
		{"EN", AppendDUIDEN(nil, 32473, octets("0cc084d303000912")), "000200007ed90cc084d303000912"},
		{"UUID", AppendDUIDUUID(nil, uuid), "0004000102030405060708090a0b0c0d0e0f"},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(tt.duid); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := DUID(octets("0003ff")).String(); got != "00:03:ff" || DUID(nil).String() != "" {
		t.Errorf("text %q", got)
	}
}
