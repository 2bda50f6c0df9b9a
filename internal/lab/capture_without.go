package lab

import (
	"encoding/binary"
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// Without has the kernel leave out the frames whose source is one of the MACs,
// so that a flood from there costs the capture none of the others.
func (c *Capture) Without(sources ...net.HardwareAddr) error {
	const loadHalf, loadWord = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	const equal, end = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	var program []unix.SockFilter
	for _, mac := range sources {
		program = append(program,
			unix.SockFilter{Code: loadHalf, K: 6},
			unix.SockFilter{Code: equal, K: uint32(binary.BigEndian.Uint16(mac)), Jf: 3},
			unix.SockFilter{Code: loadWord, K: 8},
			unix.SockFilter{Code: equal, K: binary.BigEndian.Uint32(mac[2:]), Jf: 1},
			unix.SockFilter{Code: end, K: 0})
	}
	program = append(program, unix.SockFilter{Code: end, K: captureLength})
	var failed error
	err := c.raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	return errors.Join(err, failed)
}
