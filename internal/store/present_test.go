package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFolderGoneAtFirst: so it is before there is any file of the journal.
func TestFolderGoneAtFirst(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	s, _ := mustOpen(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.journal.Write([]Change{change("key", "x")}); err == nil || !strings.Contains(err.Error(), "the state folder was removed") {
		t.Errorf("Write: %v", err)
	}
}

// TestFolderGone: nothing is acknowledged once no start would find it.
func TestFolderGone(t *testing.T) {
	t.Parallel()
	remove := func(names ...string) func(string) error {
		return func(dir string) error {
			for _, name := range names {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	replace := func(dir string) error {
		if err := os.Rename(dir, dir+".away"); err != nil {
			return err
		}
		return os.CopyFS(dir, os.DirFS(dir+".away"))
	}
	for name, c := range map[string]struct {
		gone   func(dir string) error
		update bool // whether an Update is still as good as ever
	}{
		"folder removed":  {gone: os.RemoveAll},
		"folder replaced": {gone: replace},
		"database":        {gone: remove(fileName)},
		"written journal": {gone: remove("state.journal-1"), update: true},
		"frozen journal":  {gone: remove("state.journal-0"), update: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			s, _ := mustOpen(t, dir)
			s.journal.limit = 2
			write := func() error { return s.journal.Write([]Change{change("key", "x"), change("other", "x")}) }
			update := func() error {
				return s.Update(func(tx *Tx) error { return tx.Put(BucketRouters, []byte("key"), []byte("x")) })
			}
			for range 2 {
				if err := write(); err != nil {
					t.Fatal(err)
				}
			}
			if err := update(); err != nil {
				t.Fatal(err)
			}
			if err := c.gone(dir); err != nil {
				t.Fatal(err)
			}
			const told = "the state folder was removed or replaced"
			for range 2 {
				if err := write(); err == nil || !strings.Contains(err.Error(), told) {
					t.Errorf("Write: %v", err)
				}
			}
			if err := update(); (err == nil) != c.update || err != nil && !strings.Contains(err.Error(), told) {
				t.Errorf("Update: %v", err)
			}
		})
	}
}
