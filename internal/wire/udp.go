package wire

import "encoding/binary"

// UDPLen is the length in octets of a UDP header (RFC 768).
const UDPLen = 8

const (
	udpSrc      = 0
	udpDst      = 2
	udpLength   = 4
	udpChecksum = 6
)

// UDP is one datagram, just as long as its length field says. Its gate is
// CheckUDP; the port getters need no more than Cut with Packet.Protocol equal
// to ProtocolUDP.
type UDP []byte

// CheckUDP is the gate of UDP. offloaded says that the checksum was not
// finished by the sender (see IsPseudoChecksum); such a datagram is good, and
// worth counting. Octets between the datagram's end and the packet's are cut off.
func CheckUDP(p *Packet) (u UDP, offloaded bool, f Fault) {
	if p.Protocol != ProtocolUDP {
		return nil, false, FaultNotUDP
	}
	if p.Fragment > AtomicFragment {
		return nil, false, FaultFragment
	}
	if p.SourceRouted {
		return nil, false, FaultRoutingHeader
	}
	u = UDP(p.Payload)
	n := u.Length()
	if n < UDPLen || n > len(u) {
		return nil, false, FaultUDPLength
	}
	u = u[:n:n]
	switch {
	// "IPv6 receivers must discard UDP packets containing a zero checksum", RFC 8200 section 8.1.
	case u.Checksum() == 0:
		return nil, false, FaultZeroChecksum
	case VerifyChecksum(p.IPv6, ProtocolUDP, u):
		return u, false, FaultNone
	case IsPseudoChecksum(p.IPv6, ProtocolUDP, n, u.Checksum()):
		return u, true, FaultNone
	}
	return nil, false, FaultChecksum
}

// SourcePort is the sender's port.
func (u UDP) SourcePort() uint16 { return binary.BigEndian.Uint16(u[udpSrc:]) }

// DestinationPort is the receiver's port.
func (u UDP) DestinationPort() uint16 { return binary.BigEndian.Uint16(u[udpDst:]) }

// Length is the length in octets of header and data, as the header says.
func (u UDP) Length() int { return int(binary.BigEndian.Uint16(u[udpLength:])) }

// Checksum is the checksum as received, never 0 behind the gate.
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[udpChecksum:]) }

// Data is what the datagram carries.
func (u UDP) Data() []byte { return u[UDPLen:] }
