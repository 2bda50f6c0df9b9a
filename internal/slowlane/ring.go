package slowlane

import (
	"sync/atomic"
	"time"

	"damselfly/pipeline"
)

// Request is a frame that waits for the slow lane. Its Data is a copy in the
// ring, valid until Free.
type Request struct {
	pipeline.Frame
	// At is when the worker took the frame.
	At time.Time
}

// Ring is a bounded queue of frames from one worker to the Owner. Push and Wake
// are the worker's, Pop and Free the Owner's; nothing in it waits.
//
// The positions only grow and are taken modulo the number of places. Those
// between free and pushed hold requests; the worker writes a place only while
// the Owner may not read it.
type Ring struct {
	places []Request
	mask   uint64
	wake   chan struct{}

	share share // the worker's

	pushed atomic.Uint64 // written by the worker alone
	_      [56]byte      // keeps the two sides off one cache line
	free   atomic.Uint64 // written by the Owner alone
	_      [56]byte

	popped uint64 // the Owner's: between free and pushed
	woken  uint64 // the worker's: up to where it has woken the Owner
}

// NewRing returns a ring of at least the given places, of which one port may
// hold one part in shareOf; wake is the Owner's.
func NewRing(places, shareOf int, wake chan struct{}) *Ring {
	n := 1
	for n < places {
		n *= 2
	}
	return &Ring{places: make([]Request, n), mask: uint64(n - 1), wake: wake, share: share{most: uint32(max(n/max(shareOf, 1), 1))}}
}

// Push copies a frame into the ring. It returns false, and the frame is to be
// dropped with a reason, if the ring is full or the frame's port holds its share.
func (r *Ring) Push(f *pipeline.Frame, at time.Time) bool {
	pushed, free := r.pushed.Load(), r.free.Load()
	r.share.settle(r, free)
	if pushed-free == uint64(len(r.places)) || !r.share.take(f.Port) {
		return false
	}
	place := &r.places[pushed&r.mask]
	data := append(place.Data[:0], f.Data...)
	place.Frame, place.At = *f, at
	place.Data = data
	r.pushed.Store(pushed + 1)
	return true
}

// Wake tells the Owner of what was pushed since the last call; the worker calls
// it at the end of each batch. Without anything pushed it costs nothing.
func (r *Ring) Wake() {
	pushed := r.pushed.Load()
	if pushed == r.woken {
		return
	}
	r.woken = pushed
	select {
	case r.wake <- struct{}{}:
	default: // told already, and not yet looked
	}
}

// Pop takes up to len(batch) requests in the order they were pushed and returns
// their number. Their octets stay until Free.
func (r *Ring) Pop(batch []Request) int {
	pushed := r.pushed.Load()
	n := 0
	for n < len(batch) && r.popped != pushed {
		batch[n] = r.places[r.popped&r.mask]
		r.popped++
		n++
	}
	return n
}

// Free gives the places of all popped requests back to the worker.
func (r *Ring) Free() { r.free.Store(r.popped) }
