package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BareSocket answers Neighbor Solicitations behind an interface, one end of a
// veth pair, with the least that can: a packet socket, up to 64 frames in one
// system call each way. The kernel takes the tags of what it receives off and
// tells them beside the frame. It calls ready once it reads.
func BareSocket(name string, ready func()) error {
	if err := bareUp(name); err != nil {
		return err
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	const protocol = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device.Index}),
	)
	if err != nil {
		return fmt.Errorf("packet socket on %s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	ready()
	b, in, out := newBarePunt(), newBurst(bareBatch), newBurst(bareBatch)
	aux := make([][unix.SizeofCmsghdr + (unsafe.Sizeof(unix.TpacketAuxdata{})+7)&^7]byte, bareBatch)
	for i := range bareBatch {
		in.set(i, b.in[i][:])
		out.set(i, b.out[i][:])
	}
	for {
		for i := range aux {
			in.headers[i].hdr.Control = &aux[i][0]
			in.headers[i].hdr.SetControllen(len(aux[i]))
		}
		n, wrong := 0, error(nil)
		err := conn.Read(func(fd uintptr) bool {
			n, wrong = mmsg(unix.SYS_RECVMMSG, int(fd), in.headers)
			return !errors.Is(wrong, unix.EAGAIN)
		})
		if err := errors.Join(err, wrong); err != nil {
			return fmt.Errorf("read from %s: %w", name, err)
		}
		answers := 0
		for i := range n {
			// struct tpacket_auxdata stands behind the header of the message.
			tag := (*unix.TpacketAuxdata)(unsafe.Pointer(&aux[i][unix.SizeofCmsghdr]))
			if in.headers[i].length == nsLen && tag.Status&unix.TP_STATUS_VLAN_VALID != 0 {
				b.answer(answers, b.in[i][:], tag.Vlan_tci)
				answers++
			}
		}
		for sent := 0; sent < answers; {
			done, err := mmsg(unix.SYS_SENDMMSG, fd, out.headers[sent:answers])
			if err != nil {
				return fmt.Errorf("write to %s: %w", name, err)
			}
			sent += done
		}
	}
}
