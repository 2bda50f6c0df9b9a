package dhcpv6

// MessageType is the first octet of every message (RFC 9915 section 7.3).
type MessageType uint8

// The message types this package knows.
const (
	Solicit            MessageType = 1  // RFC 9915 section 16.2
	Advertise          MessageType = 2  // RFC 9915 section 16.3
	RequestMessage     MessageType = 3  // RFC 9915 section 16.4
	Confirm            MessageType = 4  // RFC 9915 section 16.5
	Renew              MessageType = 5  // RFC 9915 section 16.6
	Rebind             MessageType = 6  // RFC 9915 section 16.7
	Reply              MessageType = 7  // RFC 9915 section 16.10
	Release            MessageType = 8  // RFC 9915 section 16.9
	Decline            MessageType = 9  // RFC 9915 section 16.8
	Reconfigure        MessageType = 10 // RFC 9915 section 16.11
	InformationRequest MessageType = 11 // RFC 9915 section 16.12
	RelayForward       MessageType = 12 // RFC 9915 section 16.13
	RelayReply         MessageType = 13 // RFC 9915 section 16.14
	AddrRegInform      MessageType = 36 // RFC 9686 section 4.2
	AddrRegReply       MessageType = 37 // RFC 9686 section 4.3
)

// messageNames are the names of the registry of DHCPv6 message types (RFC 9915 section 24), in the lower case that metrics use.
var messageNames = [...]string{
	Solicit: "solicit", Advertise: "advertise", RequestMessage: "request", Confirm: "confirm", Renew: "renew",
	Rebind: "rebind", Reply: "reply", Release: "release", Decline: "decline", Reconfigure: "reconfigure",
	InformationRequest: "information-request", RelayForward: "relay-forward", RelayReply: "relay-reply",
	AddrRegInform: "addr-reg-inform", AddrRegReply: "addr-reg-reply",
}

// String is the type's name in kebab case, such as "information-request";
// "unknown-message" for one not known here.
func (t MessageType) String() string {
	if int(t) < len(messageNames) && messageNames[t] != "" {
		return messageNames[t]
	}
	return "unknown-message"
}

// FromClient reports whether a client sends messages of this type; relays
// pass them on as they are (RFC 9915 section 19.1).
func (t MessageType) FromClient() bool {
	switch t {
	case Solicit, RequestMessage, Confirm, Renew, Rebind, Release, Decline, InformationRequest, AddrRegInform:
		return true
	default:
		return false
	}
}

// FromServer reports whether only servers, and relays on their behalf, send
// messages of this type; from anyone else they are an attack (RFC 7610 section 4).
func (t MessageType) FromServer() bool {
	switch t {
	case Advertise, Reply, Reconfigure, RelayReply, AddrRegReply:
		return true
	default:
		return false
	}
}

const (
	// ClientPort is the UDP port on which clients listen (RFC 9915 section 7.2).
	ClientPort = 546
	// ServerPort is the UDP port on which servers and relay agents listen (RFC 9915 section 7.2).
	ServerPort = 547
	// HopCountLimit is the most that a Relay-forward's hop count may be (RFC 9915 section 7.6).
	HopCountLimit = 8
	// Infinity is the lifetime, T1 or T2 that never ends (RFC 9915 section 7.7).
	Infinity = 0xffffffff
)

// Status is the number in a Status Code option (RFC 9915 section 21.13).
type Status uint16

// Status codes.
const (
	StatusSuccess       Status = 0 // RFC 9915 section 21.13
	StatusUnspecFail    Status = 1 // RFC 9915 section 21.13
	StatusNoAddrsAvail  Status = 2 // RFC 9915 section 21.13
	StatusNoBinding     Status = 3 // RFC 9915 section 21.13
	StatusNotOnLink     Status = 4 // RFC 9915 section 21.13
	StatusNoPrefixAvail Status = 6 // RFC 9915 section 21.13; 5 was UseMulticast and is obsolete
)

// String is the status in kebab case, such as "no-addrs-avail"; "unknown-status" for one not known here.
func (s Status) String() string {
	switch s {
	case StatusSuccess:
		return "success"
	case StatusUnspecFail:
		return "unspec-fail"
	case StatusNoAddrsAvail:
		return "no-addrs-avail"
	case StatusNoBinding:
		return "no-binding"
	case StatusNotOnLink:
		return "not-on-link"
	case StatusNoPrefixAvail:
		return "no-prefix-avail"
	default:
		return "unknown-status"
	}
}
