package pulse

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// flags reads a device's flags in the current network namespace; ENODEV when
// there is none of that name.
func flags(name string) (uint16, error) {
	var f uint16
	err := linkIoctl(name, func(socket int, request *unix.Ifreq) error {
		err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request)
		f = request.Uint16()
		return err
	})
	return f, err
}

// setUp sets the device administratively up. Without ARP the host answers
// nothing that reaches it.
func setUp(name string) error {
	return linkIoctl(name, func(socket int, request *unix.Ifreq) error {
		if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request); err != nil {
			return err
		}
		request.SetUint16(request.Uint16() | unix.IFF_UP | unix.IFF_NOARP)
		return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
	})
}

func linkIoctl(name string, do func(socket int, request *unix.Ifreq) error) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("device name %q: %w", name, err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket to configure device %s: %w", name, err)
	}
	defer unix.Close(socket)
	if err := do(socket, request); err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	return nil
}
