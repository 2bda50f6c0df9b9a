package bench

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// BareTap answers Neighbor Solicitations, and DHCPv6, behind a tap that it makes
// under a name, with the least that can: frames are read until there are none or 64, then all
// are answered, one system call each way for each. It calls ready once the
// device is up.
func BareTap(name string, ready func()) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open the tap device: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("make tap %s: %w", name, err)
	}
	if err := bareUp(name); err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	ready()
	b := newBarePunt()
	for {
		n, wrong := 0, error(nil)
		err := conn.Read(func(fd uintptr) bool {
			for ; n < bareBatch; n++ {
				var length int
				if length, wrong = unix.Read(int(fd), b.in[n][:]); wrong != nil || length < rsLen+tagLen {
					break
				}
			}
			return n > 0 || !errors.Is(wrong, unix.EAGAIN)
		})
		if err = errors.Join(err, wrong); n == 0 && err != nil {
			return fmt.Errorf("read from tap %s: %w", name, err)
		}
		for i := range n {
			f := b.in[i][:]
			// The MACs go where they would be without the tag.
			tci := uint16(f[14])<<8 | uint16(f[15])
			copy(f[tagLen:tagLen+12], f[:12])
			out := b.out[i][:]
			if f = f[tagLen:]; !isNS(f) {
				out = b.tagged(f, tci)
			} else {
				b.answer(i, f, tci)
			}
			if len(out) == 0 {
				continue
			}
			if _, err := unix.Write(fd, out); err != nil {
				return fmt.Errorf("write to tap %s: %w", name, err)
			}
		}
	}
}
