// Package mmsg moves many frames in one system call, by packet sockets that never
// wait.
package mmsg

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	frameRoom = 2048    // octets of a frame that are read
	room      = 8 << 20 // octets a socket may hold before it drops
)

// Header is struct mmsghdr of recvmmsg(2).
type Header struct {
	Hdr    unix.Msghdr
	Length uint32 // of the frame that was read
}

// Burst is what one system call moves.
type Burst struct {
	Headers []Header
	Frames  [][]byte
	vectors []unix.Iovec
}

// NewBurst makes room for so many frames.
func NewBurst(size int) Burst {
	b := Burst{Headers: make([]Header, size), vectors: make([]unix.Iovec, size), Frames: make([][]byte, size)}
	for i := range b.Headers {
		b.Headers[i].Hdr.Iov = &b.vectors[i]
		b.Headers[i].Hdr.SetIovlen(1)
	}
	return b
}

// Set makes frame the i-th one to move.
func (b *Burst) Set(i int, frame []byte) {
	b.Frames[i] = frame
	b.vectors[i].Base = unsafe.SliceData(frame)
	b.vectors[i].SetLen(len(frame))
}

// Listen opens a packet socket for an Ethernet protocol, such as ETH_P_IPV6, on an
// interface of this thread's namespace. It does not see what it or its host sends.
func Listen(ifindex int, protocol uint16) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, room),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol>>8 | protocol<<8, Ifindex: ifindex}),
	)
	if err != nil {
		return -1, errors.Join(fmt.Errorf("packet socket: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// Receive is recvmmsg(2), which package unix does not wrap.
func Receive(fd int, headers []Header) (int, error) { return move(unix.SYS_RECVMMSG, fd, headers) }

// Send is sendmmsg(2).
func Send(fd int, headers []Header) (int, error) { return move(unix.SYS_SENDMMSG, fd, headers) }

func move(call uintptr, fd int, headers []Header) (int, error) {
	n, _, errno := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(headers))),
		uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Socket is a packet socket for IPv6 with the frames it moves.
type Socket struct {
	FD  int
	Out Burst
	in  Burst
}

// Open opens a Socket on an interface of this thread's namespace, for so many
// frames a system call. The caller must Close it.
func Open(ifindex, size int) (*Socket, error) {
	fd, err := Listen(ifindex, unix.ETH_P_IPV6)
	if err != nil {
		return nil, err
	}
	s := &Socket{FD: fd, in: NewBurst(size), Out: NewBurst(size)}
	for i := range s.in.Frames {
		s.in.Set(i, make([]byte, frameRoom))
	}
	return s, nil
}

// Close closes it.
func (s *Socket) Close() error { return unix.Close(s.FD) }

// Read returns how many frames had arrived; frame i is Received(i).
func (s *Socket) Read() (int, error) {
	n, err := Receive(s.FD, s.in.Headers)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, err
}

// Received is the i-th frame of the last Read, valid until the next.
func (s *Socket) Received(i int) []byte { return s.in.Frames[i][:s.in.Headers[i].Length] }

// Write sends the first n frames of s.Out.
func (s *Socket) Write(n int) error {
	for sent := 0; sent < n; {
		done, err := Send(s.FD, s.Out.Headers[sent:n])
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
