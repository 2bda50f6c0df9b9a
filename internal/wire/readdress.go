package wire

import "encoding/binary"

// CutQuote cuts the packet that an ICMPv6 error quotes, which may end anywhere
// (RFC 4443 section 2.4 (c)), into p; ok is false if it is no IPv6 header. Payload
// is empty where no upper-layer header is here whole.
func CutQuote(b []byte, p *Packet) (ok bool) {
	*p = Packet{}
	if len(b) < IPv6Len || IPv6(b).Version() != 6 {
		return false
	}
	p.IPv6 = b[:min(len(b), IPv6Len+IPv6(b).PayloadLength())]
	if p.walk() != FaultNone {
		p.Payload = nil
	}
	return true
}

// SetSource writes another source address into the packet, and brings the
// checksum in line that covers it.
func (p *Packet) SetSource(a [16]byte) { p.readdress(ipSrc, a) }

// SetDestination is SetSource for the destination. Where a Routing header names a
// further one, the checksum does not cover it (RFC 8200 section 8.1).
func (p *Packet) SetDestination(a [16]byte) { p.readdress(ipDst, a) }

func (p *Packet) readdress(at int, a [16]byte) {
	old := p.IPv6[at : at+16]
	before, after := SumBody(old), SumBody(a[:])
	copy(old, a[:])
	if at == ipDst && p.SourceRouted {
		return
	}
	if field := p.checksumField(); field != nil {
		checksum := UpdateChecksum(binary.BigEndian.Uint16(field), before, after)
		if checksum == 0 && p.Protocol == ProtocolUDP {
			checksum = 0xffff // zero means that there is none (RFC 768)
		}
		binary.BigEndian.PutUint16(field, checksum)
	}
}

// checksumField is where the upper-layer checksum over the pseudo-header stands,
// nil where there is none here.
func (p *Packet) checksumField() []byte {
	if len(p.Payload) == 0 {
		return nil
	}
	switch p.Protocol {
	case ProtocolTCP:
		return p.Payload[tcpChecksum : tcpChecksum+2]
	case ProtocolICMPv6:
		return p.Payload[icmpChecksum : icmpChecksum+2]
	case ProtocolUDP:
		if UDP(p.Payload).Checksum() != 0 {
			return p.Payload[udpChecksum : udpChecksum+2]
		}
	}
	return nil
}

// SealICMPv6 makes the checksum of the packet's ICMPv6 message anew.
func (p *Packet) SealICMPv6() {
	m := p.ICMPv6()
	m.setChecksum(0)
	m.setChecksum((PseudoSum(p.IPv6, ProtocolICMPv6, len(m)) + SumBody(m)).Checksum())
}
