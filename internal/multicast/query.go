package multicast

import (
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/wire"
)

// grace is added to the time in which listeners answer: what they say then is still
// on its way.
const grace = time.Second

// querier is who asks on a network (RFC 9777 section 7.6.2).
type querier struct {
	// querying says that Damselfly does.
	querying bool
	// startup is how many Queries are still to come a quarter of the interval apart
	// (section 9.7), next is when the next goes out.
	startup int
	next    time.Duration
	// other is who else does, invalid where that is not known, and until when it is taken to be
	// there; 0 is that there is nobody.
	other      netip.Addr
	otherUntil time.Duration
	// older is until when a querier of version 1 is taken to be there, 0 for none (RFC 9777 section 8.2.1).
	older time.Duration
	// robustness and interval are those of who asks (sections 9.1 and 9.2).
	robustness int
	interval   time.Duration
	// answered is when the first Query has been answered, 0 before there was one.
	answered time.Duration
	ready    bool
}

// listenerInterval is how long a listener is known that says nothing: "([Robustness Variable]
// times [Query Interval]) plus 2 times [Query Response Interval]" (RFC 9777 section 9.4).
func (n *network) listenerInterval() time.Duration {
	return n.interval*time.Duration(n.robustness) + 2*n.conf.ResponseInterval
}

// olderInterval is how long a listener or a querier is taken to be of version 1 that was heard
// to be (RFC 9777 sections 9.12 and 9.13).
func (n *network) olderInterval() time.Duration {
	return n.interval*time.Duration(n.robustness) + n.conf.ResponseInterval
}

// otherInterval is how long another querier is known that says nothing (RFC 9777
// section 9.5).
func (n *network) otherInterval() time.Duration {
	return n.interval*time.Duration(n.robustness) + n.conf.ResponseInterval/2
}

// may reports whether Damselfly may ask: its router is there to ask from.
func (n *network) may() bool { return n.conf.Querier && n.address.IsValid() }

// begin has Damselfly ask.
func (t *Table) begin(now time.Duration, n *network) {
	n.querying, n.startup, n.next = true, n.conf.Robustness, now
	n.other, n.otherUntil = netip.Addr{}, 0
	n.robustness, n.interval = n.conf.Robustness, n.conf.QueryInterval
	t.mark(n)
}

// yield has Damselfly ask no more.
func (n *network) yield() {
	n.querying, n.startup, n.next = false, 0, 0
	for _, g := range n.groups {
		for _, m := range g.members {
			m.asking = asking{}
		}
	}
}

// general asks all.
func (t *Table) general(now time.Duration, n *network) {
	t.query(now, n, "", n.generalQuery())
	t.asked(now, n, n.conf.ResponseInterval)
	n.startup = max(n.startup-1, 0)
	n.next = now + n.interval
	if n.startup > 0 {
		n.next = now + n.interval/4 // section 9.6
	}
}

// query asks all, or who is behind a port. The network's own router answers as well, for routers
// there that do not ask: they hear it too, and give up what nobody answers for (RFC 9777
// sections 7.2.2 and 7.6.1).
func (t *Table) query(now time.Duration, n *network, at string, q wire.Query) {
	t.tell(Event{Kind: Ask, Network: n.name, Port: at, Query: q})
	if n.proxy != nil {
		n.proxy.asked(now, q.Group, q.Sources, q.MaxResponse, t.random)
		t.planLater(n)
	}
}

func (n *network) generalQuery() wire.Query {
	return wire.Query{Version: 2, MaxResponse: n.conf.ResponseInterval, Robustness: n.robustness, Interval: n.interval}
}

// asked notes that somebody asked who gives listeners this long.
func (t *Table) asked(now time.Duration, n *network, response time.Duration) {
	if n.answered == 0 {
		n.answered = now + response + grace
	}
}

// Query is what a valid Query of a router says.
type Query struct {
	// Source is who asks.
	Source      netip.Addr
	Group       netip.Addr // :: for all
	Sources     []netip.Addr
	MaxResponse time.Duration
	Suppress    bool
	Version     int
	// Robustness and Interval are 0 where it does not say.
	Robustness int
	Interval   time.Duration
}

// Asked takes a Query that came from a port (RFC 9777 sections 7.6.1 and 7.6.2, RFC 4541
// section 2.1.1).
func (t *Table) Asked(now time.Duration, network, at string, q Query) {
	n, p := t.find(network, at)
	if p == nil {
		return
	}
	lower := n.other.IsValid() && q.Source.Compare(n.other) > 0 && n.otherUntil > now
	if (!n.may() || q.Source.Less(n.address)) && !lower {
		if n.querying || n.other != q.Source {
			t.mark(n)
		}
		n.yield()
		n.other = q.Source
		n.robustness, n.interval = n.conf.Robustness, n.conf.QueryInterval
		if q.Robustness > 0 {
			n.robustness = q.Robustness
		}
		if q.Interval > 0 {
			n.interval = q.Interval
		}
		n.otherUntil = now + n.otherInterval()
	}
	t.routerAt(now, n, p, q.Source, now+n.otherInterval())
	if q.Group.IsUnspecified() {
		t.asked(now, n, q.MaxResponse)
	} else if !q.Suppress && !n.querying {
		t.lowerAll(now, n, q)
	}
	// "... whenever an MLDv1 Multicast Address Listener General Query is received",
	// section 8.2.1.
	if q.Version == 1 && q.Group.IsUnspecified() {
		t.older(n, now+n.olderInterval())
	}
	if n.proxy != nil {
		n.proxy.asked(now, q.Group, q.Sources, q.MaxResponse, t.random)
	}
	t.plan(now, n)
}

// older takes a querier of version 1 to be there until then, 0 for no more. "Whenever a host changes its
// compatibility mode, it cancels all its pending responses and retransmission timers" (RFC
// 9777 section 8.2.1).
func (t *Table) older(n *network, until time.Duration) {
	if (n.older > 0) != (until > 0) {
		t.mark(n)
		if n.proxy != nil {
			n.proxy.reset()
		}
	}
	n.older = until
}

// lowerAll lowers the times of a group as its querier has it: listeners that are
// there answer.
func (t *Table) lowerAll(now time.Duration, n *network, q Query) {
	g := n.groups[q.Group]
	if g == nil {
		return
	}
	until := now + time.Duration(n.robustness)*max(q.MaxResponse, n.conf.LastListenerInterval)
	for _, m := range g.members {
		if m.static {
			continue
		}
		before := m.wants()
		m.lower(until, len(q.Sources) == 0, q.Sources)
		t.settle(now, m, before)
	}
}

// turn does what is due of a network.
func (t *Table) turn(now time.Duration, n *network) {
	if n.otherUntil != 0 && n.otherUntil <= now {
		n.other, n.otherUntil = netip.Addr{}, 0
		t.mark(n)
		if n.may() {
			t.begin(now, n)
		}
	}
	if n.older > 0 && n.older <= now {
		t.older(n, 0)
	}
	if n.querying && n.next <= now {
		t.general(now, n)
	}
	t.turnRouters(now, n)
	if n.proxy != nil {
		t.turnProxy(now, n)
	}
	t.plan(now, n)
}

// plan sets when a network's turn is next, and sees whether it is ready.
func (t *Table) plan(now time.Duration, n *network) {
	there := n.querying || n.otherUntil > now
	ready := there && n.answered != 0 && n.answered <= now
	if ready != n.ready {
		n.ready = ready
		t.mark(n)
	}
	var due time.Duration
	next := func(at time.Duration) {
		if at != 0 && (due == 0 || at < due) {
			due = at
		}
	}
	if n.querying {
		next(n.next)
	}
	next(n.otherUntil)
	next(n.older)
	if n.answered > now {
		next(n.answered)
	}
	next(n.nextAdvert)
	if len(n.ended) > 0 {
		next(n.solicitFrom)
	}
	if n.proxy != nil {
		n.proxy.due(next)
	}
	for _, until := range n.routers {
		next(until)
	}
	if due == 0 {
		t.timers.Cancel(&n.timer)
		return
	}
	t.timers.Set(&n.timer, due)
}

// planLater has a network's next turn set before the Table rests, once however much comes of it
// until then.
func (t *Table) planLater(n *network) {
	if !n.unplanned {
		n.unplanned = true
		t.unplanned = append(t.unplanned, n)
	}
}

// planAll sets those turns.
func (t *Table) planAll(now time.Duration) {
	for _, n := range t.unplanned {
		n.unplanned = false
		if t.networks[n.name] == n {
			t.plan(now, n)
		}
	}
	t.unplanned = t.unplanned[:0]
}

// sortedKeys is for what is shown and sent in one order.
func sortedKeys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
