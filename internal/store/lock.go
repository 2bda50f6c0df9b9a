package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockName = "state.lock"
	lockPoll = 50 * time.Millisecond
)

// lockDir takes the directory for this process, waiting up to patience. The
// lock stands on a file of its own because state.db may be renamed while it is
// held; the kernel drops it with the process, however that ends.
func lockDir(dir string, patience time.Duration) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: cannot lock the state directory: %w; make it writable for this user or set `state` to another", err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(lockPoll) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(end) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		_ = f.Close()
		return nil, fmt.Errorf("store: %s is in use by another process (pid %s): stop that one, or set `state` to a directory of its own",
			filepath.Join(dir, fileName), strings.TrimSpace(string(holder)))
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("store: cannot lock %s: %w", path, err)
	}
	// The number only helps a reader of the message above; a full disk must
	// not stop a start for it.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

// unlock gives the directory to the next. The lock is taken off, not only the file closed: a
// child that some other goroutine is just starting has the file, too, until it runs its
// own program.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
