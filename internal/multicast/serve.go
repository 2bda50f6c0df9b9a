package multicast

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Serve makes the networks of a snapshot those that are known of.
func (t *Table) Serve(now time.Duration, s *topology.Snapshot) {
	if s == t.seen {
		return
	}
	t.seen = s
	for name, n := range t.networks {
		if on := s.NetworkNamed(name); on == nil || on.Multicast == nil {
			t.forget(now, n)
		}
	}
	for _, on := range s.Networks {
		if on.Multicast == nil {
			continue
		}
		n := t.networks[on.Name]
		if n == nil {
			n = &network{
				name: on.Name, ports: map[string]*port{}, groups: map[netip.Addr]*group{},
				discovery: discovery{routers: map[speaker]time.Duration{}, ended: map[string]bool{}},
			}
			n.timer = timer{owner: n}
			t.networks[on.Name] = n
			t.mark(n)
		}
		if n.now != on {
			t.adapt(now, n, on)
		}
	}
	t.upstreams(s)
	t.part(s)
}

// forget ends a network.
func (t *Table) forget(now time.Duration, n *network) {
	t.advertise(now, n, nil)
	for _, p := range n.ports {
		t.unplug(n, p)
	}
	t.timers.Cancel(&n.timer)
	delete(t.networks, n.name)
	t.changed = true
}

// unplug ends a port.
func (t *Table) unplug(n *network, p *port) {
	for _, m := range slices.Collect(maps.Values(p.members)) {
		t.leave(m)
	}
	for s := range n.routers {
		if s.port == p.name {
			delete(n.routers, s)
		}
	}
	delete(n.ended, p.name)
	delete(n.ports, p.name)
	t.mark(n)
}

// adapt takes over what a network is now.
func (t *Table) adapt(now time.Duration, n *network, on *topology.Network) {
	first, before, address := n.now == nil, n.conf, n.address
	n.now, n.conf, n.address = on, *on.Multicast, netip.Addr{}
	if on.Router != nil {
		n.address = on.Router.LinkLocal
	}
	if first || before != n.conf || address != n.address {
		t.mark(n)
		switch {
		case n.may() && (n.otherUntil == 0 || n.address.Less(n.other)):
			t.begin(now, n)
		case !n.may() && n.otherUntil == 0:
			n.yield()
			n.robustness, n.interval = n.conf.Robustness, n.conf.QueryInterval
		}
	}
	t.advertise(now, n, on)
	there := map[string]bool{}
	for _, p := range on.Ports {
		there[p.Name] = true
		t.plug(now, n, p, first)
	}
	for name, p := range n.ports {
		if !there[name] {
			t.unplug(n, p)
		}
	}
	t.plan(now, n)
}

// plug takes over what a port is now. Of one that came or moved nobody knows what it
// listens to, and who does know it has it elsewhere: it is asked, and what is known of it
// is told again.
func (t *Table) plug(now time.Duration, n *network, at *topology.Port, first bool) {
	p := n.ports[at.Name]
	if p == nil {
		p = &port{name: at.Name, members: map[netip.Addr]*member{}}
		n.ports[at.Name] = p
	}
	came := at.OFPort != 0 && at.OFPort != p.ofport
	p.ofport, p.uplink = at.OFPort, at.Uplink
	if old := p.conf; old.Router != at.Multicast.Router {
		t.mark(n)
	}
	p.conf = *at.Multicast
	for _, m := range slices.Collect(maps.Values(p.members)) {
		if m.static && !slices.Contains(p.conf.Groups, m.group.addr) {
			t.release(now, m)
		}
	}
	for _, g := range p.conf.Groups {
		if m := p.members[g]; m != nil && !m.static {
			t.leave(m)
		}
		if p.members[g] == nil {
			t.enter(n, p, g, true)
		}
	}
	if !came {
		return
	}
	t.mark(n)
	if first {
		return
	}
	if n.querying && n.startup == 0 {
		t.query(now, n, p.name, n.generalQuery())
	}
	if records := p.records(); len(records) > 0 && !p.uplink {
		t.tell(Event{Kind: Retell, Network: n.name, Port: p.name, Records: records})
	}
}

// release ends what the configuration had a port get. What its listeners said meanwhile was
// nothing new, so that they are asked.
func (t *Table) release(now time.Duration, m *member) {
	if !m.port.mayLearn() {
		t.leave(m)
		return
	}
	m.static, m.filter = false, now+m.network.listenerInterval()
	m.port.learned++
	t.ask(now, m, true, nil)
	t.settle(now, m, wants{})
}

// records are what a listener behind the port would say of itself (RFC 9777 section
// 5.2.13).
func (p *port) records() (list []wire.Record) {
	for _, g := range slices.SortedFunc(maps.Keys(p.members), netip.Addr.Compare) {
		list = current(list, g, p.members[g].wants())
	}
	return list
}
