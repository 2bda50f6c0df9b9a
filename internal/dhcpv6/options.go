package dhcpv6

import "encoding/binary"

// optionHeaderLen is the length in octets of an option's code and length (RFC 9915 section 21.1).
const optionHeaderLen = 4

// Options is a run of options: those of a message, or those nested in an
// option. It needs no gate: Next checks as it goes.
//
//	for o := m.Options(); len(o) > 0; {
//		opt, rest, fault := o.Next()
//		if fault != dhcpv6.FaultNone { ... }
//		o = rest
//	}
type Options []byte

// Next gives the first option, whole, and the options behind it. The fault is
// FaultOptionHeader or FaultOptionLength (RFC 9915 section 21.1); the walk
// cannot go on then. On empty options it gives FaultOptionHeader.
func (o Options) Next() (Option, Options, Fault) {
	if len(o) < optionHeaderLen {
		return nil, nil, FaultOptionHeader
	}
	n := optionHeaderLen + int(binary.BigEndian.Uint16(o[2:]))
	if n > len(o) {
		return nil, nil, FaultOptionLength
	}
	return Option(o[:n:n]), o[n:], FaultNone
}

// Find gives the first option of a code, nil if there is none before the end
// or before the first malformed option.
func (o Options) Find(code uint16) Option {
	for len(o) > 0 {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return nil
		}
		if opt.Code() == code {
			return opt
		}
		o = rest
	}
	return nil
}

// wellFormed reports whether the walk reaches the end.
func (o Options) wellFormed() bool {
	for len(o) > 0 {
		_, rest, f := o.Next()
		if f != FaultNone {
			return false
		}
		o = rest
	}
	return true
}

// Option is one option with its code and length. Its gate is Options.Next.
type Option []byte

// Code is the option's code.
func (o Option) Code() uint16 { return binary.BigEndian.Uint16(o) }

// Body is what follows code and length.
func (o Option) Body() []byte { return o[optionHeaderLen:] }
