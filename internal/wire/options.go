package wire

// Neighbor Discovery option types.
const (
	OptionSourceLinkLayer = 1  // RFC 4861 section 4.6.1
	OptionTargetLinkLayer = 2  // RFC 4861 section 4.6.1
	OptionPrefix          = 3  // RFC 4861 section 4.6.2
	OptionRedirected      = 4  // RFC 4861 section 4.6.3
	OptionMTU             = 5  // RFC 4861 section 4.6.4
	OptionNonce           = 14 // RFC 3971 section 5.3.2
	OptionRoute           = 24 // RFC 4191 section 2.3
	OptionRDNSS           = 25 // RFC 8106 section 5.1
	OptionDNSSL           = 31 // RFC 8106 section 5.2
)

const (
	// OptionUnit is the unit in octets of an option's length field, which counts the whole option (RFC 4861 section 4.6).
	OptionUnit = 8
	// LinkLayerOptionLen is the length in octets of a link-layer address option on Ethernet (RFC 2464 section 6).
	LinkLayerOptionLen = 8
	// optionHeaderLen is the length in octets of type and length (RFC 4861 section 4.6).
	optionHeaderLen = 2
)

// Options is the rest of a Neighbor Discovery message behind its fixed part.
// It needs no gate: Next checks as it goes. Behind a message's gate the walk
// ends without a fault.
//
//	for o := ns.Options(); len(o) > 0; {
//		opt, rest, fault := o.Next()
//		if fault != wire.FaultNone { ... }
//		o = rest
//	}
type Options []byte

// Next gives the first option, whole, and the options behind it. The fault is
// FaultOptionZeroLength or FaultOptionTruncated (RFC 4861 section 4.6); the
// walk cannot go on then. On empty options it gives FaultOptionTruncated.
func (o Options) Next() (Option, Options, Fault) {
	if len(o) < optionHeaderLen {
		return nil, nil, FaultOptionTruncated
	}
	n := int(o[1]) * OptionUnit
	switch {
	case n == 0:
		return nil, nil, FaultOptionZeroLength
	case n > len(o):
		return nil, nil, FaultOptionTruncated
	}
	return Option(o[:n:n]), o[n:], FaultNone
}

// Find gives the first option of a type, nil if there is none before the end
// or before the first malformed option.
func (o Options) Find(typ uint8) Option {
	for len(o) > 0 {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return nil
		}
		if opt.Type() == typ {
			return opt
		}
		o = rest
	}
	return nil
}

// linkLayer is the address in the first option of a type, if it is Ethernet's.
func (o Options) linkLayer(typ uint8) (MAC, bool) {
	return o.Find(typ).LinkLayer()
}

// check walks all options, of which those of type linkLayer must be Ethernet's
// and only one. Other types are left unread, known or not: receivers skip
// what they do not know or expect (RFC 4861 section 4.6). It reports whether a
// linkLayer option was there.
func (o Options) check(linkLayer uint8) (found bool, f Fault) {
	for len(o) > 0 {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return found, f
		}
		if opt.Type() == linkLayer {
			if len(opt) != LinkLayerOptionLen {
				return found, FaultLinkLayerLength
			}
			if found {
				return found, FaultDuplicateLinkLayer
			}
			found = true
		}
		o = rest
	}
	return found, FaultNone
}

// Option is one Neighbor Discovery option with its type and length. Its gate
// is Options.Next.
type Option []byte

// Type is the option's type.
func (o Option) Type() uint8 { return o[0] }

// Body is what follows type and length, padding included.
func (o Option) Body() []byte { return o[optionHeaderLen:] }

// LinkLayer is the address of a link-layer address option; false if o is
// none, or not as long as Ethernet's (RFC 2464 section 6).
func (o Option) LinkLayer() (MAC, bool) {
	if len(o) != LinkLayerOptionLen || o[0] != OptionSourceLinkLayer && o[0] != OptionTargetLinkLayer {
		return MAC{}, false
	}
	return MAC(o[optionHeaderLen:]), true
}

// Nonce is the random value of a Nonce option, at least 6 octets; false if o
// is none (RFC 3971 section 5.3.2, RFC 7527 section 4.1).
func (o Option) Nonce() ([]byte, bool) {
	if len(o) < OptionUnit || o[0] != OptionNonce {
		return nil, false
	}
	return o.Body(), true
}
