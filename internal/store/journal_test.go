package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/store/killtest"
)

// all is what a journal gives back, in its order.
func all(t testing.TB, j *Journal) map[string]string {
	t.Helper()
	got, last := map[string]string{}, ""
	if err := j.Load(func(k, v []byte) error {
		if string(k) <= last {
			t.Errorf("%q came after %q", k, last)
		}
		last = string(k)
		got[last] = string(v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func change(key, value string) Change {
	if value == "" {
		return Change{Key: []byte(key)}
	}
	return Change{Key: []byte(key), Value: []byte(value)}
}

// TestJournalModel: whatever is written, deleted, folded and read back in
// whatever order, the journal holds what a map holds.
func TestJournalModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		rng, dir, want := rand.New(rand.NewPCG(seed, 7)), t.TempDir(), map[string]string{}
		s, _ := mustOpen(t, dir)
		s.journal.limit = 40
		folds := uint64(0)
		for round := range 200 {
			var group []Change
			for range 1 + rng.IntN(30) {
				key, value := fmt.Sprintf("key-%03d", rng.IntN(200)), ""
				delete(want, key)
				if rng.IntN(3) > 0 {
					value = fmt.Sprintf("%d of %d%s", len(group), round, strings.Repeat(".", rng.IntN(200)))
					want[key] = value
				}
				group = append(group, change(key, value))
			}
			if err := s.journal.Write(group); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(4) == 0 && len(s.journal.frozen) > 0 {
				if err := s.journal.fold(1 + rng.IntN(30)); err != nil {
					t.Fatal(err)
				}
				folds++
			}
			if rng.IntN(20) == 0 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				again, logged := mustOpen(t, dir)
				s = again
				s.journal.limit = 40
				if logged.Len() > 0 {
					t.Fatalf("round %d: %s", round, logged)
				}
			}
			if diff := cmp.Diff(want, all(t, s.journal)); diff != "" {
				t.Fatalf("seed %d, round %d (-want +got):\n%s", seed, round, diff)
			}
		}
		if folds < 10 {
			t.Errorf("seed %d: %d folds", seed, folds)
		}
	}
}

// writeJournal is the child of TestKilledJournal: small files, so that it is
// killed while it folds as well as while it writes.
func writeJournal(dir string) {
	fatal := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	s, err := Open(dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	fatal(err)
	s.journal.limit = 64
	next := uint64(0)
	fatal(s.journal.Load(func(_, v []byte) error {
		next = max(next, binary.BigEndian.Uint64(v)+1)
		return nil
	}))
	for {
		var group []Change
		for range next%17 + 1 {
			group = append(group, Change{Key: killedKey(next), Value: binary.BigEndian.AppendUint64(nil, next)})
			next++
		}
		fatal(s.journal.Write(group))
		if len(s.journal.frozen) > 0 {
			fatal(s.journal.fold(20))
		}
		fmt.Println(next - 1)
	}
}

// killedKey scatters numbers.
func killedKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n*0x9e3779b97f4a7c15) }

func TestKilledJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killtest.Run(t, "DAMSELFLY_JOURNAL_WRITER="+dir, 15, rand.New(rand.NewPCG(8, 9)), func(round int, acked uint64) {
		s, logged := mustOpen(t, dir)
		if strings.Contains(logged.String(), "ERROR") {
			t.Errorf("round %d: %s", round, logged)
		}
		got := all(t, s.journal)
		for n := range acked + 1 {
			if v := got[string(killedKey(n))]; v != string(binary.BigEndian.AppendUint64(nil, n)) {
				t.Fatalf("round %d: record %d was acknowledged (up to %d) and is %q", round, n, acked, v)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDamagedJournal: what a damaged octet costs is one group, and that is
// reported.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	want := map[string]string{}
	for n := range 40 {
		key := fmt.Sprintf("key-%02d", n)
		want[key] = strings.Repeat("v", 1+n*30)
		if err := s.journal.Write([]Change{change(key, want[key])}); err != nil {
			t.Fatal(err)
		}
	}
	used := int(s.journal.files[0].end)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	database, journal := read(fileName), read("state.journal-0")
	rng := rand.New(rand.NewPCG(10, 11))
	for range 60 {
		at := rng.IntN(used)
		mutated := bytes.Clone(journal)
		mutated[at] ^= 1 << rng.IntN(8)
		dir := t.TempDir()
		for name, b := range map[string][]byte{fileName: database, "state.journal-0": mutated} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, logged := mustOpen(t, dir)
		got := all(t, s.journal)
		for k, v := range got {
			if want[k] != v {
				t.Errorf("octet %d: %s became %q", at, k, v)
			}
		}
		if len(got) < len(want)-1 {
			t.Errorf("octet %d cost %d records", at, len(want)-len(got))
		}
		if len(got) < len(want) && got["key-39"] != "" && !strings.Contains(logged.String(), "damaged in places") {
			t.Errorf("octet %d: a record is gone, and the log says %q", at, logged)
		}
		// The journal stays usable, and one report is enough.
		if err := s.journal.Write([]Change{change("more", "x")}); err != nil {
			t.Error(err)
		}
		got["more"] = "x"
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s, logged = mustOpen(t, dir)
		if again := all(t, s.journal); !maps.Equal(again, got) || strings.Contains(logged.String(), "damaged in places") {
			t.Errorf("octet %d, at the next start: %d records, want %d; %s", at, len(again), len(got), logged)
		}
	}
}

// TestJournalOfAnotherState is not read, and not lost.
func TestJournalOfAnotherState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	if err := s.journal.Write([]Change{change("old", "x")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	s, logged := mustOpen(t, dir)
	if got := all(t, s.journal); len(got) != 0 || !strings.Contains(logged.String(), "belongs to another state") {
		t.Errorf("read %v, logged %s", got, logged)
	}
	if _, err := os.Stat(filepath.Join(dir, "state.journal-0.damaged-1")); err != nil {
		t.Error(err)
	}
}

// TestMigrationFindsTheJournal: a step of a later format sees every record in
// its bucket.
func TestMigrationFindsTheJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	if err := s.journal.Write([]Change{change("new", "x")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seen := ""
	step := func(tx *Tx) error {
		v, _ := tx.Get(BucketLeases, []byte("new"))
		seen = string(v)
		return nil
	}
	s, err := open(dir, slog.New(slog.DiscardHandler), append(migrations(), step), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := all(t, s.journal); seen != "x" || got["new"] != "x" || len(got) != 1 {
		t.Errorf("the migration saw %q, afterwards there is %v", seen, got)
	}
}

// TestJournalWriteFails: a group that failed may be there or not, the ones
// around it are.
func TestJournalWriteFails(t *testing.T) {
	t.Parallel()
	for _, rotated := range []bool{false, true} {
		dir := t.TempDir()
		s, _ := mustOpen(t, dir)
		j := s.journal
		write := func(key, value string) error { return j.Write([]Change{change(key, value)}) }
		if err := write("a", "1"); err != nil {
			t.Fatal(err)
		}
		f := j.files[0].f
		closed, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		j.files[0].f = closed // writing there fails
		if write("b", "1") == nil {
			t.Fatal("a write that failed gave no error")
		}
		_ = closed.Close()
		j.files[0].f = f
		if rotated {
			j.limit = 1
		}
		if err := write("c", "1"); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, logged := mustOpen(t, dir)
		if diff := cmp.Diff(map[string]string{"a": "1", "c": "1"}, all(t, s.journal)); diff != "" || logged.Len() > 0 {
			t.Errorf("rotated %v: logged %s (-want +got):\n%s", rotated, logged, diff)
		}
	}
}

// FuzzGroup: no octets break the reader, and what it calls whole is what the
// writer makes of it.
func FuzzGroup(f *testing.F) {
	id := journalID{1, 2, 3}
	f.Add(appendGroup(nil, id, 7, 6, []Change{change("key", "value"), change("gone", "")}))
	f.Add(appendGroup(nil, id, 1, 0, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum is made right, or next to nothing would pass it.
		if n := groupHeader; len(b) >= n {
			if n += int(min(binary.BigEndian.Uint32(b[8:]), 1<<20)); len(b) >= n {
				binary.BigEndian.PutUint32(b[4:], groupSum(b[:n]))
			}
		}
		g, owner, whole := cutGroup(b)
		if !whole {
			return
		}
		again := appendGroup(nil, owner, g.number, g.after, g.changes)
		n := groupHeader + int(binary.BigEndian.Uint32(b[8:]))
		if !bytes.Equal(again[:n], b[:n]) {
			t.Errorf("decoded %x, encoded %x", b[:n], again)
		}
	})
}
