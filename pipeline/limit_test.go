package pipeline

import (
	"testing"
	"time"
)

// clock is a clock that moves when told.
type clock struct{ now time.Time }

func newClock() *clock                   { return &clock{time.Unix(1_000_000, 0)} }
func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// bench is a worker without its goroutine.
func bench(c Config) *worker {
	if c.Stats == nil {
		c.Stats = NewStats(1, classCount, int(reasonCount))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Handler == nil {
		c.Handler = mirror
	}
	return newWorker(&c, Lane{Sink: nothing{}}, c.Stats.shard(0))
}

// nothing is a Sink that takes all.
type nothing struct{}

func (nothing) WriteReplies(*Replies) error { return nil }

// passed serves n frames and returns how many were within the limit.
func (w *worker) passed(port uint16, class uint8, n int) int {
	before := w.c.Stats.PortCount(port, OverLimit)
	w.serve(frames(port, class, n))
	return n - int(w.c.Stats.PortCount(port, OverLimit)-before)
}

// TestLimit follows one token bucket through time.
func TestLimit(t *testing.T) {
	at := newClock()
	w := bench(Config{Now: at.Now, Limit: func(uint16, uint8) Limit { return Limit{Rate: 10, Burst: 4} }})
	for _, step := range []struct {
		wait time.Duration
		n    int
		want int
	}{
		{0, 6, 4},                       // the burst
		{0, 1, 0},                       // empty
		{99 * time.Millisecond, 1, 0},   // not yet a tenth of a second
		{time.Millisecond, 2, 1},        // one token
		{250 * time.Millisecond, 5, 2},  // two and a half
		{50 * time.Millisecond, 5, 1},   // the half counts
		{time.Hour, 60, 4},              // never more than the burst
		{100 * time.Millisecond, 60, 1}, // and goes on
	} {
		at.advance(step.wait)
		if got := w.passed(1, 1, step.n); got != step.want {
			t.Fatalf("after %v: %d of %d pass, want %d", step.wait, got, step.n, step.want)
		}
	}
}

// TestLimitKinds are the limits at the edges.
func TestLimitKinds(t *testing.T) {
	tests := []struct {
		name  string
		limit Limit
		want  int
	}{
		{"unlimited", Limit{Unlimited: true}, 60},
		{"nothing", Limit{}, 0},
		{"no burst is a burst of one", Limit{Rate: 10}, 1},
		{"faster than a nanosecond", Limit{Rate: 4_000_000_000, Burst: 60}, 60},
		{"a huge burst", Limit{Rate: 1, Burst: 1<<32 - 1}, 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := bench(Config{Now: newClock().Now, Limit: func(uint16, uint8) Limit { return tt.limit }})
			if got := w.passed(1, 1, 60); got != tt.want {
				t.Errorf("%d of 60 pass, want %d", got, tt.want)
			}
		})
	}
}

// TestFloodHurtsOnlyItself: one port over its limit takes nothing from another
// port, nor from its own other classes, in the same batch.
func TestFloodHurtsOnlyItself(t *testing.T) {
	at := newClock()
	var served []Frame
	w := bench(Config{
		Now:   at.Now,
		Limit: func(uint16, uint8) Limit { return Limit{Rate: 100, Burst: 5} },
		Handler: func(batch []Frame, _ *Replies, reasons []Reason) {
			for i := range batch {
				served, reasons[i] = append(served, batch[i]), answered
			}
		},
	})
	var batch []Frame
	for i := range 12 {
		batch = append(batch, frames(1, 1, 4)...)
		if i%3 == 0 {
			batch = append(batch, Frame{Data: []byte{byte(i)}, Port: 2, Class: 1}, Frame{Data: []byte{byte(i)}, Port: 1, Class: 2})
		}
	}
	w.serve(batch)
	s := w.c.Stats
	if over, ok := s.PortCount(1, OverLimit), s.PortCount(1, answered); over != 43 || ok != 9 {
		t.Errorf("the flooding port: %d over its limit, %d answered, want 43 and 5 of its flood and 4 of another class", over, ok)
	}
	if over, ok := s.PortCount(2, OverLimit), s.PortCount(2, answered); over != 0 || ok != 4 {
		t.Errorf("the other port: %d over its limit, %d answered, want 0 and 4", over, ok)
	}
	last := -1
	for _, f := range served {
		if f.Port == 2 {
			if int(f.Data[0]) <= last {
				t.Errorf("the other port's frame %d came after %d", f.Data[0], last)
			}
			last = int(f.Data[0])
		}
	}
}

// TestLimitChanges: another limit counts from the next batch on once Generation
// says so, and not before.
func TestLimitChanges(t *testing.T) {
	at, limit, generation := newClock(), Limit{Rate: 1, Burst: 2}, uint64(0)
	w := bench(Config{
		Now:        at.Now,
		Limit:      func(uint16, uint8) Limit { return limit },
		Generation: func() uint64 { return generation },
	})
	if got := w.passed(1, 1, 5); got != 2 {
		t.Fatalf("%d pass, want the burst of 2", got)
	}
	limit = Limit{Unlimited: true}
	if got := w.passed(1, 1, 5); got != 0 {
		t.Errorf("%d pass before the change is told, want 0", got)
	}
	generation++
	if got := w.passed(1, 1, 5); got != 5 {
		t.Errorf("%d pass without a limit, want 5", got)
	}
	limit, generation = Limit{Rate: 10, Burst: 3}, generation+1
	at.advance(time.Second)
	if got := w.passed(1, 1, 5); got != 3 {
		t.Errorf("%d pass under the new limit, want its burst of 3", got)
	}
}
