package wire

import "encoding/binary"

// Verdict is what the node that a packet is for has to do because of its
// extension headers (RFC 8200 section 4).
type Verdict uint8

const (
	// Processable: nothing stands in the way of the upper layer.
	Processable Verdict = iota
	// Discard: it ends, and nobody is told.
	Discard
	// Report: it ends, and its source is told by a Parameter Problem.
	Report
)

// Problem is what a Parameter Problem says of a packet (RFC 4443 section 3.4).
type Problem struct {
	Code uint8
	// Pointer counts octets from the beginning of the IPv6 header.
	Pointer uint32
}

const (
	// segmentsLeft is where a Routing header says how many segments are left (RFC 8200 section 4.4).
	segmentsLeft = 3
	// nextHeaderField and payloadLengthField are where in the IPv6 header these stand (RFC 8200 section 3).
	nextHeaderField    = 6
	payloadLengthField = 4
	// maxPacket is the most octets that a payload length can say.
	maxPacket = 0xffff
)

// FindProblem reads the headers of a packet of which Cut has set IPv6, as the node
// does that it is for and that knows TCP, UDP and ICMPv6 alone, and no option.
func FindProblem(ip IPv6) (Problem, Verdict) {
	next, field := ip.NextHeader(), nextHeaderField
	for at, n := IPv6Len, 0; n <= MaxExtensionHeaders; n++ {
		b := ip[at:]
		switch next {
		case ProtocolTCP, ProtocolUDP, ProtocolICMPv6, ProtocolNoNext:
			return Problem{}, Processable
		case ProtocolHopByHop, ProtocolDestination, ProtocolRouting, ProtocolFragment:
		default:
			return Problem{CodeUnknownNextHeader, uint32(field)}, Report
		}
		length := extensionLen(next, b)
		if length == 0 {
			return Problem{}, Discard
		}
		switch next {
		case ProtocolHopByHop, ProtocolDestination:
			// "Hop-by-Hop Options header ... restricted to appear immediately after an
			// IPv6 header only", RFC 8200 section 4; elsewhere its number is not known.
			if next == ProtocolHopByHop && n > 0 {
				return Problem{CodeUnknownNextHeader, uint32(field)}, Report
			}
			if p, v := findOptions(ip, at, length); v != Processable {
				return p, v
			}
		case ProtocolRouting:
			// With no segment left an unknown Routing header is skipped, with some
			// "the node must discard the packet and send an ICMP Parameter Problem, Code
			// 0, ... pointing to the unrecognized Routing Type", RFC 8200 section 4.4; of
			// type 0 likewise (RFC 5095 section 3).
			if b[segmentsLeft] != 0 {
				return Problem{CodeErroneousField, uint32(at + routingType)}, Report
			}
		case ProtocolFragment:
			if fragmentation(b) > AtomicFragment {
				return findFragment(ip, at)
			}
		}
		field, next = at, b[0]
		at += length
	}
	return Problem{}, Discard
}

// findFragment finds what no reassembly could use; others wait for one that is not
// made here, and end.
func findFragment(ip IPv6, at int) (Problem, Verdict) {
	word := binary.BigEndian.Uint16(ip[at+fragmentField:])
	data := len(ip) - at - fragmentLen
	switch {
	case word&fragmentMore != 0 && data%extLenUnit != 0:
		return Problem{CodeErroneousField, payloadLengthField}, Report // RFC 8200 section 4.5
	case len(ip)-IPv6Len-fragmentLen-data+int(word&fragmentOffsetMask)+data > maxPacket:
		return Problem{CodeErroneousField, uint32(at + fragmentField)}, Report // RFC 8200 section 4.5
	}
	return Problem{}, Discard
}

// findOptions does what the two highest bits of each option say: none is known
// but padding (RFC 8200 section 4.2).
func findOptions(ip IPv6, at, length int) (Problem, Verdict) {
	for i := at + optionsField; i < at+length; {
		typ := ip[i]
		if typ == optionPad1 {
			i++
			continue
		}
		if i+1 >= at+length || i+2+int(ip[i+1]) > at+length {
			return Problem{}, Discard
		}
		if typ != optionPadN {
			switch typ >> 6 {
			case 1:
				return Problem{}, Discard
			case 3:
				if ip.DestinationMulticast() {
					return Problem{}, Discard
				}
				fallthrough
			case 2:
				return Problem{CodeUnknownOption, uint32(i)}, Report
			}
		}
		i += 2 + int(ip[i+1])
	}
	return Problem{}, Processable
}
