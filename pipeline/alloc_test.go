package pipeline

import (
	"testing"
	"time"
)

// fullBatch is 64 frames of 16 ports, 86 octets each.
func fullBatch() []Frame {
	batch := make([]Frame, MaxBatch)
	for i := range batch {
		batch[i] = Frame{Data: make([]byte, 86), InPort: uint32(i % 16), Port: uint16(i % 16), Class: 1}
	}
	return batch
}

// TestNoAllocations: a warm worker allocates nothing, whether frames are
// answered, over their limit or tapped.
func TestNoAllocations(t *testing.T) {
	tests := map[string]Config{
		"answered":   {},
		"within":     {Limit: func(uint16, uint8) Limit { return Limit{Unlimited: true} }, Generation: func() uint64 { return 0 }},
		"over limit": {Limit: func(uint16, uint8) Limit { return Limit{} }},
		"tapped":     {Tap: func([]Frame, []Reason, []Reply) {}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			w, batch := bench(c), fullBatch()
			w.serve(batch)
			if n := testing.AllocsPerRun(100, func() { w.serve(batch) }); n != 0 {
				t.Errorf("%v allocations a batch, want 0", n)
			}
		})
	}
}

// BenchmarkServe is what the pipeline alone costs a frame: limit, counters,
// clock and arena around a handler that does nothing or copies the frame back.
func BenchmarkServe(b *testing.B) {
	idle := func([]Frame, *Replies, []Reason) {}
	limit := func(uint16, uint8) Limit { return Limit{Unlimited: true} }
	at := newClock()
	tests := []struct {
		name  string
		size  int
		setup Config
	}{
		{"idle/batch=64", MaxBatch, Config{Handler: idle, Limit: limit}},
		{"idle/batch=1", 1, Config{Handler: idle, Limit: limit}},
		{"idle/batch=1/clock=fake", 1, Config{Handler: idle, Limit: limit, Now: at.Now}},
		{"idle/batch=64/limit=none", MaxBatch, Config{Handler: idle}},
		{"idle/batch=64/limit=bucket", MaxBatch, Config{Handler: idle, Limit: func(uint16, uint8) Limit { return Limit{Rate: 1_000_000_000, Burst: 1 << 30} }}},
		{"mirror/batch=64", MaxBatch, Config{Limit: limit}},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			w, batch := bench(tt.setup), fullBatch()[:tt.size]
			b.ReportAllocs()
			for b.Loop() {
				w.serve(batch)
			}
			frames := time.Duration(b.N) * time.Duration(tt.size)
			b.ReportMetric(float64(b.Elapsed())/float64(frames), "ns/frame")
		})
	}
}
