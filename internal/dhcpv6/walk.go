package dhcpv6

import (
	"encoding/binary"
	"time"
)

// walk reads the options of the client's message into r, each judged alone.
// Options that only servers or relays send are left unread, as unknown ones
// are (RFC 9915 section 16).
func (r *Request) walk() Fault {
	for o := r.Message.Options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return f
		}
		if f = r.option(opt.Code(), opt.Body()); f != FaultNone {
			return f
		}
		o = rest
	}
	return FaultNone
}

// option takes one option of the client's message.
func (r *Request) option(code uint16, body []byte) Fault {
	switch code {
	case OptionClientID:
		if r.ClientID != nil {
			return FaultDuplicateClientID
		}
		if r.ClientID = DUID(body); !r.ClientID.valid() {
			return FaultClientIDLength
		}
	case OptionServerID:
		if r.ServerID != nil {
			return FaultDuplicateServerID
		}
		if r.ServerID = DUID(body); !r.ServerID.valid() {
			return FaultServerIDLength
		}
	case OptionIANA, OptionIAPD:
		return r.ia(code, body)
	case OptionIATA:
		r.iata = true
	case OptionIAAddr:
		// Only a registration carries an address of its own.
		if r.Type() != AddrRegInform {
			return FaultMisplacedOption
		}
		return r.address(body)
	case OptionIAPrefix:
		return FaultMisplacedOption
	case OptionVendorClass:
		if !wellFormedVendorClass(body) {
			return FaultVendorClass
		}
		if r.VendorClass == nil {
			r.VendorClass = VendorClass(body)
		}
	case OptionVendorOpts:
		if !wellFormedVendorOpts(body) {
			return FaultVendorOpts
		}
		if r.VendorOpts == nil {
			r.VendorOpts = VendorOpts(body)
		}
	default:
		return r.single(code, body)
	}
	return FaultNone
}

// single takes an option of which a message may have one (RFC 9915 section 24).
func (r *Request) single(code uint16, body []byte) Fault {
	switch code {
	case OptionORO, OptionElapsedTime, OptionAuth, OptionStatusCode, OptionRapidCommit, OptionUserClass, OptionReconfAccept:
		if r.singles&(1<<code) != 0 {
			return FaultDuplicateOption
		}
		r.singles |= 1 << code
		return r.first(code, body)
	case OptionFQDN:
		if r.FQDN != nil {
			return FaultDuplicateOption
		}
		if r.FQDN = FQDN(body); !r.FQDN.valid() {
			return FaultFQDN
		}
	}
	return FaultNone
}

// first takes the only one of an option that single let through.
func (r *Request) first(code uint16, body []byte) Fault {
	switch code {
	case OptionORO:
		return r.oro(body)
	case OptionElapsedTime:
		if len(body) != 2 {
			return FaultElapsedTime
		}
		r.Elapsed = time.Duration(binary.BigEndian.Uint16(body)) * 10 * time.Millisecond
	case OptionAuth:
		if len(body) < authLen {
			return FaultAuth
		}
		r.Auth = Auth(body)
	case OptionStatusCode:
		if len(body) < statusLen {
			return FaultStatusCode
		}
	case OptionRapidCommit:
		if len(body) != 0 {
			return FaultRapidCommit
		}
		r.RapidCommit = true
	case OptionUserClass:
		if len(body) == 0 || !wellFormedClasses(body) {
			return FaultUserClass
		}
		r.UserClass = UserClass(body)
	case OptionReconfAccept:
		if len(body) != 0 {
			return FaultReconfAccept
		}
		r.ReconfAccept = true
	}
	return FaultNone
}

// oro takes the Option Request.
func (r *Request) oro(body []byte) Fault {
	if len(body)%2 != 0 {
		return FaultORO
	}
	r.ORO = ORO(body)
	for ; len(body) >= 2; body = body[2:] {
		if body[0] == 0 {
			r.requested[body[1]>>6] |= 1 << (body[1] & 63)
		}
	}
	return FaultNone
}
