package openflow

import "damselfly/internal/wire"

// Port is one port of the bridge (OpenFlow 1.5 section 7.2.2).
type Port struct {
	Number uint32
	Name   string
	MAC    wire.MAC
	Config uint32
	// State has bit 0 set while the link is down.
	State uint32
}

// Down reports whether the port has no link.
func (p Port) Down() bool { return p.State&1 != 0 }

const portLen = 40

// cutPort splits the first port off b.
func cutPort(b []byte) (p Port, rest []byte, err error) {
	if len(b) < portLen {
		return p, nil, errShort
	}
	n := int(get16(b[4:]))
	if n < portLen || n > len(b) {
		return p, nil, errShort
	}
	p = Port{Number: get32(b), Name: text(b[16:32]), MAC: wire.MAC(b[8:14]), Config: get32(b[32:]), State: get32(b[36:])}
	return p, b[n:], nil
}

// DecodePorts appends the ports in the body of a PORT_DESC reply to out.
func DecodePorts(out []Port, b []byte) ([]Port, error) {
	for len(b) > 0 {
		p, rest, err := cutPort(b)
		if err != nil {
			return out, err
		}
		out = append(out, p)
		b = rest
	}
	return out, nil
}

// PortStat is how much a port was used (OpenFlow 1.5 section 7.3.5.6).
type PortStat struct {
	Number               uint32
	RxPackets, TxPackets uint64
	RxOctets, TxOctets   uint64
	RxDropped, TxDropped uint64
	RxErrors, TxErrors   uint64
}

// DecodePortStats appends the ports in the body of a PORT_STATS reply to out.
func DecodePortStats(out []PortStat, b []byte) ([]PortStat, error) {
	for len(b) > 0 {
		if len(b) < 80 {
			return out, errShort
		}
		n := int(get16(b))
		if n < 80 || n > len(b) {
			return out, errShort
		}
		out = append(out, PortStat{
			Number:    get32(b[4:]),
			RxPackets: get64(b[16:]), TxPackets: get64(b[24:]),
			RxOctets: get64(b[32:]), TxOctets: get64(b[40:]),
			RxDropped: get64(b[48:]), TxDropped: get64(b[56:]),
			RxErrors: get64(b[64:]), TxErrors: get64(b[72:]),
		})
		b = b[n:]
	}
	return out, nil
}
