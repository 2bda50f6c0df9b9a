package openflow

import (
	"encoding/binary"

	"damselfly/flows"
	"damselfly/internal/punt"
	"damselfly/pipeline"
)

// PacketIn is a frame that the switch handed over (NXT_PACKET_IN2,
// nicira-ext.h). Frame and Userdata point into the message.
type PacketIn struct {
	Frame    []byte
	Userdata []byte
	Metadata uint64
	// Regs are the registers; the switch leaves out those that are 0.
	Regs   [16]uint32
	InPort uint32
}

// Properties of a packet-in that are read (nicira-ext.h).
const (
	pinPacket   = 0
	pinMetadata = 6
	pinUserdata = 7
)

// Headers of the metadata fields that are read from a packet-in.
const (
	oxmInPort   = 0x80000004
	oxmMetadata = 0x80000408
)

// Headers of what a packet-out writes: the VLAN field, whose highest bit says
// that there is a tag (OpenFlow 1.5 section 7.2.3.8), and register punt.RegPort.
const (
	oxmVLAN     = 0x80000c02
	vlanPresent = 0x1000
	nxmPort     = 0x00010004 + punt.RegPort<<9
)

// Decode reads a NXT_PACKET_IN2 message into p; ok is false for every other
// message and for one whose lengths do not fit. Fields it does not know are
// passed over.
func (p *PacketIn) Decode(m Message) (ok bool) {
	if sub, is := m.nicira(); !is || sub != nxPacketIn2 {
		return false
	}
	*p = PacketIn{}
	for props := m[experimenterLen:]; len(props) > 0; {
		typ, payload, rest, err := cutProp(props)
		if err != nil {
			return false
		}
		props = rest
		switch typ {
		case pinPacket:
			p.Frame = payload
		case pinMetadata:
			if !p.metadata(payload) {
				return false
			}
		case pinUserdata:
			p.Userdata = payload
		}
	}
	return p.Frame != nil
}

// metadata reads the pipeline fields of a packet-in. Registers come in pairs
// on an OpenFlow 1.5 connection, with a mask where one of the two is 0.
func (p *PacketIn) metadata(list []byte) bool {
	for len(list) > 0 {
		f, rest, err := cutField(list)
		if err != nil {
			return false
		}
		list = rest
		switch {
		case f.header == oxmInPort:
			p.InPort = get32(f.value)
		case f.header == oxmMetadata:
			p.Metadata = get64(f.value)
		case f.header >= xregBase && f.header < xregBase+xregs*0x200 && f.header&0x1ff == xregBase&0x1ff:
			v := get64(f.value)
			if f.mask != nil {
				v &= get64(f.mask)
			}
			reg := (f.header - xregBase) / 0x200 * 2
			p.Regs[reg] |= uint32(v >> 32)
			p.Regs[reg+1] |= uint32(v)
		}
	}
	return true
}

// packetOutLen is the length of a packet-out with one match field up to its
// actions.
const packetOutLen = headerLen + 8 + 16

// appendPacketOut appends a PACKET_OUT up to its actions (OpenFlow 1.5 section
// 7.3.6). inPort is where the frame seems to have come from: Open vSwitch never
// sends it there. flows.Controller is nowhere.
func appendPacketOut(b []byte, xid, inPort uint32) []byte {
	b = AppendHeader(b, TypePacketOut, xid)
	b = put32(b, noBuffer)
	b = put32(b, 0) // length of the actions, written when they are there
	b = put32(b, 1<<16|12)
	b = put32(put32(b, oxmInPort), inPort)
	return pad(b, 4)
}

// closePacketOut writes the length of the actions of the packet-out that starts
// at b[start:] and appends the frame.
func closePacketOut(b []byte, start int, frame []byte) []byte {
	binary.BigEndian.PutUint16(b[start+12:], uint16(len(b)-start-packetOutLen))
	b = append(b, frame...)
	return finish(b, start)
}

// appendReply appends the packet-out of one reply. Replies to a port come from
// nowhere, so that they may leave by the port that asked. Replies through the
// switch come from their own ingress port, which spares it in a flood: Open
// vSwitch the port of the switch, and the flows the one sub-port behind it.
func appendReply(b []byte, r *pipeline.Reply) []byte {
	start := len(b)
	if r.Out != 0 {
		b = appendPacketOut(b, 0, flows.Controller)
		if r.VLAN != 0 {
			b = pad(put16(actionHeader(b, actPushVLAN, 8), etherTypeVLAN), 2)
			b = put32(actionHeader(b, actSetField, 16), oxmVLAN)
			b = pad(put16(b, vlanPresent|r.VLAN), 6)
		}
		b = put32(actionHeader(b, actOutput, 16), r.Out)
		b = pad(b, 8)
		return closePacketOut(b, start, r.Data)
	}
	in := r.InPort
	if in == 0 {
		in = flows.Controller
	}
	b = appendPacketOut(b, 0, in)
	b = actionHeader(b, actSetField, 16)
	b = put64(put32(b, oxmMetadata), uint64(r.Network))
	if r.Port != 0 {
		b = put32(put32(actionHeader(b, actSetField, 16), nxmPort), uint32(r.Port))
		b = pad(b, 4)
	}
	b = put16(niciraHeader(b, nxResubmit, 16), nxInPort)
	b = append(b, flows.TableSwitch, 0, 0, 0)
	return closePacketOut(b, start, r.Data)
}

// maxReply is the longest frame a packet-out can carry, in octets.
const maxReply = maxMessage - packetOutLen - 48
