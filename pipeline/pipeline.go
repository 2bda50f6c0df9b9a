package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Tap sees every batch after it was decided: the frames, how each ended, and
// the replies. Frames over their limit are not among them. It may copy octets and may keep none, and must not wait.
type Tap func(batch []Frame, reasons []Reason, replies []Reply)

// Config is what Run needs. Every field without a comment saying otherwise is
// required.
type Config struct {
	// Lanes are the workers' ends: one worker each.
	Lanes []Lane
	// Handler decides the frames of lanes without one of their own. It is called by all workers at once and
	// keeps no state of its own that is not safe for that.
	Handler Handler
	// Limit returns the budget of a port and class; nil means no limits. It is
	// asked when a port is first seen and again whenever Generation changes.
	Limit func(port uint16, class uint8) Limit
	// Generation counts the changes of what Limit returns; nil means never.
	Generation func() uint64
	// Now is the clock that limits run on; nil means time.Now.
	Now func() time.Time
	// Tap is optional.
	Tap Tap
	// Stats receives the counts.
	Stats *Stats
	// Log reports what a worker cannot mend; nil discards.
	Log *slog.Logger
}

// Lane is the two ends of one worker.
type Lane struct {
	Source Source
	Sink   Sink
	// Handler is this lane's alone; nil means Config.Handler.
	Handler Handler
}

// Run moves frames until ctx ends, then stops in order: sources first, so that
// nothing new arrives, then the workers once their last replies are out. It
// returns nil after such a stop or once every Source has ended by itself, and
// the first error of a Source otherwise.
func Run(ctx context.Context, c Config) error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	var workers sync.WaitGroup
	var running atomic.Int32
	running.Store(int32(len(c.Lanes)))
	failed := make(chan error, len(c.Lanes))
	for i, lane := range c.Lanes {
		w := newWorker(&c, lane, c.Stats.shard(i))
		workers.Go(func() {
			err := w.run()
			if err != nil {
				failed <- fmt.Errorf("lane %d: %w", i, err)
			}
			if running.Add(-1) == 0 || err != nil {
				cancel()
			}
		})
	}
	<-ctx.Done()
	for _, lane := range c.Lanes {
		if err := lane.Source.Close(); err != nil {
			c.Log.Warn("closing a source", "error", err)
		}
	}
	workers.Wait()
	close(failed)
	return <-failed
}

// worker is one lane's goroutine and everything only it writes.
type worker struct {
	c       *Config
	lane    Lane
	stats   *shard
	budgets budgets

	batch   [MaxBatch]Frame
	reasons [MaxBatch]Reason
	replies *Replies
	handler Handler
	// failing is true while writes fail, so that one run of failures is one log line.
	failing bool
}

func newWorker(c *Config, lane Lane, s *shard) *worker {
	w := &worker{c: c, lane: lane, stats: s, replies: NewReplies(MaxBatch * 256), handler: c.Handler}
	if lane.Handler != nil {
		w.handler = lane.Handler
	}
	return w
}

// run serves the lane until its Source ends.
func (w *worker) run() error {
	for {
		n, err := w.lane.Source.ReadFrames(w.batch[:])
		if n > 0 {
			w.serve(w.batch[:n])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// serve takes one batch from limit to counters.
func (w *worker) serve(batch []Frame) {
	start := w.c.Now()
	kept := w.admit(batch, start)
	if len(kept) == 0 {
		return
	}
	reasons := w.reasons[:len(kept)]
	clear(reasons)
	w.handler(kept, w.replies, reasons)
	if err := w.flush(); err != nil {
		w.stats.lost(len(w.replies.List()))
	}
	w.stats.count(kept, reasons)
	w.stats.latency(len(kept), w.c.Now().Sub(start))
	if w.c.Tap != nil {
		w.c.Tap(kept, reasons, w.replies.List())
	}
	w.replies.Reset()
}

// admit moves the frames within their port's budget to the front and counts the
// others. A class that there are no counters for is taken off its frame.
func (w *worker) admit(batch []Frame, now time.Time) []Frame {
	limited := w.c.Limit != nil
	if limited {
		w.budgets.refresh(w.c)
	}
	kept := 0
	for i := range batch {
		f := &batch[i]
		if !w.stats.known(f.Class) {
			f.Class = 0
		}
		if limited && !w.budgets.take(w.c, f.Port, f.Class, now) {
			w.stats.add(f.Port, f.Class, OverLimit)
			continue
		}
		if kept != i {
			batch[kept] = *f
		}
		kept++
	}
	return batch[:kept]
}

// flush writes the batch's replies and reports the first failure of a run.
func (w *worker) flush() error {
	if len(w.replies.List()) == 0 {
		return nil
	}
	err := w.lane.Sink.WriteReplies(w.replies)
	if err != nil && !w.failing {
		w.c.Log.Warn("replies not sent", "replies", len(w.replies.List()), "error", err)
	}
	w.failing = err != nil
	return err
}
