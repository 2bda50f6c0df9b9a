package store

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"damselfly/internal/store/killtest"
)

// writeForever is the child of TestKilledWriter: it writes records in groups
// of varying size and prints the last number of each group once it is durable.
func writeForever(dir string) {
	s, err := Open(dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	next := uint64(0)
	_ = s.View(func(tx *Tx) error {
		return tx.ForEach(BucketRouters, nil, func(k, _ []byte) error {
			next = max(next, binary.BigEndian.Uint64(k)+1)
			return nil
		})
	})
	for {
		group := next%17 + 1
		if err := s.Update(func(tx *Tx) error {
			for range group {
				if err := tx.Put(BucketRouters, binary.BigEndian.AppendUint64(nil, next), make([]byte, 50)); err != nil {
					return err
				}
				next++
			}
			return nil
		}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(next - 1)
	}
}

func TestKilledWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killtest.Run(t, "DAMSELFLY_STORE_WRITER="+dir, 20, rand.New(rand.NewPCG(3, 4)), func(round int, acked uint64) {
		s, logged := mustOpen(t, dir)
		if logged.Len() > 0 {
			t.Errorf("round %d: %s", round, logged)
		}
		got := dump(t, s, "")
		for n := range acked + 1 {
			if _, ok := got[string(binary.BigEndian.AppendUint64(nil, n))]; !ok {
				t.Fatalf("round %d: record %d was acknowledged (up to %d) and is gone", round, n, acked)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("damselfly-store-test", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	state := filepath.Join(dir, "state")
	s, _ := mustOpen(t, state)
	put(t, s, "before", "kept")

	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); err == nil {
		t.Fatal("the disk did not fill up")
	}
	big := func(tx *Tx) error { return tx.Put(BucketRouters, []byte("big"), make([]byte, 1<<20)) }
	for range 3 {
		if err := s.Update(big); err == nil {
			t.Fatal("Update on a full disk gave no error")
		}
		if got := dump(t, s, ""); len(got) != 1 || got["before"] != "kept" {
			t.Fatalf("on a full disk reads give %d records", len(got))
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ = mustOpen(t, state) // A full disk does not stop a start.
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(big); err != nil {
		t.Fatalf("with space again: %v", err)
	}
	if got := dump(t, s, ""); len(got["big"]) != 1<<20 || got["before"] != "kept" {
		t.Errorf("after all %d records", len(got))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
