package multicast

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// unsolicitedInterval is the longest time between the copies of a report that nobody
// asked for (RFC 9777 section 9.11).
const unsolicitedInterval = time.Second

// proxy is the host that a router is on its upstream network (RFC 4605 section 4.1): it
// listens there to what anybody does on its other networks.
type proxy struct {
	// down are the names of these, boundary is the scope that stays on them.
	down     []string
	boundary uint8
	// told is what was told there.
	told map[netip.Addr]wants
	// changes are those that are still to be told, most of them again, by group; recent is how many
	// were before changeFrom.
	changes    map[netip.Addr]*change
	changeFrom time.Duration
	recent     int
	// answer is when a General Query is answered, 0 for none, answerFrom when one may be; about are the
	// answers to those about groups, which have named so many sources.
	answer, answerFrom time.Duration
	about              map[netip.Addr]*answer
	named              int
	// ends says that it is not configured any more, anew that what is wanted may be another of any group.
	ends, anew bool
}

// upstreams makes the proxies those of a snapshot.
func (t *Table) upstreams(s *topology.Snapshot) {
	wanted := map[string]*proxy{}
	for _, r := range s.Routers {
		if r.Multicast == nil || r.Multicast.Upstream == "" {
			continue
		}
		p := &proxy{
			boundary: r.Multicast.Boundary, told: map[netip.Addr]wants{}, changes: map[netip.Addr]*change{}, about: map[netip.Addr]*answer{},
		}
		for _, n := range r.Networks {
			if n.Name != r.Multicast.Upstream && n.Multicast != nil {
				p.down = append(p.down, n.Name)
			}
		}
		wanted[r.Multicast.Upstream] = p
	}
	t.proxies = t.proxies[:0]
	for name, n := range t.networks {
		switch p := wanted[name]; {
		case p == nil && n.proxy == nil:
			continue
		case p == nil:
			n.proxy.down, n.proxy.ends, n.proxy.anew = nil, true, true // nothing is wanted any more, which is told as often as else
		case n.proxy == nil:
			n.proxy, p.anew = p, true
		case n.proxy.boundary != p.boundary || !slices.Equal(n.proxy.down, p.down):
			n.proxy.down, n.proxy.boundary, n.proxy.ends, n.proxy.anew = p.down, p.boundary, false, true
		}
		t.proxies = append(t.proxies, n)
	}
}

// report tells multicast routers of a network.
func (t *Table) report(n *network, records []wire.Record) {
	t.tell(Event{Kind: Report, Network: n.name, Records: records, Old: n.older > 0})
}

// scopeOf is the scope of a group (RFC 4291 section 2.7).
func scopeOf(group netip.Addr) uint8 {
	a := group.As16()
	return a[1] & 0xf
}

// wanted is what all of the downstream networks want of a group together (RFC 9777 section 4.2).
func (t *Table) wanted(p *proxy, group netip.Addr) (w wants) {
	if scopeOf(group) <= p.boundary {
		return w
	}
	for _, name := range p.down {
		n := t.networks[name]
		if n == nil || n.groups[group] == nil {
			continue
		}
		for _, m := range n.groups[group].members {
			if one := m.wants(); w.any {
				w = merge(w, one)
			} else {
				w = one
			}
		}
	}
	return w
}

// retell tells what changed since the last time (RFC 9777 section 6.1).
func (t *Table) retell(now time.Duration, n *network) {
	p := n.proxy
	untold := t.untold
	switch {
	case p.anew:
		p.anew, untold = false, t.groupsOf(p)
	case len(untold) == 0:
		return
	}
	var changed []netip.Addr
	for _, g := range slices.SortedFunc(maps.Keys(untold), netip.Addr.Compare) {
		w := t.wanted(p, g)
		if p.note(g, p.told[g], w, n.robustness, n.older > 0) {
			changed = append(changed, g)
		}
		if p.told[g] = w; !w.any {
			delete(p.told, g)
		}
	}
	if n.older > 0 && p.manyTold(now) {
		p.putOff(changed)
	} else {
		t.tellChanges(now, n, changed)
	}
	n.endProxy()
	t.planLater(n)
}

// groupsOf are all that are told, or would be.
func (t *Table) groupsOf(p *proxy) map[netip.Addr]bool {
	all := make(map[netip.Addr]bool, len(p.told))
	for g := range p.told {
		all[g] = true
	}
	for _, name := range p.down {
		if n := t.networks[name]; n != nil {
			for g := range n.groups {
				all[g] = true
			}
		}
	}
	return all
}

// endProxy drops a proxy that is not configured any more once its end is told.
func (n *network) endProxy() {
	if p := n.proxy; p.ends && len(p.told)+len(p.changes) == 0 {
		n.proxy = nil
	}
}

// reset forgets what is still to be sent.
func (p *proxy) reset() {
	p.answer, p.named = 0, 0
	clear(p.about)
	clear(p.changes)
}

// turnProxy sends what is due.
func (t *Table) turnProxy(now time.Duration, n *network) {
	p := n.proxy
	t.answerDue(now, n)
	var again []netip.Addr
	for _, g := range slices.SortedFunc(maps.Keys(p.changes), netip.Addr.Compare) {
		if p.changes[g].again <= now {
			again = append(again, g)
		}
	}
	t.tellChanges(now, n, again)
	n.endProxy()
}

// due tells when something is due.
func (p *proxy) due(next func(time.Duration)) {
	next(p.answer)
	for _, a := range p.about {
		next(a.at)
	}
	for _, c := range p.changes {
		next(c.again)
	}
}
