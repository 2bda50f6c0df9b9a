package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const missed = "the journal of the state is missing or empty"

// journals makes a state of which the files in used hold what is not folded.
func journals(t *testing.T, used fileSet) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, _ := mustOpen(t, dir)
	j := s.journal
	j.limit = 2
	for n := range 3 { // the third one goes into the other file
		if err := j.Write([]Change{change(fmt.Sprint("key-", n), "x")}); err != nil {
			t.Fatal(err)
		}
	}
	if !used.has(0) {
		if err := j.fold(len(j.frozen)); err != nil {
			t.Fatal(err)
		}
	}
	if !used.has(1) {
		if err := j.foldAll(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestJournalFileGone: a file that held something is missed, whichever way it
// went; one that held nothing is not.
func TestJournalFileGone(t *testing.T) {
	t.Parallel()
	ways := map[string]func(path string) error{
		"removed": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"zeros": func(path string) error {
			return os.WriteFile(path, make([]byte, journalStep), 0o600)
		},
	}
	for _, c := range []struct{ used, gone, told fileSet }{
		{used: 0b11, gone: 0b00, told: 0b00},
		{used: 0b11, gone: 0b01, told: 0b01},
		{used: 0b11, gone: 0b10, told: 0b10},
		{used: 0b11, gone: 0b11, told: 0b11},
		{used: 0b10, gone: 0b01, told: 0b00},
		{used: 0b10, gone: 0b11, told: 0b10},
		{used: 0b00, gone: 0b11, told: 0b00},
	} {
		for name, remove := range ways {
			dir := journals(t, c.used)
			for i := range 2 {
				if c.gone.has(i) {
					if err := remove(filepath.Join(dir, fmt.Sprintf("state.journal-%d", i))); err != nil {
						t.Fatal(err)
					}
				}
			}
			s, logged := mustOpen(t, dir)
			text := logged.String()
			if strings.Contains(text, "level=ERROR") != (c.told != 0) || strings.Contains(text, missed) != (c.told != 0) {
				t.Errorf("%s, %+v: logged %q", name, c, text)
			}
			for i := range 2 {
				if file := fmt.Sprintf("state.journal-%d", i); strings.Contains(text, file) != c.told.has(i) {
					t.Errorf("%s, %+v: is %s told? %q", name, c, file, text)
				}
			}
			// What is left is there, and the journal stays usable.
			got := all(t, s.journal)
			if want := 3 - 2*int(c.told&1) - int(c.told>>1); len(got) != want {
				t.Errorf("%s, %+v: %d records, want %d", name, c, len(got), want)
			}
			if err := s.journal.Write([]Change{change("more", "x")}); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s, _ = mustOpen(t, dir)
			if again := all(t, s.journal); len(again) != len(got)+1 || again["more"] != "x" {
				t.Errorf("%s, %+v: %v at the next start, wanted one more than %v", name, c, again, got)
			}
		}
	}
}

// TestJournalPutBack: a file that is put back before anything was written is
// read as if it had never been gone.
func TestJournalPutBack(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		dir := journals(t, 0b11)
		path := filepath.Join(dir, fmt.Sprintf("state.journal-%d", i))
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		s, logged := mustOpen(t, dir)
		if !strings.Contains(logged.String(), missed) {
			t.Errorf("logged %q", logged)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		s, logged = mustOpen(t, dir)
		if got := all(t, s.journal); len(got) != 3 || logged.Len() > 0 {
			t.Errorf("put %s back: %v, logged %q", path, got, logged)
		}
	}
}

// TestJournalNotNoted: a state in which nothing is noted, or by the fold of a
// program that does not know the note, alarms nobody and is noted from then on.
func TestJournalNotNoted(t *testing.T) {
	t.Parallel()
	forget := func(tx *Tx) error { return tx.Delete(bucketMeta, inUseKey()) }
	stale := func(tx *Tx) error { return tx.putInUse(1<<40, 0b11) }
	for name, change := range map[string]func(*Tx) error{"none": forget, "stale": stale} {
		dir := journals(t, 0b10)
		s, _ := mustOpen(t, dir)
		if err := s.Update(change); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		s, logged := mustOpen(t, dir)
		if got := all(t, s.journal); len(got) != 3 || logged.Len() > 0 {
			t.Errorf("%s: %v, logged %q", name, got, logged)
		}
		_ = s.Close()
		if err := os.Remove(filepath.Join(dir, "state.journal-1")); err != nil {
			t.Fatal(err)
		}
		if _, logged = mustOpen(t, dir); !bytes.Contains(logged.Bytes(), []byte(missed)) {
			t.Errorf("%s: then without its file: logged %q", name, logged)
		}
	}
}

// TestJournalCannotTurn: where the other file cannot be taken into use, the
// written one grows on for a while, and nothing is lost or alarms afterwards.
func TestJournalCannotTurn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, logged := mustOpen(t, dir)
	j := s.journal
	j.limit = 2
	path, n := "", 0
	write := func() error {
		err := j.Write([]Change{change(fmt.Sprintf("key-%02d", n), "x")})
		if err == nil {
			n++
		}
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	path, j.files[1].path = j.files[1].path, filepath.Join(dir, "no", "such")
	for range 20 {
		if err := write(); err != nil {
			break
		}
	}
	if n != overfull*j.limit || strings.Count(logged.String(), "level=ERROR") != 1 {
		t.Errorf("took %d changes, logged %q", n, logged)
	}
	j.files[1].path = path
	if err := write(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, logged = mustOpen(t, dir)
	if got := all(t, s.journal); len(got) != n || logged.Len() > 0 {
		t.Errorf("%d of %d records, logged %q", len(got), n, logged)
	}
}

// TestCloseWithChild: a directory is free once it is closed, though a child that was
// forked meanwhile has its files still.
func TestCloseWithChild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	child, err := unix.Dup(int(s.lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(dir, slog.New(slog.DiscardHandler), migrations(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
