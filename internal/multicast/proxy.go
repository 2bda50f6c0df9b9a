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
	// again are reports to be repeated.
	again []repeat
	// answer is when a Query is answered, 0 for none, about groups or, where that is nil, all.
	answer time.Duration
	about  map[netip.Addr]bool
	// old is until when a querier of version 1 is taken to be there (RFC 9777 section 8.2.1).
	old time.Duration
}

// repeat is a report that is sent left times more.
type repeat struct {
	at      time.Duration
	left    int
	records []wire.Record
}

// upstreams makes the proxies those of a snapshot.
func (t *Table) upstreams(s *topology.Snapshot) {
	wanted := map[string]*proxy{}
	for _, r := range s.Routers {
		if r.Multicast == nil || r.Multicast.Upstream == "" {
			continue
		}
		p := &proxy{boundary: r.Multicast.Boundary, told: map[netip.Addr]wants{}}
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
			for _, g := range slices.SortedFunc(maps.Keys(n.proxy.told), netip.Addr.Compare) {
				t.report(n, []wire.Record{{Type: wire.ChangeToInclude, Group: g}})
			}
			n.proxy = nil
		case p != nil && n.proxy == nil:
			n.proxy = p
			t.changed = true
		case p != nil:
			n.proxy.down, n.proxy.boundary = p.down, p.boundary
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
			if scopeOf(addr) <= max(p.boundary, linkScope) {
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

// merge is what two want together.
func merge(a, b wants) wants {
	if !a.exclude && b.exclude {
		a, b = b, a
	}
	in := func(list []netip.Addr) func(netip.Addr) bool {
		return func(s netip.Addr) bool { return slices.Contains(list, s) }
	}
	out := wants{exclude: a.exclude, any: true}
	switch {
	case a.exclude && b.exclude: // what neither wants
		out.sources = slices.DeleteFunc(slices.Clone(a.sources), func(s netip.Addr) bool { return !slices.Contains(b.sources, s) })
	case a.exclude:
		out.sources = slices.DeleteFunc(slices.Clone(a.sources), in(b.sources))
	default:
		out.sources = append(slices.Clone(a.sources), slices.DeleteFunc(slices.Clone(b.sources), in(a.sources))...)
		sortAddrs(out.sources)
	}
	return out
}

// retell tells what changed since the last time (RFC 9777 section 6.1).
func (t *Table) retell(now time.Duration, n *network) {
	p := n.proxy
	next := t.merged(p)
	var records []wire.Record
	all := map[netip.Addr]bool{}
	for g := range p.told {
		all[g] = true
	}
	for g := range next {
		all[g] = true
	}
	for _, g := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
		records = changes(records, g, p.told[g], next[g])
	}
	p.told = next
	if len(records) == 0 {
		return
	}
	t.report(n, records)
	if n.robustness > 1 {
		p.again = append(p.again, repeat{now + t.random(unsolicitedInterval), n.robustness - 1, records})
	}
}

// asked plans the answer to a Query (RFC 9777 section 6.2).
func (p *proxy) asked(now time.Duration, q Query, random func(time.Duration) time.Duration, old time.Duration) {
	if q.Version == 1 {
		p.old = old
	}
	at := now + max(random(q.MaxResponse), 1)
	if p.answer == 0 || at < p.answer {
		p.answer = at
	}
	switch {
	case q.Group.IsUnspecified():
		p.about = nil
	case p.about != nil:
		p.about[q.Group] = true
	case p.answer == at:
		p.about = map[netip.Addr]bool{q.Group: true}
	}
}

// turnProxy sends what is due.
func (t *Table) turnProxy(now time.Duration, n *network) {
	p := n.proxy
	if p.old <= now {
		p.old = 0
	}
	if p.answer != 0 && p.answer <= now {
		var records []wire.Record
		for _, g := range slices.SortedFunc(maps.Keys(p.told), netip.Addr.Compare) {
			if p.about == nil || p.about[g] {
				records = current(records, g, p.told[g])
			}
		}
		if len(records) > 0 {
			t.report(n, records)
		}
		p.answer, p.about = 0, nil
	}
	kept := p.again[:0]
	for _, r := range p.again {
		if r.at <= now {
			t.report(n, r.records)
			r.at, r.left = now+max(t.random(unsolicitedInterval), 1), r.left-1
		}
		if r.left > 0 {
			kept = append(kept, r)
		}
	}
	p.again = kept
}

// due tells when something is due.
func (p *proxy) due(next func(time.Duration)) {
	next(p.answer)
	next(p.old)
	for _, r := range p.again {
		next(r.at)
	}
}
