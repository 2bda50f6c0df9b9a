package dhcpv6

import (
	"net/netip"
	"time"
)

const (
	// MaxIAs is how many IAs of one message are read; a message with more is refused.
	MaxIAs = 16
	// MaxHints is how many addresses and prefixes, of all IAs together, are read; a message with more is refused.
	MaxHints = 32
)

// Context is what the rules for a message need to know beside its octets.
type Context struct {
	// ServerID is the server's own DUID.
	ServerID DUID
	// Source is the IPv6 source of the datagram.
	Source netip.Addr
	// Multicast says that the datagram came to a multicast address, as everything straight from a client must; what
	// came through a relay may be unicast.
	Multicast bool
}

// Request is one message from a client, with the relays it came through.
// Read fills it. It is meant to be used again and again by one owner: it holds
// its own room, and keeps views into the datagram last read.
type Request struct {
	head
	relays [MaxRelays]Hop
	ias    [MaxIAs]IA
	hints  [MaxHints]Hint
}

// head is the part of a Request that is cleared for every datagram.
type head struct {
	// Message is the client's own message, without relays.
	Message Message
	// ClientID is the client's DUID, nil if there was none; only an Information-request may lack it.
	ClientID DUID
	// ServerID is the DUID of the server meant, nil if there was none.
	ServerID DUID
	// ORO is the list of options asked for, nil if there was none. Requested looks into it faster.
	ORO ORO
	// FQDN is the client's name, nil if there was none.
	FQDN FQDN
	// Auth is the Authentication option's body, nil if there was none.
	Auth Auth
	// UserClass is the classes the client says it is of, nil if there were none.
	UserClass UserClass
	// VendorClass is the first vendor class, nil if there was none.
	VendorClass VendorClass
	// VendorOpts is the first vendor options option, nil if there was none.
	VendorOpts VendorOpts
	// RapidCommit says that a Reply to a Solicit is welcome (RFC 9915 section 21.14).
	RapidCommit bool
	// ReconfAccept says that the client takes Reconfigure messages (RFC 9915 section 21.20).
	ReconfAccept bool
	// Elapsed is since when the client has been trying, at most 655.35 s (RFC 9915 section 21.9).
	Elapsed time.Duration

	requested [4]uint64 // the codes below 256 of ORO, a bit each
	singles   uint32    // which of the options that may come once came, a bit each
	nRelays   uint8
	nIAs      uint8
	nHints    uint8
	iata      bool // an IA_TA was there
}

// Type is the type of the client's message.
func (r *Request) Type() MessageType { return r.Message.Type() }

// TransactionID is the number that the reply repeats.
func (r *Request) TransactionID() uint32 { return r.Message.TransactionID() }

// Relays are the relays the message came through, the nearest to the server
// first; none for a client on the link. The slice is r's own.
func (r *Request) Relays() []Hop { return r.relays[:r.nRelays] }

// IAs are the identity associations in the order of the message. The slice is r's own.
func (r *Request) IAs() []IA { return r.ias[:r.nIAs] }

// Hints are the addresses or prefixes inside ia, one of r.IAs(): what the
// client holds or would like. The slice is r's own.
func (r *Request) Hints(ia *IA) []Hint { return r.hints[ia.first:ia.end] }

// Registered is the address of an ADDR-REG-INFORM with its lifetimes (RFC 9686 section 4.2).
func (r *Request) Registered() *Hint { return &r.hints[0] }

// Requested reports whether the client asked for an option.
func (r *Request) Requested(code uint16) bool {
	if code < 256 {
		return r.requested[code>>6]&(1<<(code&63)) != 0
	}
	return r.ORO.Contains(code)
}

// IA is one identity association as a client sent it.
type IA struct {
	// Code is OptionIANA or OptionIAPD; IAIDs of the two are apart.
	Code uint16
	// ID is the IAID; any number is legal, 0 too (RFC 9915 section 12).
	ID uint32
	// T1 and T2 are the client's wishes in seconds; servers go by their own (RFC 9915 section 21.4).
	T1, T2 uint32

	first, end uint8 // its hints
}

// Hint is one IA Address or IA Prefix as a client sent it.
type Hint struct {
	// Address is the address, or the prefix with its bits beyond Bits cleared.
	Address netip.Addr
	// Preferred and Valid are the lifetimes in seconds that the client would like; 0 is no wish, Infinity is for ever.
	Preferred, Valid uint32
	// Bits is the prefix length, 0 to 128; 128 for an address.
	Bits uint8
}

// Prefix is Address and Bits as one.
func (h *Hint) Prefix() netip.Prefix { return netip.PrefixFrom(h.Address, int(h.Bits)) }

// LengthOnly reports whether a prefix hint names no prefix, at most a length (RFC 9915 section 18.2.1).
func (h *Hint) LengthOnly() bool { return h.Address.IsUnspecified() }

// Read is the gate of everything that a server may be sent: it reads the
// datagram's data into r, which is overwritten, relays first, and applies
// every rule of RFC 9915 section 16. With a fault, Message and Relays may be
// set for a log line and nothing in r is to be relied on.
func (r *Request) Read(data []byte, c *Context) Fault {
	r.head = head{}
	for len(data) > 0 && MessageType(data[0]) == RelayForward {
		if int(r.nRelays) == len(r.relays) {
			return FaultRelayHops
		}
		h := &r.relays[r.nRelays]
		if f := h.read(data); f != FaultNone {
			return f
		}
		r.nRelays++
		data = h.Message
	}
	if len(data) < MessageLen {
		return FaultShort
	}
	r.Message = Message(data)
	switch t := r.Type(); {
	case t.FromServer():
		return FaultServerMessage
	case !t.FromClient():
		return FaultUnknownType
	case r.nRelays == 0 && !c.Multicast:
		return FaultNotMulticast
	}
	if f := r.walk(); f != FaultNone {
		return f
	}
	return r.check(c)
}
