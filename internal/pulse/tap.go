package pulse

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const devicePath = "/dev/net/tun"

// ErrHeld says that another process holds the pulse port open: another
// Damselfly serves the same bridge.
var ErrHeld = errors.New("the pulse port is held by another process")

// Tap is a pulse port that is open, and so has carrier. What the switch sends to
// it waits for a Reader, at most as much as the device's queue holds.
type Tap struct {
	name  string
	file  *os.File
	conn  syscall.RawConn
	over  chan struct{}
	ended sync.Once
}

// Open opens the pulse port of that name in the current network namespace,
// making the device first if it is missing, turns IPv6 off on it, and sets it
// up. It needs CAP_NET_ADMIN. ErrHeld: another process has it open.
func Open(name string) (*Tap, error) {
	file, err := Hold(name)
	if err != nil {
		return nil, err
	}
	t := &Tap{name: name, file: file, over: make(chan struct{})}
	if t.conn, err = t.file.SyscallConn(); err != nil {
		t.file.Close()
		return nil, fmt.Errorf("pulse port %s: %w", name, err)
	}
	return t, nil
}

// Hold is Open for a port over which something travels: the caller reads from
// the file what the switch sends to the port, a frame a Read, and writes what is
// to come from it. Closing the file lets the carrier fall.
func Hold(name string) (*os.File, error) {
	fd, err := attach(name)
	if err != nil {
		return nil, err
	}
	if err := prepare(fd, name); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), devicePath), nil
}

// Done is closed once the pulse is over: by Close, or because a Reader found that
// somebody removed the device. Opening it again then makes a new one.
func (t *Tap) Done() <-chan struct{} { return t.over }

// Lower lets the carrier fall while the Tap stays open: the switch serves alone
// from here on, and what it had sent before can still be answered.
func (t *Tap) Lower() error {
	var wrong error
	if err := t.conn.Control(func(fd uintptr) { wrong = unix.IoctlSetPointerInt(int(fd), unix.TUNSETCARRIER, 0) }); err != nil {
		return err
	}
	return wrong
}

// Linger ends Readers once nothing has come for d, with os.ErrDeadlineExceeded.
func (t *Tap) Linger(d time.Duration) error { return t.file.SetReadDeadline(time.Now().Add(d)) }

// SetMTU sets how long a packet the switch may send here, in octets without the
// Ethernet header.
func (t *Tap) SetMTU(octets int) error {
	return linkIoctl(t.name, func(socket int, request *unix.Ifreq) error {
		request.SetUint32(uint32(octets))
		return unix.IoctlIfreq(socket, unix.SIOCSIFMTU, request)
	})
}

// Close lets the carrier fall and leaves the device in place. Nothing reads from
// it any more when it returns.
func (t *Tap) Close() error {
	err := t.file.Close()
	t.end()
	return err
}

func (t *Tap) end() { t.ended.Do(func() { close(t.over) }) }

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
	// Whoever had the device before may have offered to take checksums that are
	// not made and packets that are not cut.
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0); err != nil {
		return fmt.Errorf("turn offloads off on pulse port %s: %w", name, err)
	}
	path := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
	// A host without IPv6 has no such file, and nothing to turn off.
	if err := os.WriteFile(path, []byte("1\n"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("turn IPv6 off on pulse port %s: %w", name, err)
	}
	return setUp(name)
}
