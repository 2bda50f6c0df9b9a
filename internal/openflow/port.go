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
