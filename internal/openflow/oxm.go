package openflow

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"damselfly/flows"
)

// hasMask is the bit of an OXM header that says a mask follows the value
// (OpenFlow 1.5 section 7.2.3.2).
const hasMask = 1 << 8

// Headers of the 64-bit views of two registers each (PKT_REG, OpenFlow 1.5
// section 7.2.3.9). Open vSwitch writes registers so on an OpenFlow 1.5
// connection, whatever form they came in.
const (
	xregBase = 0x80010008
	xregs    = 8
)

const classExperimenter = 0xffff

// headers finds a Field by its OXM header.
var headers = func() map[uint32]flows.Field {
	m := make(map[uint32]flows.Field, flows.Fields)
	for f := range flows.Fields {
		m[f.Info().Header] = f
	}
	return m
}()

// appendField appends one field, with a mask unless every bit counts.
func appendField(b []byte, e flows.FieldMatch) []byte {
	info := e.Field.Info()
	value := e.Value
	for i := range info.Size {
		value[i] &= e.Mask[i] // a bit outside its mask is an error to Open vSwitch
	}
	if e.Exact() {
		b = put32(b, info.Header)
		return append(b, value[:info.Size]...)
	}
	b = put32(b, info.Header|hasMask+uint32(info.Size))
	b = append(b, value[:info.Size]...)
	return append(b, e.Mask[:info.Size]...)
}

// AppendMatch appends a match in its OXM form, padded to eight octets.
func AppendMatch(b []byte, m flows.Match) []byte {
	start := len(b)
	b = put32(b, 1<<16) // OFPMT_OXM, length below
	for _, e := range m {
		b = appendField(b, e)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return pad8(b, start)
}

// cutMatch splits b behind its match: the match's entries, and what follows its
// padding.
func cutMatch(b []byte) (entries, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errShort
	}
	n := int(get16(b[2:]))
	if get16(b) != 1 || n < 4 || round8(n) > len(b) {
		return nil, nil, errShort
	}
	return b[4:n], b[round8(n):], nil
}

// oxm is one field as it stands in a message.
type oxm struct {
	header uint32 // without the mask bit, length of the value alone
	value  []byte
	mask   []byte // nil: every bit
}

// cutField splits the first field off b.
func cutField(b []byte) (f oxm, rest []byte, err error) {
	if len(b) < 4 {
		return oxm{}, nil, errShort
	}
	h := get32(b)
	n := int(h & 0xff)
	if len(b) < 4+n {
		return oxm{}, nil, errShort
	}
	payload, rest := b[4:4+n], b[4+n:]
	if h>>16 == classExperimenter {
		// The value hides behind an experimenter id; none of ours is so.
		return oxm{header: h, value: payload}, rest, nil
	}
	if h&hasMask == 0 {
		return oxm{header: h, value: payload}, rest, nil
	}
	if n%2 != 0 {
		return oxm{}, nil, fmt.Errorf("openflow: field %#08x has a mask but an odd length", h)
	}
	return oxm{header: h&^(hasMask|0xff) | uint32(n/2), value: payload[:n/2], mask: payload[n/2:]}, rest, nil
}

// typed returns the field as package flows has it.
func (f oxm) typed() (e flows.FieldMatch, ok bool) {
	field, ok := headers[f.header]
	if !ok {
		return flows.FieldMatch{}, false
	}
	e.Field = field
	size := field.Info().Size
	copy(e.Value[:size], f.value)
	for i := range size {
		e.Mask[i] = 0xff
		if f.mask != nil {
			e.Mask[i] = f.mask[i]
			e.Value[i] &= f.mask[i]
		}
	}
	e.Mask = wholeMask(field, e.Mask)
	return e, true
}

// wholeMask returns a mask over all bits that a field has as the mask over all
// its octets, the form that package flows knows as exact.
func wholeMask(f flows.Field, m flows.Value) flows.Value {
	size := f.Info().Size
	var all flows.Value
	for i := range size {
		all[i] = 0xff
	}
	if bits := fieldBits(f); bits < 8*size && m.Uint(size) == 1<<bits-1 {
		return all
	}
	return m
}

// fieldBits returns how many bits of its octets a field uses (meta-flow.h).
func fieldBits(f flows.Field) int {
	switch f {
	case flows.IPv6Label:
		return 20
	case flows.VLANVID:
		return 13
	case flows.TCPFlags:
		return 12
	case flows.IPDSCP:
		return 6
	case flows.IPECN, flows.IPFrag:
		return 2
	}
	return 8 * f.Info().Size
}

// registers returns the two registers behind a PKT_REG field.
func (f oxm) registers() (first int, ok bool) {
	n := f.header - xregBase
	if f.header < xregBase || n%0x200 != 0 || n/0x200 >= xregs {
		return 0, false
	}
	return int(n/0x200) * 2, true
}

// half returns one half of a PKT_REG field as a match on register reg; ok is
// false if no bit of it counts.
func (f oxm) half(reg, octet int) (e flows.FieldMatch, ok bool) {
	mask := flows.U32(0xffffffff)
	if f.mask != nil {
		mask = flows.U32(get32(f.mask[octet:]))
	}
	if mask == (flows.Value{}) {
		return e, false
	}
	e = flows.FieldMatch{Field: flows.Reg0 + flows.Field(reg), Mask: mask}
	for i := range 4 {
		e.Value[i] = f.value[octet+i] & mask[i]
	}
	return e, true
}

// DecodeMatch returns the match that entries, OXM fields without a match
// header, make up. The error names the first field that package flows has no
// word for.
func DecodeMatch(entries []byte) (flows.Match, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	m := make(flows.Match, 0, 8)
	for len(entries) > 0 {
		f, rest, err := cutField(entries)
		if err != nil {
			return nil, err
		}
		entries = rest
		if reg, ok := f.registers(); ok {
			for i := range 2 {
				if e, ok := f.half(reg+i, 4*i); ok {
					m = append(m, e)
				}
			}
			continue
		}
		e, ok := f.typed()
		if !ok {
			return nil, fmt.Errorf("openflow: match field %#08x is not one of ours", f.header)
		}
		m = append(m, e)
	}
	slices.SortFunc(m, func(a, b flows.FieldMatch) int { return cmp.Compare(a.Field, b.Field) })
	for i := 1; i < len(m); i++ {
		if m[i].Field == m[i-1].Field {
			return nil, fmt.Errorf("openflow: match has %v twice", m[i].Field)
		}
	}
	return m, nil
}
