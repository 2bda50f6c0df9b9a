package handlers_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/icmpv6"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// built serializes layers with lengths and checksums.
func built(t *testing.T, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ethernetOf(from, to wire.MAC) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: from[:], DstMAC: to[:], EthernetType: layers.EthernetTypeIPv6}
}

func ip6Of(from, to netip.Addr, next layers.IPProtocol, hops uint8) *layers.IPv6 {
	return &layers.IPv6{Version: 6, NextHeader: next, HopLimit: hops, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
}

// segment is a TCP frame between two addresses.
func segment(t *testing.T, from, to wire.MAC, src, dst netip.Addr, hops uint8, tcp layers.TCP, data string) []byte {
	ip := ip6Of(src, dst, layers.IPProtocolTCP, hops)
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return built(t, ethernetOf(from, to), ip, &tcp, gopacket.Payload(data))
}

func udpFrame(t *testing.T, from, to wire.MAC, src, dst netip.Addr, data []byte) []byte {
	ip := ip6Of(src, dst, layers.IPProtocolUDP, 64)
	udp := &layers.UDP{SrcPort: 1000, DstPort: 24}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return built(t, ethernetOf(from, to), ip, udp, gopacket.Payload(data))
}

// prohibited is the error about a frame (RFC 4443 section 3.1), which quotes as
// much as fits 1,280 octets (section 2.4 (c)).
func prohibited(t *testing.T, about []byte, from, to wire.MAC, src, dst netip.Addr) []byte {
	ip := ip6Of(src, dst, layers.IPProtocolICMPv6, 64)
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 1)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	quoted := about[14:]
	return built(t, ethernetOf(from, to), ip, icmp, gopacket.Payload(append(make([]byte, 4), quoted[:min(len(quoted), 1232)]...)))
}

// rejectedBy punts a frame that a rule rejects.
func (w world) rejectedBy(p *fixtures.Party, data []byte) (pipeline.Reason, []pipeline.Reply) {
	f := w.frame(p, data)
	f.Class = uint8(punt.Error)
	r := pipeline.NewReplies(4096)
	why := handlers.Dispatch(w.Snapshot, now, &f, r)
	return why, r.List()
}

func TestReject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, n := &w.Asker, &w.Neighbor
	tcp := func(f layers.TCP, data string) []byte {
		f.SrcPort, f.DstPort, f.Window = 40000, 23, 1000
		return segment(t, a.MAC, n.MAC, a.Global, n.Global, 64, f, data)
	}
	reset := func(f layers.TCP) []byte {
		f.SrcPort, f.DstPort, f.RST = 23, 40000, true
		return segment(t, n.MAC, a.MAC, n.Global, a.Global, 64, f, "")
	}
	small, large := udpFrame(t, a.MAC, n.MAC, a.Global, n.Global, []byte("x")), udpFrame(t, a.MAC, n.MAC, a.Global, n.Global, bytes.Repeat([]byte("y"), 1400))
	echo := ping(a, n.MAC, a.Global, n.Global, 8)
	tests := []struct {
		name string
		in   []byte
		why  pipeline.Reason
		want []byte
	}{
		{"SYN", tcp(layers.TCP{SYN: true, Seq: 7}, ""), reason.Rejected, reset(layers.TCP{ACK: true, Ack: 8})},
		{"SYN with data", tcp(layers.TCP{SYN: true, Seq: 7}, "abc"), reason.Rejected, reset(layers.TCP{ACK: true, Ack: 11})},
		{"FIN", tcp(layers.TCP{FIN: true, Seq: 0xffffffff}, "abc"), reason.Rejected, reset(layers.TCP{ACK: true, Ack: 3})},
		{"ACK", tcp(layers.TCP{ACK: true, Seq: 7, Ack: 99}, "abc"), reason.Rejected, reset(layers.TCP{Seq: 99})},
		{"RST", tcp(layers.TCP{RST: true, Seq: 7}, ""), reason.NoErrorDue, nil},
		{"UDP", small, reason.Rejected, prohibited(t, small, n.MAC, a.MAC, n.Global, a.Global)},
		{"UDP that cannot be quoted whole", large, reason.Rejected, prohibited(t, large, n.MAC, a.MAC, n.Global, a.Global)},
		{"echo", echo.Bytes(), reason.Rejected, prohibited(t, echo.Bytes(), n.MAC, a.MAC, n.Global, a.Global)},
		{"an error", echo.With(func(m *fixtures.Message) { m.Type = 1 }).Bytes(), reason.NoErrorDue, nil},
		{"an error of an unknown type", echo.With(func(m *fixtures.Message) { m.Type = 127 }).Bytes(), reason.NoErrorDue, nil},
		{"a Redirect", echo.With(func(m *fixtures.Message) { m.Type = 137 }).Bytes(), reason.NoErrorDue, nil},
		{"to a group", echo.With(func(m *fixtures.Message) { m.Destination, m.To = wire.AllNodes, wire.AllNodesMAC }).Bytes(), reason.NoErrorDue, nil},
		{"to a link-layer group", echo.With(func(m *fixtures.Message) { m.To = wire.MAC{255, 255, 255, 255, 255, 255} }).Bytes(), reason.NoErrorDue, nil},
		{"from ::", echo.With(func(m *fixtures.Message) { m.Source = netip.IPv6Unspecified() }).Bytes(), reason.NoErrorDue, nil},
		{"from an anycast address", echo.With(func(m *fixtures.Message) { m.Source = netip.MustParseAddr("fd00:b1::") }).Bytes(), reason.ForgedSource, nil},
		{"in another's name", echo.With(func(m *fixtures.Message) { m.Source = n.Global }).Bytes(), reason.ForgedSource, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			why, replies := w.rejectedBy(a, tt.in)
			var got []byte
			if len(replies) == 1 {
				got = replies[0].Data
				if f := w.frame(a, nil); replies[0].Out != f.InPort {
					t.Errorf("goes out of port %d, want %d", replies[0].Out, f.InPort)
				}
			}
			if why != tt.why || len(replies) > 1 {
				t.Errorf("%s with %d replies, want %s", reason.Name(why), len(replies), reason.Name(tt.why))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMayError holds what no port may send, or what other errors are about.
func TestMayError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	echo := ping(&w.Asker, w.Neighbor.MAC, w.Asker.Global, w.Neighbor.Global, 8)
	// A router may have addresses where no guest does.
	on := *w.blue()
	router := *on.Router
	router.Addresses = append(slices.Clone(router.Addresses), netip.MustParsePrefix("fd00:a9::1/48"))
	on.Router = &router
	group := echo.With(func(m *fixtures.Message) { m.Destination, m.To = wire.AllNodes, wire.AllNodesMAC })
	for _, tt := range []struct {
		name      string
		in        fixtures.Message
		typ, code uint8
		want      bool
	}{
		{"an echo", echo, 1, 1, true},
		{"an anycast source", echo.With(func(m *fixtures.Message) { m.Source = netip.MustParseAddr("fd00:b1::") }), 1, 1, false},
		{"an anycast source where no subnet is", echo.With(func(m *fixtures.Message) { m.Source = netip.MustParseAddr("fd00:a9::") }), 1, 1, false},
		{"Packet Too Big to a group", group, 2, 0, true},
		{"an unknown option to a group", group, 4, 2, true},
		{"an unknown header to a group", group, 4, 1, false},
		{"Time Exceeded to a group", group, 3, 0, false},
		{"Packet Too Big about an error", echo.With(func(m *fixtures.Message) { m.Type = 3 }), 2, 0, false},
	} {
		p := packet.Packet{Network: &on}
		if fault := wire.Cut(tt.in.Bytes(), &p.Packet); fault != wire.FaultNone {
			t.Fatal(fault)
		}
		if got := icmpv6.MayError(&p, tt.typ, tt.code); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestLog tells of copies of what logging rules decided, of whatever protocol.
func TestLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(in *topology.Input) {
		in.Spec.Groups = []topology.SecurityGroupSpec{{Name: "web", Rules: []topology.RuleSpec{{Protocol: topology.AnyProtocol, Log: true}}}}
	})
	rule := w.Snapshot.Groups[1].Rules[0]
	var told []handlers.Match
	services := &handlers.Services{Matched: func(m handlers.Match) { told = append(told, m) }}
	say := func(note uint32, data []byte) pipeline.Reason {
		f := w.frame(&w.Asker, data)
		f.Class, f.Note = uint8(punt.Log), note
		r := pipeline.NewReplies(100)
		why := services.Dispatch(w.Snapshot, now, &f, r)
		if len(r.List()) > 0 {
			t.Error("a copy is answered")
		}
		return why
	}
	data := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45}, make([]byte, 100)...)
	if why := say(rule.ID|punt.RuleRejected, data); why != reason.Logged {
		t.Fatalf("%s", reason.Name(why))
	}
	if why := say(1, data); why != reason.NotOurs {
		t.Errorf("a rule that is gone: %s", reason.Name(why))
	}
	if why := say(rule.ID, data[:10]); why != reason.NotOurs {
		t.Errorf("a stub: %s", reason.Name(why))
	}
	if len(told) != 1 || !told[0].Rejected || told[0].Rule.Group.Name != "web" || told[0].Port.Name != w.Asker.Port || len(told[0].Packet) != 64 {
		t.Errorf("told %+v", told)
	}
}
