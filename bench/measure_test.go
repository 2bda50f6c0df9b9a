package bench

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	var hundred Latencies
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	tests := []struct {
		name string
		l    Latencies
		q    float64
		want time.Duration
	}{
		{"none", nil, 0.5, 0},
		{"one", Latencies{7}, 0.99, 7},
		{"least", hundred, 0, 1},
		{"median", hundred, 0.5, 51},
		{"tail", hundred, 0.99, 100},
		{"most", hundred, 1, 100},
	}
	for _, tt := range tests {
		if got := tt.l.Quantile(tt.q); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestCPU compares with getrusage(2), which counts finer.
func TestCPU(t *testing.T) {
	t.Parallel()
	var before, after unix.Rusage
	used := func(u *unix.Rusage) time.Duration {
		if err := unix.Getrusage(unix.RUSAGE_SELF, u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	low := used(&before)
	got, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	high := used(&after)
	if got < low-2*tick || got > high+2*tick {
		t.Errorf("got %v, want %v to %v", got, low, high)
	}
}
