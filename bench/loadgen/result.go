package loadgen

import (
	"fmt"
	"strings"
	"time"
)

// Tally is what became of exchanges.
type Tally struct {
	Kind Kind
	// Asked were begun, Answered ended right, Lost had no answer in time, Strays
	// are answers that came twice or too late.
	Asked, Answered, Lost, Strays uint64
	// Times are how long those that were answered took.
	Times Histogram
}

// Result is what became of a run.
type Result struct {
	// Took is from the beginning to the last answer.
	Took time.Duration
	// Kinds are in the order of the mix.
	Kinds []Tally
}

// Total adds all kinds up; its Kind is that of the only one.
func (r *Result) Total() (t Tally) {
	for i := range r.Kinds {
		k := &r.Kinds[i]
		t.Kind = k.Kind
		t.Asked, t.Answered, t.Lost, t.Strays = t.Asked+k.Asked, t.Answered+k.Answered, t.Lost+k.Lost, t.Strays+k.Strays
		t.Times.Merge(&k.Times)
	}
	if len(r.Kinds) > 1 {
		t.Kind = ""
	}
	return t
}

// Rate is answers a second.
func (r *Result) Rate() float64 {
	if r.Took == 0 {
		return 0
	}
	t := r.Total()
	return float64(t.Answered) / r.Took.Seconds()
}

// Merge adds another run of the same mix.
func (r *Result) Merge(o *Result) {
	r.Took += o.Took
	if r.Kinds == nil {
		r.Kinds = make([]Tally, len(o.Kinds))
	}
	for i := range o.Kinds {
		k, t := &o.Kinds[i], &r.Kinds[i]
		t.Kind = k.Kind
		t.Asked, t.Answered, t.Lost, t.Strays = t.Asked+k.Asked, t.Answered+k.Answered, t.Lost+k.Lost, t.Strays+k.Strays
		t.Times.Merge(&k.Times)
	}
}

// String is a line a kind.
func (r *Result) String() string {
	var b strings.Builder
	for i := range r.Kinds {
		k := &r.Kinds[i]
		fmt.Fprintf(&b, "%-20s %9.0f/s, %d asked, %d answered, %d lost, %d strays, p50 %v, p99 %v, p99.9 %v, most %v\n", k.Kind,
			float64(k.Answered)/max(r.Took.Seconds(), 1e-9), k.Asked, k.Answered, k.Lost, k.Strays,
			k.Times.Quantile(0.5), k.Times.Quantile(0.99), k.Times.Quantile(0.999), k.Times.Max())
	}
	return b.String()
}
