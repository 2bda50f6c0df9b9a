package openflow

import "encoding/binary"

// appendProp16 appends a property (OpenFlow 1.5 section 7.2.1.1, the form all
// property lists share) of one 16-bit number, which Open vSwitch
// writes with two octets of padding that count.
func appendProp16(b []byte, typ, v uint16) []byte {
	return put16(put16(put16(put16(b, typ), 8), v), 0)
}

// appendProp32 appends a property of one 32-bit number.
func appendProp32(b []byte, typ uint16, v uint32) []byte {
	return put32(put16(put16(b, typ), 8), v)
}

// appendPropText appends a property of octets held in a string: its length does
// not count the padding behind.
func appendPropText(b []byte, typ uint16, payload string) []byte {
	start := len(b)
	b = put16(b, typ)
	b = put16(b, uint16(4+len(payload)))
	b = append(b, payload...)
	return pad8(b, start)
}

// cutProp splits the first property off b.
func cutProp(b []byte) (typ uint16, payload, rest []byte, err error) {
	if len(b) < 4 {
		return 0, nil, nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 4 || n > len(b) {
		return 0, nil, nil, errShort
	}
	return binary.BigEndian.Uint16(b), b[4:n], b[min(round8(n), len(b)):], nil
}

// allZero reports whether b holds padding alone.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
