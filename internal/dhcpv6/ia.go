package dhcpv6

import (
	"encoding/binary"
	"net/netip"
)

const (
	iaLen      = 12 // IAID, T1, T2 (RFC 9915 section 21.4)
	iaAddrLen  = 24 // address and two lifetimes (RFC 9915 section 21.6)
	iaPrefLen  = 25 // two lifetimes, length and prefix (RFC 9915 section 21.22)
	statusLen  = 2  // the code before the text (RFC 9915 section 21.13)
	maxBits128 = 128
)

// ia takes one IA_NA or IA_PD and what is inside.
func (r *Request) ia(code uint16, body []byte) Fault {
	if len(body) < iaLen {
		return FaultIALength
	}
	if int(r.nIAs) == len(r.ias) {
		return FaultTooManyIAs
	}
	ia := &r.ias[r.nIAs]
	*ia = IA{
		Code:  code,
		ID:    binary.BigEndian.Uint32(body),
		T1:    binary.BigEndian.Uint32(body[4:]),
		T2:    binary.BigEndian.Uint32(body[8:]),
		first: r.nHints,
	}
	for i := range r.IAs() {
		if r.ias[i].ID == ia.ID && r.ias[i].Code == code {
			return FaultDuplicateIAID
		}
	}
	r.nIAs++
	for o := Options(body[iaLen:]); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return FaultNestedOption
		}
		if f = r.nested(code, opt); f != FaultNone {
			return f
		}
		o = rest
	}
	ia.end = r.nHints
	return FaultNone
}

// nested takes one option inside an IA of a kind.
func (r *Request) nested(kind uint16, opt Option) Fault {
	switch code := opt.Code(); {
	case code == OptionIAAddr && kind == OptionIANA:
		return r.address(opt.Body())
	case code == OptionIAPrefix && kind == OptionIAPD:
		return r.prefix(opt.Body())
	case code == OptionIAAddr || code == OptionIAPrefix:
		return FaultMisplacedOption
	case code == OptionStatusCode && len(opt.Body()) < statusLen:
		return FaultStatusCode
	}
	return FaultNone
}

// address takes an IA Address.
func (r *Request) address(body []byte) Fault {
	if len(body) < iaAddrLen {
		return FaultAddressLength
	}
	if int(r.nHints) == len(r.hints) {
		return FaultTooManyHints
	}
	if !Options(body[iaAddrLen:]).wellFormed() {
		return FaultNestedOption
	}
	h := &r.hints[r.nHints]
	h.Address = netip.AddrFrom16([16]byte(body))
	h.Preferred = binary.BigEndian.Uint32(body[16:])
	h.Valid = binary.BigEndian.Uint32(body[20:])
	h.Bits = maxBits128
	r.nHints++
	return FaultNone
}

// prefix takes an IA Prefix. Bits behind the prefix length mean nothing, so
// they are cleared here for everybody.
func (r *Request) prefix(body []byte) Fault {
	if len(body) < iaPrefLen {
		return FaultPrefixLength
	}
	if body[8] > maxBits128 {
		return FaultPrefixBits
	}
	if int(r.nHints) == len(r.hints) {
		return FaultTooManyHints
	}
	if !Options(body[iaPrefLen:]).wellFormed() {
		return FaultNestedOption
	}
	h := &r.hints[r.nHints]
	h.Preferred = binary.BigEndian.Uint32(body)
	h.Valid = binary.BigEndian.Uint32(body[4:])
	h.Bits = body[8]
	h.Address = masked([16]byte(body[9:]), h.Bits)
	r.nHints++
	return FaultNone
}

// masked is a with its bits beyond the first n cleared.
func masked(a [16]byte, n uint8) netip.Addr {
	hi, lo := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])
	if n < 64 {
		hi &^= ^uint64(0) >> n
		lo = 0
	} else {
		lo &^= ^uint64(0) >> (n - 64)
	}
	binary.BigEndian.PutUint64(a[:], hi)
	binary.BigEndian.PutUint64(a[8:], lo)
	return netip.AddrFrom16(a)
}
