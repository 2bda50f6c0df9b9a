package binding

import (
	"container/heap"
	"time"
)

// Idle is how long Tick wants to rest where nothing is bound.
const Idle = time.Minute

// Tick does what is due at now and returns how long there is nothing to do.
func (t *Table) Tick(now time.Duration) (rest time.Duration) {
	for len(t.timers) > 0 && t.timers[0].due <= now {
		t.expire(now, t.timers[0])
	}
	if len(t.timers) == 0 {
		return Idle
	}
	return min(t.timers[0].due-now, Idle)
}

// expire ends the state of an entry whose time has come.
func (t *Table) expire(now time.Duration, e *entry) {
	switch {
	case e.state == tentative:
		t.bind(now, e)
		t.tell(Learned, e, e.port, "")
	case e.contender.Port != "":
		t.yield(now, e)
	case e.asked == Probes || !t.Present(e.network, e.port):
		t.tell(Lost, e, e.port, "")
		t.drop(e)
	default:
		t.ask(now, e)
	}
}

// ask asks a silent holder once more.
func (t *Table) ask(now time.Duration, e *entry) {
	e.state = tested
	e.asked++
	t.tell(AskHolder, e, e.port, "")
	t.at(e, now+ProbeInterval)
}

// at sets when an entry's state ends.
func (t *Table) at(e *entry, due time.Duration) {
	e.due = due
	if e.index < 0 {
		heap.Push(&t.timers, e)
		return
	}
	heap.Fix(&t.timers, e.index)
}

func (t *Table) cancel(e *entry) {
	if e.index >= 0 {
		heap.Remove(&t.timers, e.index)
	}
}

// timers are the entries ordered by due, each knowing its place.
type timers []*entry

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
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *timers) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.index = -1
	return e
}
