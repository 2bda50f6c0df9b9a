package pipeline

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestLatencyBuckets puts one frame into each side of every bound.
func TestLatencyBuckets(t *testing.T) {
	for _, tt := range []struct {
		took time.Duration
		want int
	}{
		{0, 0}, {999 * time.Nanosecond, 0}, {time.Microsecond, 1}, {2*time.Microsecond - 1, 1}, {2 * time.Microsecond, 2},
		{3 * time.Microsecond, 2}, {4 * time.Microsecond, 3}, {16383 * time.Microsecond, 14}, {16384 * time.Microsecond, 15}, {time.Hour, 15},
	} {
		s := NewStats(2, classCount, int(reasonCount))
		s.shard(1).latency(3, tt.took)
		l := s.Latency(1)
		if l.Buckets[tt.want] != 3 || l.Sum != 3*tt.took {
			t.Errorf("%v: %v, sum %v, want bucket %d", tt.took, l.Buckets, l.Sum, tt.want)
		}
		if bound := l.Bound(tt.want); bound >= 0 && tt.took >= bound || tt.want > 0 && tt.took < l.Bound(tt.want-1) {
			t.Errorf("%v is not within the bounds of bucket %d", tt.took, tt.want)
		}
	}
}

// TestLatencyIsMeasured: a frame's time is that of its batch, to the write of
// its replies.
func TestLatencyIsMeasured(t *testing.T) {
	at := newClock()
	w := bench(Config{Now: at.Now, Handler: func(_ []Frame, _ *Replies, reasons []Reason) {
		at.advance(5 * time.Microsecond)
	}})
	w.serve(frames(1, 1, 4))
	if l := w.c.Stats.Latency(0); l.Buckets[3] != 4 || l.Sum != 20*time.Microsecond {
		t.Errorf("got %+v, want 4 frames of 5 us", l)
	}
}

// TestReadersBesideWriters reads every count while two workers write, for the
// race detector, and wants whole sums at the end.
func TestReadersBesideWriters(t *testing.T) {
	const batches, ports = 200, 500
	stats := NewStats(2, classCount, int(reasonCount))
	var writers, readers sync.WaitGroup
	for lane := range 2 {
		w := newWorker(&Config{Now: time.Now, Handler: mirror, Stats: stats}, Lane{Sink: nothing{}}, stats.shard(lane))
		writers.Go(func() {
			for b := range batches {
				w.serve(frames(uint16((2*b+lane)%ports), 1, 10))
			}
		})
	}
	done := make(chan struct{})
	readers.Go(func() {
		for last := uint64(0); ; {
			n := stats.Count(1, answered)
			if n < last {
				t.Errorf("the count fell from %d to %d", last, n)
			}
			last = n
			for port := range uint16(ports) {
				stats.PortCount(port, answered)
			}
			stats.Latency(0)
			stats.Unsent()
			select {
			case <-done:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	total := uint64(0)
	for port := range uint16(ports) {
		total += stats.PortCount(port, answered)
	}
	if n := stats.Count(1, answered); n != 2*batches*10 || total != n {
		t.Errorf("%d frames by class, %d by port, want %d", n, total, 2*batches*10)
	}
}

// TestPortTablesGrowCheaply counts the octets that 16,000 ports cost, one after
// the other: tables copied whole for each would cost a gigabyte.
func TestPortTablesGrowCheaply(t *testing.T) {
	const ports, perPort = 16_000, 1000
	w := bench(Config{Limit: func(uint16, uint8) Limit { return Limit{Rate: 1, Burst: 1} }})
	batch := make([]Frame, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for port := range uint16(ports) {
		batch[0] = Frame{Port: port, Class: 1}
		w.serve(batch)
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / ports; n > perPort {
		t.Errorf("%d octets a port, more than %d", n, perPort)
	}
}
