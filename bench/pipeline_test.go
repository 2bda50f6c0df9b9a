package bench

import (
	"io"
	"testing"
	"time"

	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/pipeline"
)

// memory is a Source of the same batches again and again, for as long as the
// benchmark goes on, and a Sink that counts.
type memory struct {
	loop    func() bool
	batches [][]pipeline.Frame
	next    int
	replies int
}

// ReadFrames implements pipeline.Source.
func (m *memory) ReadFrames(batch []pipeline.Frame) (int, error) {
	if !m.loop() {
		return 0, io.EOF
	}
	n := copy(batch, m.batches[m.next])
	if m.next++; m.next == len(m.batches) {
		m.next = 0
	}
	return n, nil
}

// Close implements pipeline.Source.
func (m *memory) Close() error { return nil }

// WriteReplies implements pipeline.Sink.
func (m *memory) WriteReplies(r *pipeline.Replies) error {
	m.replies += len(r.List())
	return nil
}

// BenchmarkPipeline is BenchmarkFrame with all that a worker does beside:
// limits, counters and clock. One operation is one batch.
func BenchmarkPipeline(b *testing.B) {
	w := newWorld(b, 1_000)
	for _, k := range kinds {
		b.Run("kind="+k.name, func(b *testing.B) {
			m := &memory{loop: b.Loop, batches: w.batches(k, w.all())}
			b.ReportAllocs()
			err := pipeline.Run(b.Context(), pipeline.Config{
				Lanes:   []pipeline.Lane{{Source: m, Sink: m}},
				Handler: w.handler(),
				Limit:   func(uint16, uint8) pipeline.Limit { return pipeline.Limit{Rate: 1e9, Burst: 1 << 30} },
				Now:     time.Now,
				Stats:   pipeline.NewStats(1, int(punt.Classes), reason.Count),
			})
			if err != nil {
				b.Fatal(err)
			}
			perFrame(b, b.Elapsed(), b.N*pipeline.MaxBatch)
			if want := b.N * pipeline.MaxBatch; reason.Replies(k.want) && m.replies != want {
				b.Fatalf("%d frames got %d replies", want, m.replies)
			}
		})
	}
}
