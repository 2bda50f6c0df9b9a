package handlers_test

import (
	"bytes"
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

	"github.com/google/go-cmp/cmp"
)

func inverseND(in *topology.Input) { in.Spec.Networks[0].InverseND = true }

// TestInverse runs every case as if it were punted: scapy's questions are answered
// as scapy would.
func TestInverse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inverseND)
	names, answers := map[string]bool{}, 0
	for _, c := range fixtures.InverseCases() {
		if names[c.Name] {
			t.Errorf("%s: there twice", c.Name)
		}
		names[c.Name] = true
		why, replies := w.dispatch(&w.Asker, c.Frame)
		if got := handlers.ReasonName(why); got != c.Reason {
			t.Errorf("%s: %s, want %s", c.Name, got, c.Reason)
		}
		if c.Answer == nil {
			if len(replies) != 0 {
				t.Errorf("%s: got %d replies, want none", c.Name, len(replies))
			}
			continue
		}
		answers++
		if len(replies) != 1 {
			t.Errorf("%s: got %d replies, want 1", c.Name, len(replies))
			continue
		}
		checkPlace(t, replies[0], pipeline.Reply{Out: firstOF})
		if d := cmp.Diff(fmt.Sprintf("%x", c.Answer), fmt.Sprintf("%x", replies[0].Data)); d != "" {
			t.Errorf("%s: answer (-scapy +got):\n%s", c.Name, d)
		}
	}
	if len(names) < 58 || answers < 14 {
		t.Errorf("only %d cases with %d answers", len(names), answers)
	}
}

// TestInverseOff: a network without it ends all of it by name.
func TestInverseOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, c := range fixtures.InverseCases() {
		why, replies := w.dispatch(&w.Asker, c.Frame)
		if want := []pipeline.Reason{reason.InverseOff, reason.GuestInverseAdvert, reason.OfFault(wire.FaultTagged)}; !slices.Contains(want, why) || len(replies) != 0 {
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
		why, replies := w.dispatch(&w.Asker, fixtures.InverseCases()[0].Frame)
		want := w.Snapshot.Port(firstKey + 1).Addresses
		if why != reason.Answered || len(want) != configured+2+learned {
			t.Fatalf("MTU %d: %s, %d addresses", tt.mtu, handlers.ReasonName(why), len(want))
		}
		if n := (len(want) + tt.room - 1) / tt.room; len(replies) != n {
			t.Fatalf("MTU %d: %d advertisements, want %d", tt.mtu, len(replies), n)
		}
		for some := range slices.Chunk(want, tt.room) {
			check := inverseAnswer(w.NDWorld, some)
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

// inverseAnswer checks the advertisement that tells the Asker, in w, of addresses of
// the Neighbor's: these, each once.
func inverseAnswer(w *fixtures.NDWorld, addresses []netip.Addr) fixtures.Check {
	return func(r *fixtures.Reply) error {
		from, to := w.Neighbor.MAC, w.Asker.MAC
		for _, c := range []fixtures.Check{fixtures.Type(142, 0), fixtures.HopLimit(255), fixtures.MACs(from, to), fixtures.Addresses(addresses[0], w.Asker.LinkLocal)} {
			if err := c(r); err != nil {
				return err
			}
		}
		want := slices.Concat(make([]byte, 4), []byte{1, 1}, from[:], []byte{2, 1}, to[:], []byte{10, byte(1 + 2*len(addresses)), 0, 0, 0, 0, 0, 0})
		for _, a := range addresses {
			want = append(want, a.AsSlice()...)
		}
		if got := r.ICMPv6.Payload; !bytes.Equal(got, want) {
			return fmt.Errorf("body:\n got %x\nwant %x", got, want)
		}
		return nil
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
	frame := fixtures.InverseCases()[0].Frame
	if n := len(w.blue().AddressesOf(wire.MAC{2, 0xbb})); n != 512 {
		t.Errorf("%d addresses of one MAC", n)
	}
	if why, _ := w.dispatch(&w.Asker, frame); why != reason.Answered {
		t.Error(handlers.ReasonName(why))
	}
}
