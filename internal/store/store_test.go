package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("DAMSELFLY_STORE_WRITER"); dir != "" {
		writeForever(dir)
	}
	if dir := os.Getenv("DAMSELFLY_JOURNAL_WRITER"); dir != "" {
		writeJournal(dir)
	}
	os.Exit(m.Run())
}

func mustOpen(t testing.TB, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, &logged
}

func put(t testing.TB, s *Store, pairs ...string) {
	t.Helper()
	if err := s.Update(func(tx *Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put(BucketRouters, []byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func dump(t testing.TB, s *Store, prefix string) map[string]string {
	t.Helper()
	got := map[string]string{}
	if err := s.View(func(tx *Tx) error {
		return tx.ForEach(BucketRouters, []byte(prefix), func(k, v []byte) error {
			got[string(k)] = string(v)
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "state")
	s, logged := mustOpen(t, dir)
	put(t, s, "a1", "one", "a2", "", "b", "three")

	boom := errors.New("boom")
	if err := s.Update(func(tx *Tx) error {
		if err := tx.Put(BucketRouters, []byte("a1"), []byte("changed")); err != nil {
			return err
		}
		return boom
	}); err != boom {
		t.Errorf("error of fn = %v, want it as it is", err)
	}
	if err := s.View(func(tx *Tx) error { return tx.Put(BucketRouters, []byte("c"), nil) }); err == nil {
		t.Error("Put in View succeeded")
	}
	if err := s.Update(func(tx *Tx) error { return tx.Put("nothing", []byte("c"), nil) }); err == nil {
		t.Error("Put into an unknown bucket succeeded")
	}
	if err := s.Update(func(tx *Tx) error { return tx.Delete(BucketRouters, []byte("b")) }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(*Tx) error { return nil }); err == nil {
		t.Error("Update after Close succeeded")
	}

	s, _ = mustOpen(t, dir)
	if diff := cmp.Diff(map[string]string{"a1": "one", "a2": ""}, dump(t, s, "a")); diff != "" {
		t.Errorf("after reopening (-want +got):\n%s", diff)
	}
	if got := dump(t, s, "b"); len(got) != 0 {
		t.Errorf("deleted record is back: %v", got)
	}
	if logged.Len() != 0 {
		t.Errorf("logged on a clean start: %s", logged)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, fileName): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", path, st.Mode(), err, want)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustOpen(t, dir)
	_, err := open(dir, slog.New(slog.DiscardHandler), nil, 0)
	if err == nil {
		t.Fatal("opened twice")
	}
	for _, want := range []string{filepath.Join(dir, fileName), fmt.Sprint("pid ", os.Getpid()), "stop that one"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestMigration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := open(dir, slog.New(slog.DiscardHandler), nil, 0) // of the first format
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "n", "old")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	fails := []migration{func(tx *Tx) error {
		_ = tx.Put(BucketRouters, []byte("n"), []byte("half"))
		return errors.New("cannot")
	}}
	if _, err := open(dir, log, fails, 0); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("failing migration: %v", err)
	}
	rewrite := func(from, to string) migration {
		return func(tx *Tx) error {
			if v, _ := tx.Get(BucketRouters, []byte("n")); string(v) != from {
				return fmt.Errorf("found %q, want %q", v, from)
			}
			return tx.Put(BucketRouters, []byte("n"), []byte(to))
		}
	}
	steps := append(migrations(), rewrite("old", "newer"), rewrite("newer", "newest"))
	for range 2 { // The second time there is nothing left to do.
		s, err := open(dir, log, steps, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(t, s, "")["n"]; got != "newest" {
			t.Errorf("migrated to %q", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}

	before, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, log)
	if !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), fmt.Sprintf("format %d and this program knows up to %d", newestFormat(steps), newestFormat(migrations()))) {
		t.Errorf("older program: %v", err)
	}
	after, _ := os.ReadFile(filepath.Join(dir, fileName))
	if !bytes.Equal(before, after) {
		t.Error("the refused file was changed")
	}

	if err := os.Rename(filepath.Join(dir, fileName+".v1.bak"), filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	s, _ = mustOpen(t, dir)
	if got := dump(t, s, "")["n"]; got != "old" {
		t.Errorf("the backup holds %q", got)
	}
}

// The buckets of a format never change: a new one needs a new format.
func TestBucketsOfFormat(t *testing.T) {
	t.Parallel()
	want := map[uint32][]Bucket{
		1: {"meta", "keys", "advertised", "routers"},
		3: {"meta", "keys", "advertised", "routers", "leases", "dhcpv6"},
		4: {"meta", "keys", "advertised", "routers", "leases", "dhcpv6", "learned"},
		5: {"meta", "keys", "advertised", "routers", "leases", "dhcpv6", "learned", "modifiers"},
		6: {"meta", "keys", "advertised", "routers", "leases", "dhcpv6", "learned", "modifiers", "routes"},
		7: {"meta", "keys", "advertised", "routers", "leases", "dhcpv6", "learned", "modifiers", "routes", "neighbors", "upstreams"},
		8: {"meta", "keys", "advertised", "routers", "leases", "dhcpv6", "learned", "modifiers", "routes", "neighbors", "upstreams", "multicast routers"},
	}
	if diff := cmp.Diff(want[newestFormat(migrations())], allBuckets()); diff != "" {
		t.Errorf("a changed list needs a migration (-want +got):\n%s", diff)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, puts := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("puts=%d", puts), func(b *testing.B) {
			s, _ := mustOpen(b, b.TempDir())
			value, n := make([]byte, 100), uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Update(func(tx *Tx) error {
					for range puts {
						n++
						// Scattered, as leases by client are.
						key := binary.BigEndian.AppendUint64(nil, n%10000*0x9e3779b97f4a7c15)
						if err := tx.Put(BucketRouters, key, value); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}
