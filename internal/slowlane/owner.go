package slowlane

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"damselfly/pipeline"
)

// ErrStopped says that the Owner has ended and calls nothing any more.
var ErrStopped = errors.New("slowlane: stopped")

// Owner is the goroutine that decides what the rings bring. The fields are set
// before Run and not changed after.
type Owner struct {
	// Rings are drained in turn, each for an equal part of a batch first.
	Rings []*Ring
	// Wake is the channel the rings were made with, of capacity 1.
	Wake chan struct{}
	// Decide sets reasons[i] for batch[i] and adds the answers to r. It returns
	// only when what the answers promise is durable, and takes back answers
	// that promise what is not. It keeps no octets of the batch.
	Decide func(batch []Request, r *pipeline.Replies, reasons []pipeline.Reason)
	// Tick does what is due and may add messages to r; it returns after how long
	// it wants to be called again. It is called once at the start of Run. Nil
	// means there is nothing to do.
	Tick func(r *pipeline.Replies) time.Duration
	// Count is told how each request ended; nil counts nothing.
	Count func(port uint16, class uint8, reason pipeline.Reason)
	// Sink takes the replies; nobody else writes to it.
	Sink pipeline.Sink
	// Batch is the most requests decided, and committed, at once; below 1 is
	// DefaultBatch.
	Batch int
	// Pace is the least time from one group that had at least busy requests to
	// the next, so that under load groups grow and there are fewer commits. A
	// request that comes alone never waits for it. 0 is no pace.
	Pace time.Duration
	// Log reports replies that could not be sent; nil discards.
	Log *slog.Logger

	once  sync.Once
	calls chan func(*pipeline.Replies)
	done  chan struct{}

	batch   []Request
	reasons []pipeline.Reason
	replies *pipeline.Replies
	turn    int  // the ring that is first
	failing bool // so that one run of failures is one log line

	timer *time.Timer
	due   time.Time // when the timer fires
}

// busy is how many requests in one group are load: after such a group the Owner
// keeps to its Pace.
const busy = 16

// DefaultBatch is how many requests share one commit where nothing else is said.
const DefaultBatch = 256

func (o *Owner) init() {
	o.once.Do(func() {
		if o.Batch < 1 {
			o.Batch = DefaultBatch
		}
		if o.Log == nil {
			o.Log = slog.New(slog.DiscardHandler)
		}
		o.calls, o.done = make(chan func(*pipeline.Replies)), make(chan struct{})
		o.batch, o.reasons = make([]Request, o.Batch), make([]pipeline.Reason, o.Batch)
		o.replies = pipeline.NewReplies(o.Batch * 256)
	})
}

// Call runs fn on the Owner's goroutine, between batches, and returns when it
// has; what fn adds to the replies is sent then. It gives ctx's error if that
// ends first, after which fn is not run, and ErrStopped after the end of Run.
func (o *Owner) Call(ctx context.Context, fn func(*pipeline.Replies)) error {
	o.init()
	ran := make(chan struct{})
	select {
	case o.calls <- func(r *pipeline.Replies) { defer close(ran); fn(r) }:
		<-ran
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-o.done:
		return ErrStopped
	}
}

// Run serves the rings until ctx ends, and then what is still in them. The
// workers have to be at rest by then: what they push later stays unanswered.
// Run is called once.
func (o *Owner) Run(ctx context.Context) {
	o.init()
	defer close(o.done)
	o.timer, o.due = time.NewTimer(0), time.Now()
	defer o.timer.Stop()
	for {
		begun := time.Now()
		if n := o.serve(); n > 0 {
			if n >= busy && n < o.Batch {
				time.Sleep(o.Pace - time.Since(begun))
			}
			// Under load there may never be an empty moment; what waits beside
			// the rings is then looked after between batches.
			select {
			case <-ctx.Done():
			case fn := <-o.calls:
				o.run(fn)
			case <-o.timer.C:
				o.tick()
			default:
			}
			continue
		}
		select {
		case <-ctx.Done():
			for o.serve() > 0 {
			}
			return
		case fn := <-o.calls:
			o.run(fn)
		case <-o.timer.C:
			o.tick()
		case <-o.Wake:
		}
	}
}

func (o *Owner) run(fn func(*pipeline.Replies)) {
	fn(o.replies)
	o.flush()
}

func (o *Owner) tick() {
	if o.Tick == nil {
		return
	}
	again := max(o.Tick(o.replies), 0)
	o.flush()
	o.due = time.Now().Add(again)
	o.timer.Reset(again)
}

// TickIn has Tick called after d, if it would be called later than that. It is
// for Decide and for what Call runs.
func (o *Owner) TickIn(d time.Duration) {
	if due := time.Now().Add(d); due.Before(o.due) {
		o.due = due
		o.timer.Reset(d)
	}
}

// serve decides one batch and returns how many requests it had.
func (o *Owner) serve() int {
	n := o.take()
	if n == 0 {
		return 0
	}
	batch, reasons := o.batch[:n], o.reasons[:n]
	clear(reasons)
	o.Decide(batch, o.replies, reasons)
	o.flush()
	if o.Count != nil {
		for i := range batch {
			o.Count(batch[i].Port, batch[i].Class, reasons[i])
		}
	}
	for _, r := range o.Rings {
		r.Free()
	}
	return n
}

// take fills the batch: an equal part from each ring, then what there is.
func (o *Owner) take() (n int) {
	rings := len(o.Rings)
	if rings == 0 {
		return 0
	}
	o.turn = (o.turn + 1) % rings
	for _, part := range [2]int{max(o.Batch/rings, 1), o.Batch} {
		for i := range rings {
			room := o.batch[n:min(n+part, o.Batch)]
			n += o.Rings[(o.turn+i)%rings].Pop(room)
		}
	}
	return n
}

// flush sends the replies and forgets them.
func (o *Owner) flush() {
	if n := len(o.replies.List()); n > 0 {
		err := o.Sink.WriteReplies(o.replies)
		if err != nil && !o.failing {
			o.Log.Warn("replies not sent", "replies", n, "error", err)
		}
		o.failing = err != nil
	}
	o.replies.Reset()
}
