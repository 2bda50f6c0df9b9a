package wire

import "encoding/binary"

// TCPLen is the length in octets of a TCP header without options (RFC 9293
// section 3.1).
const TCPLen = 20

// Flags of a TCP header (RFC 9293 section 3.1).
const (
	TCPFin = 1 << 0
	TCPSyn = 1 << 1
	TCPRst = 1 << 2
	TCPAck = 1 << 4
)

const (
	tcpSrc      = 0
	tcpDst      = 2
	tcpSequence = 4
	tcpAck      = 8
	tcpOffset   = 12
	tcpFlags    = 13
	tcpChecksum = 16
)

// TCP is one segment from its source port on. Its gate for what Damselfly needs
// is Cut with Packet.Protocol equal to ProtocolTCP.
type TCP []byte

// DestinationPort is the receiver's port.
func (t TCP) DestinationPort() uint16 { return binary.BigEndian.Uint16(t[tcpDst:]) }

// Flags are the flags, TCPFin and others.
func (t TCP) Flags() uint8 { return t[tcpFlags] }

// Sequence is SEG.SEQ and Acknowledgment SEG.ACK of RFC 9293 section 3.3.1.
func (t TCP) Sequence() uint32 { return binary.BigEndian.Uint32(t[tcpSequence:]) }

// Acknowledgment counts only with TCPAck.
func (t TCP) Acknowledgment() uint32 { return binary.BigEndian.Uint32(t[tcpAck:]) }

// SegmentLength is SEG.LEN: the data, SYN and FIN; ok is false for a header that
// claims to be longer than the segment or shorter than itself.
func (t TCP) SegmentLength() (n uint32, ok bool) {
	header := int(t[tcpOffset]>>4) * 4
	if header < TCPLen || header > len(t) {
		return 0, false
	}
	n = uint32(len(t) - header)
	for _, f := range []uint8{TCPSyn, TCPFin} {
		if t.Flags()&f != 0 {
			n++
		}
	}
	return n, true
}

// ResetFrameLen is the length in octets of the frame that PutReset writes.
const ResetFrameLen = HeadersLen + TCPLen

// PutReset writes the whole frame of the reset that answers a segment to a port
// where nobody listens into b, which must have room for ResetFrameLen octets,
// and returns that length (RFC 9293 section 3.10.7.1). length is the segment's.
func PutReset(b []byte, h *Headers, segment TCP, length uint32) int {
	b = b[:ResetFrameLen]
	sum := h.put(b, ProtocolTCP, TCPLen)
	t := b[HeadersLen:]
	copy(t[tcpSrc:], segment[tcpDst:tcpDst+2])
	copy(t[tcpDst:], segment[tcpSrc:tcpSrc+2])
	if segment.Flags()&TCPAck != 0 {
		binary.BigEndian.PutUint32(t[tcpSequence:], segment.Acknowledgment())
		t[tcpFlags] = TCPRst
	} else {
		binary.BigEndian.PutUint32(t[tcpAck:], segment.Sequence()+length)
		t[tcpFlags] = TCPRst | TCPAck
	}
	t[tcpOffset] = TCPLen / 4 << 4
	binary.BigEndian.PutUint16(t[tcpChecksum:], (sum + SumBody(t)).Checksum())
	return ResetFrameLen
}
