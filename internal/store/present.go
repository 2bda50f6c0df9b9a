package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// present gives an error where no start would find f under path any more: what
// is written to it is durable and lost all the same.
func present(path string, f *os.File) error {
	var open, named unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &open); err != nil {
		return fmt.Errorf("store: look at %s: %w", path, err)
	}
	err := unix.Stat(path, &named)
	switch {
	case open.Nlink == 0, errors.Is(err, fs.ErrNotExist), err == nil && (named.Ino != open.Ino || named.Dev != open.Dev):
		return fmt.Errorf("store: %s is not the file that is open: the state folder was removed or replaced; put it back from a backup if there is one, and restart", path)
	}
	// A name that may not be looked up says nothing.
	return nil
}

// present tells whether the database and every file that holds what is not in
// it yet are in their places.
func (j *Journal) present() error {
	if err := present(j.s.path, j.s.file); err != nil {
		return err
	}
	for i, f := range j.files {
		if !j.inUse.has(i) || f.f == nil {
			continue
		}
		if err := present(f.path, f.f); err != nil {
			return err
		}
	}
	return nil
}
