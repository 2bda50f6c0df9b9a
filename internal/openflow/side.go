package openflow

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// sideQueue holds the messages that the reader wants written: it must not write
// itself, since a write may have to wait for it to read.
type sideQueue struct {
	wake chan struct{} // one token: there is something

	mu  sync.Mutex
	buf []byte // guarded by mu
}

// sideRoom bounds what waits, in octets; echoes beyond it go unanswered.
const sideRoom = 4 * maxMessage

// add queues the answer to an echo request.
func (q *sideQueue) add(request Message) {
	q.mu.Lock()
	if len(q.buf) < sideRoom {
		q.buf = appendEchoReply(q.buf, request)
	}
	q.mu.Unlock()
	notify(q.wake)
}

// take appends what waits to b.
func (q *sideQueue) take(b []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	b = append(b, q.buf...)
	q.buf = q.buf[:0]
	return b
}

// notify puts a token into a channel that holds one, unless it is there.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sideLoop answers echoes and asks a silent bridge for a sign of life.
func (c *Conn) sideLoop() {
	tick := time.NewTicker(c.idle)
	defer tick.Stop()
	asked := false
	for {
		var err error
		select {
		case <-c.done:
			return
		case <-c.side.wake:
			err = c.write(context.Background(), func(b []byte) ([]byte, error) { return c.side.take(b), nil })
		case <-tick.C:
			switch {
			case c.heard.Swap(false):
				asked = false
			case asked:
				c.fail(fmt.Errorf("openflow: the bridge has been silent for %v and did not answer an echo", 2*c.idle))
				return
			default:
				asked = true
				err = c.write(context.Background(), func(b []byte) ([]byte, error) {
					return AppendHeader(b, TypeEchoRequest, 0), nil
				})
			}
		}
		if err != nil {
			return
		}
	}
}

// eventQueue holds events until they are taken.
type eventQueue struct {
	wake chan struct{} // one token: there is something

	mu     sync.Mutex
	list   []Event // guarded by mu
	missed int     // guarded by mu
}

// eventRoom is how many events may wait.
const eventRoom = 4096

func (q *eventQueue) add(e Event) {
	q.mu.Lock()
	if len(q.list) == eventRoom {
		q.missed += len(q.list)
		q.list = q.list[:0]
	}
	q.list = append(q.list, e)
	q.mu.Unlock()
	notify(q.wake)
}

func (q *eventQueue) take() (list []Event, missed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, missed = q.list, q.missed
	q.list, q.missed = nil, 0
	return list, missed
}

// deliver calls fn until done is closed.
func (q *eventQueue) deliver(done <-chan struct{}, fn func(Event)) {
	for {
		select {
		case <-done:
			return
		case <-q.wake:
		}
		list, missed := q.take()
		if missed > 0 {
			fn(Missed{missed})
		}
		for _, e := range list {
			fn(e)
		}
	}
}
