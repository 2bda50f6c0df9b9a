package bench

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
