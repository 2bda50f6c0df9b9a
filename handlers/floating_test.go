package handlers_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// floatingWorld is a router with guests vm2 on blue and vm3 on red, an uplink with
// key 9, and addresses that float on its network, as in the tests of package flows.
func floatingWorld(t testing.TB) *topology.Snapshot {
	t.Helper()
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	spec := &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}, {Prefix: prefix("fd00:48:0:1::/64"), Mode: topology.DHCPv6Stateful}}},
			{Name: "red", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:ed::/64")}, {Prefix: prefix("fd00:56:0:1::/64")}}},
			{Name: "ext", Uplink: &topology.UplinkSpec{Interface: "eth1"},
				Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64"), Gateway: addr("2001:db8:1::2")}}},
		},
		Routers: []topology.RouterSpec{{
			Name: "r1",
			Networks: []topology.PresenceSpec{
				{Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0xa, 2}}, {Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0xa, 3}},
				{Network: "ext", LinkLocal: addr("fe80::a"), MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}},
			},
			Routes: []topology.StaticRouteSpec{{Destination: prefix("::/0"), NextHops: []netip.Addr{addr("2001:db8:1::ff")}}},
		}},
		Ports: []topology.PortSpec{
			{Name: "vm2", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x12}, Addresses: []netip.Addr{addr("fd00:48:0:1::12")}},
			{Name: "vm3", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x13}},
		},
		Floating: []topology.FloatingSpec{
			{Form: topology.NATForm, Address: addr("2001:db8:1::20"), Network: "ext", Port: "vm2", Fixed: prefix("fd00:b1::ff:fe00:12/128")},
			{Form: topology.NATForm, Address: addr("2001:db8:1::30"), Network: "ext", Port: "vm3", Fixed: prefix("fd00:ed::ff:fe00:13/128")},
			{Form: topology.RoutedForm, Address: addr("2001:db8:1::40"), Network: "ext", Port: "vm3"},
			{Form: topology.NPTv6Form, Prefix: prefix("2001:db8:48::/48"), Network: "ext", Fixed: prefix("fd00:48::/48")},
			{Form: topology.NPTv6Form, Prefix: prefix("2001:db8:56::/56"), Network: "ext", Fixed: prefix("fd00:56::/56")},
		},
	}
	s, problems := new(topology.Builder).Build(topology.Input{
		Spec: spec, Bindings: []topology.Binding{{Interface: "vm2", OFPort: 2}, {Interface: "vm3", OFPort: 3}, {Interface: "eth1", OFPort: 9}},
		Keys:      topology.Keys{Networks: map[string]uint16{"blue": 1, "red": 2, "ext": 3}, Ports: map[string]uint16{"vm2": 2, "vm3": 3, topology.UplinkName("ext"): 9}},
		Neighbors: map[string][]topology.Neighbor{"ext": {{Addr: addr("2001:db8:1::ff"), Port: 9, MAC: wire.MAC{2, 0, 0, 0, 0xb, 1}}}},
	})
	if s == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// untranslated hands a frame in that no flow could translate, or that flows have
// translated, as its note says.
func untranslated(t *testing.T, s *topology.Snapshot, frame []byte, note uint32) (pipeline.Reason, []pipeline.Reply) {
	t.Helper()
	var p wire.Packet
	if f := wire.Cut(frame, &p); f != wire.FaultNone {
		t.Fatal(f)
	}
	port := map[wire.MAC]uint16{{2, 0, 0, 0, 0, 0x12}: 2, {2, 0, 0, 0, 0, 0x13}: 3, {2, 0, 0, 0, 0xb, 1}: 9}[p.Ethernet.Source()]
	network := map[uint16]uint16{2: 1, 3: 2, 9: 3}[port]
	f := pipeline.Frame{Data: frame, InPort: uint32(port), Port: port, Network: network, Class: uint8(punt.Error), Note: note}
	r := pipeline.NewReplies(4096)
	return handlers.Dispatch(s, now, &f, r), r.List()
}

func octets(t testing.TB, digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFloatingErrors: what an error quotes is translated with it, and all
// checksums are right, in the error and in the quote. The frames are scapy 2.5.0's,
// those that come and those that are wanted.
func TestFloatingErrors(t *testing.T) {
	t.Parallel()
	s := floatingWorld(t)
	for _, tt := range floatingVectors {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			why, replies := untranslated(t, s, octets(t, tt.in), uint32(punt.Untranslated))
			if why != reason.Translated || len(replies) != 1 {
				t.Fatalf("%s, %d replies", handlers.ReasonName(why), len(replies))
			}
			if got := hex.EncodeToString(replies[0].Data); got != tt.out {
				t.Errorf("got  %s\nwant %s", got, tt.out)
			}
		})
	}
}

// TestFloatingRestored: a packet that flows have translated before it was found
// that it cannot go on is told of as its sender sent it.
func TestFloatingRestored(t *testing.T) {
	t.Parallel()
	s := floatingWorld(t)
	f := pipeline.Frame{Data: octets(t, rejectedIn), InPort: 9, Port: 9, Network: 1, Class: uint8(punt.Error), Note: punt.Note(0, 3|punt.FloatingIn)}
	r := pipeline.NewReplies(4096)
	if why := handlers.Dispatch(s, now, &f, r); why != reason.Rejected || len(r.List()) != 1 || hex.EncodeToString(r.List()[0].Data) != rejectedOut {
		t.Errorf("rejected at the guest: %s, %+v", handlers.ReasonName(why), r.List())
	}
	// A neighbour that is not there, of a prefix.
	up, ext := wire.MAC{2, 0, 0, 0, 0xb, 1}, wire.MAC{2, 0, 0, 0, 0xa, 1}
	in := udpFrame(t, up, ext, netip.MustParseAddr("2001:db8:99::9"), netip.MustParseAddr("fd00:48:0:1::99"), nil)
	why, replies := untranslated(t, s, in, punt.Note(uint32(punt.Unreachable), 3|punt.FloatingIn))
	if why != reason.AddressUnreachable || len(replies) != 1 {
		t.Fatalf("%s, %d replies", handlers.ReasonName(why), len(replies))
	}
	var q wire.Packet
	if !wire.CutQuote(replies[0].Data[62:], &q) || q.IPv6.Destination() != netip.MustParseAddr("2001:db8:48:cf48::99") || !wire.VerifyChecksum(q.IPv6, q.Protocol, q.Payload) {
		t.Errorf("quotes %x", replies[0].Data[62:])
	}
}

// TestFloatingRefused: what has no mapping, no valid checksum or no business
// there is not translated.
func TestFloatingRefused(t *testing.T) {
	t.Parallel()
	s := floatingWorld(t)
	up, ext, blue, vm2 := wire.MAC{2, 0, 0, 0, 0xb, 1}, wire.MAC{2, 0, 0, 0, 0xa, 1}, wire.MAC{2, 0, 0, 0, 0xa, 2}, wire.MAC{2, 0, 0, 0, 0, 0x12}
	addr := netip.MustParseAddr
	damaged := octets(t, floatingVectors[0].in)
	damaged[len(damaged)-1] ^= 1
	for _, tt := range []struct {
		name      string
		in        []byte
		why       pipeline.Reason
		typ, code uint8
		word      byte // the last octet of the field behind the checksum
	}{
		{"a wrong checksum", damaged, reason.OfFault(wire.FaultChecksum), 0, 0, 0},
		{"a guest's own address from outside", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("fd00:b1::ff:fe00:12"), nil), reason.RouteProhibits, 1, 1, 0},
		{"an inner prefix from outside", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("fd00:48:0:1::12"), nil), reason.RouteProhibits, 1, 1, 0},
		{"the router's own by its translation", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("2001:db8:48:cf48::1"), nil), reason.RouteProhibits, 1, 1, 0},
		{"a subnet that is nowhere", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("2001:db8:48:7::1"), nil), reason.NoRoute, 1, 0, 0},
		{"an external subnet of ones", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("2001:db8:48:ffff::1"), nil), reason.NoRoute, 1, 0, 0},
		{"an identifier of zeroes", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("2001:db8:56:1::"), nil), reason.NoMapping, 4, 0, 24},
		{"an identifier of ones", udpFrame(t, up, ext, addr("2001:db8:99::9"), addr("2001:db8:56:1:ffff:ffff:ffff:ffff"), nil), reason.NoRoute, 1, 0, 0},
		{"from a guest with a prefix's address to one with an address", udpFrame(t, vm2, blue, addr("fd00:48:0:1::12"), addr("2001:db8:1::30"), nil), reason.NotOurs, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			note := uint32(punt.Untranslated)
			if tt.why == reason.NotOurs {
				note = uint32(punt.Prohibited)
			}
			was := bytes.Clone(tt.in)
			why, replies := untranslated(t, s, tt.in, note)
			if why != tt.why || (len(replies) > 0) != (tt.typ != 0) {
				t.Fatalf("%s, %d replies; want %s", handlers.ReasonName(why), len(replies), handlers.ReasonName(tt.why))
			}
			if tt.typ == 0 {
				return
			}
			var p wire.Packet
			if f := wire.Cut(replies[0].Data, &p); f != wire.FaultNone {
				t.Fatal(f)
			}
			m := p.ICMPv6()
			if m.Type() != tt.typ || m.Code() != tt.code || m[7] != tt.word || !bytes.Equal(m[8:], was[14:]) || p.IPv6.Source() != addr("2001:db8:1::2") {
				t.Errorf("% x from %s", []byte(m), p.IPv6.Source())
			}
		})
	}
}
