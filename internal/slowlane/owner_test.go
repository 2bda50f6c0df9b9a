package slowlane

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"damselfly/pipeline"
)

const answered = pipeline.FirstReason

// sent is a Sink in memory.
type sent struct {
	mu      sync.Mutex
	replies [][]byte // guarded by mu
	fail    error
}

func (s *sent) WriteReplies(r *pipeline.Replies) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, reply := range r.List() {
		s.replies = append(s.replies, append([]byte(nil), reply.Data...))
	}
	return s.fail
}

// echo answers every request with its octets.
func echo(batch []Request, r *pipeline.Replies, reasons []pipeline.Reason) {
	for i := range batch {
		copy(r.Back(&batch[i].Frame, len(batch[i].Data)), batch[i].Data)
		reasons[i] = answered
	}
}

// TestStop: what was taken before the stop is answered, once, in order, and
// counted.
func TestStop(t *testing.T) {
	t.Parallel()
	wake, sink := wakeChan(), &sent{}
	var counted atomic.Int64
	o := &Owner{Wake: wake, Decide: echo, Sink: sink, Batch: 16, Count: func(port uint16, class uint8, reason pipeline.Reason) {
		if reason == answered && class == 5 && port < 3 {
			counted.Add(1)
		}
	}}
	for range 3 {
		o.Rings = append(o.Rings, NewRing(256, 1, wake))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { o.Run(ctx); close(done) }()
	var workers sync.WaitGroup
	var taken [3]uint32
	for i, r := range o.Rings {
		workers.Go(func() {
			for n := range 20_000 {
				if r.Push(frame(uint16(i), uint32(i)<<24|taken[i]), time.Time{}) {
					taken[i]++
				}
				if n%64 == 0 {
					r.Wake()
				}
			}
			// No Wake: the stop itself has to find what is left.
		})
	}
	workers.Wait()
	cancel()
	<-done
	var seen [3]uint32
	for _, data := range sink.replies {
		n := binary.BigEndian.Uint32(data)
		if lane := n >> 24; n&0xffffff != seen[lane] {
			t.Fatalf("lane %d: reply %d where %d was next", lane, n&0xffffff, seen[lane])
		} else {
			seen[lane]++
		}
	}
	if seen != taken || counted.Load() != int64(len(sink.replies)) {
		t.Errorf("answered %v and counted %d, taken %v", seen, counted.Load(), taken)
	}
	if err := o.Call(t.Context(), func(*pipeline.Replies) { t.Error("called after the stop") }); !errors.Is(err, ErrStopped) {
		t.Errorf("Call after the stop: %v", err)
	}
}

// TestFair: a ring that is always full leaves the others their part.
func TestFair(t *testing.T) {
	t.Parallel()
	wake := wakeChan()
	o := &Owner{Wake: wake, Batch: 8, Sink: &sent{}}
	o.init()
	o.Rings = []*Ring{NewRing(64, 1, wake), NewRing(64, 1, wake)}
	for n := range uint32(64) {
		o.Rings[0].Push(frame(0, n), time.Time{})
	}
	for n := range uint32(6) {
		o.Rings[1].Push(frame(1, n), time.Time{})
	}
	for round, want := range []int{4, 2, 0} {
		got := 0
		n := o.take()
		for _, q := range o.batch[:n] {
			got += int(q.Port)
		}
		if n != 8 || got != want {
			t.Errorf("batch %d: %d requests, %d of the small ring, want 8 and %d", round, n, got, want)
		}
	}
}

// TestTickAndCall run on the Owner's goroutine, also under load, and what they
// add is sent; a Sink that fails stops nothing.
func TestTickAndCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake, sink := wakeChan(), &sent{fail: errors.New("refused")}
		ticks := 0 // the Owner's
		o := &Owner{
			Wake: wake, Rings: []*Ring{NewRing(64, 1, wake)}, Decide: echo, Sink: sink,
			Tick: func(r *pipeline.Replies) time.Duration {
				ticks++
				r.To(1, 0, 1)[0] = 't'
				return 10 * time.Second
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { o.Run(ctx); close(done) }()
		time.Sleep(25 * time.Second) // of the bubble
		o.Rings[0].Push(frame(1, 0), time.Time{})
		o.Rings[0].Wake()
		synctest.Wait()
		if err := o.Call(ctx, func(r *pipeline.Replies) {
			if ticks != 3 {
				t.Errorf("%d ticks, want 3: at 0, 10 and 20 s", ticks)
			}
			r.To(1, 0, 1)[0] = 'c'
		}); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
		got := ""
		for _, data := range sink.replies {
			if len(data) == 1 {
				got += string(data)
			} else {
				got += "r"
			}
		}
		if got != "tttrc" {
			t.Errorf("sent %q, want %q", got, "tttrc")
		}
		expired, cancelled := context.WithCancel(t.Context())
		cancelled()
		if err := (&Owner{}).Call(expired, func(*pipeline.Replies) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("Call that nobody serves: %v", err)
		}
	})
}

// TestStopWhileAsleep: a stop finds what was pushed without a wake.
func TestStopWhileAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake, sink := wakeChan(), &sent{}
		o := &Owner{Wake: wake, Rings: []*Ring{NewRing(8, 1, wake)}, Decide: echo, Sink: sink}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { o.Run(ctx); close(done) }()
		synctest.Wait()
		o.Rings[0].Push(frame(1, 0), time.Time{})
		cancel()
		<-done
		if len(sink.replies) != 1 {
			t.Errorf("%d replies, want 1", len(sink.replies))
		}
	})
}

// TestPace: under load a group waits for its time and grows; a request that
// comes alone does not.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pace = 3 * time.Millisecond
		wake, start := wakeChan(), time.Now()
		ring := NewRing(256, 1, wake)
		type group struct {
			at   time.Duration
			size int
		}
		var got []group
		push := func(n int) {
			for range n {
				ring.Push(frame(1, 0), time.Time{})
			}
			ring.Wake()
		}
		o := &Owner{Wake: wake, Rings: []*Ring{ring}, Sink: &sent{}, Pace: pace}
		o.Decide = func(batch []Request, r *pipeline.Replies, reasons []pipeline.Reason) {
			got = append(got, group{time.Since(start), len(batch)})
			time.Sleep(time.Millisecond) // the commit
			echo(batch, r, reasons)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { o.Run(ctx); close(done) }()
		push(busy)
		time.Sleep(2 * time.Millisecond)
		push(10)
		push(10)
		time.Sleep(8 * time.Millisecond)
		push(1)
		time.Sleep(1500 * time.Microsecond)
		push(1)
		time.Sleep(10 * time.Millisecond)
		cancel()
		<-done
		want := []group{{0, busy}, {pace, 20}, {10 * time.Millisecond, 1}, {11500 * time.Microsecond, 1}}
		if !slices.Equal(got, want) {
			t.Errorf("groups %v, want %v", got, want)
		}
	})
}

// TestTickIn: what a request started is looked after when it is due, not when
// the Owner had meant to look next.
func TestTickIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, wake := time.Now(), wakeChan()
		var ticks []time.Duration // the Owner's
		o := &Owner{Wake: wake, Rings: []*Ring{NewRing(8, 1, wake)}, Sink: &sent{}, Tick: func(*pipeline.Replies) time.Duration {
			ticks = append(ticks, time.Since(began))
			return time.Minute
		}}
		o.Decide = func([]Request, *pipeline.Replies, []pipeline.Reason) {
			o.TickIn(250 * time.Millisecond)
			o.TickIn(time.Hour) // later than what is due: nothing changes
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { o.Run(ctx); close(done) }()
		time.Sleep(10 * time.Second) // of the bubble
		o.Rings[0].Push(frame(1, 0), time.Time{})
		o.Rings[0].Wake()
		time.Sleep(time.Minute)
		cancel()
		<-done
		if want := []time.Duration{0, 10*time.Second + 250*time.Millisecond}; !slices.Equal(ticks, want) {
			t.Errorf("ticks at %v, want %v", ticks, want)
		}
	})
}
