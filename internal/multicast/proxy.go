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
	// changes are those that are still to be told again, by group.
	changes map[netip.Addr]*change
	// answer is when a General Query is answered, 0 for none; about is when those about groups are.
	answer time.Duration
	about  map[netip.Addr]time.Duration
	// ends says that it is not configured any more.
	ends bool
	// old is until when a querier of version 1 is taken to be there (RFC 9777 section 8.2.1).
	old time.Duration
}

// upstreams makes the proxies those of a snapshot.
func (t *Table) upstreams(s *topology.Snapshot) {
	wanted := map[string]*proxy{}
	for _, r := range s.Routers {
		if r.Multicast == nil || r.Multicast.Upstream == "" {
			continue
		}
		p := &proxy{
			boundary: r.Multicast.Boundary, told: map[netip.Addr]wants{}, changes: map[netip.Addr]*change{}, about: map[netip.Addr]time.Duration{},
		}
		for _, n := range r.Networks {
			if n.Name != r.Multicast.Upstream && n.Multicast != nil {
				p.down = append(p.down, n.Name)
			}
		}
		wanted[r.Multicast.Upstream] = p
	}
	for name, n := range t.networks {
		switch p := wanted[name]; {
		case p == nil && n.proxy != nil:
			n.proxy.down, n.proxy.ends = nil, true // nothing is wanted any more, which is told as often as else
			t.changed = true
		case p != nil && n.proxy == nil:
			n.proxy = p
			t.changed = true
		case p != nil:
			n.proxy.down, n.proxy.boundary, n.proxy.ends = p.down, p.boundary, false
			t.changed = true
		}
	}
}

// report tells multicast routers of a network.
func (t *Table) report(n *network, records []wire.Record) {
	t.tell(Event{Kind: Report, Network: n.name, Records: records, Old: n.proxy != nil && n.proxy.old > 0})
}

// scopeOf is the scope of a group (RFC 4291 section 2.7).
func scopeOf(group netip.Addr) uint8 {
	a := group.As16()
	return a[1] & 0xf
}

// merged is what all of the downstream networks want together (RFC 9777 section 4.2).
func (t *Table) merged(p *proxy) map[netip.Addr]wants {
	out := map[netip.Addr]wants{}
	for _, name := range p.down {
		n := t.networks[name]
		if n == nil {
			continue
		}
		for addr, g := range n.groups {
			if scopeOf(addr) <= p.boundary {
				continue
			}
			w, seen := out[addr]
			for _, m := range g.members {
				if one := m.wants(); seen {
					w = merge(w, one)
				} else {
					w, seen = one, true
				}
			}
			out[addr] = w
		}
	}
	return out
}

// retell tells what changed since the last time (RFC 9777 section 6.1).
func (t *Table) retell(now time.Duration, n *network) {
	p := n.proxy
	next := t.merged(p)
	var changed []netip.Addr
	all := map[netip.Addr]bool{}
	for g := range p.told {
		all[g] = true
	}
	for g := range next {
		all[g] = true
	}
	for _, g := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
		if p.note(g, p.told[g], next[g], n.robustness) {
			changed = append(changed, g)
		}
	}
	p.told = next
	t.tellChanges(now, n, changed)
	n.endProxy()
}

// endProxy drops a proxy that is not configured any more once its end is told.
func (n *network) endProxy() {
	if p := n.proxy; p.ends && len(p.told)+len(p.changes) == 0 {
		n.proxy = nil
	}
}

// asked plans the answer to a Query about a group or, without one, all: of each there is one pending,
// the earliest, and none beside an earlier one about all (RFC 9777 section 6.2).
func (p *proxy) asked(now time.Duration, group netip.Addr, response time.Duration, random func(time.Duration) time.Duration) {
	at := now + max(random(response), 1)
	switch _, told := p.told[group]; {
	case p.answer != 0 && p.answer <= at:
	case !group.IsMulticast():
		p.answer = at
	case told && (p.about[group] == 0 || at < p.about[group]):
		p.about[group] = at
	}
}

// turnProxy sends what is due.
func (t *Table) turnProxy(now time.Duration, n *network) {
	p := n.proxy
	if p.old <= now {
		p.old = 0
	}
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

// answerDue gives the answers that are due.
func (t *Table) answerDue(now time.Duration, n *network) {
	p := n.proxy
	var groups []netip.Addr
	for g, at := range p.about {
		if at <= now {
			groups = append(groups, g)
			delete(p.about, g)
		}
	}
	if p.answer != 0 && p.answer <= now {
		groups, p.answer = slices.Collect(maps.Keys(p.told)), 0
	}
	sortAddrs(groups)
	var records []wire.Record
	for _, g := range groups {
		if w, still := p.told[g]; still {
			records = current(records, g, w)
		}
	}
	if len(records) > 0 {
		t.report(n, records)
	}
}

// due tells when something is due.
func (p *proxy) due(next func(time.Duration)) {
	next(p.answer)
	next(p.old)
	for _, at := range p.about {
		next(at)
	}
	for _, c := range p.changes {
		next(c.again)
	}
}
