package bench

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// now is when every frame in process arrives.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// perNetwork is how many ports a network has at most, as on a bridge.
const perNetwork = 1000

// kind is one sort of frame and how it must end.
type kind struct {
	name  string
	want  pipeline.Reason
	frame func(w *world, port int) fixtures.Message
}

// kinds are what is measured in process.
var kinds = []kind{
	{"ns", reason.Answered, func(w *world, i int) fixtures.Message { return w.resolve(i, w.global(w.next(i))) }},
	{"ns-router", reason.Answered, func(w *world, i int) fixtures.Message { return w.resolve(i, w.gateway(i)) }},
	{"dad", reason.Defended, func(w *world, i int) fixtures.Message {
		target := w.global(w.next(i))
		group := wire.SolicitedNode(target)
		return fixtures.ND(w.mac(i), wire.MulticastMAC(group), netip.IPv6Unspecified(), group,
			&ndp.NeighborSolicitation{TargetAddress: target})
	}},
	{"rs", reason.Answered, func(w *world, i int) fixtures.Message {
		return fixtures.ND(w.mac(i), wire.AllRoutersMAC, wire.LinkLocal(w.mac(i)), wire.AllRouters,
			&ndp.RouterSolicitation{Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, w.mac(i))}})
	}},
	{"echo", reason.Answered, func(w *world, i int) fixtures.Message {
		body := make([]byte, 4+56) // identifier, sequence number, and the data of ping
		for n := range body {
			body[n] = byte(n*7 + i)
		}
		return fixtures.Message{From: w.mac(i), To: topology.RouterMAC(w.network(i)), Source: w.global(i),
			Destination: w.gateway(i), HopLimit: 64, Type: 128, Body: body}
	}},
	{"relay", reason.Relayed, func(w *world, i int) fixtures.Message {
		return w.resolve(i, w.address(i, 0xffff_0000_0000_0001))
	}},
	{"bad-checksum", reason.OfFault(wire.FaultChecksum), func(w *world, i int) fixtures.Message {
		return w.resolve(i, w.gateway(i)).With(func(m *fixtures.Message) { m.BadChecksum = true })
	}},
}

// world is a topology of networks with a router and up to perNetwork ports each.
type world struct {
	ports    int
	snapshot *topology.Snapshot
}

func newWorld(tb testing.TB, ports int) *world {
	tb.Helper()
	w := &world{ports: ports}
	spec := &topology.Spec{}
	in := topology.Input{Spec: spec, Keys: topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}}
	for i := range ports {
		network := w.network(i)
		if i%perNetwork == 0 {
			in.Keys.Networks[network] = w.frame(i, nil).Network
			spec.Networks = append(spec.Networks, topology.NetworkSpec{
				Name: network, Subnets: []topology.SubnetSpec{{Prefix: netip.PrefixFrom(w.address(i, 0), 64)}}})
			spec.Routers = append(spec.Routers, topology.RouterSpec{
				Name: "r-" + network, Networks: []topology.PresenceSpec{{Network: network}}})
		}
		name := fmt.Sprintf("p%d", i)
		f := w.frame(i, nil)
		in.Keys.Ports[name] = f.Port
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: f.InPort})
		spec.Ports = append(spec.Ports, topology.PortSpec{
			Name: name, Network: network, MAC: w.mac(i), Addresses: []netip.Addr{w.global(i)}})
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		tb.Fatalf("the topology is refused: %v", problems)
	}
	w.snapshot = s
	return w
}

func (w *world) network(i int) string { return fmt.Sprintf("n%d", i/perNetwork) }

func (w *world) mac(i int) (m wire.MAC) {
	m[0] = 2
	binary.BigEndian.PutUint32(m[2:], uint32(i+1))
	return m
}

// next is another port of i's network.
func (w *world) next(i int) int {
	first := i / perNetwork * perNetwork
	return first + (i-first+1)%min(perNetwork, w.ports-first)
}

// address is an interface identifier on the prefix of i's network.
func (w *world) address(i int, id uint64) netip.Addr {
	a := [16]byte{0: 0xfd, 5: byte(i / perNetwork), 7: 1}
	binary.BigEndian.PutUint64(a[8:], id)
	return netip.AddrFrom16(a)
}

func (w *world) gateway(i int) netip.Addr { return w.address(i, 1) }

func (w *world) global(i int) netip.Addr { return w.address(i, 0x1_0000+uint64(i)) }

// resolve is port i's multicast question for target.
func (w *world) resolve(i int, target netip.Addr) fixtures.Message {
	group := wire.SolicitedNode(target)
	return fixtures.ND(w.mac(i), wire.MulticastMAC(group), wire.LinkLocal(w.mac(i)), group,
		&ndp.NeighborSolicitation{TargetAddress: target, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, w.mac(i))}})
}

// frame is data as punted from port i.
func (w *world) frame(i int, data []byte) pipeline.Frame {
	return pipeline.Frame{Data: data, InPort: uint32(i + 1), Port: uint16(i + 1), Network: uint16(i/perNetwork + 1)}
}

// batches are k's frames of the given ports, cut into full batches; the last is
// filled up from the beginning. The octets lie one behind the other as a source
// has them, so that a frame costs no more for being one of many.
func (w *world) batches(k kind, ports []int) [][]pipeline.Frame {
	var room []byte
	var sizes []int
	for _, i := range ports {
		data := k.frame(w, i).Bytes()
		room, sizes = append(room, data...), append(sizes, len(data))
	}
	frames := make([]pipeline.Frame, 0, len(ports)+pipeline.MaxBatch)
	for n, i := range ports {
		frames = append(frames, w.frame(i, room[:sizes[n]:sizes[n]]))
		room = room[sizes[n]:]
	}
	for n := 0; len(frames)%pipeline.MaxBatch != 0; n++ {
		frames = append(frames, frames[n])
	}
	var list [][]pipeline.Frame
	for ; len(frames) > 0; frames = frames[pipeline.MaxBatch:] {
		list = append(list, frames[:pipeline.MaxBatch:pipeline.MaxBatch])
	}
	return list
}

// one is the same port again and again, all is every port in an order that no
// cache foresees.
func (w *world) one() []int { return []int{w.ports / 2} }

func (w *world) all() []int { return rand.New(rand.NewPCG(1, 2)).Perm(w.ports) }

// handler is what a worker calls.
func (w *world) handler() pipeline.Handler {
	return handlers.Bind(func() *topology.Snapshot { return w.snapshot }, func() time.Time { return now },
		slog.New(slog.DiscardHandler))
}
