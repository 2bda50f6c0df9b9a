package handlers_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

const farKey = blueKey + 1

// routedWorld adds a narrow network, with a guest at fd00:fa::5, and routes.
func routedWorld(t testing.TB) world {
	return newWorld(t, func(in *topology.Input) {
		s := in.Spec
		s.Networks = append(s.Networks, topology.NetworkSpec{Name: "far", MTU: 1280, Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:fa::/64"), Mode: topology.DHCPv6Stateful}}})
		s.Routers[0].Networks = append(s.Routers[0].Networks, topology.PresenceSpec{Network: "far"})
		s.Routers[0].Routes = []topology.StaticRouteSpec{
			{Destination: netip.MustParsePrefix("2001:db8:b::/48"), Type: topology.Blackhole},
			{Destination: netip.MustParsePrefix("2001:db8:c::/48"), Type: topology.RejectRoute},
			{Destination: netip.MustParsePrefix("2001:db8:d::/48"), Type: topology.ProhibitRoute},
		}
		s.Ports = append(s.Ports, topology.PortSpec{Name: "far1", Network: "far", MAC: farMAC, Addresses: []netip.Addr{farAddress}})
		in.Keys.Networks["far"], in.Keys.Ports["far1"] = farKey, 999
		in.Bindings = append(in.Bindings, topology.Binding{Interface: "far1", OFPort: 999})
	})
}

var (
	farMAC     = wire.MAC{2, 0, 0, 0, 0xfa, 5}
	farAddress = netip.MustParseAddr("fd00:fa::5")
)

// about is the error about a frame, with the field behind its checksum.
func about(t *testing.T, frame []byte, typ, code uint8, word uint32, from, to wire.MAC, src, dst netip.Addr) []byte {
	ip := ip6Of(src, dst, layers.IPProtocolICMPv6, 64)
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	quoted := frame[14:]
	return built(t, ethernetOf(from, to), ip, icmp, gopacket.Payload(append(binary.BigEndian.AppendUint32(nil, word), quoted[:min(len(quoted), 1232)]...)))
}

// unroutable punts a frame that the switch could not route.
func (w world) unroutable(p *fixtures.Party, data []byte) (pipeline.Reason, []pipeline.Reply) {
	f := w.frame(p, data)
	f.Class, f.Note = uint8(punt.Error), uint32(punt.NoRoute) // whatever it is, the packet decides
	r := pipeline.NewReplies(4096)
	why := handlers.Dispatch(w.Snapshot, now, &f, r)
	return why, r.List()
}

func TestUnroutable(t *testing.T) {
	t.Parallel()
	w := routedWorld(t)
	a, gate := &w.Asker, &w.Router
	udp := func(dst string, hops uint8, data []byte) []byte {
		frame := udpFrame(t, a.MAC, gate.MAC, a.Global, netip.MustParseAddr(dst), data)
		frame[14+7] = hops
		return frame
	}
	tell := func(frame []byte, typ, code uint8, word uint32) []byte {
		return about(t, frame, typ, code, word, gate.MAC, a.MAC, gate.Global, a.Global)
	}
	echo := ping(a, gate.MAC, a.Global, farAddress, 8).With(func(m *fixtures.Message) { m.HopLimit = 1 })
	long := bytes.Repeat([]byte("y"), 1400)
	syn := segment(t, a.MAC, gate.MAC, a.Global, gate.Global, 64, layers.TCP{SrcPort: 40000, DstPort: 80, SYN: true, Seq: 7, Window: 1000}, "")
	far := netip.MustParseAddr("fd00:fa::1")
	// with is a packet with a next header, extension headers as they are, and 24
	// octets behind them that read as UDP, or as an error of ICMPv6.
	with := func(next uint8, dst netip.Addr, headers []byte) []byte {
		payload := slices.Concat(headers, []byte{1, 0, 0, 9, 0, 24, 0, 0}, make([]byte, 16))
		return built(t, ethernetOf(a.MAC, gate.MAC), ip6Of(a.Global, dst, layers.IPProtocol(next), 64), gopacket.Payload(payload))
	}
	tests := []struct {
		name string
		in   []byte
		why  pipeline.Reason
		want func(in []byte) []byte
	}{
		{"no hop left", udp("fd00:fa::5", 1, nil), reason.TimeExceeded, func(in []byte) []byte { return tell(in, 3, 0, 0) }},
		{"no hop left, and too long", udp("fd00:fa::5", 1, long), reason.TimeExceeded, func(in []byte) []byte { return tell(in, 3, 0, 0) }},
		{"an echo with no hop left", echo.Bytes(), reason.TimeExceeded, func(in []byte) []byte { return tell(in, 3, 0, 0) }},
		{"no route", udp("2001:db8:ffff::1", 64, nil), reason.NoRoute, func(in []byte) []byte { return tell(in, 1, 0, 0) }},
		{"prohibited", udp("2001:db8:d::1", 64, nil), reason.RouteProhibits, func(in []byte) []byte { return tell(in, 1, 1, 0) }},
		{"address unreachable", udp("fd00:fa::77", 64, nil), reason.AddressUnreachable, func(in []byte) []byte { return tell(in, 1, 3, 0) }},
		{"reject route", udp("2001:db8:c::1", 64, nil), reason.RouteRejects, func(in []byte) []byte { return tell(in, 1, 6, 0) }},
		{"too big", udp("fd00:fa::5", 64, long), reason.PacketTooBig, func(in []byte) []byte { return tell(in, 2, 0, 1280) }},
		{"too big, on its way to the neighbour", func() []byte {
			in := udp("fd00:fa::5", 64, long)
			copy(in, farMAC[:])
			return in
		}(), reason.PacketTooBig, func(in []byte) []byte { return tell(in, 2, 0, 1280) }},
		{"beyond scope", udpFrame(t, a.MAC, gate.MAC, a.LinkLocal, farAddress, nil), reason.BeyondScope, func(in []byte) []byte {
			return about(t, in, 1, 2, 0, gate.MAC, a.MAC, gate.LinkLocal, a.LinkLocal)
		}},
		{"UDP to the router on another network", udp("fd00:fa::1", 1, nil), reason.NobodyListens, func(in []byte) []byte {
			return about(t, in, 1, 4, 0, gate.MAC, a.MAC, far, a.Global)
		}},
		{"TCP to the router", syn, reason.NobodyListens, func([]byte) []byte {
			return segment(t, gate.MAC, a.MAC, gate.Global, a.Global, 64, layers.TCP{SrcPort: 80, DstPort: 40000, RST: true, ACK: true, Ack: 8}, "")
		}},
		{"SCTP to the router", with(132, gate.Global, nil), reason.ParameterProblem, func(in []byte) []byte { return tell(in, 4, 1, 6) }},
		{"an unknown next header to the router on another network", with(253, far, nil), reason.ParameterProblem, func(in []byte) []byte {
			return about(t, in, 4, 1, 6, gate.MAC, a.MAC, far, a.Global)
		}},
		{"an unknown next header to the router's link-local", with(253, gate.LinkLocal, nil), reason.ParameterProblem, func(in []byte) []byte {
			return about(t, in, 4, 1, 6, gate.MAC, a.MAC, gate.LinkLocal, a.Global)
		}},
		{"UDP to the router's link-local", with(17, gate.LinkLocal, nil), reason.NobodyListens, func(in []byte) []byte {
			return about(t, in, 1, 4, 0, gate.MAC, a.MAC, gate.LinkLocal, a.Global)
		}},
		{"an unknown next header behind options", with(60, gate.Global, []byte{253, 0, 1, 4, 0, 0, 0, 0}), reason.ParameterProblem, func(in []byte) []byte { return tell(in, 4, 1, 40) }},
		{"an option that must be known", with(0, gate.Global, []byte{17, 0, 1, 0, 0x85, 2, 0, 0}), reason.ParameterProblem, func(in []byte) []byte { return tell(in, 4, 2, 44) }},
		{"an option that has it discarded", with(60, gate.Global, []byte{17, 0, 0x45, 4, 0, 0, 0, 0}), reason.OptionDiscards, nil},
		{"segments left", with(43, gate.Global, []byte{17, 0, 4, 1, 0, 0, 0, 0}), reason.ParameterProblem, func(in []byte) []byte { return tell(in, 4, 0, 42) }},
		{"hop-by-hop options twice", with(0, gate.Global, []byte{0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0}), reason.ParameterProblem, func(in []byte) []byte { return tell(in, 4, 1, 40) }},
		{"nothing behind the header", with(59, gate.Global, nil), reason.OfFault(wire.FaultNoUpperLayer), nil},
		{"an unknown next header to a guest", with(253, farAddress, nil), reason.OfFault(wire.FaultUnknownNextHeader), nil},
		{"an error about an error", with(60, gate.Global, []byte{58, 0, 0x85, 4, 0, 0, 0, 0}), reason.NoErrorDue, nil},
		{"an error with no hop left", echo.With(func(m *fixtures.Message) { m.Type = 1 }).Bytes(), reason.NoErrorDue, nil},
		{"in another's name", udpFrame(t, a.MAC, gate.MAC, w.Neighbor.Global, netip.MustParseAddr("2001:db8:ffff::1"), nil), reason.ForgedSource, nil},
		{"a blackhole", udp("2001:db8:b::1", 64, nil), reason.NotOurs, nil},
		{"a group", udp("ff05::1", 64, nil), reason.NotOurs, nil},
		{"what can be routed by now", udp("fd00:fa::5", 64, nil), reason.NotOurs, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			why, replies := w.unroutable(a, tt.in)
			var got, want []byte
			if len(replies) > 0 {
				got = replies[0].Data
			}
			if tt.want != nil {
				want = tt.want(tt.in)
			}
			if why != tt.why || len(replies) > 1 {
				t.Errorf("%s with %d replies, want %s", reason.Name(why), len(replies), reason.Name(tt.why))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEchoFarSide answers for the router's address on another network, but not
// for another's there.
func TestEchoFarSide(t *testing.T) {
	t.Parallel()
	w := routedWorld(t)
	a := &w.Asker
	far := netip.MustParseAddr("fd00:fa::1")
	why, replies := w.dispatch(a, ping(a, w.Router.MAC, a.Global, far, 8).Bytes())
	checkReason(t, why, reason.Answered, replies)
	for _, r := range replies {
		if err := fixtures.CheckReply(r.Data, fixtures.Type(129, 0), fixtures.MACs(w.Router.MAC, a.MAC), fixtures.Addresses(far, a.Global)); err != nil {
			t.Error(err)
		}
	}
	if why, _ := w.dispatch(a, ping(a, w.Router.MAC, a.Global, farAddress, 8).Bytes()); why != reason.NotOurs {
		t.Errorf("a guest there: %s", reason.Name(why))
	}
}

// TestRejectRouted: what a rule of a guest on another network rejects is told to
// the sender by its own router's MAC.
func TestRejectRouted(t *testing.T) {
	t.Parallel()
	w := routedWorld(t)
	a := &w.Asker
	farGate := topology.RouterMAC("far")
	in := udpFrame(t, farGate, farMAC, a.Global, farAddress, []byte("x"))
	f := w.frame(a, in)
	f.Class, f.Network = uint8(punt.Error), farKey
	r := pipeline.NewReplies(4096)
	if why := handlers.Dispatch(w.Snapshot, now, &f, r); why != reason.Rejected || len(r.List()) != 1 {
		t.Fatalf("%s with %d replies", reason.Name(why), len(r.List()))
	}
	if diff := cmp.Diff(about(t, in, 1, 1, 0, w.Router.MAC, a.MAC, farAddress, a.Global), r.List()[0].Data); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if out := r.List()[0].Out; out != f.InPort {
		t.Errorf("goes out of port %d", out)
	}
	f.Class = uint8(punt.Echo)
	if why := handlers.Dispatch(w.Snapshot, now, &f, r); why != reason.UnknownNetwork {
		t.Errorf("of another class: %s", reason.Name(why))
	}
}

// FuzzUnroutable holds errors to RFC 4443 section 2.4: at most 1280 octets, to
// the sender, from one node, never about an error, a Redirect or what went to many.
func FuzzUnroutable(f *testing.F) {
	w := routedWorld(f)
	a := &w.Asker
	for _, to := range []string{"fd00:fa::5", "fd00:fa::77", "2001:db8:c::1", "2001:db8:ffff::1", "fd00:fa::1", "ff05::1"} {
		f.Add(ping(a, w.Router.MAC, a.Global, netip.MustParseAddr(to), 8).Bytes())
		f.Add(ping(a, w.Router.MAC, a.Global, netip.MustParseAddr(to), 1400).With(func(m *fixtures.Message) { m.Type = 1 }).Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		why, replies := w.unroutable(a, data)
		if !bytes.Equal(before, data) {
			t.Fatal("the punted frame was written to")
		}
		if (len(replies) == 1) != reason.Replies(why) || len(replies) > 1 {
			t.Fatalf("%s with %d replies", reason.Name(why), len(replies))
		}
		for _, reply := range replies {
			got := reply.Data
			if len(got) > 14+1280 || !bytes.Equal(got[:6], data[6:12]) || !bytes.Equal(got[38:54], data[22:38]) || got[22] == 0xff {
				t.Fatalf("% x about % x", got, data)
			}
			if data[38] == 0xff || data[0]&1 != 0 || data[20] == 58 && len(data) > 54 && (data[54] < 128 || data[54] == 137) {
				if got[54] != 2 {
					t.Fatalf("%s about % x", reason.Name(why), data)
				}
			}
		}
	})
}
