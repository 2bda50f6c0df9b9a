package handlers_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"

	"github.com/gopacket/gopacket/layers"
)

// ping is an echo request of p's with size octets of data.
func ping(p *fixtures.Party, to wire.MAC, src, dst netip.Addr, size int) fixtures.Message {
	body := []byte{0xbe, 0xef, 0x12, 0x34}
	for i := range size {
		body = append(body, byte(i*7+1))
	}
	return fixtures.Message{From: p.MAC, To: to, Source: src, Destination: dst, HopLimit: 37, Type: 128, Body: body}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(in *topology.Input) {
		in.Spec.Networks[0].Subnets = append(in.Spec.Networks[0].Subnets, topology.SubnetSpec{Prefix: netip.MustParsePrefix("fd00:b2::/64")})
	})
	bare := newWorld(t, noRouter)
	// Only who is not bound to its addresses gets here from another prefix.
	open := newWorld(t, func(in *topology.Input) {
		no := false
		in.Spec.Ports[0].PortSecurity = &no
		in.Spec.Networks[0].Subnets = append(in.Spec.Networks[0].Subnets, topology.SubnetSpec{Prefix: netip.MustParsePrefix("fd00:b2::/64")})
	})
	a, r := &w.Asker, &w.Router
	other := netip.MustParseAddr("fd00:b2::5")
	all, routers := wire.AllNodes, wire.AllRouters
	tests := []struct {
		name    string
		world   world
		message fixtures.Message
		want    pipeline.Reason
		from    netip.Addr
	}{
		{"gateway", w, ping(a, r.MAC, a.Global, r.Global, 56), reason.Answered, r.Global},
		{"link-local", w, ping(a, r.MAC, a.LinkLocal, r.LinkLocal, 56), reason.Answered, r.LinkLocal},
		{"link-local source, gateway", w, ping(a, r.MAC, a.LinkLocal, r.Global, 56), reason.Answered, r.Global},
		{"no data", w, ping(a, r.MAC, a.Global, r.Global, 0), reason.Answered, r.Global},
		{"odd data", w, ping(a, r.MAC, a.Global, r.Global, 1), reason.Answered, r.Global},
		{"full frame", w, ping(a, r.MAC, a.Global, r.Global, 1452), reason.Answered, r.Global},
		{"all nodes, link-local source", w, ping(a, wire.AllNodesMAC, a.LinkLocal, all, 8), reason.Answered, r.LinkLocal},
		{"all nodes, global source", w, ping(a, wire.AllNodesMAC, a.Global, all, 8), reason.Answered, r.Global},
		{"all routers, second prefix", open, ping(a, wire.AllRoutersMAC, other, routers, 8), reason.Answered, netip.MustParseAddr("fd00:b2::1")},
		{"all nodes, source off the link", open, ping(a, wire.AllNodesMAC, netip.MustParseAddr("2001:db8::1"), all, 8), reason.Answered, r.LinkLocal},
		{"from an address that nobody is known to hold", w, ping(a, wire.AllRoutersMAC, other, routers, 8), reason.Learning, netip.Addr{}},
		{"from off the link", w, ping(a, wire.AllNodesMAC, netip.MustParseAddr("2001:db8::1"), all, 8), reason.ForgedSource, netip.Addr{}},
		{"atomic fragment", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) {
			m.First, m.Chain = layers.IPProtocolIPv6Fragment, []byte{58, 7: 0}
		}), reason.Answered, r.Global},
		{"first fragment", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) {
			m.First, m.Chain = layers.IPProtocolIPv6Fragment, []byte{58, 0, 0, 1, 7: 0}
		}), reason.OfFault(wire.FaultFragment), netip.Addr{}},
		{"a guest", w, ping(a, w.Neighbor.MAC, a.Global, w.Neighbor.Global, 8), reason.NotOurs, netip.Addr{}},
		{"nobody", w, ping(a, r.MAC, a.Global, w.Private, 8), reason.NotOurs, netip.Addr{}},
		{"another group", w, ping(a, wire.MAC{0x33, 0x33, 0, 0, 0, 0xfb}, a.Global, netip.MustParseAddr("ff02::fb"), 8), reason.NotOurs, netip.Addr{}},
		{"no router", bare, ping(a, wire.AllNodesMAC, a.LinkLocal, all, 8), reason.NotOurs, netip.Addr{}},
		{"gateway at a guest's MAC", w, ping(a, w.Neighbor.MAC, a.Global, r.Global, 8), reason.Misdirected, netip.Addr{}},
		{"from ::", w, ping(a, r.MAC, unspecified, r.Global, 8), reason.OfFault(wire.FaultUnspecifiedSource), netip.Addr{}},
		{"from a group", w, ping(a, r.MAC, all, r.Global, 8), reason.OfFault(wire.FaultMulticastSource), netip.Addr{}},
		{"from another guest's address", w, ping(a, wire.AllNodesMAC, w.Neighbor.Global, all, 8), reason.ForgedSource, netip.Addr{}},
		{"from the gateway's address", w, ping(a, r.MAC, r.Global, r.Global, 8), reason.ForgedSource, netip.Addr{}},
		{"from another's MAC", w, ping(&w.Neighbor, r.MAC, a.Global, r.Global, 8), reason.ForgedMAC, netip.Addr{}},
		{"checksum", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) { m.BadChecksum = true }), reason.OfFault(wire.FaultChecksum), netip.Addr{}},
		{"code", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) { m.Code = 1 }), reason.OfFault(wire.FaultCode), netip.Addr{}},
		{"short", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) { m.Body = m.Body[:3] }), reason.OfFault(wire.FaultShort), netip.Addr{}},
		{"reply", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) { m.Type = 129 }), reason.NotHandled, netip.Addr{}},
		{"node information query", w, ping(a, r.MAC, a.Global, r.Global, 8).With(func(m *fixtures.Message) { m.Type = 139 }), reason.NotHandled, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := tt.message.Bytes()
			data[15] |= 0x3a // traffic class and flow label, which must not come back
			why, replies := tt.world.dispatch(a, data)
			checkReason(t, why, tt.want, replies)
			for _, reply := range replies {
				checkPlace(t, reply, pipeline.Reply{Out: tt.world.frame(a, data).InPort})
				err := fixtures.CheckReply(reply.Data, fixtures.Type(129, 0), fixtures.HopLimit(64), fixtures.MACs(r.MAC, a.MAC),
					fixtures.Addresses(tt.from, tt.message.Source), func(got *fixtures.Reply) error {
						if !bytes.Equal(got.ICMPv6.Payload, tt.message.Body) {
							return fmt.Errorf("identifier, sequence, data: got %x, want %x", got.ICMPv6.Payload, tt.message.Body)
						}
						return nil
					})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}
