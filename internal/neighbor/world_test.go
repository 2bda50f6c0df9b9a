package neighbor

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"damselfly/internal/wire"
)

var (
	macA, macB = wire.MAC{2, 0, 0, 0, 0, 0xa}, wire.MAC{2, 0, 0, 0, 0, 0xb}
	addrA      = Place{"ext", netip.MustParseAddr("2001:db8::a")}
)

// node is a host behind a port.
type node struct {
	port  string
	mac   wire.MAC
	alive bool
}

// world is a Table with a clock and the hosts that answer it.
type world struct {
	*Table
	now   time.Duration
	nodes map[Place]*node
	// heard are the events so far, as text, each with its second.
	heard []string
	on    func(Event)
}

func newWorld(b Bounds) *world {
	return &world{Table: New(b, nil), now: time.Hour, nodes: map[Place]*node{}, on: func(Event) {}}
}

// hear has hosts answer what the Table asks.
func (w *world) hear() {
	for {
		list := append([]Event(nil), w.Events()...)
		if len(list) == 0 {
			return
		}
		for _, e := range list {
			text := fmt.Sprintf("%g %s %s", (w.now - time.Hour).Seconds(), e.Kind, e.Addr)
			for _, p := range e.Packets {
				text += " " + string(p.Frame)
			}
			w.heard = append(w.heard, strings.TrimSpace(text))
			w.on(e)
			n := w.nodes[e.Place]
			if n == nil || !n.alive || e.Kind != Ask && (e.Kind != AskHolder || n.mac != e.MAC || n.port != e.Port) {
				continue
			}
			w.Advertised(w.now, Advert{Place: e.Place, Port: n.port, MAC: n.mac, Solicited: true, Override: true, Most: 8})
		}
	}
}

func (w *world) pass(d time.Duration) {
	for end := w.now + d; ; {
		rest := w.Tick(w.now)
		w.hear()
		if rest = min(rest, w.Tick(w.now)); w.now+rest > end {
			w.now = end
			return
		}
		w.now += rest
	}
}

func (w *world) want(p Place, port, packet string) Outcome {
	o, _, _ := w.Want(w.now, p, port, []byte(packet))
	w.hear()
	return o
}

func (w *world) state(p Place) string {
	if e := w.entries[p]; e != nil {
		return e.state.String()
	}
	return "none"
}

func place(n int) Place {
	return Place{"ext", netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: byte(n >> 8), 15: byte(n)})}
}
