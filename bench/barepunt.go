package bench

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// BarePuntFlows are what a bridge needs for a bare responder behind its port
// number port, in ovs-ofctl's words: every Neighbor and Router Solicitation and message
// to DHCPv6 servers goes there with the number of its port in a tag, and what comes
// from there goes out of the port that its tag names.
func BarePuntFlows(port uint32) []string {
	punt := func(match string) string {
		return fmt.Sprintf("table=0,priority=1,%s,"+
			"actions=push_vlan:0x8100,move:NXM_OF_IN_PORT[0..11]->OXM_OF_VLAN_VID[0..11],output:%d", match, port)
	}
	return []string{
		fmt.Sprintf("table=0,priority=2,in_port=%d,vlan_tci=0x1000/0x1000,"+
			"actions=move:OXM_OF_VLAN_VID[0..11]->NXM_NX_REG0[0..11],pop_vlan,output:NXM_NX_REG0[]", port),
		punt("icmp6,icmp_type=135"), punt("icmp6,icmp_type=133"), punt("udp6,tp_dst=547"),
	}
}

// tagLen is the length of a VLAN tag; it stands behind the two MACs.
const tagLen = 4

// barePunt is what the bare responders of both kinds of port share: as many
// frames as are moved at once, each answer made beforehand but for what differs.
type barePunt struct {
	constant uint32
	in       [bareBatch][bareRoom]byte
	out      [bareBatch][nsLen + tagLen]byte
	datagram [bareRoom + tagLen]byte
}

func newBarePunt() *barePunt {
	b := &barePunt{constant: bareConstant()}
	advert := bareAdvert()
	for i := range b.out {
		copy(b.out[i][:12], advert)
		b.out[i][12], b.out[i][13] = 0x81, 0
		copy(b.out[i][16:], advert[12:])
	}
	return b
}

// answer makes the i-th answer to ns, which is without its tag.
func (b *barePunt) answer(i int, ns []byte, tci uint16) {
	o := b.out[i][:]
	copy(o, ns[6:12])
	o[14], o[15] = byte(tci>>8), byte(tci)
	bareFill(o[tagLen:], ns, b.constant)
}

// tagged is the answer to what is no Neighbor Solicitation, valid until the next one.
func (b *barePunt) tagged(f []byte, tci uint16) []byte {
	d := b.datagram[:]
	n := bareMade(d[tagLen:], f)
	if n == 0 {
		return nil
	}
	copy(d, d[tagLen:tagLen+12])
	d[12], d[13], d[14], d[15] = 0x81, 0, byte(tci>>8), byte(tci)
	return d[:tagLen+n]
}

// bareUp sets a device up, with nothing of the host's on it.
func bareUp(name string) error {
	path := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
	if err := os.WriteFile(path, []byte("1\n"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_NOARP)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}
