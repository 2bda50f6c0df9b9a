package loadgen

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	upTo := func(n int) (h Histogram) {
		for i := range n {
			h.Add(time.Duration(i + 1))
		}
		return h
	}
	tests := []struct {
		name string
		h    Histogram
		q    float64
		want time.Duration
	}{
		{"none", Histogram{}, 0.5, 0},
		{"one", upTo(1), 0.99, 1},
		{"least", upTo(100), 0, 1},
		{"median", upTo(100), 0.5, 51},
		{"tail", upTo(100), 0.99, 100},
		{"most", upTo(100), 1, 100},
	}
	for _, tt := range tests {
		if got := tt.h.Quantile(tt.q); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestHistogramPrecision compares with the times themselves, in order.
func TestHistogramPrecision(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var halves [2]Histogram
	for i := range 10_000 {
		d := time.Duration(r.Uint64() >> (24 + r.IntN(40)))
		all = append(all, d)
		halves[i%2].Add(d)
	}
	slices.Sort(all)
	h := halves[0]
	h.Merge(&halves[1])
	if h.Count() != 10_000 || h.Max() != all[len(all)-1] {
		t.Errorf("%d times, most %v; want 10000, %v", h.Count(), h.Max(), all[len(all)-1])
	}
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(int(q*10_000), 9_999)]
		if got := h.Quantile(q); got < want || got > want+want/64 {
			t.Errorf("quantile %v: got %d, want %d or at most a 64th more", q, got, want)
		}
	}
}

// TestBuckets: every time is in a bucket whose end is not below it, and no bucket
// is skipped.
func TestBuckets(t *testing.T) {
	t.Parallel()
	for i := range buckets - 1 {
		if got := bucket(upper(i)); got != i {
			t.Fatalf("the end of bucket %d, %v, is in bucket %d", i, upper(i), got)
		}
		if got := bucket(upper(i) + 1); got != i+1 {
			t.Fatalf("what follows the end of bucket %d is in bucket %d", i, got)
		}
	}
	if got := bucket(time.Hour); got != buckets-1 {
		t.Errorf("an hour is in bucket %d, want the last", got)
	}
}
