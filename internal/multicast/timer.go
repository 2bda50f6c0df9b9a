package multicast

import (
	"container/heap"
	"time"
)

// Idle is how long Tick wants to rest where nothing is served.
const Idle = time.Minute

// timer is what happens next of a membership or, without one, of a network.
type timer struct {
	member *member
	owner  *network
	due    time.Duration
	index  int
}

// Tick does what is due at now and returns how long there is nothing to do.
func (t *Table) Tick(now time.Duration) (rest time.Duration) {
	t.planAll(now)
	for len(t.timers) > 0 && t.timers[0].due <= now {
		if first := t.timers[0]; first.member != nil {
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
	if len(t.timers) == 0 {
		return Idle
	}
	return min(t.timers[0].due-now, Idle)
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

// at sets when something happens next.
func (t *Table) at(k *timer, due time.Duration) {
	k.due = due
	if k.index < 0 {
		heap.Push(&t.timers, k)
		return
	}
	heap.Fix(&t.timers, k.index)
}

func (t *Table) cancel(k *timer) {
	if k.index >= 0 {
		heap.Remove(&t.timers, k.index)
	}
}

// timers are all of them ordered by due, each knowing its place.
type timers []*timer

// Len implements heap.Interface.
func (q timers) Len() int { return len(q) }

// Less implements heap.Interface.
func (q timers) Less(i, j int) bool { return q[i].due < q[j].due }

// Swap implements heap.Interface.
func (q timers) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *timers) Push(x any) {
	k := x.(*timer)
	k.index = len(*q)
	*q = append(*q, k)
}

// Pop implements heap.Interface.
func (q *timers) Pop() any {
	last := len(*q) - 1
	k := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	k.index = -1
	return k
}
