package bench

import (
	"fmt"
	"testing"
	"time"

	"damselfly/handlers"
	"damselfly/pipeline"
)

// sizes are the numbers of ports that a frame is measured at. Keys end at the
// last.
var sizes = []int{10, 1_000, 16_000}

// TestFrames holds every kind of frame, from every port, against the reason it
// must end in, and shows that the way there allocates nothing.
func TestFrames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_100) // two networks
	handle, r := w.handler(), pipeline.NewReplies(1<<15)
	reasons := make([]pipeline.Reason, pipeline.MaxBatch)
	for _, k := range kinds {
		batches := w.batches(k, w.all())
		for _, batch := range batches {
			r.Reset()
			handle(batch, r, reasons)
			for i, got := range reasons {
				if got != k.want {
					t.Fatalf("%s: a frame of port %d ends in %s, want %s",
						k.name, batch[i].Port, handlers.ReasonName(got), handlers.ReasonName(k.want))
				}
			}
		}
	}
}

// TestNoAllocations: nothing on a frame's way allocates. It cannot be parallel:
// allocations are counted for the whole process.
func TestNoAllocations(t *testing.T) {
	w := newWorld(t, 100)
	handle, r := w.handler(), pipeline.NewReplies(1<<15)
	reasons := make([]pipeline.Reason, pipeline.MaxBatch)
	for _, k := range kinds {
		batches := w.batches(k, w.all())
		n := testing.AllocsPerRun(100, func() {
			for _, batch := range batches {
				r.Reset()
				handle(batch, r, reasons)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations in %d batches, want 0", k.name, n, len(batches))
		}
	}
}

// BenchmarkFrame is the way from the octets of a frame to those of its reply,
// checksums verified and made, in batches of pipeline.MaxBatch. One operation is
// one batch and its copying; ns/frame is without.
func BenchmarkFrame(b *testing.B) {
	for _, ports := range sizes {
		w := newWorld(b, ports)
		for _, k := range kinds {
			b.Run(fmt.Sprintf("ports=%d/kind=%s/from=one", ports, k.name), func(b *testing.B) {
				benchmarkBatches(b, w, k, w.one())
			})
			b.Run(fmt.Sprintf("ports=%d/kind=%s/from=all", ports, k.name), func(b *testing.B) {
				benchmarkBatches(b, w, k, w.all())
			})
		}
	}
}

// benchmarkBatches times the handler alone: before each batch its frames are
// copied into one buffer, as a source reads them, so that their own octets are
// in the cache and what the topology costs shows.
func benchmarkBatches(b *testing.B, w *world, k kind, ports []int) {
	batches := w.batches(k, ports)
	handle, r := w.handler(), pipeline.NewReplies(1<<15)
	reasons := make([]pipeline.Reason, pipeline.MaxBatch)
	s := &source{}
	var took time.Duration
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		batch := s.read(batches[i])
		r.Reset()
		start := time.Now()
		handle(batch, r, reasons)
		took += time.Since(start)
		if i++; i == len(batches) {
			i = 0
		}
	}
	perFrame(b, took, b.N*pipeline.MaxBatch)
	if reasons[0] != k.want {
		b.Fatalf("frames end in %s, want %s", handlers.ReasonName(reasons[0]), handlers.ReasonName(k.want))
	}
}

// source is the buffer of one.
type source struct {
	batch [pipeline.MaxBatch]pipeline.Frame
	room  [pipeline.MaxBatch * 256]byte
}

func (s *source) read(batch []pipeline.Frame) []pipeline.Frame {
	at := 0
	for i := range batch {
		n := copy(s.room[at:], batch[i].Data)
		s.batch[i] = batch[i]
		s.batch[i].Data = s.room[at : at+n : at+n]
		at += n
	}
	return s.batch[:len(batch)]
}

// perFrame reports what each of so many frames took.
func perFrame(b *testing.B, took time.Duration, frames int) {
	b.ReportMetric(float64(took.Nanoseconds())/float64(frames), "ns/frame")
	b.ReportMetric(float64(frames)/took.Seconds(), "frames/s")
}
