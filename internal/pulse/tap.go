package pulse

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const devicePath = "/dev/net/tun"

// ErrHeld says that another process holds the pulse port open: another
// Damselfly serves the same bridge.
var ErrHeld = errors.New("the pulse port is held by another process")

// Tap is a pulse port that is open, and so has carrier.
type Tap struct {
	file    *os.File
	frames  atomic.Uint64
	drained chan struct{} // closed when drain has returned
}

// Open opens the pulse port of that name in the current network namespace,
// making the device first if it is missing, turns IPv6 off on it, and sets it
// up. It needs CAP_NET_ADMIN. ErrHeld: another process has it open.
func Open(name string) (*Tap, error) {
	fd, err := attach(name)
	if err != nil {
		return nil, err
	}
	if err := prepare(fd, name); err != nil {
		unix.Close(fd)
		return nil, err
	}
	t := &Tap{file: os.NewFile(uintptr(fd), devicePath), drained: make(chan struct{})}
	go t.drain()
	return t, nil
}

// Done is closed once the pulse is over: by Close, or because somebody removed
// the device. Opening it again then makes a new one.
func (t *Tap) Done() <-chan struct{} { return t.drained }

// Received counts the frames that the switch sent to the pulse port. It should
// stay 0: a flow that sends there is wrong.
func (t *Tap) Received() uint64 { return t.frames.Load() }

// Close lets the carrier fall and leaves the device in place. It returns when
// nothing reads from it any more.
func (t *Tap) Close() error {
	err := t.file.Close()
	<-t.drained
	return err
}

// drain keeps the device's queue empty until Close, or until somebody removes
// the device. A frame longer than the buffer is cut, which is as good for counting.
func (t *Tap) drain() {
	defer close(t.drained)
	var frame [64]byte
	for {
		if _, err := t.file.Read(frame[:]); err != nil {
			return
		}
		t.frames.Add(1)
	}
}

// Remove removes the device that Open made. One that is not there is success.
// ErrHeld: a process still has it open.
func Remove(name string) error {
	switch _, err := flags(name); {
	case errors.Is(err, unix.ENODEV):
		return nil
	case err != nil:
		return err
	}
	fd, err := attach(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0); err != nil {
		return fmt.Errorf("remove pulse port %s: %w", name, err)
	}
	return nil
}

// attach opens the tap; the device comes into being if it is missing.
func attach(name string) (fd int, err error) {
	request, err := unix.NewIfreq(name)
	// The kernel would read a percent sign as a request to number the device.
	if err != nil || name == "" || strings.ContainsAny(name, "%/: \t\n") {
		return -1, fmt.Errorf("pulse port %q: a device name has 1 to %d octets, none of them a percent sign, slash, colon or space", name, maxName)
	}
	// Without non-blocking mode Close would not wake a pending Read.
	fd, err = unix.Open(devicePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w: load the kernel module tun, and run with CAP_NET_ADMIN", devicePath, err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		unix.Close(fd)
		return -1, attachError(name, err)
	}
	return fd, nil
}

func attachError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: %s: stop the other instance that serves this bridge", ErrHeld, name)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("pulse port %s: a device of that name exists and is no tap: remove or rename it", name)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("pulse port %s: %w: run as root or with CAP_NET_ADMIN", name, err)
	}
	return fmt.Errorf("pulse port %s: %w", name, err)
}

// prepare makes the device last, silent and up. IPv6 goes off before the device
// goes up, so that not even its link-local address is ever tried.
func prepare(fd int, name string) error {
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("keep pulse port %s: %w", name, err)
	}
	path := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
	// A host without IPv6 has no such file, and nothing to turn off.
	if err := os.WriteFile(path, []byte("1\n"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("turn IPv6 off on pulse port %s: %w", name, err)
	}
	return setUp(name)
}
