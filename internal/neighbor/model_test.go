package neighbor

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"damselfly/internal/wire"
)

// players are hosts and senders that use a Table at random, with what must hold
// of each packet.
type players struct {
	*world
	waiting map[string]time.Duration // packets that wait, since when
	next    int
	pinned  map[Place]bool
	changed map[Place]time.Duration // when a host last came, went or changed
}

func (g *players) listen(t *rapid.T) func(Event) {
	return func(e Event) {
		for _, p := range e.Packets {
			since, there := g.waiting[string(p.Frame)]
			if !there {
				t.Fatalf("%s of %s, which does not wait", e.Kind, p.Frame)
			}
			if g.now-since > Solicitations*Retrans {
				t.Fatalf("%s waited %s", p.Frame, g.now-since)
			}
			delete(g.waiting, string(p.Frame))
		}
		if e.Kind == Unreachable && len(e.Packets) > QueueMost {
			t.Fatalf("%d waited", len(e.Packets))
		}
		n := g.nodes[e.Place]
		steady := g.now - g.changed[e.Place]
		if e.Kind == Lost && n != nil && n.alive && n.port == e.Port && n.mac == e.MAC && steady > Solicitations*Retrans {
			t.Fatalf("%s is lost, and was there for %s", e.Addr, steady)
		}
	}
}

// check holds the indexes of the Table against each other and against the hosts.
func (g *players) check(t *rapid.T) {
	known, asking, octets := 0, 0, 0
	for p, e := range g.entries {
		if e.Place != p || !g.timers.Holds(e) {
			t.Fatalf("%v is misfiled", p)
		}
		if (e.state == Incomplete) != e.mac.IsZero() {
			t.Fatalf("%v is %s with MAC %s", p, e.state, e.mac)
		}
		if e.pinned != g.pinned[p] {
			t.Fatalf("%v pinned %t", p, e.pinned)
		}
		if e.state == Incomplete {
			if e.asker != "" {
				asking++
			}
		} else if _, ok := g.known[e.port][e]; !ok || e.asker != "" || len(e.queue) > 0 {
			t.Fatalf("%v is misfiled as known", p)
		} else {
			known++
		}
		for _, q := range e.queue {
			octets += len(q.Frame)
		}
		n := g.nodes[p]
		if e.pinned && g.now-g.changed[p] > 9*time.Second {
			there := n != nil && n.alive
			if there != !e.mac.IsZero() || there && (e.mac != n.mac || e.port != n.port) {
				t.Fatalf("next hop %v is %s at %s, and has been otherwise for %s", p, e.state, e.mac, g.now-g.changed[p])
			}
		}
	}
	filed := 0
	for port, list := range g.known {
		filed += len(list)
		pinned := 0
		for e := range list {
			if e.pinned {
				pinned++
			}
		}
		if len(list) > 8+pinned {
			t.Fatalf("%d behind %s", len(list), port)
		}
	}
	if filed != known || g.askingOn["ext"] != asking || octets != g.queued || g.timers.Len() != len(g.entries) || asking > 4 {
		t.Fatalf("%d filed, %d known; %d asked for, %d counted; %d octets, %d counted", filed, known, asking, g.askingOn["ext"], octets, g.queued)
	}
	g.Show()
	if n := len(g.View().Known()); n != known {
		t.Fatalf("%d shown, %d known", n, known)
	}
}

// TestTableAgreesWithHosts plays hosts that come, go, move and lie, and packets
// for them.
func TestTableAgreesWithHosts(t *testing.T) {
	t.Parallel()
	addr := rapid.Custom(func(t *rapid.T) Place { return place(rapid.IntRange(0, 11).Draw(t, "addr")) })
	port := rapid.SampledFrom([]string{"up", "nest"})
	mac := rapid.SampledFrom([]wire.MAC{macA, macB})
	rapid.Check(t, func(t *rapid.T) {
		g := &players{
			world: newWorld(Bounds{Asking: 3, AskingOn: 4, Known: 24, Octets: 200}), waiting: map[string]time.Duration{},
			pinned: map[Place]bool{}, changed: map[Place]time.Duration{},
		}
		g.on = g.listen(t)
		t.Repeat(map[string]func(*rapid.T){
			"want": func(t *rapid.T) {
				packet := fmt.Sprint("packet", g.next)
				g.next++
				g.waiting[packet] = g.now
				if o := g.want(addr.Draw(t, "to"), rapid.SampledFrom([]string{"vm1", "vm2"}).Draw(t, "from"), packet); o != Waiting {
					delete(g.waiting, packet)
				}
			},
			"host": func(t *rapid.T) {
				p := addr.Draw(t, "host")
				g.nodes[p] = &node{port.Draw(t, "port"), mac.Draw(t, "mac"), rapid.Bool().Draw(t, "alive")}
				g.changed[p] = g.now
			},
			"say": func(t *rapid.T) {
				p := addr.Draw(t, "host")
				g.changed[p] = g.now // it may be a lie
				g.Advertised(g.now, Advert{
					Place: p, Port: port.Draw(t, "port"), MAC: rapid.SampledFrom([]wire.MAC{{}, macA, macB}).Draw(t, "mac"),
					Solicited: rapid.Bool().Draw(t, "S"), Override: rapid.Bool().Draw(t, "O"), Router: rapid.Bool().Draw(t, "R"), Most: 8,
				})
				g.hear()
			},
			"seen": func(t *rapid.T) {
				p := addr.Draw(t, "host")
				g.changed[p] = g.now
				g.Seen(g.now, Sighting{p, port.Draw(t, "port"), mac.Draw(t, "mac"), rapid.Bool().Draw(t, "R"), 8})
				g.hear()
			},
			"used": func(t *rapid.T) { g.Used(g.now, addr.Draw(t, "host")); g.hear() },
			"pin": func(t *rapid.T) {
				g.pinned = map[Place]bool{}
				for _, p := range rapid.SliceOfN(addr, 0, 2).Draw(t, "next hops") {
					g.pinned[p] = true
					g.changed[p] = g.now
				}
				g.Pin(g.now, g.pinned)
				g.hear()
			},
			"revise": func(t *rapid.T) {
				p := addr.Draw(t, "gone")
				if !g.pinned[p] {
					g.Revise(func(n Neighbor) bool { return n.Place != p })
					g.hear()
				}
			},
			"pass": func(t *rapid.T) {
				g.pass(rapid.SampledFrom([]time.Duration{300 * time.Millisecond, time.Second, 4 * time.Second, 5 * time.Second, 9500 * time.Millisecond, 31 * time.Second, 6 * time.Minute}).Draw(t, "time"))
			},
			"": g.check,
		})
	})
}
