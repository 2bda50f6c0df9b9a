package handlers_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

func inverseND(in *topology.Input) { in.Spec.Networks[0].InverseND = true }

// TestInverse runs every case as if it were punted.
func TestInverse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inverseND)
	names := map[string]bool{}
	for _, c := range fixtures.InverseCases() {
		if names[c.Name] {
			t.Errorf("%s: there twice", c.Name)
		}
		names[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			from := c.From(w.NDWorld)
			why, replies := w.dispatch(from, c.Frame(w.NDWorld))
			if why != c.Reason {
				t.Errorf("reason: got %s, want %s", handlers.ReasonName(why), handlers.ReasonName(c.Reason))
			}
			if c.Of == nil {
				if len(replies) != 0 {
					t.Errorf("got %d replies, want none", len(replies))
				}
				return
			}
			if len(replies) != 1 {
				t.Fatalf("got %d replies, want 1", len(replies))
			}
			of := c.Of(w.NDWorld)
			checkPlace(t, replies[0], pipeline.Reply{Out: firstOF})
			if err := fixtures.CheckReply(replies[0].Data, fixtures.InverseAnswer(w.NDWorld, of, w.addressesOf(of))); err != nil {
				t.Error(err)
			}
		})
	}
}

// addressesOf are those that the topology gives a party, in its order.
func (w world) addressesOf(p *fixtures.Party) []netip.Addr {
	if p == &w.Router {
		return []netip.Addr{p.LinkLocal, p.Global}
	}
	return []netip.Addr{p.Global, p.LinkLocal, wire.EUI64(w.Prefix, p.MAC)}
}

// inverseFrames are what scapy 2.5.0 makes of
//
//	e = Ether(src="02:00:00:00:00:11", dst="02:00:00:00:00:12")
//	e/IPv6(src="fe80::ff:fe00:11", dst="ff02::1", hlim=255)/ICMPv6ND_INDSol()/
//	  ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:11")/ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:12")
//
// and of the answer, ICMPv6ND_INDAdv with the addresses the other way round and
// the list as Raw, since scapy has no layer for it.
const (
	inverseQuestion = "02000000001202000000001186dd6000000000183afffe80000000000000000000fffe000011ff0200000000000000000000000000018d006ef20000000001010200000000110201020000000012"
	inverseAnswer   = "02000000001102000000001286dd6000000000503afffd0000b1000000000000000000000012fe80000000000000000000fffe0000118e006cd800000000010102000000001202010200000000110a07000000000000fd0000b1000000000000000000000012fe80000000000000000000fffe000012fd0000b100000000000000fffe000012"
)

// TestInverseScapy answers scapy's question with scapy's answer.
func TestInverseScapy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inverseND)
	var question []byte
	if _, err := fmt.Sscanf(inverseQuestion, "%x", &question); err != nil {
		t.Fatal(err)
	}
	_, replies := w.dispatch(&w.Asker, question)
	if len(replies) != 1 || fmt.Sprintf("%x", replies[0].Data) != inverseAnswer {
		t.Errorf("got %x\nwant %s", replies, inverseAnswer)
	}
}

// TestInverseOff: a network without it ends all of it by name.
func TestInverseOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, c := range fixtures.InverseCases() {
		why, replies := w.dispatch(&w.Asker, c.Frame(w.NDWorld))
		if want := []pipeline.Reason{reason.InverseOff, reason.GuestInverseAdvert}; !slices.Contains(want, why) || len(replies) != 0 {
			t.Errorf("%s: %s with %d replies", c.Name, handlers.ReasonName(why), len(replies))
		}
	}
}

// TestInverseSplit: a list longer than the MTU goes into several advertisements,
// each address is told once, and what was learned is among them.
func TestInverseSplit(t *testing.T) {
	t.Parallel()
	const configured, learned = 150, 7
	for _, tt := range []struct{ mtu, room int }{{0, 75}, {1280, 75}, {1442, 85}, {1500, 89}, {9000, 89}} {
		w := newWorld(t, func(in *topology.Input) {
			inverseND(in)
			in.Spec.Networks[0].MTU = tt.mtu
			a := in.Spec.Ports[1].Addresses[0]
			for range configured - 1 {
				a = a.Next()
				in.Spec.Ports[1].Addresses = append(in.Spec.Ports[1].Addresses, a)
			}
			in.Spec.Ports = slices.DeleteFunc(in.Spec.Ports, func(p topology.PortSpec) bool { return p.Name != "vm1" && p.Name != "vm2" })
			in.Bindings = in.Bindings[:2]
			in.Learned = map[string][]topology.HeldAddress{}
			for i := range learned {
				own := netip.MustParseAddr("fd00:b1::a:0:0:0").As16()
				own[15] = byte(i + 1)
				in.Learned["blue"] = append(in.Learned["blue"], topology.HeldAddress{Addr: netip.AddrFrom16(own), Port: firstKey + 1})
			}
		})
		why, replies := w.dispatch(&w.Asker, fixtures.InverseCases()[0].Frame(w.NDWorld))
		want := w.Snapshot.Port(firstKey + 1).Addresses
		if why != reason.Answered || len(want) != configured+2+learned {
			t.Fatalf("MTU %d: %s, %d addresses", tt.mtu, handlers.ReasonName(why), len(want))
		}
		if n := (len(want) + tt.room - 1) / tt.room; len(replies) != n {
			t.Fatalf("MTU %d: %d advertisements, want %d", tt.mtu, len(replies), n)
		}
		for some := range slices.Chunk(want, tt.room) {
			check := fixtures.InverseAnswer(w.NDWorld, &w.Neighbor, some)
			if tt.mtu > 0 && len(replies[0].Data)-14 > tt.mtu {
				t.Errorf("MTU %d: a packet of %d octets", tt.mtu, len(replies[0].Data)-14)
			}
			err := fixtures.CheckReply(replies[0].Data, func(r *fixtures.Reply) error {
				// All come from the same address.
				r.IPv6.SrcIP = some[0].AsSlice()
				return check(r)
			})
			if err != nil {
				t.Errorf("MTU %d: %v", tt.mtu, err)
			}
			replies = replies[1:]
		}
	}
}

// TestInverseBounded: one MAC behind which thousands were found is told of in a
// bounded number of advertisements.
func TestInverseBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(in *topology.Input) {
		inverseND(in)
		a := netip.MustParseAddr("fd00:b1::bbbb:0:0")
		for range 4096 {
			a = a.Next()
			in.Neighbors = map[string][]topology.Neighbor{"blue": append(in.Neighbors["blue"], topology.Neighbor{Addr: a, Port: firstKey + 3, MAC: wire.MAC{2, 0xbb}})}
		}
	})
	frame := fixtures.InverseCases()[0].Frame(w.NDWorld)
	if n := len(w.blue().AddressesOf(wire.MAC{2, 0xbb})); n != 512 {
		t.Errorf("%d addresses of one MAC", n)
	}
	if why, _ := w.dispatch(&w.Asker, frame); why != reason.Answered {
		t.Error(handlers.ReasonName(why))
	}
}
