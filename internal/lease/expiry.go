package lease

import (
	"cmp"
	"container/heap"
	"time"

	"damselfly/internal/store"
)

// timers orders the clients by the end of their next lease. A client has one
// place; a lease that was extended is found out when its place comes up, so
// that extending costs nothing here.
type timers struct{ queue timerQueue }

type timer struct {
	at time.Duration // uptime
	id *identity
}

// sweepPause is how long a sweep that could not be committed waits.
const sweepPause = time.Second

// schedule sees to it that the client comes up when its next lease ends.
func (t *timers) schedule(c *client) {
	next := c.next()
	if next == store.Infinite || c.due != 0 && c.due <= next {
		return
	}
	t.push(c.identity, next)
}

func (t *timers) push(id *identity, at time.Duration) {
	id.due = cmp.Or(at, -1) // 0 says that there is no place
	heap.Push(&t.queue, timer{id.due, id})
}

// load schedules all clients at once.
func (t *timers) load(clients *table) {
	t.queue = make(timerQueue, 0, clients.live)
	clients.each(func(c *client) {
		if next := c.next(); next != store.Infinite {
			c.due = cmp.Or(next, -1)
			t.queue = append(t.queue, timer{c.due, c.identity})
		}
	})
	heap.Init(&t.queue)
}

// next is the uptime at which the client's first lease ends.
func (c *client) next() time.Duration {
	next := store.Infinite
	for i := range c.entries {
		next = min(next, c.entries[i].end())
	}
	return next
}

// cancel gives up the place of a client that holds nothing more.
func (t *timers) cancel(id *identity, live int) {
	id.due = 0
	if len(t.queue) < 2*live+1024 {
		return
	}
	kept := t.queue[:0]
	for _, p := range t.queue {
		if p.at == p.id.due {
			kept = append(kept, p)
		}
	}
	clear(t.queue[len(kept):])
	t.queue = kept
	heap.Init(&t.queue)
}

// pop takes the next client whose time has come, nil if there is none.
func (t *timers) pop(now time.Duration) *identity {
	for len(t.queue) > 0 && t.queue[0].at <= now {
		if p := heap.Pop(&t.queue).(timer); p.at == p.id.due {
			p.id.due = 0
			return p.id
		}
	}
	return nil
}

// NextExpiry returns how long until Expire may have something to do, at once
// included; ok is false if nothing will ever end.
func (b *Book) NextExpiry(now store.Clock) (wait time.Duration, ok bool) {
	if len(b.timers.queue) == 0 {
		return 0, false
	}
	return max(b.timers.queue[0].at-now.Uptime, 0), true
}

// timerQueue implements heap.Interface.
type timerQueue []timer

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q timerQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *timerQueue) Push(x any) { *q = append(*q, x.(timer)) }

// Pop implements heap.Interface.
func (q *timerQueue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = timer{}
	*q = (*q)[:len(*q)-1]
	return last
}
