package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// quiet is how long nothing may happen before a change is read: an editor
	// makes several.
	quiet = 50 * time.Millisecond
	// restless bounds the wait for quiet in a folder where others write, too.
	restless = time.Second
	// recheck is how often the files are looked at without an event: links to
	// elsewhere and folders that are replaced make none.
	recheck = time.Second

	watched = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE | unix.IN_DELETE |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
)

// Watch calls fn, on its own goroutine, with what Load gives whenever the
// content of the configuration at path has changed since the call of Watch,
// and returns when ctx ends. The error is that inotify could not be had.
func Watch(ctx context.Context, path string, fn func(*Config, error)) error {
	// Before the first return to the caller's loop, so that no change is missed.
	seen, last := statOf(path), fingerprint(path)
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching %s: %w: raise fs.inotify.max_user_instances, or reload by SIGHUP", path, err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	w := &watch{events: f, path: path}
	w.arm()
	for {
		event, err := w.wait(recheck)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watching %s: %w", path, err)
		}
		if !event {
			w.arm()
		}
		if event || statOf(path) != seen {
			w.settle()
			seen = statOf(path)
			if sum := fingerprint(path); sum != last {
				last = sum
				fn(Load(path))
			}
		}
	}
}

// watch is one inotify instance on the folder of a configuration.
type watch struct {
	events *os.File
	path   string
	buf    [4096]byte
}

// arm watches the folder, which may be another one than before under its
// name; adding the same one again changes nothing. A folder that is not there
// is found by a later call.
func (w *watch) arm() {
	dir := w.path
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	raw, err := w.events.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_, _ = unix.InotifyAddWatch(int(fd), dir, watched)
	})
}

// wait reports whether something happened in the folder within d.
func (w *watch) wait(d time.Duration) (bool, error) {
	if err := w.events.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false, err
	}
	_, err := w.events.Read(w.buf[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// settle waits until nothing more happens: no event comes and the files look the
// same. What is being written elsewhere makes no event, and is not whole yet.
func (w *watch) settle() {
	seen := statOf(w.path)
	for end := time.Now().Add(restless); time.Now().Before(end); {
		more, err := w.wait(quiet)
		now := statOf(w.path)
		if err != nil || !more && now == seen {
			return
		}
		seen = now
	}
}

// statOf sums up what the files look like from outside.
func statOf(path string) [sha256.Size]byte {
	h := sha256.New()
	names, err := files(path)
	fmt.Fprintln(h, err)
	for _, n := range names {
		if info, err := os.Stat(n); err == nil {
			fmt.Fprintf(h, "%q %d %d\n", n, info.Size(), info.ModTime().UnixNano())
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// fingerprint sums up what the files hold.
func fingerprint(path string) [sha256.Size]byte {
	h := sha256.New()
	list, mistakes := readAll(path)
	fmt.Fprintln(h, mistakes)
	for _, f := range list {
		fmt.Fprintf(h, "%q %d\n", f.name, len(f.data))
		h.Write(f.data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
