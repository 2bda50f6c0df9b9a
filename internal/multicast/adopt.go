package multicast

import (
	"net/netip"
	"time"

	"damselfly/internal/topology"
)

// Adopt takes what a bridge was found to hold of who listens on a network: that is
// known as if it had been heard now, so that no stream stops until its listeners
// had the time to say that they are still there.
func (t *Table) Adopt(now time.Duration, name string, held *Shown) {
	n := t.networks[name]
	if n == nil {
		return
	}
	if n.answered == 0 || n.answered > now {
		n.answered = now
	}
	if !n.querying && n.otherUntil == 0 {
		n.otherUntil = now + n.otherInterval()
	}
	for _, at := range held.Routers {
		if p := n.ports[at]; p != nil && !p.conf.Router {
			t.routerAt(now, n, p, netip.Addr{}, now+n.otherInterval())
		}
	}
	for i := range held.Groups {
		g := &held.Groups[i]
		t.reslot(n, g.Group, g.Slot)
		for j := range g.Ports {
			t.adopt(now, n, g.Group, &g.Ports[j])
		}
		if h := n.groups[g.Group]; h != nil && len(h.members) == 0 {
			t.slots.give(h.slot)
			delete(n.groups, g.Group)
		}
	}
	t.plan(now, n)
	t.mark(n)
}

// adopt takes one listener.
func (t *Table) adopt(now time.Duration, n *network, addr netip.Addr, held *ShownPort) {
	p := n.ports[held.Port]
	if p == nil || !topology.Tracked(addr) || p.members[addr] != nil || !p.room(len(held.Sources)) {
		return
	}
	m := t.join(n, p, addr)
	if m == nil {
		return
	}
	until := now + n.listenerInterval()
	if held.Exclude {
		m.exclude, m.filter = true, until
		m.keep(held.Sources, 0)
	} else {
		m.keep(held.Sources, until)
	}
	t.settle(now, m, wants{})
}

// reslot gives a group the number that the bridge has for it. Whoever has that number
// gets another.
func (t *Table) reslot(n *network, addr netip.Addr, slot uint16) {
	g := n.groups[addr]
	if g != nil && g.slot == slot {
		return
	}
	if !t.slots.claim(slot) {
		for _, other := range t.networks {
			for _, h := range other.groups {
				if h.slot == slot {
					free, ok := t.slots.take()
					if !ok {
						return
					}
					h.slot = free
					t.regroup(other, h.addr)
				}
			}
		}
	}
	t.regroup(n, addr)
	if g != nil {
		t.slots.give(g.slot)
		g.slot = slot
		return
	}
	n.groups[addr] = &group{addr: addr, slot: slot, members: map[string]*member{}}
}
