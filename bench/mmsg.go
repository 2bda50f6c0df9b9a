package bench

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	frameRoom    = 2048    // octets of a frame that are read
	socketBuffer = 8 << 20 // octets a socket may hold before it drops
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr    unix.Msghdr
	length uint32
}

// socket is a packet socket that reads and writes up to burst frames in one
// system call and never waits.
type socket struct {
	fd      int
	in, out burst
}

// burst is what one system call moves.
type burst struct {
	headers []mmsghdr
	vectors []unix.Iovec
	frames  [][]byte
}

func newBurst(size int) burst {
	b := burst{headers: make([]mmsghdr, size), vectors: make([]unix.Iovec, size), frames: make([][]byte, size)}
	for i := range b.headers {
		b.headers[i].hdr.Iov = &b.vectors[i]
		b.headers[i].hdr.SetIovlen(1)
	}
	return b
}

// set makes frame the i-th one to move.
func (b *burst) set(i int, frame []byte) {
	b.frames[i] = frame
	b.vectors[i].Base = unsafe.SliceData(frame)
	b.vectors[i].SetLen(len(frame))
}

// openSocket opens a packet socket on an interface of this thread's namespace.
// It does not see what it or its host sends.
func openSocket(ifindex, size int) (*socket, error) {
	const protocol = unix.ETH_P_IPV6>>8 | unix.ETH_P_IPV6&0xff<<8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: ifindex}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), unix.Close(fd))
	}
	s := &socket{fd: fd, in: newBurst(size), out: newBurst(size)}
	for i := range s.in.frames {
		s.in.set(i, make([]byte, frameRoom))
	}
	return s, nil
}

func (s *socket) close() error { return unix.Close(s.fd) }

// read returns how many frames had arrived; frame i is received(i).
func (s *socket) read() (int, error) {
	n, err := mmsg(unix.SYS_RECVMMSG, s.fd, s.in.headers)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, err
}

// received is the i-th frame of the last read, valid until the next.
func (s *socket) received(i int) []byte { return s.in.frames[i][:s.in.headers[i].length] }

// write sends the first n frames of s.out.
func (s *socket) write(n int) error {
	for sent := 0; sent < n; {
		done, err := mmsg(unix.SYS_SENDMMSG, s.fd, s.out.headers[sent:n])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sending frames: %w", err)
		}
		sent += done
	}
	return nil
}

// mmsg is recvmmsg(2) or sendmmsg(2), which package unix does not wrap.
func mmsg(call uintptr, fd int, headers []mmsghdr) (int, error) {
	n, _, errno := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(headers))),
		uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
