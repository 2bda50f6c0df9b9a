package loadgen

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	dhcp "github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/mdlayher/ndp"

	"damselfly/bench/mmsg"
	"damselfly/fixtures"
	"damselfly/internal/wire"
)

var (
	mac1    = wire.MAC{2, 0, 0, 0, 0, 0x11}
	mac2    = wire.MAC{2, 0, 0, 0, 0, 0x12}
	mac3    = wire.MAC{2, 0, 0, 0, 0, 0x13}
	router  = wire.MAC{2, 0, 0, 0, 0, 1}
	address = netip.MustParseAddr("fd00:b1::11")
	target  = netip.MustParseAddr("fd00:b1::12")
	lla     = netip.MustParseAddr("fe80::1")
	gateway = netip.MustParseAddr("fd00:b1::1")
	prefix  = netip.MustParsePrefix("fd00:b1::/64")
	leases  = netip.MustParsePrefix("fd00:d1::/64")
	server  = netip.MustParseAddr("fd00:b1::547")
)

// desk is a Load without sockets: one guest, one slot.
func desk(t *testing.T, kind Kind) *Load {
	t.Helper()
	l := &Load{site: Site{
		Guests:    []Guest{{MAC: mac1, Addresses: []netip.Addr{address}}},
		Neighbors: []Neighbor{{target, mac2}},
		Router:    Router{MAC: router, LinkLocal: lla, Gateway: gateway, Lifetime: 30 * time.Minute, Prefix: prefix},
		Leases:    leases,
	}, leased: map[[16]byte]bool{}}
	list, keys, err := l.exchanges(kind, 0, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &station{socket: &mmsg.Socket{Out: mmsg.NewBurst(4)}, places: map[key]*slot{}}
	s.slots = []*slot{{exchange: list[0], station: s, out: true}}
	s.places[keys[0]] = s.slots[0]
	l.mix, l.stations, l.out = []Share{{kind, 1}}, []*station{s}, 1
	l.idle = []queue{{slots: make([]*slot, 1)}}
	l.result = &Result{Kinds: []Tally{{Kind: kind}}}
	list[0].begin()
	return l
}

// na is the right answer to the solicitation, after a change.
func na(change func(*fixtures.Message, *ndp.NeighborAdvertisement)) []byte {
	n := &ndp.NeighborAdvertisement{Solicited: true, Override: true, TargetAddress: target,
		Options: []ndp.Option{fixtures.LinkLayer(ndp.Target, mac2)}}
	m := fixtures.Message{}
	if change != nil {
		change(&m, n)
	}
	f := fixtures.ND(mac2, mac1, target, wire.LinkLocal(mac1), n)
	f.BadChecksum, f.Cut = m.BadChecksum, m.Cut
	if m.HopLimit != 0 {
		f.HopLimit = m.HopLimit
	}
	return f.Bytes()
}

func ra(lifetime time.Duration, p netip.Prefix) []byte {
	source := wire.LinkLocal(mac1).As16()
	source[8] = 1
	return fixtures.ND(router, mac1, lla, netip.AddrFrom16(source), &ndp.RouterAdvertisement{RouterLifetime: lifetime, Options: []ndp.Option{
		&ndp.PrefixInformation{PrefixLength: uint8(p.Bits()), Prefix: p.Addr(), OnLink: true, ValidLifetime: time.Hour, PreferredLifetime: time.Hour}}}).Bytes()
}

// pong is the right answer to the echo, but for what data adds to its first octet.
func pong(from wire.MAC, add byte) []byte {
	body := make([]byte, 60)
	for n := range body {
		body[n] = byte(n * 7)
	}
	body[2], body[3], body[4] = 0, 0, body[4]+add
	return fixtures.Message{From: from, To: mac1, Source: gateway, Destination: address, HopLimit: 64, Type: 129, Body: body}.Bytes()
}

// told is what a server says to a client, with options other than its identifier.
func told(t dhcp.MessageType, transaction byte, duid [6]byte, list ...dhcp.Option) []byte {
	m := &dhcp.Message{MessageType: t, TransactionID: dhcp.TransactionID{0, 0, transaction}}
	dhcp.WithClientID(&dhcp.DUIDLL{HWType: 1, LinkLayerAddr: duid[:]})(m)
	for _, o := range list {
		m.AddOption(o)
	}
	eth := &layers.Ethernet{SrcMAC: router[:], DstMAC: mac1[:], EthernetType: layers.EthernetTypeIPv6}
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: server.AsSlice(), DstIP: wire.LinkLocal(mac1).AsSlice()}
	udp := &layers.UDP{SrcPort: 547, DstPort: 546}
	_ = udp.SetNetworkLayerForChecksum(ip)
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(m.ToBytes())); err != nil {
		panic(err)
	}
	return bytes.Clone(b.Bytes())
}

var serverID = dhcp.OptServerID(&dhcp.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr(router[:])})

// ia is an IA_NA with one address, after a change.
func ia(a string, change func(*dhcp.OptIANA, *dhcp.OptIAAddress)) dhcp.Option {
	addr := &dhcp.OptIAAddress{IPv6Addr: net.ParseIP(a), PreferredLifetime: 3000 * time.Second, ValidLifetime: 4000 * time.Second}
	o := &dhcp.OptIANA{IaId: [4]byte{3: 1}, T1: 1500 * time.Second, T2: 2400 * time.Second}
	if change != nil {
		change(o, addr)
	}
	o.Options.Add(addr)
	return o
}

// TestAnswers holds answers against what is right, each after those before it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	first := [6]byte{2, 0, 0, 0, 0, 1} // the first new client
	stateful := func(k Kind, t dhcp.MessageType, n byte, list ...dhcp.Option) []byte {
		duid := [6]byte(mac1)
		if k == Request {
			duid = first
		}
		return told(t, n, duid, append([]dhcp.Option{serverID}, list...)...)
	}
	offer := stateful(Request, dhcp.MessageTypeAdvertise, 1, ia("fd00:d1::1", nil))
	type message = fixtures.Message
	type advert = ndp.NeighborAdvertisement
	tests := []struct {
		name   string
		kind   Kind
		frames [][]byte
		fault  string // empty: one answer that is right
	}{
		{"ns", NS, [][]byte{na(nil)}, ""},
		{"ns: somebody else's question", NS, [][]byte{na(func(_ *message, n *advert) { n.TargetAddress = address })}, "none"},
		{"ns: not solicited", NS, [][]byte{na(func(_ *message, n *advert) { n.Solicited = false })}, "flags"},
		{"ns: a router", NS, [][]byte{na(func(_ *message, n *advert) { n.Router = true })}, "flags"},
		{"ns: another's link-layer address", NS, [][]byte{na(func(_ *message, n *advert) { n.Options[0] = fixtures.LinkLayer(ndp.Target, mac3) })}, "option"},
		{"ns: the source's link-layer address", NS, [][]byte{na(func(_ *message, n *advert) { n.Options[0] = fixtures.LinkLayer(ndp.Source, mac2) })}, "option"},
		{"ns: checksum", NS, [][]byte{na(func(m *message, _ *advert) { m.BadChecksum = true })}, "checksum"},
		{"ns: hop limit", NS, [][]byte{na(func(m *message, _ *advert) { m.HopLimit = 254 })}, "hop limit"},
		{"ns: cut short", NS, [][]byte{na(func(m *message, _ *advert) { m.Cut = 8 })}, "payload length"},
		{"rs", RS, [][]byte{ra(30*time.Minute, prefix)}, ""},
		{"rs: lifetime", RS, [][]byte{ra(time.Minute, prefix)}, "lifetime"},
		{"rs: prefix", RS, [][]byte{ra(30*time.Minute, leases)}, "prefix"},
		{"echo", Echo, [][]byte{pong(router, 0)}, ""},
		{"echo: data", Echo, [][]byte{pong(router, 1)}, "data"},
		{"echo: not the router", Echo, [][]byte{pong(mac2, 0)}, "Ethernet"},
		{"information", Information, [][]byte{stateful(Information, dhcp.MessageTypeReply, 1)}, ""},
		{"information: no server", Information, [][]byte{told(dhcp.MessageTypeReply, 1, mac1)}, "server identifier"},
		{"information: DNS", Information, [][]byte{stateful(Information, dhcp.MessageTypeReply, 1, dhcp.OptDNS(gateway.AsSlice()))}, "DNS"},
		{"request", Request, [][]byte{offer, stateful(Request, dhcp.MessageTypeReply, 2, ia("fd00:d1::1", nil))}, ""},
		{"request: another transaction", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 7, ia("fd00:d1::1", nil))}, "none"},
		{"request: another client", Request, [][]byte{told(dhcp.MessageTypeAdvertise, 1, mac2, serverID, ia("fd00:d1::1", nil))}, "client identifier"},
		{"request: a Reply at once", Request, [][]byte{stateful(Request, dhcp.MessageTypeReply, 1, ia("fd00:d1::1", nil))}, "message"},
		{"request: no IA", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1)}, "IA_NA"},
		{"request: another IA", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1,
			ia("fd00:d1::1", func(o *dhcp.OptIANA, _ *dhcp.OptIAAddress) { o.IaId[0] = 1 }))}, "IA_NA"},
		{"request: no address", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1, &dhcp.OptIANA{IaId: [4]byte{3: 1}})}, "0 addresses"},
		{"request: T1 after T2", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1,
			ia("fd00:d1::1", func(o *dhcp.OptIANA, _ *dhcp.OptIAAddress) { o.T1 = time.Hour }))}, "T1"},
		{"request: lifetimes", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1,
			ia("fd00:d1::1", func(_ *dhcp.OptIANA, a *dhcp.OptIAAddress) { a.PreferredLifetime = 5000 * time.Second }))}, "lifetimes"},
		{"request: from elsewhere", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1, ia("fd00:b1::1", nil))}, "is not of"},
		{"request: refused", Request, [][]byte{stateful(Request, dhcp.MessageTypeAdvertise, 1, &dhcp.OptStatusCode{StatusCode: 2})}, "status"},
		{"request: other than offered", Request, [][]byte{offer, stateful(Request, dhcp.MessageTypeReply, 2, ia("fd00:d1::2", nil))}, "address"},
		{"solicit", Solicit, [][]byte{stateful(Solicit, dhcp.MessageTypeAdvertise, 1, ia("fd00:d1::1", nil)),
			stateful(Solicit, dhcp.MessageTypeReply, 2, ia("fd00:d1::1", nil))}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := desk(t, tt.kind)
			var err error
			for _, f := range tt.frames {
				if err == nil {
					err = l.take(l.stations[0], f, 0)
				}
			}
			answered := l.result.Kinds[0].Answered
			switch {
			case tt.fault == "none" && (err != nil || answered > 0):
				t.Errorf("got %d answers, %v, want none and no error", answered, err)
			case tt.fault == "" && (err != nil || answered != 1):
				t.Errorf("got %d answers, %v, want 1", answered, err)
			case tt.fault != "" && tt.fault != "none" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("got %v, want an error about %q", err, tt.fault)
			}
		})
	}
}

// TestCorrupted inverts each octet of right answers, and cuts them short: none is
// an answer then. What a checksum covers is caught by it.
func TestCorrupted(t *testing.T) {
	t.Parallel()
	allowed := map[Kind][]int{
		// Which unicast MAC servers send from is theirs, and so are their traffic class
		// and flow label; the hop limit matters only to Neighbor Discovery.
		Echo:        {21},
		Information: {7, 8, 9, 10, 11, 15, 16, 17, 21},
	}
	for kind, frame := range map[Kind][]byte{
		NS: na(nil), RS: ra(30*time.Minute, prefix), Echo: pong(router, 0),
		Information: told(dhcp.MessageTypeReply, 1, mac1, serverID),
	} {
		try := func(f []byte) bool {
			l := desk(t, kind)
			return l.take(l.stations[0], f, 0) == nil && l.result.Kinds[0].Answered > 0
		}
		if !try(frame) {
			t.Fatalf("%s: the right answer is none", kind)
		}
		var passed []int
		for i := range frame {
			f := bytes.Clone(frame)
			f[i] = ^f[i]
			if try(f) {
				passed = append(passed, i)
			}
		}
		for _, i := range passed {
			if !slices.Contains(allowed[kind], i) {
				t.Errorf("%s: with octet %d inverted it is still an answer", kind, i)
			}
		}
		for n := range frame {
			if try(frame[:n]) {
				t.Errorf("%s: the first %d of %d octets are an answer", kind, n, len(frame))
			}
		}
	}
}

// TestAnyClass: where a site says so, traffic class and flow label may be any.
func TestAnyClass(t *testing.T) {
	t.Parallel()
	f := na(nil)
	f[14], f[15], f[16] = 0x6c, 0x01, 0x23
	for _, any := range []bool{false, true} {
		l := desk(t, NS)
		l.site.AnyClass = any
		if err := l.take(l.stations[0], f, 0); (err == nil) != any {
			t.Errorf("AnyClass %v: got %v", any, err)
		}
	}
}

// TestOneAddressTwice: no two clients get the same.
func TestOneAddressTwice(t *testing.T) {
	t.Parallel()
	l := desk(t, Request)
	for n := byte(0); n < 2; n++ {
		duid := [6]byte{2, 0, 0, 0, 0, n + 1}
		s := l.stations[0].slots[0]
		if n > 0 {
			s.out = true
			l.idle[0].pop()
			s.begin()
		}
		offer := told(dhcp.MessageTypeAdvertise, 2*n+1, duid, serverID, ia("fd00:d1::1", nil))
		if err := l.take(l.stations[0], offer, 0); err != nil {
			t.Fatal(err)
		}
		err := l.take(l.stations[0], told(dhcp.MessageTypeReply, 2*n+2, duid, serverID, ia("fd00:d1::1", nil)), 0)
		if n == 1 && (err == nil || !strings.Contains(err.Error(), "another client's")) {
			t.Errorf("the second client with one address: %v", err)
		} else if n == 0 && err != nil {
			t.Fatal(err)
		}
	}
}

// TestClientMessages has others' code read what clients send.
func TestClientMessages(t *testing.T) {
	t.Parallel()
	l := desk(t, Request)
	c := l.stations[0].slots[0].exchange.(*client)
	c.server, c.leased = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}, netip.MustParseAddr("fd00:d1::1").As16()
	for _, typ := range []dhcp.MessageType{dhcp.MessageTypeSolicit, dhcp.MessageTypeRequest, dhcp.MessageTypeInformationRequest} {
		frame := c.ask(typ)
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		if err := p.Layer(layers.LayerTypeUDP).(*layers.UDP).SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		if err, mismatches := p.VerifyChecksums(); err != nil || len(mismatches) > 0 || p.ErrorLayer() != nil {
			t.Fatalf("%v: %v, %v, %v", typ, err, mismatches, p.ErrorLayer())
		}
		m, err := dhcp.MessageFromBytes(p.Layer(layers.LayerTypeUDP).LayerPayload())
		if err != nil {
			t.Fatal(err)
		}
		id, ok := m.Options.ClientID().(*dhcp.DUIDLL)
		if !ok || m.MessageType != typ || !bytes.Equal(id.LinkLayerAddr, c.duid[:]) || binary.BigEndian.Uint32(append([]byte{0}, m.TransactionID[:]...)) != c.n {
			t.Errorf("%v: got %v", typ, m.Summary())
		}
		if typ == dhcp.MessageTypeRequest && (m.Options.OneIANA().Options.OneAddress().IPv6Addr.String() != "fd00:d1::1" || m.Options.ServerID() == nil) {
			t.Errorf("%v: got %v", typ, m.Summary())
		}
	}
}
