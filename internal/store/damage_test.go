package store

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// makeState returns the bytes of a state with trees of two levels, free pages
// and small buckets, and what its routers bucket holds.
func makeState(t testing.TB) ([]byte, map[string]string) {
	t.Helper()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	for round := range 3 {
		var pairs []string
		for i := range 300 {
			pairs = append(pairs, fmt.Sprintf("router-%04d", i), fmt.Sprintf("value %d of round %d, long enough to fill pages", i, round))
		}
		put(t, s, pairs...)
	}
	if _, err := s.AllocateKeys(clockAt(0), PortKeys, []string{"vm1", "vm2"}); err != nil {
		t.Fatal(err)
	}
	want := dump(t, s, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return file, want
}

// openDamaged opens file and returns what is left and whether damage was reported.
func openDamaged(t *testing.T, file []byte) (got map[string]string, keys int, reported bool) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, logged := mustOpen(t, dir)
	put(t, s, "zz", "still writable")
	got = dump(t, s, "router-")
	_ = s.View(func(tx *Tx) error {
		return tx.ForEach(BucketKeys, nil, func(_, _ []byte) error { keys++; return nil })
	})
	kept, _ := filepath.Glob(filepath.Join(dir, fileName+".damaged-*"))
	reported = strings.Contains(logged.String(), "damaged")
	if reported != (len(kept) == 1) {
		t.Errorf("reported %v, but kept %v", reported, kept)
	}
	if len(kept) == 1 {
		if b, _ := os.ReadFile(kept[0]); string(b) != string(file) {
			t.Error("the file put aside is not the damaged one")
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, logged = mustOpen(t, dir); strings.Contains(logged.String(), "damaged") {
		t.Errorf("damaged again on the next start: %s", logged)
	}
	return got, keys, reported
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	file, want := makeState(t)
	rng := rand.New(rand.NewPCG(1, 2))
	used := len(file)
	for used > 0 && file[used-1] == 0 {
		used--
	}
	outcome := map[string]int{}
	for n := range 400 {
		mutated := append([]byte(nil), file...)
		var what string
		switch n % 4 {
		case 0, 1:
			at, bit := rng.IntN(used), rng.IntN(8)
			if n%8 == 0 {
				at = at&^4095 + rng.IntN(64) // headers and metas
			}
			mutated[at] ^= 1 << bit
			what = fmt.Sprintf("bit %d of octet %d", bit, at)
		case 2:
			size := rng.IntN(used)
			mutated = mutated[:size]
			what = fmt.Sprintf("cut to %d", size)
		case 3:
			at := rng.IntN(used)
			for i := at; i < min(at+rng.IntN(5000), used); i++ {
				mutated[i] = byte(rng.Uint32())
			}
			what = fmt.Sprintf("garbage at %d", at)
		}
		got, keys, reported := openDamaged(t, mutated)
		intact := maps.Equal(got, want) && keys == 2
		if !intact && !reported && len(mutated) > 0 {
			t.Errorf("%s: data was lost without a report: %d of %d, %d keys", what, len(got), len(want), keys)
		}
		for k, v := range got {
			if want[k] != v {
				t.Errorf("%s: %s became %q", what, k, v)
			}
		}
		outcome[fmt.Sprintf("reported=%v intact=%v some=%v", reported, intact, len(got) > 0)]++
	}
	t.Log(outcome)
}

func TestDamageKeepsTheRest(t *testing.T) {
	t.Parallel()
	file, want := makeState(t)
	value := want["router-0123"]
	at := strings.LastIndex(string(file), value)
	got := map[string]string{}
	for at >= 0 && len(got) != len(want)-1 {
		// Older copies of the page may hold the value too; find the one in use.
		mutated := append([]byte(nil), file...)
		mutated[at] ^= 0x20
		got, _, _ = openDamaged(t, mutated)
		at = strings.LastIndex(string(file[:at]), value)
	}
	delete(want, "router-0123")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("one flipped bit in one value (-want +got):\n%s", diff)
	}
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"text":  []byte(strings.Repeat("no database\n", 5000)),
		"short": {1, 2, 3},
		"zeros": make([]byte, 1<<16),
	} {
		if got, _, reported := openDamaged(t, file); !reported || len(got) != 0 {
			t.Errorf("%s: reported %v, records %v", name, reported, got)
		}
	}
}

func TestDamagedNamesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 12 {
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(fmt.Sprint("junk ", n)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
	kept, _ := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
	first, _ := os.ReadFile(filepath.Join(dir, fileName+".damaged-1"))
	if len(kept) != maxDamaged || string(first) != "junk 0" {
		t.Errorf("kept %d, the first is %q; want %d and the oldest", len(kept), first, maxDamaged)
	}
}
