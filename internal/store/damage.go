package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxDamaged is how many damaged files are kept. The last number is written
// over, because the first ones hold what was there before the trouble began.
const maxDamaged = 9

// damageError says that a file is no whole database, and why.
type damageError struct {
	why string
}

func (e *damageError) Error() string { return "store: damaged state: " + e.why }

func damagef(format string, args ...any) error {
	return &damageError{why: fmt.Sprintf(format, args...)}
}

// damagedName returns the first free name for a damaged file.
func damagedName(path string) string {
	name := ""
	for n := 1; n <= maxDamaged; n++ {
		name = fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return name
}

// putAside renames the damaged file so that a fresh one can take its place.
func (s *Store) putAside(damage *damageError) error {
	// What the library says on closing a damaged file changes nothing.
	_ = s.closeDB()
	s.db = nil
	name := damagedName(s.path)
	if err := os.Rename(s.path, name); err != nil {
		return fmt.Errorf("%w; it could not be put aside: %w; move %s away by hand", damage, err, s.path)
	}
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.log.Error("the state is damaged: put aside, starting with an empty one", "file", s.path, "kept", name, "why", damage.why)
	return nil
}

// repair drops what inspection found damaged in an otherwise sound file, after
// a copy of it was made.
func (s *Store) repair(found inspection, format, newest uint32) error {
	if found.fresh {
		return nil
	}
	var unknown, missing []Bucket
	if format == newest {
		// An older format has buckets of its own, which migrating sorts out.
		unknown, missing = without(found.buckets, allBuckets()), without(allBuckets(), found.buckets)
	}
	if len(found.records)+len(unknown)+len(missing) == 0 && !found.oldMeta {
		return nil
	}
	kept := damagedName(s.path)
	if err := copyFile(kept, s.path); err != nil {
		// A full disk must not stop a start; what is lost is unreadable anyway.
		s.log.Error("no copy of the damaged state could be kept", "file", s.path, "error", err)
		kept = ""
	}
	s.log.Error("the state is damaged in places: those are dropped", "file", s.path, "kept", kept,
		"records", len(found.records), "first", found.firstRecord(), "unknown_buckets", unknown,
		"missing_buckets", missing, "last_commit_lost", found.oldMeta)
	return s.Update(func(tx *Tx) error {
		for _, r := range found.records {
			if err := tx.Delete(r.bucket, r.key); err != nil {
				return err
			}
		}
		for _, name := range unknown {
			if err := tx.btx.DeleteBucket([]byte(name)); err != nil {
				return fmt.Errorf("store: drop bucket %q: %w", name, err)
			}
		}
		return tx.ensureBuckets()
	})
}

// without returns what is in all but not in some.
func without(all, some []Bucket) []Bucket {
	return slices.DeleteFunc(slices.Clone(all), func(b Bucket) bool { return slices.Contains(some, b) })
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return writeWhole(to, func(w io.Writer) error {
		_, err := io.Copy(w, src)
		return err
	})
}
