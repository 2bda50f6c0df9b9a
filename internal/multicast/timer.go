package multicast

import (
	"time"

	"damselfly/internal/due"
)

// Idle is how long Tick wants to rest where nothing is served.
const Idle = time.Minute

// timer is what happens next of a membership or, without one, of a network.
type timer struct {
	due.Timer
	member *member
	owner  *network
}

// Tick does what is due at now and returns how long there is nothing to do.
func (t *Table) Tick(now time.Duration) (rest time.Duration) {
	t.planAll(now)
	for first, ok := t.timers.First(now); ok; first, ok = t.timers.First(now) {
		if first.member != nil {
			t.expire(now, first.member)
		} else {
			t.turn(now, first.owner)
		}
	}
	for _, n := range t.proxies {
		if n.proxy != nil {
			t.retell(now, n)
		}
	}
	clear(t.untold)
	t.planAll(now)
	return t.timers.Rest(now, Idle)
}

// expire ends the times of a membership that have come (RFC 9777 sections 7.2.2, 7.2.3
// and 7.3).
func (t *Table) expire(now time.Duration, m *member) {
	before := m.wants()
	if m.again != 0 && m.again <= now {
		t.askNow(now, m)
	}
	over := m.exclude && m.filter <= now
	for s, timer := range m.sources {
		switch {
		case timer == 0 && over, timer != 0 && timer <= now && !m.exclude:
			delete(m.sources, s)
			m.port.sources--
		case timer != 0 && timer <= now && m.exclude && !over:
			m.sources[s] = 0
		case timer != 0 && timer <= now:
			delete(m.sources, s)
			m.port.sources--
		}
	}
	if over {
		m.exclude, m.filter = false, 0
	}
	t.settle(now, m, before)
}
