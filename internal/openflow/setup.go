package openflow

import "fmt"

// appendHello appends a HELLO with a bitmap of the one version we speak
// (OpenFlow 1.5 section 7.5.1).
func appendHello(b []byte, xid uint32) []byte {
	start := len(b)
	b = AppendHeader(b, TypeHello, xid)
	b = put16(put16(b, 1), 8)
	b = put32(b, 1<<Version)
	return finish(b, start)
}

// helloVersions returns the versions a HELLO offers, one bit each. A HELLO
// without a bitmap offers its own version and all below.
func helloVersions(m Message) uint32 {
	for b := m.Body(); len(b) >= 4; {
		n := int(get16(b[2:]))
		if n < 4 || n > len(b) {
			break
		}
		if get16(b) == 1 && n >= 8 {
			return get32(b[4:])
		}
		b = b[min(round8(n), len(b)):]
	}
	return 1<<(min(m.Version(), 31)+1) - 1
}

// versionNames names the versions of a bitmap for people.
func versionNames(bits uint32) (names []string) {
	for v := uint32(1); v < 31; v++ {
		if bits&(1<<v) != 0 {
			names = append(names, fmt.Sprintf("1.%d", v-1))
		}
	}
	return names
}

// Features is what the switch says of itself (OpenFlow 1.5 section 7.3.1).
type Features struct {
	// Datapath is the bridge's id.
	Datapath uint64
	Buffers  uint32
	Tables   uint8
	// Capabilities is a bit mask of OFPC numbers.
	Capabilities uint32
}

func decodeFeatures(b []byte) (f Features, err error) {
	if len(b) < 24 {
		return f, errShort
	}
	return Features{Datapath: get64(b), Buffers: get32(b[8:]), Tables: b[12], Capabilities: get32(b[16:])}, nil
}

// appendSetConfig appends SET_CONFIG. The flags hold for the whole bridge, the
// length for this connection.
func appendSetConfig(b []byte, xid uint32, c Config) []byte {
	start := len(b)
	b = AppendHeader(b, TypeSetConfig, xid)
	b = put16(put16(b, c.Flags), c.MissLength)
	return finish(b, start)
}

// Subtypes of Nicira's messages (ofp-msgs.h).
const (
	nxSetPacketInFormat = 16
	nxSetControllerID   = 20
	nxFlushZone         = 29
	nxPacketIn2         = 30
)

// formatPacketIn2 selects NXT_PACKET_IN2.
const formatPacketIn2 = 2

func appendSetPacketInFormat(b []byte, xid uint32) []byte {
	start := len(b)
	b = put32(appendNicira(b, nxSetPacketInFormat, xid), formatPacketIn2)
	return finish(b, start)
}

func appendSetControllerID(b []byte, xid uint32, id uint16) []byte {
	start := len(b)
	b = put16(pad(appendNicira(b, nxSetControllerID, xid), 6), id)
	return finish(b, start)
}

// appendFlushZone appends a request to forget the connections of one conntrack
// zone.
func appendFlushZone(b []byte, xid uint32, zone uint16) []byte {
	start := len(b)
	b = put16(pad(appendNicira(b, nxFlushZone, xid), 6), zone)
	return finish(b, start)
}

// Masks of asynchronous messages by reason (OpenFlow 1.5 section 7.3.10). All six
// reasons of a packet-in include the hop limit that ran out, which is off unless
// asked for.
const (
	asyncPacketIn    = 0x3f
	asyncPortStatus  = 0x07
	asyncFlowRemoved = 0x3f
)

// appendSetAsync appends SET_ASYNC. The odd properties hold for our role, the
// even ones for a secondary controller, which we never are.
func appendSetAsync(b []byte, xid uint32, packetIn, portStatus, flowRemoved uint32) []byte {
	start := len(b)
	b = AppendHeader(b, TypeSetAsync, xid)
	for i, mask := range []uint32{0, packetIn, 0, portStatus, 0, flowRemoved} {
		b = appendProp32(b, uint16(i), mask)
	}
	return finish(b, start)
}

// Role is what a controller is among those of a bridge (OpenFlow 1.5 section
// 7.3.9).
type Role uint32

// The roles. Equal is what every connection starts with.
const (
	RoleKeep      Role = 0
	RoleEqual     Role = 1
	RolePrimary   Role = 2
	RoleSecondary Role = 3
)

func appendRole(b []byte, xid uint32, r Role, generation uint64) []byte {
	start := len(b)
	b = pad(put32(AppendHeader(b, TypeRole, xid), uint32(r)), 4)
	return finish(put64(b, generation), start)
}

func decodeRole(b []byte) (r Role, generation uint64, err error) {
	if len(b) < 16 {
		return 0, 0, errShort
	}
	return Role(get32(b)), get64(b[8:]), nil
}

// How a bridge matches fragments (Config.Flags).
const (
	// FragmentsNormal hides the upper-layer header of every fragment: ports and
	// ICMPv6 type read 0. It is what a bridge starts with.
	FragmentsNormal = 0
	// FragmentsMatched matches the upper-layer header of a first fragment, which
	// nw_frag tells from whole packets (nicira-ext.h, NX_FRAG_MATCH).
	FragmentsMatched = 3
)

// Config is how a bridge treats fragments and packet-ins (OpenFlow 1.5 section
// 7.3.2).
type Config struct {
	// Flags is one of the Fragments constants, and holds for every controller.
	Flags uint16
	// MissLength is how much of a frame a controller gets, in octets.
	MissLength uint16
}

func decodeConfig(b []byte) (c Config, err error) {
	if len(b) < 4 {
		return c, errShort
	}
	return Config{get16(b), get16(b[2:])}, nil
}
