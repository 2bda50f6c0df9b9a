package agent

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"damselfly/internal/store"
)

// TestReplay: the values grow through restarts with the clock anywhere, through
// the end of an era, and there are none where their era can't be kept.
func TestReplay(t *testing.T) {
	t.Parallel()
	dir, log := filepath.Join(t.TempDir(), "state"), slog.New(slog.DiscardHandler)
	last := uint64(0)
	now := time.Unix(1_700_000_000, 0)
	for _, wall := range []time.Time{now, now.Add(-5 * time.Hour), now.Add(time.Hour), time.Unix(-5, 0), now, time.Unix(1<<33, 0), now} {
		s, err := store.Open(dir, log)
		if err != nil {
			t.Fatal(err)
		}
		r := &replay{store: s, wall: func() time.Time { return wall }, log: log}
		grow := func() {
			t.Helper()
			v, ok := r.next()
			if !ok || v <= last {
				t.Fatalf("at %v: %d, %v, after %d", wall, v, ok, last)
			}
			last = v
		}
		for range 3 {
			grow()
			wall = wall.Add(-time.Minute)
		}
		r.last |= 0xfffffffe
		last = r.last
		grow()
		grow()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.next(); !ok {
			t.Error("an era that was kept is not used on")
		}
		if v, ok := (&replay{store: s, wall: time.Now, log: log}).next(); ok {
			t.Errorf("%d without a state", v)
		}
	}
}
