package handlers_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// kinds are one good frame of each kind, by name.
func kinds(w world) map[string][]byte {
	frames := map[string][]byte{
		"rs":       solicitation(&w.Asker, w.Asker.LinkLocal).Bytes(),
		"echo":     ping(&w.Asker, w.Router.MAC, w.Asker.Global, w.Router.Global, 56).Bytes(),
		"echo1452": ping(&w.Asker, w.Router.MAC, w.Asker.Global, w.Router.Global, 1452).Bytes(),
	}
	for name, of := range map[string]string{
		"ns": "NS multicast for a guest", "ns-router": "NS multicast for the gateway", "dad": "DAD for a guest's address",
		"relay": "DAD for an unknown address", "bad-checksum": "NS checksum", "na": "NA of an unknown address",
	} {
		for _, c := range fixtures.NDCases() {
			if c.Name == of {
				frames[name] = c.Frame(w.NDWorld)
			}
		}
	}
	return frames
}

func TestNoAllocations(t *testing.T) {
	w := newWorld(t, nil)
	r := pipeline.NewReplies(4096)
	for name, data := range kinds(w) {
		f := w.frame(&w.Asker, data)
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			handlers.Dispatch(w.Snapshot, now, &f, r)
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame, want 0", name, n)
		}
	}
}

func BenchmarkDispatch(b *testing.B) {
	w := newWorld(b, nil)
	r := pipeline.NewReplies(4096)
	for name, data := range kinds(w) {
		f := w.frame(&w.Asker, data)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Reset()
				handlers.Dispatch(w.Snapshot, now, &f, r)
			}
		})
	}
}

// BenchmarkPorts asks for ever other guests, in batches, on networks of 1,000
// ports; a snapshot holds at most 16,000.
func BenchmarkPorts(b *testing.B) {
	for _, ports := range []int{10, 1000, 16000} {
		b.Run(strconv.Itoa(ports), func(b *testing.B) {
			s, frames := manyPorts(b, ports)
			r := pipeline.NewReplies(64 * 1024)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if i%pipeline.MaxBatch == 0 {
					r.Reset()
				}
				if why := handlers.Dispatch(s, now, &frames[i], r); why != reason.Answered {
					b.Fatalf("got %s", handlers.ReasonName(why))
				}
				if i++; i == len(frames) {
					i = 0
				}
			}
		})
	}
}

// manyPorts is a topology of so many ports and, for each, a question for the next one on its network.
func manyPorts(b *testing.B, ports int) (*topology.Snapshot, []pipeline.Frame) {
	per := min(ports, 1000)
	in := topology.Input{Spec: &topology.Spec{}, Keys: topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}}
	mac := func(i int) (m wire.MAC) {
		m[0] = 2
		binary.BigEndian.PutUint32(m[2:], uint32(i+1))
		return m
	}
	var frames []pipeline.Frame
	for i := range ports {
		network := fmt.Sprintf("n%d", i/per)
		if i%per == 0 {
			in.Keys.Networks[network] = uint16(i/per + 1)
			in.Spec.Networks = append(in.Spec.Networks, topology.NetworkSpec{Name: network, Subnets: []topology.SubnetSpec{{
				Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 5: byte(i / per), 7: 1}), 64)}}})
		}
		name := fmt.Sprintf("p%d", i)
		in.Keys.Ports[name] = uint16(i + 1)
		in.Spec.Ports = append(in.Spec.Ports, topology.PortSpec{Name: name, Network: network, MAC: mac(i)})
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: uint32(i + 1)})
		w := &fixtures.NDWorld{Asker: fixtures.Party{MAC: mac(i), LinkLocal: wire.LinkLocal(mac(i))}}
		next := wire.LinkLocal(mac(i/per*per + (i+1)%per))
		for _, c := range fixtures.NDCases() {
			if c.Name == "NS multicast for a guest's link-local" {
				w.Neighbor.LinkLocal = next
				frames = append(frames, pipeline.Frame{Data: c.Frame(w), InPort: uint32(i + 1), Port: uint16(i + 1), Network: uint16(i/per + 1)})
			}
		}
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		b.Fatal(problems)
	}
	// A source reads into one buffer again and again: frames must not cost
	// more for being many.
	room := make([]byte, 0, len(frames)*128)
	for i := range frames {
		room = append(room, frames[i].Data...)
		frames[i].Data = room[len(room)-len(frames[i].Data):]
		room = room[:(len(room)+63)/64*64]
	}
	return s, frames
}
