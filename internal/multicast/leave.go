package multicast

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/wire"
)

// asking is the Queries about one membership that are still to be repeated (RFC 9777
// section 7.6.3).
type asking struct {
	// all is how many are left for the group, since when it is asked for at all.
	all int
	// left is how many are left for each source.
	left map[netip.Addr]int
	// again is when the next go out, last when some did.
	again, last time.Duration
}

// questionPart is one part in so many of the Last Listener Query Interval that is between two
// Queries about a group: who leaves and comes back again and again, in as many records as a
// report has, has no more of them sent.
const questionPart = 4

// lastListenerTime is how long after a leave others may object (RFC 9777 section 9.10).
func (n *network) lastListenerTime() time.Duration {
	return n.conf.LastListenerInterval * time.Duration(n.robustness)
}

// ask asks who else wants what somebody left: sources and, with group, all of the group
// (RFC 9777 section 7.6.3). What nobody objects to ends after the Last Listener Query
// Time. Only the querier asks; without it times run as they were.
func (t *Table) ask(now time.Duration, m *member, group bool, sources []netip.Addr) {
	n := m.network
	if !n.querying {
		return
	}
	from := max(now, m.last+n.conf.LastListenerInterval/questionPart)
	until := from + n.lastListenerTime()
	// "... for each of the sources in X that send to multicast address MA, with the Source Timer
	// larger than LLQT", section 7.6.3.2: others are being asked for, or about to end.
	sources = slices.DeleteFunc(slices.Clone(sources), func(s netip.Addr) bool { return m.sources[s] <= until })
	if !group && len(sources) == 0 {
		return
	}
	if group {
		m.all = n.robustness
	}
	if m.left == nil {
		m.left = map[netip.Addr]int{}
	}
	for _, s := range sources {
		m.left[s] = n.robustness
	}
	m.lower(until, group, sources)
	if m.again = from; from == now {
		t.askNow(now, m) // and with these what is still to be asked for
	}
}

// lower brings times down to until (RFC 9777 section 7.6.1): of sources and, with group,
// of the group.
func (m *member) lower(until time.Duration, group bool, sources []netip.Addr) {
	if group && m.exclude {
		m.filter = min(m.filter, until)
	}
	for _, s := range sources {
		if timer := m.sources[s]; timer > until {
			m.sources[s] = until
		}
	}
}

// askNow sends the Queries that are due and plans the next.
func (t *Table) askNow(now time.Duration, m *member) {
	n := m.network
	most := now + n.lastListenerTime()
	q := wire.Query{Version: 2, MaxResponse: n.conf.LastListenerInterval, Group: m.group.addr, Robustness: n.robustness, Interval: n.interval}
	if m.all > 0 {
		m.all--
		q.Suppress = m.filter > most // somebody answered meanwhile, section 7.6.3.1
		t.query(now, n, m.port.name, q)
	}
	// "Sources with timers greater than LLQT" go into a Query of their own, with the S
	// flag, section 7.6.3.2.
	var lists [2][]netip.Addr
	for _, s := range slices.SortedFunc(maps.Keys(m.left), netip.Addr.Compare) {
		timer, there := m.sources[s]
		if m.left[s]--; m.left[s] <= 0 {
			delete(m.left, s)
		}
		switch {
		case !there:
		case timer > most:
			lists[1] = append(lists[1], s)
		default:
			lists[0] = append(lists[0], s)
		}
	}
	for i, list := range lists {
		for some := range slices.Chunk(list, sourcesPerQuery) {
			q.Suppress, q.Sources = i == 1, some
			t.query(now, n, m.port.name, q)
		}
	}
	m.again, m.last = 0, now
	if m.all > 0 || len(m.left) > 0 {
		m.again = now + n.conf.LastListenerInterval
	}
}

// sourcesPerQuery is how many sources fit a packet of 1,280 octets.
const sourcesPerQuery = (1280 - 40 - 8 - wire.MLDv2QueryLen) / 16

// settle files what became of a membership: its next time, its end, and whether others
// have to see it.
func (t *Table) settle(now time.Duration, m *member, before wants) {
	w := m.wants()
	if !w.any {
		t.leave(m)
		return
	}
	if w.exclude != before.exclude || !slices.Equal(w.sources, before.sources) {
		t.regroup(m.network, m.group.addr)
	}
	due := m.again
	next := func(at time.Duration) {
		if at != 0 && (due == 0 || at < due) {
			due = at
		}
	}
	next(m.filter)
	for _, timer := range m.sources {
		next(timer)
	}
	t.timers.Set(&m.timer, max(due, now))
}
