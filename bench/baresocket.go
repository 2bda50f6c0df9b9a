package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"damselfly/bench/mmsg"
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
	fd, err := mmsg.Listen(device.Index, unix.ETH_P_ALL)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return errors.Join(fmt.Errorf("tags of frames on %s: %w", name, err), unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	ready()
	b, in, out := newBarePunt(), mmsg.NewBurst(bareBatch), mmsg.NewBurst(bareBatch)
	aux := make([][unix.SizeofCmsghdr + (unsafe.Sizeof(unix.TpacketAuxdata{})+7)&^7]byte, bareBatch)
	for i := range bareBatch {
		in.Set(i, b.in[i][:])
		out.Set(i, b.out[i][:])
	}
	for {
		for i := range aux {
			in.Headers[i].Hdr.Control = &aux[i][0]
			in.Headers[i].Hdr.SetControllen(len(aux[i]))
		}
		n, wrong := 0, error(nil)
		err := conn.Read(func(fd uintptr) bool {
			n, wrong = mmsg.Receive(int(fd), in.Headers)
			return !errors.Is(wrong, unix.EAGAIN)
		})
		if err := errors.Join(err, wrong); err != nil {
			return fmt.Errorf("read from %s: %w", name, err)
		}
		answers := 0
		for i := range n {
			// struct tpacket_auxdata stands behind the header of the message.
			tag := (*unix.TpacketAuxdata)(unsafe.Pointer(&aux[i][unix.SizeofCmsghdr]))
			if in.Headers[i].Length == nsLen && tag.Status&unix.TP_STATUS_VLAN_VALID != 0 {
				b.answer(answers, b.in[i][:], tag.Vlan_tci)
				answers++
			}
		}
		for sent := 0; sent < answers; {
			done, err := mmsg.Send(fd, out.Headers[sent:answers])
			if err != nil {
				return fmt.Errorf("write to %s: %w", name, err)
			}
			sent += done
		}
	}
}
