// Package due orders what is waited for by when it comes.
package due

import (
	"container/heap"
	"time"
)

// Timer is when something comes, and where it stands in its Queue: embed it in what a
// Queue holds. The zero Timer stands nowhere.
type Timer struct {
	at    time.Duration
	place int // from 1 on
}

// Due returns the Timer of what it is embedded in.
func (t *Timer) Due() *Timer { return t }

// Timed is what a Queue holds: a pointer to something that embeds a Timer.
type Timed interface {
	comparable
	Due() *Timer
}

// Queue holds things by the time at which they come, of whatever clock. The zero Queue is
// empty. It is one goroutine's.
type Queue[T Timed] struct{ order order[T] }

// Len returns how many things there are.
func (q *Queue[T]) Len() int { return len(q.order) }

// Holds reports whether a thing is among them.
func (q *Queue[T]) Holds(x T) bool {
	place := x.Due().place
	return place > 0 && place <= len(q.order) && q.order[place-1] == x
}

// Set has a thing come at a time, whether it is there already or not.
func (q *Queue[T]) Set(x T, at time.Duration) {
	held := q.Holds(x)
	x.Due().at = at
	if held {
		heap.Fix(&q.order, x.Due().place-1)
		return
	}
	heap.Push(&q.order, x)
}

// Cancel takes a thing out, if it is there.
func (q *Queue[T]) Cancel(x T) {
	if q.Holds(x) {
		heap.Remove(&q.order, x.Due().place-1)
	}
}

// First returns what comes first, if that has come by now. It stays until it is set anew
// or canceled.
func (q *Queue[T]) First(now time.Duration) (x T, ok bool) {
	if len(q.order) == 0 || q.order[0].Due().at > now {
		return x, false
	}
	return q.order[0], true
}

// Rest returns how long it is until the first comes, most at the longest.
func (q *Queue[T]) Rest(now, most time.Duration) time.Duration {
	if len(q.order) == 0 {
		return most
	}
	return min(q.order[0].Due().at-now, most)
}

// order is what container/heap needs.
type order[T Timed] []T

// Len implements heap.Interface.
func (o order[T]) Len() int { return len(o) }

// Less implements heap.Interface.
func (o order[T]) Less(i, j int) bool { return o[i].Due().at < o[j].Due().at }

// Swap implements heap.Interface.
func (o order[T]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].Due().place, o[j].Due().place = i+1, j+1
}

// Push implements heap.Interface.
func (o *order[T]) Push(x any) {
	t := x.(T)
	*o = append(*o, t)
	t.Due().place = len(*o)
}

// Pop implements heap.Interface.
func (o *order[T]) Pop() any {
	last := len(*o) - 1
	t := (*o)[last]
	var none T
	(*o)[last] = none
	*o = (*o)[:last]
	t.Due().place = 0
	return t
}
