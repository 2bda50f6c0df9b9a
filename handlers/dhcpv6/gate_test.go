package dhcpv6_test

import (
	"net/netip"
	"strings"
	"testing"

	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// TestRefused sends messages that nobody may be answered for.
func TestRefused(t *testing.T) {
	t.Parallel()
	router := topology.RouterMAC("blue")
	good := of("vm1", message(solicit, "a", na(1)).ToBytes())
	with := func(change func(*datagram)) datagram {
		d := good
		change(&d)
		return d
	}
	says := func(m client.DHCPv6) datagram { return of("vm1", m.ToBytes()) }
	raw := func(data ...byte) datagram { return of("vm1", data) }
	ids := func(n int) (mods []client.Modifier) {
		for i := range n {
			mods = append(mods, add(&client.OptIANA{IaId: [4]byte{2: byte(i >> 8), 3: byte(i)}}))
		}
		return mods
	}
	relayed := message(solicit, "a", na(1)).ToBytes()
	tests := []struct {
		name string
		port string
		d    datagram
		want string
	}{
		{"advertise", "vm1", says(message(client.MessageTypeAdvertise, "a", toUs)), "dhcpv6-server-message"},
		{"reply", "vm1", says(message(client.MessageTypeReply, "a", toUs)), "dhcpv6-server-message"},
		{"reconfigure", "vm1", says(message(client.MessageTypeReconfigure, "a", toUs)), "dhcpv6-server-message"},
		{"relay-reply", "vm1", raw(append([]byte{13, 0}, make([]byte, 32)...)...), "dhcpv6-server-message"},
		{"registration reply", "vm1", raw(37, 0, 0, 0), "dhcpv6-server-message"},
		{"reply to a client", "vm1", with(func(d *datagram) {
			d.sport, d.dport, d.to, d.dst = 547, 546, macOf("vm2"), wire.LinkLocal(macOf("vm2"))
			d.data = message(client.MessageTypeReply, "a", toUs).ToBytes()
		}), "dhcpv6-server-message"},
		{"reply to a client from no server's port", "vm1", with(func(d *datagram) { d.sport, d.dport = 9999, 546 }), "dhcpv6-server-message"},
		{"reply from the relay's port", "relay", of("relay", message(client.MessageTypeReply, "a", toUs).ToBytes()), "dhcpv6-server-message"},

		{"relay-forward from a guest", "vm1", with(func(d *datagram) { d.data, d.sport = relayForward("fd00:b1::1", relayed), 547 }), "dhcpv6-relay-not-allowed"},
		{"relay-forward for another link", "relay", of("relay", relayForward("fd00:b2::1", relayed)), "dhcpv6-unknown-link"},
		{"relay-forward over the hop limit", "relay", of("relay", append([]byte{12, 9}, relayForward("::", relayed)[2:]...)), "dhcpv6-relay-hops"},

		{"client's port", "vm1", with(func(d *datagram) { d.sport = 1024 }), "dhcpv6-source-port"},
		{"global source", "vm1", with(func(d *datagram) { d.src = netip.MustParseAddr("fd00:b1::5") }), "dhcpv6-source-address"},
		{"no source", "vm1", with(func(d *datagram) { d.src = netip.IPv6Unspecified() }), "dhcpv6-source-address"},
		{"another's MAC", "vm1", with(func(d *datagram) { d.from = macOf("vm2") }), "forged-mac"},
		{"another's address", "vm1", with(func(d *datagram) { d.src = wire.LinkLocal(macOf("vm2")) }), "forged-source"},
		{"the router's address", "vm1", with(func(d *datagram) { d.src = serverLL }), "forged-source"},
		{"to the router alone", "vm1", with(func(d *datagram) { d.to, d.dst = router, serverLL }), "dhcpv6-not-multicast"},
		{"to the router's address and another's MAC", "vm1", with(func(d *datagram) { d.to, d.dst = macOf("vm2"), serverLL }), "misdirected"},
		{"to the group and a guest's MAC", "vm1", with(func(d *datagram) { d.to = macOf("vm2") }), "misdirected"},
		{"to another guest", "vm1", with(func(d *datagram) { d.to, d.dst = macOf("vm2"), wire.LinkLocal(macOf("vm2")) }), "not-ours"},
		{"to all servers of the site", "vm1", with(func(d *datagram) { d.dst = netip.MustParseAddr("ff05::1:3") }), "not-ours"},
		{"to another port", "vm1", with(func(d *datagram) { d.dport = 548 }), "not-ours"},

		{"nothing", "vm1", raw(), "dhcpv6-short"},
		{"three octets", "vm1", raw(1, 0, 0), "dhcpv6-short"},
		{"unknown type", "vm1", raw(99, 0, 0, 0), "dhcpv6-unknown-message-type"},
		{"no client id", "vm1", raw(1, 0, 0, 0), "dhcpv6-no-client-id"},
		{"option past the end", "vm1", raw(1, 0, 0, 0, 0, 1, 0, 9, 1), "dhcpv6-option-length"},
		{"half an option header", "vm1", raw(1, 0, 0, 0, 0, 1, 0), "dhcpv6-option-header-truncated"},
		{"request to nobody", "vm1", says(message(request, "a", na(1))), "dhcpv6-no-server-id"},
		{"request to another server", "vm1", says(message(request, "a", na(1), client.WithServerID(duidOf("other")))), "dhcpv6-wrong-server-id"},
		{"information-request to another server", "vm1", says(message(inform, "a", client.WithServerID(duidOf("other")))), "dhcpv6-wrong-server-id"},
		{"information-request with an IA", "vm1", says(message(inform, "a", na(1))), "dhcpv6-ia-in-information-request"},
		{"solicit to us", "vm1", says(message(solicit, "a", toUs)), "dhcpv6-unexpected-server-id"},
		{"rebind to us", "vm1", says(message(rebind, "a", toUs)), "dhcpv6-unexpected-server-id"},
		{"prefix of 129 bits", "vm1", says(message(solicit, "a", option(25, append(append(make([]byte, 12), 0, 26, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 129), make([]byte, 16)...)...))), "dhcpv6-prefix-over-128-bits"},
		{"2,000 IAs cut to what fits", "vm1", says(message(solicit, "a", ids(80)...)), "dhcpv6-too-many-ias"},
		{"one IAID twice", "vm1", says(message(solicit, "a", na(1), na(1))), "dhcpv6-duplicate-iaid"},
		{"classes that lie", "vm1", says(message(solicit, "a", option(15, 0, 9, 'x'))), "dhcpv6-bad-user-class"},
		{"a compressed name", "vm1", says(message(solicit, "a", option(39, 0, 0xc0, 4))), "dhcpv6-bad-fqdn"},
	}
	w := newWorld(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			why, replies := w.serve(tt.port, tt.d.bytes())
			if reason.Name(why) != tt.want || len(replies) > 0 {
				t.Errorf("got %s with %d replies, want %s", reason.Name(why), len(replies), tt.want)
			}
			if w.book.View().Counts().Addresses > 0 {
				t.Error("a lease came of it")
			}
		})
	}
}

// TestChecksums sends a message with the sums that a network card was to finish,
// with none and with a wrong one.
func TestChecksums(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	frame := of("vm1", message(inform, "a").ToBytes()).bytes()
	var p wire.Packet
	if f := wire.Cut(frame, &p); f != wire.FaultNone {
		t.Fatal(f)
	}
	sum := frame[14+40+6:]
	set := func(v uint16) { sum[0], sum[1] = byte(v>>8), byte(v) }
	offloaded := uint16(0)
	for v := range 0x10000 {
		if wire.IsPseudoChecksum(p.IPv6, wire.ProtocolUDP, len(p.Payload), uint16(v)) {
			offloaded = uint16(v)
		}
	}
	for _, tt := range []struct {
		sum  uint16
		want string
	}{{offloaded, "answered"}, {0, "zero-checksum"}, {offloaded + 1, "checksum"}} {
		set(tt.sum)
		if why, _ := w.dispatch("vm1", frame); reason.Name(why) != tt.want {
			t.Errorf("checksum %#x: %s, want %s", tt.sum, reason.Name(why), tt.want)
		}
	}
	if n := w.fast.DHCPv6.Stats.Offloaded.Load(); n != 1 {
		t.Errorf("%d offloaded checksums counted, want 1", n)
	}
}

func TestNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *topology.Spec) {
		n := &s.Networks[0]
		n.Subnets[0].Mode, n.Subnets[0].Pools, n.Subnets[0].Reservations, n.Delegations, n.Options = topology.SLAAC, nil, nil, nil, nil
	})
	if got := w.ask("vm1", message(inform, "a")); got != "(dhcpv6-not-served)" {
		t.Error(got)
	}
}

func TestSlowLaneFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.full = true
	if got := w.ask("vm1", message(solicit, "a", na(1))); got != "(slow-lane-full)" {
		t.Error(got)
	}
	if got := w.ask("vm1", message(inform, "a")); !strings.HasPrefix(got, "reply") {
		t.Errorf("stateless while the slow lane is full: %s", got)
	}
}

// TestBehindABridge serves a guest behind a port with any MAC.
func TestBehindABridge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mac := wire.MAC{2, 9, 9, 9, 9, 9}
	d := of("bridge", message(solicit, "a", na(1)).ToBytes())
	d.from, d.src = mac, wire.LinkLocal(mac)
	why, replies := w.serve("bridge", d.bytes())
	if why != reason.Answered {
		t.Fatal(reason.Name(why))
	}
	if o := open(t, replies[0].Data); wire.MAC(o.eth.DstMAC) != mac || replies[0].Out != firstOF {
		t.Errorf("answer to %v out of %d", o.eth.DstMAC, replies[0].Out)
	}
}

// TestHeaders checks who speaks with whom.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, replies := w.serve("vm1", of("vm1", message(solicit, "a", na(1)).ToBytes()).bytes())
	o := open(t, replies[0].Data)
	router := topology.RouterMAC("blue")
	if wire.MAC(o.eth.SrcMAC) != router || wire.MAC(o.eth.DstMAC) != macOf("vm1") || o.ip.SrcIP.String() != serverLL.String() ||
		o.ip.DstIP.String() != wire.LinkLocal(macOf("vm1")).String() || o.udp.SrcPort != 547 || o.udp.DstPort != 546 {
		t.Errorf("%v %v %v", o.eth, o.ip, o.udp)
	}
	m := o.message(t).(*client.Message)
	if m.TransactionID != (client.TransactionID{1, 2, 3}) || !m.Options.ClientID().Equal(duidOf("a")) || string(m.Options.ServerID().ToBytes()) != string(serverID) {
		t.Errorf("%v", m)
	}
}

// relayForward wraps a message as a relay on a link does (RFC 9915 section 9).
func relayForward(link string, message []byte, mods ...client.Modifier) []byte {
	m, err := client.FromBytes(message)
	if err != nil {
		panic(err)
	}
	r, err := client.EncapsulateRelay(m, client.MessageTypeRelayForward, netip.MustParseAddr(link).AsSlice(), wire.LinkLocal(wire.MAC{2, 8, 8, 8, 8, 8}).AsSlice())
	if err != nil {
		panic(err)
	}
	for _, mod := range mods {
		mod(r)
	}
	return r.ToBytes()
}
