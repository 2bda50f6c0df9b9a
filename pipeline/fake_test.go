package pipeline

import (
	"errors"
	"io"
	"sync"
)

// Reasons and classes of the tests' handlers.
const (
	answered = FirstReason + iota
	ignored
	reasonCount
)

const classCount = 3

// queue is a Source in memory: batches that are put in come out, one a read.
type queue struct {
	in   chan []Frame
	once sync.Once
	end  chan struct{}
	// fail is returned once the batches put in before it are read.
	fail chan error
}

func newQueue(batches ...[]Frame) *queue {
	q := &queue{in: make(chan []Frame, 1024), end: make(chan struct{}), fail: make(chan error, 1)}
	for _, b := range batches {
		q.in <- b
	}
	return q
}

func (q *queue) ReadFrames(batch []Frame) (int, error) {
	select {
	case b := <-q.in: // what was put in comes out before the end is told
		return copy(batch, b), nil
	default:
	}
	select {
	case b := <-q.in:
		return copy(batch, b), nil
	case err := <-q.fail:
		return 0, err
	case <-q.end:
		return 0, io.EOF
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.end) })
	return nil
}

// sent is a Sink in memory.
type sent struct {
	mu      sync.Mutex
	replies []Reply // guarded by mu
	fail    bool    // guarded by mu
	// wrote gets the number of replies of each write.
	wrote chan int
}

func newSent() *sent { return &sent{wrote: make(chan int, 4096)} }

var errRefused = errors.New("refused")

func (s *sent) WriteReplies(r *Replies) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.wrote <- len(r.List()) }()
	if s.fail {
		return errRefused
	}
	for _, reply := range r.List() {
		reply.Data = append([]byte(nil), reply.Data...)
		s.replies = append(s.replies, reply)
	}
	return nil
}

func (s *sent) refuse(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *sent) list() []Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Reply(nil), s.replies...)
}

// mirror answers every frame with its own octets.
func mirror(batch []Frame, r *Replies, reasons []Reason) {
	for i := range batch {
		copy(r.Back(&batch[i], len(batch[i].Data)), batch[i].Data)
		reasons[i] = answered
	}
}

// frames are n frames of a port, each with its number as its only octet.
func frames(port uint16, class uint8, n int) []Frame {
	list := make([]Frame, n)
	for i := range list {
		list[i] = Frame{Data: []byte{byte(i)}, InPort: uint32(port), Port: port, Class: class}
	}
	return list
}
