package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// running is a pipeline at work.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, c Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.done <- Run(ctx, c) }()
	t.Cleanup(cancel)
	return r
}

// stop ends the pipeline and returns what Run returned.
func (r *running) stop(t *testing.T) error {
	t.Helper()
	r.cancel()
	return r.wait(t)
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not return")
		return nil
	}
}

// TestOrder sends the frames of four ports over two lanes: what is answered
// comes in the order it was asked, port by port.
func TestOrder(t *testing.T) {
	const batches = 50
	lanes := make([]Lane, 2)
	sinks := make([]*sent, 2)
	for i := range lanes {
		q := newQueue()
		for b := range batches {
			var batch []Frame
			for port := range uint16(2) {
				batch = append(batch, Frame{Data: []byte{byte(b)}, InPort: uint32(i)*2 + uint32(port), Port: uint16(i)*2 + port})
			}
			q.in <- batch
		}
		sinks[i] = newSent()
		lanes[i] = Lane{Source: q, Sink: sinks[i]}
	}
	stats := NewStats(2, classCount, int(reasonCount))
	r := start(t, Config{Lanes: lanes, Handler: mirror, Stats: stats})
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	for i, s := range sinks {
		next := map[uint32]byte{}
		for _, reply := range s.list() {
			if reply.Data[0] != next[reply.Out] {
				t.Fatalf("lane %d port %d: answer %d where %d was due", i, reply.Out, reply.Data[0], next[reply.Out])
			}
			next[reply.Out]++
		}
		for port, n := range next {
			if n != batches {
				t.Errorf("port %d has %d answers, want %d", port, n, batches)
			}
			if got := stats.PortCount(uint16(port), answered); got != batches {
				t.Errorf("port %d has a count of %d, want %d", port, got, batches)
			}
		}
		if len(next) != 2 {
			t.Errorf("lane %d answered %d ports, want 2", i, len(next))
		}
	}
}

// TestStopAnswersWhatWasRead ends the pipeline while a batch is with the
// Handler: its answers are out when Run returns.
func TestStopAnswersWhatWasRead(t *testing.T) {
	sink, in, on := newSent(), make(chan struct{}), make(chan struct{})
	r := start(t, Config{
		Lanes: []Lane{{Source: newQueue(frames(1, 0, 5)), Sink: sink}},
		Handler: func(batch []Frame, replies *Replies, reasons []Reason) {
			close(in)
			<-on
			mirror(batch, replies, reasons)
		},
		Stats: NewStats(1, classCount, int(reasonCount)),
	})
	<-in
	r.cancel()
	close(on)
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if n := len(sink.list()); n != 5 {
		t.Errorf("%d answers are out, want 5", n)
	}
}

// TestEndings: how Run ends and what it returns.
func TestEndings(t *testing.T) {
	broken := errors.New("the socket is gone")
	config := func(q ...*queue) Config {
		c := Config{Handler: mirror, Stats: NewStats(len(q), classCount, int(reasonCount))}
		for _, q := range q {
			c.Lanes = append(c.Lanes, Lane{Source: q, Sink: newSent()})
		}
		return c
	}
	t.Run("a source fails", func(t *testing.T) {
		t.Parallel()
		bad, good := newQueue(frames(1, 0, 1)), newQueue()
		bad.fail <- broken
		c := config(good, bad)
		err := start(t, c).wait(t)
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "lane 1") {
			t.Errorf("got %v, want lane 1's error", err)
		}
		if n := len(c.Lanes[1].Sink.(*sent).list()); n != 1 {
			t.Errorf("%d answers to what was read before, want 1", n)
		}
	})
	t.Run("a source fails as if cancelled", func(t *testing.T) {
		t.Parallel()
		bad := newQueue()
		bad.fail <- context.Canceled
		if err := start(t, config(bad)).wait(t); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the source's error", err)
		}
	})
	t.Run("a deadline is a stop", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := Run(ctx, config(newQueue(), newQueue())); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("every source ends", func(t *testing.T) {
		t.Parallel()
		a, b := newQueue(frames(1, 0, 1)), newQueue()
		a.Close()
		b.Close()
		if err := start(t, config(a, b)).wait(t); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		if err := start(t, config(newQueue())).stop(t); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// TestOneReasonEach: every frame is counted once, by class and by port,
// whatever the Handler and the switch say.
func TestOneReasonEach(t *testing.T) {
	batch := append(frames(1, 1, 10), frames(2, 2, 5)...)
	batch = append(batch, Frame{Port: 3, Class: 200}, Frame{Port: 65535, Class: 1})
	stats := NewStats(1, classCount, int(reasonCount))
	c := Config{
		Lanes: []Lane{{Source: newQueue(batch), Sink: newSent()}},
		Handler: func(batch []Frame, _ *Replies, reasons []Reason) {
			for i := range batch {
				switch {
				case batch[i].Port == 1 && i < 4:
					reasons[i] = answered
				case batch[i].Port == 1:
					reasons[i] = ignored
				case batch[i].Port == 2:
					reasons[i] = 250 // no such reason
				}
			}
		},
		Stats: stats,
	}
	if err := start(t, c).stop(t); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		class  uint8
		reason Reason
		n      uint64
	}{{1, answered, 4}, {1, ignored, 6}, {1, Unset, 1}, {2, Unset, 5}, {0, Unset, 1}, {200, Unset, 0}, {0, 250, 0}} {
		if got := stats.Count(want.class, want.reason); got != want.n {
			t.Errorf("class %d reason %d: %d, want %d", want.class, want.reason, got, want.n)
		}
	}
	for port, want := range map[uint16][reasonCount]uint64{1: {answered: 4, ignored: 6}, 2: {Unset: 5}, 3: {Unset: 1}, 65535: {Unset: 1}, 9: {}} {
		for reason := range reasonCount {
			if got := stats.PortCount(port, reason); got != want[reason] {
				t.Errorf("port %d reason %d: %d, want %d", port, reason, got, want[reason])
			}
		}
	}
}

// TestForgottenFrame: a frame the Handler forgot does not end as the one that
// had its place in the batch before.
func TestForgottenFrame(t *testing.T) {
	w := bench(Config{})
	w.serve(frames(1, 1, 3))
	w.handler = func([]Frame, *Replies, []Reason) {}
	w.serve(frames(1, 1, 2))
	if n := w.c.Stats.Count(1, Unset); n != 2 {
		t.Errorf("%d frames are counted as forgotten, want 2", n)
	}
}

// TestSinkFailures: replies a Sink refuses are counted, and a run of refusals is
// one line in the log.
func TestSinkFailures(t *testing.T) {
	var log lockedBuffer
	sink, q := newSent(), newQueue()
	stats := NewStats(1, classCount, int(reasonCount))
	r := start(t, Config{Lanes: []Lane{{Source: q, Sink: sink}}, Handler: mirror, Stats: stats, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, refuse := range []bool{true, true, false, true, false} {
		sink.refuse(refuse)
		q.in <- frames(1, 0, 3)
		<-sink.wrote
	}
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	if n := stats.Unsent(); n != 9 {
		t.Errorf("%d replies are counted as unsent, want 9", n)
	}
	if n := strings.Count(log.String(), "replies not sent"); n != 2 {
		t.Errorf("%d lines in the log, want one for each run of failures, 2:\n%s", n, &log)
	}
	if n := stats.Count(0, answered); n != 15 {
		t.Errorf("%d frames are counted as answered, want 15", n)
	}
}

// TestTap: the tap sees every frame that was decided, with its reason and reply.
func TestTap(t *testing.T) {
	var seen []byte
	c := Config{
		Lanes:   []Lane{{Source: newQueue(frames(1, 0, 3), frames(1, 0, 2)), Sink: newSent()}},
		Handler: mirror,
		Stats:   NewStats(1, classCount, int(reasonCount)),
		Tap: func(batch []Frame, reasons []Reason, replies []Reply) {
			if len(batch) != len(reasons) || len(batch) != len(replies) {
				t.Errorf("%d frames, %d reasons, %d replies", len(batch), len(reasons), len(replies))
			}
			for i := range batch {
				if reasons[i] != answered || !bytes.Equal(replies[i].Data, batch[i].Data) {
					t.Errorf("frame %d: reason %d, reply %x", i, reasons[i], replies[i].Data)
				}
				seen = append(seen, batch[i].Data[0])
			}
		},
	}
	if err := start(t, c).stop(t); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(seen, []byte{0, 1, 2, 0, 1}) {
		t.Errorf("the tap saw %v", seen)
	}
}

// lockedBuffer is a buffer for a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
