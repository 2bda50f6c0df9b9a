package annex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// netlink is a socket to the kernel's routing (rtnetlink(7)), with the little of
// it that a stack of one device needs.
type netlink struct {
	fd int
}

func dialNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &netlink{fd}, nil
}

func (n *netlink) close() { unix.Close(n.fd) }

// up sets a link up, with the stack's MTU if it is the device, and returns its index.
func (n *netlink) up(name string) (index uint32, err error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(socket)
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("device %s: %w", name, err)
	}
	index = request.Uint32()
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], index)
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP)
	if name == device {
		body = appendAttribute(body, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, MTU))
	}
	return index, n.request(unix.RTM_NEWLINK, 0, body)
}

// addAddress gives a device an address. Nobody else is there to have it, so it is
// not probed for.
func (n *netlink) addAddress(index uint32, a netip.Addr) error {
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1], body[2] = family(a), uint8(a.BitLen()), unix.IFA_F_NODAD
	binary.NativeEndian.PutUint32(body[4:], index)
	body = appendAttribute(body, unix.IFA_LOCAL, a.AsSlice())
	return n.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, appendAttribute(body, unix.IFA_ADDRESS, a.AsSlice()))
}

// addDefault has all of a family leave by a device; all is its unspecified address.
func (n *netlink) addDefault(index uint32, all netip.Addr) error {
	body := make([]byte, unix.SizeofRtMsg)
	body[0] = family(all)
	body[4], body[5], body[6], body[7] = unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST
	if all.Is4() {
		body[6] = unix.RT_SCOPE_LINK
	}
	return n.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE,
		appendAttribute(body, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, index)))
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// appendAttribute appends an attribute, padded.
func appendAttribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%unix.RTA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// request sends one request and waits until the kernel says how it went.
func (n *netlink) request(typ, flags uint16, body []byte) error {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = append(append(b, make([]byte, 8)...), body...)
	if err := unix.Sendto(n.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	got, _, err := unix.Recvfrom(n.fd, answer, 0)
	if err != nil {
		return err
	}
	if got < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink: not the answer that was asked for")
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
