package lab

import (
	"context"
	"os"
	"testing"
	"time"
)

// startLimit bounds a lab's start in tests, which takes a fraction of a second on an
// idle machine.
const startLimit = 40 * time.Second

// Start gives a test a lab that is closed when the test ends. Where no lab can
// run the test is skipped with the reason; with CI=true in the environment it
// fails instead. A failed test shows what ovs-vswitchd
// warned of.
func Start(tb testing.TB) *Lab {
	tb.Helper()
	if err := Available(); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("CI=true allows no skipping: %v", err)
		}
		tb.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	l, err := New(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("ovs-vswitchd's warnings:\n%s", l.vswitchd.warnings())
		}
		if err := l.Close(); err != nil {
			tb.Errorf("closing the lab: %v", err)
		}
	})
	return l
}

// WaitFor calls condition until it returns nil and fails the test, naming what
// was waited for and the last error, when that takes longer than limit.
func WaitFor(tb testing.TB, limit time.Duration, what string, condition func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := Eventually(ctx, condition); err != nil {
		tb.Fatalf("%s: not within %v: %v", what, limit, err)
	}
}
