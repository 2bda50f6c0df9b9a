package timers

import "container/heap"

// queue orders entries by their due time, the earliest first; it is what
// container/heap needs.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is for container/heap; place is the way in.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop is for container/heap; place is the way out.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.index = outside
	return e
}

// outside is the index of an entry that is not in the queue.
const outside = -1

// place puts e where its due time belongs: nowhere if it has none.
func (q *queue) place(e *entry) {
	switch queued := e.index != outside; {
	case e.due.IsZero() && queued:
		heap.Remove(q, e.index)
	case e.due.IsZero():
	case queued:
		heap.Fix(q, e.index)
	default:
		heap.Push(q, e)
	}
}
