package lab

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// applyControl takes what the kernel tells beside a frame: when it saw it, and
// the VLAN tag that it cut out (packet(7), PACKET_AUXDATA), which is put back.
func (f *Frame) applyControl(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16:
			f.Time = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20:
			f.restoreTag(m.Data)
		}
	}
}

// restoreTag reads struct tpacket_auxdata: status, length and captured
// length of 32 bits, two offsets, TCI and TPID of 16.
func (f *Frame) restoreTag(aux []byte) {
	status := binary.NativeEndian.Uint32(aux)
	if status&unix.TP_STATUS_VLAN_VALID == 0 || len(f.Data) < 12 {
		return
	}
	tpid := uint16(unix.ETH_P_8021Q)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = binary.NativeEndian.Uint16(aux[18:])
	}
	tagged := make([]byte, 0, len(f.Data)+4)
	tagged = append(tagged, f.Data[:12]...)
	tagged = binary.BigEndian.AppendUint16(tagged, tpid)
	tagged = binary.BigEndian.AppendUint16(tagged, binary.NativeEndian.Uint16(aux[16:]))
	f.Data = append(tagged, f.Data[12:]...)
}
