package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock keeps a second instance off a bridge. It is the kernel's lock on a file
// beside the bridge's management socket, so it ends with the process, however
// that ends.
type Lock struct{ f *os.File }

// ErrServed says that another process serves the bridge.
var ErrServed = errors.New("another damselfly serves this bridge")

// TakeLock takes the lock of a bridge whose sockets are in runDir.
func TakeLock(runDir, bridge string) (*Lock, error) {
	path := filepath.Join(runDir, bridge+".damselfly")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("taking the lock of bridge %s: %w", bridge, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: process %s holds %s; stop it first", ErrServed, strings.TrimSpace(string(holder)), path)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		// The number is for people; the lock is what counts.
		fmt.Fprintln(f, os.Getpid())
	}
	return &Lock{f}, nil
}

// Release gives the lock up. The lock belongs to the open file, not to the
// descriptor: a child between its fork and its exec still holds a copy of the
// descriptor, so closing ours alone would leave the bridge locked until then.
func (l *Lock) Release() error {
	return errors.Join(unix.Flock(int(l.f.Fd()), unix.LOCK_UN), l.f.Close())
}
