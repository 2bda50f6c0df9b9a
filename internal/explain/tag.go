package explain

import (
	"encoding/binary"
	"slices"

	"damselfly/internal/wire"
)

// tagLen is the length of a VLAN tag, EtherType included (IEEE 802.1Q section 9.3).
const tagLen = 4

// afterMACs is where a tag stands.
const afterMACs = 12

// tag is a frame in a VLAN.
func tag(frame []byte, vlan uint16) []byte {
	if len(frame) < afterMACs {
		return frame
	}
	q := binary.BigEndian.AppendUint16(nil, wire.EtherTypeVLAN)
	return slices.Concat(frame[:afterMACs], binary.BigEndian.AppendUint16(q, vlan), frame[afterMACs:])
}

// untagged is a frame without the tag of this VLAN, if that is its outermost.
func untagged(frame []byte, vlan uint16) []byte {
	if vlan == 0 || len(frame) < wire.EthernetLen+tagLen || binary.BigEndian.Uint16(frame[afterMACs:]) != wire.EtherTypeVLAN ||
		binary.BigEndian.Uint16(frame[afterMACs+2:])&0xfff != vlan {
		return frame
	}
	return slices.Concat(frame[:afterMACs], frame[afterMACs+tagLen:])
}
