package binding

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// dad is a guest's duplicate address detection under way (RFC 4862 section 5.4).
type dad struct {
	port string
	addr netip.Addr
	ends time.Duration
}

// guests are hosts that do what RFC 4862 says: who has an address answers for
// it, and who hears of another's claim on a tentative one gives it up.
type guests struct {
	*world
	t *rapid.T
	// has are the addresses in use, each by one port; probing those that may become so.
	has     map[netip.Addr]string
	probing []dad
}

// fails ends the detection of a port for an address.
func (g *guests) fails(port string, a netip.Addr) {
	for i, d := range g.probing {
		if d.port == port && d.addr == a {
			g.probing = append(g.probing[:i], g.probing[i+1:]...)
			return
		}
	}
}

// asked has the guest that uses an address answer a probe of another port.
func (g *guests) asked(by string, a netip.Addr) {
	owner := g.has[a]
	if owner == "" || owner == by || g.away[owner] {
		return
	}
	if g.Advertise(g.now, claim(owner, a)) == Carry {
		g.fails(by, a)
	}
	g.hearAll()
}

func (g *guests) hear(e Event) {
	switch e.Kind {
	case AskOthers:
		g.asked(e.Port, e.Addr)
	case AskHolder:
		if g.has[e.Addr] == e.Port && !g.away[e.Port] {
			g.Alive(g.now, e.Network, e.Port, e.Addr)
			g.hearAll()
		}
	case Defend:
		g.fails(e.Port, e.Addr)
	}
}

func (g *guests) hearAll() {
	for _, e := range append([]Event(nil), g.Events()...) {
		g.hear(e)
	}
}

func (g *guests) probe(port string, a netip.Addr) {
	if g.away[port] || g.has[a] == port {
		return
	}
	g.fails(port, a)
	g.probing = append(g.probing, dad{port, a, g.now + time.Second})
	switch o, holder := g.Probe(g.now, claim(port, a)); o {
	case Carry:
		g.hearAll()
		g.asked(port, a)
	case Held:
		if holder == port || holder == "" {
			g.t.Fatalf("held by %q, and %s asked", holder, port)
		}
		g.fails(port, a)
	case Full:
		g.t.Fatalf("%s is full", port)
	}
	g.hearAll()
}

// use sends a packet from an address, its own or not.
func (g *guests) use(port string, a netip.Addr) {
	if !g.away[port] && g.holder(a) == "" {
		g.Use(g.now, claim(port, a))
		g.hearAll()
	}
}

// leave takes a guest off the switch; what it had it must probe for again.
func (g *guests) leave(port string) {
	g.away[port] = true
	for a, p := range g.has {
		if p == port {
			delete(g.has, a)
		}
	}
	g.probing = nil // whose detection was under way starts anew
}

func (g *guests) pass(d time.Duration) {
	for end := g.now + d; g.now < end; {
		step := end
		for _, p := range g.probing {
			step = min(step, p.ends)
		}
		g.world.pass(step-g.now, g.hear)
		for _, p := range append([]dad(nil), g.probing...) {
			if p.ends > g.now {
				continue
			}
			g.fails(p.port, p.addr)
			if other := g.has[p.addr]; other != "" && !g.away[other] {
				g.t.Fatalf("%s got %s, which %s uses", p.port, p.addr, other)
			}
			g.has[p.addr] = p.port
			g.check(p)
		}
	}
}

// check: who came through its detection is the one that the address is bound to.
func (g *guests) check(p dad) {
	if _, err := g.Commit(); err != nil {
		g.t.Fatal(err)
	}
	if h := g.holder(p.addr); h != p.port {
		g.t.Fatalf("%s is bound to %q, and %s got it", p.addr, h, p.port)
	}
}

// TestGuestsAgreeWithBindings plays guests that behave, and packets from
// addresses that are another's: nobody gets an address that somebody present
// uses, who gets one is bound to it, and a crash forgets nothing.
func TestGuestsAgreeWithBindings(t *testing.T) {
	t.Parallel()
	ports := rapid.SampledFrom([]string{"p", "q", "r"})
	addrs := rapid.SampledFrom([]netip.Addr{addrA, addrB})
	rapid.Check(t, func(t *rapid.T) {
		g := &guests{world: newWorld(t), t: t, has: map[netip.Addr]string{}}
		t.Repeat(map[string]func(*rapid.T){
			"probe":  func(t *rapid.T) { g.probe(ports.Draw(t, "port"), addrs.Draw(t, "addr")) },
			"use":    func(t *rapid.T) { g.use(ports.Draw(t, "port"), addrs.Draw(t, "addr")) },
			"leave":  func(t *rapid.T) { g.leave(ports.Draw(t, "port")) },
			"return": func(t *rapid.T) { delete(g.away, ports.Draw(t, "port")) },
			"drop":   func(t *rapid.T) { delete(g.has, addrs.Draw(t, "addr")) },
			"pass": func(t *rapid.T) {
				g.pass(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second, 6 * time.Minute}).Draw(t, "time"))
			},
			"crash": func(t *rapid.T) {
				if _, err := g.Commit(); err != nil {
					t.Fatal(err)
				}
				before := g.View().Bound()
				g.probing = nil
				g.reopen(t)
				if after := g.View().Bound(); fmt.Sprint(before) != fmt.Sprint(after) {
					t.Fatalf("%v before the crash, %v after", before, after)
				}
			},
			"": func(t *rapid.T) {
				if _, err := g.Commit(); err != nil {
					t.Fatal(err)
				}
				g.structure(t)
			},
		})
	})
}

// structure holds the indexes of a Table against each other.
func (w *world) structure(t *rapid.T) {
	if w.timers.Len() != len(w.entries) {
		t.Fatalf("%d timers for %d entries", w.timers.Len(), len(w.entries))
	}
	n := 0
	for port, list := range w.ports {
		n += len(list)
		for e := range list {
			if e.port != port || w.entries[e.place] != e || !w.timers.Holds(e) {
				t.Fatalf("%v is misfiled", *e)
			}
		}
	}
	if n != len(w.entries) || len(w.disk.records) != len(w.View().Bound()) {
		t.Fatalf("%d of %d entries are a port's; %d records, %d bound", n, len(w.entries), len(w.disk.records), len(w.View().Bound()))
	}
}
