package annex

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	devicePath = "/dev/net/tun"
	// device is the tunnel's name in the namespace.
	device = "service"
)

// sysctls are the namespace's own. A connection that its client does not
// complete is given up after seven seconds, not after a minute, and what is half
// open beyond the backlog is kept in cookies (RFC 4987 section 3.6), so that it
// costs the others nothing.
var sysctls = [][2]string{
	{"net/ipv4/tcp_synack_retries", "2"},
	{"net/ipv4/tcp_syncookies", "1"},
	{"net/ipv4/tcp_max_syn_backlog", "4096"},
	{"net/ipv4/ip_unprivileged_port_start", "0"},
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/" + device + "/rp_filter", "0"},
	{"net/ipv6/conf/" + device + "/disable_ipv6", "0"},
	{"net/ipv6/conf/" + device + "/accept_ra", "0"},
	// It makes no address of itself, and so asks for no routers.
	{"net/ipv6/conf/" + device + "/addr_gen_mode", "1"},
}

// setUp makes the tunnel device and the listener in the current namespace, which
// is empty.
func setUp(c Config) (tunnel *os.File, l net.Listener, err error) {
	fd, err := openTunnel()
	if err != nil {
		return nil, nil, err
	}
	if err := configure(c); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fd))
	}
	// One socket for both families; where it is bound does not matter in a
	// namespace that has no other addresses.
	l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", ":"+strconv.Itoa(int(c.Port)))
	if err != nil {
		return nil, nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), devicePath), l, nil
}

// openTunnel makes the device. It is gone when its file is closed.
func openTunnel() (fd int, err error) {
	request, err := unix.NewIfreq(device)
	if err != nil {
		return -1, err
	}
	if fd, err = unix.Open(devicePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
		return -1, fmt.Errorf("open %s: %w", devicePath, err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return -1, errors.Join(fmt.Errorf("device %s: %w", device, err), unix.Close(fd))
	}
	return fd, nil
}

// configure brings loopback and device up, with the addresses, and has all
// answers leave by the device.
func configure(c Config) error {
	for _, s := range sysctls {
		// A kernel without one of them, or one that must not be touched, serves
		// all the same.
		err := os.WriteFile("/proc/sys/"+s[0], []byte(s[1]), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EROFS) && !errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("sysctl %s: %w", s[0], err)
		}
	}
	n, err := dialNetlink()
	if err != nil {
		return err
	}
	defer n.close()
	index, err := n.up("lo")
	if err == nil {
		index, err = n.up(device)
	}
	if err != nil {
		return err
	}
	for _, a := range c.Addresses {
		if err := n.addAddress(index, a); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	for _, all := range []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()} {
		if err := n.addDefault(index, all); err != nil {
			return fmt.Errorf("default route of %s: %w", all, err)
		}
	}
	return nil
}

// args are a Config as the child gets it.
func (c *Config) args() []string {
	list := []string{strconv.Itoa(int(c.Port))}
	for _, a := range c.Addresses {
		list = append(list, a.String())
	}
	return list
}

func parseArgs(args []string) (c Config, err error) {
	if len(args) == 0 {
		return c, errors.New("no port to listen on")
	}
	port, err := strconv.ParseUint(args[0], 10, 16)
	if err != nil {
		return c, err
	}
	c.Port = uint16(port)
	for _, s := range args[1:] {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return c, err
		}
		c.Addresses = append(c.Addresses, a)
	}
	return c, nil
}
