package neighbor

import "time"

// Used says that something was sent to a neighbour since the last time: a stale
// one has to be asked whether it is still there (RFC 4861 section 7.3.3).
func (t *Table) Used(now time.Duration, p Place) {
	if e := t.entries[p]; e != nil && !e.mac.IsZero() {
		t.use(now, e)
	}
}

func (t *Table) use(now time.Duration, e *entry) {
	e.used = now
	if e.state == Stale {
		e.state = DelayState
		t.timers.Set(e, now+Delay)
	}
}

// Pin makes these the next hops of routes, and no others: they are asked for
// without a packet, as often as it takes, and asked whether they are there
// without being used.
func (t *Table) Pin(now time.Duration, places map[Place]bool) {
	for p, e := range t.entries {
		if e.pinned && !places[p] {
			t.unpin(now, e)
		}
	}
	for p := range places {
		e := t.entries[p]
		switch {
		case e == nil:
			e = t.enter(p, "")
			e.pinned = true
			t.ask(now, e)
		case e.pinned:
		case e.mac.IsZero():
			t.settle(e)
			e.pinned = true
		default:
			e.pinned = true
			t.doubt(now, e)
		}
	}
}

// unpin makes a next hop a neighbour as others are.
func (t *Table) unpin(now time.Duration, e *entry) {
	e.pinned = false
	if e.mac.IsZero() {
		t.drop(e)
		return
	}
	if e.state == ReachableState {
		t.reachable(now, e)
	}
}
