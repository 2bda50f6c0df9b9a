package loadgen

import (
	"math/bits"
	"time"
)

// Histogram counts times in buckets that are a 64th of their value wide, from a
// nanosecond to 18 minutes, so that any number of them takes 18 KB. Copies of one
// that is not empty count together.
type Histogram struct {
	counts []uint64
	n      uint64
	max    time.Duration
}

// A power of two has 1<<shift buckets; times under the first of them have one
// each.
const (
	shift   = 6
	longest = 40 // bits of the longest time
	buckets = (longest - shift + 1) << shift
)

// bucket finds the bucket of a time.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	e := bits.Len64(v) - shift - 1
	if e <= 0 {
		return int(v)
	}
	return min(e<<shift+int(v>>e), buckets-1)
}

// upper is the longest time of a bucket.
func upper(i int) time.Duration {
	e := i>>shift - 1
	if e <= 0 {
		return time.Duration(i)
	}
	return time.Duration((i-e<<shift+1)<<e - 1)
}

// Add counts a time.
func (h *Histogram) Add(d time.Duration) {
	if h.counts == nil {
		h.counts = make([]uint64, buckets)
	}
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Merge counts all that another has.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.counts == nil {
		h.counts = make([]uint64, buckets)
	}
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count returns how many times there are.
func (h *Histogram) Count() uint64 { return h.n }

// Max returns the longest.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the time that a share q of all, 0 to 1, did not exceed, at most
// a 64th too long; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.n)), h.n-1)
	for i, n := range h.counts {
		if rank < n {
			return min(upper(i), h.max)
		}
		rank -= n
	}
	return h.max
}
