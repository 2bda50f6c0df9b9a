package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// namespaceDir is where `ip netns` keeps named namespaces.
const namespaceDir = "/run/netns"

// within calls f on a thread that is in the named network namespace. Sockets
// f opens and processes it starts belong there. Where f ends its goroutine, as
// testing.T's Fatal does, it ends the caller's too.
func within(namespace string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer close(done)
		leave, err := enter(namespace)
		if err == nil {
			err = func() error {
				defer leave()
				return f()
			}()
		}
		done <- err
	}()
	err, ok := <-done
	if !ok {
		runtime.Goexit()
	}
	return err
}

// enter locks the calling goroutine to its thread and moves that into the
// namespace; leave undoes both. Where the way back fails the thread stays
// locked, so that it ends with its goroutine and nobody else gets it.
//
// Threads are brought back rather than dropped, because a thread's end
// delivers the death signal to the processes it ever started.
func enter(namespace string) (leave func(), err error) {
	target, err := os.Open(filepath.Join(namespaceDir, namespace))
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	defer target.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		home.Close()
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("entering namespace %s: %w", namespace, err)
	}
	return func() {
		defer home.Close()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}, nil
}

// removeNamespace kills every process that lives in the namespace, waits for
// them and removes the name. Removing what is gone is success: two processes
// may sweep at once.
func removeNamespace(namespace string) error {
	path := filepath.Join(namespaceDir, namespace)
	if err := killWithin(path); err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting namespace %s: %w", namespace, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing namespace %s: %w", namespace, err)
	}
	return nil
}

// killWithin kills the processes in the namespace at path, other than this
// one, until there are none.
func killWithin(path string) error {
	ns, err := os.Stat(path)
	if err != nil {
		return nil
	}
	for range 10 {
		killed, err := killMembers(ns)
		if err != nil || killed == 0 {
			return err
		}
	}
	return errors.New("processes keep appearing in it")
}

// killMembers kills each process in the namespace and waits for its end. A
// process forked meanwhile is left for the next round.
func killMembers(ns os.FileInfo) (killed int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		ok, err := killMember(pid, ns)
		if err != nil {
			return killed, err
		}
		if ok {
			killed++
		}
	}
	return killed, nil
}

// killMember kills the process if it is in the namespace. The handle is taken
// before the check, so that the signal cannot reach a later process with the
// same id.
func killMember(pid int, ns os.FileInfo) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, nil
	}
	defer unix.Close(fd)
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil || !os.SameFile(theirs, ns) {
		return false, nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return true, nil
		}
		return false, fmt.Errorf("killing process %d: %w", pid, err)
	}
	return true, awaitExit(fd, pid, 10*time.Second)
}

// awaitExit waits until the process behind a pidfd has ended.
func awaitExit(fd, pid int, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("process %d does not end, though killed", pid)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for process %d: %w", pid, err)
		}
	}
}
