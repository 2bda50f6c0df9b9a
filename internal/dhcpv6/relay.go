package dhcpv6

import (
	"encoding/binary"

	"damselfly/internal/wire"
)

// MaxRelays is how many relays can be nested: with hop counts 0 to
// HopCountLimit (RFC 9915 section 19.1.2).
const MaxRelays = HopCountLimit + 1

const (
	remoteIDMin        = 4 // the enterprise number (RFC 4649 section 3)
	linkLayerMin       = 2 // the hardware type (RFC 6939 section 4)
	hardwareEthernet   = 1 // the hardware type of Ethernet (RFC 826)
	clientLinkLayerLen = linkLayerMin + wire.MACLen
)

// Hop is one Relay-forward of a chain.
type Hop struct {
	// Relay is the whole message of this relay.
	Relay Relay
	// Message is what it carries: the next relay's message, or the client's.
	Message []byte
	// InterfaceID is the option, nil if there was none; its body is opaque (RFC 9915 section 21.18).
	InterfaceID Option
	// RemoteID is the option, nil if there was none (RFC 4649 section 3).
	RemoteID RemoteID
	// LinkLayer is the client's address as the relay saw it, the zero MAC if it told none or one that is not Ethernet's
	// (RFC 6939 section 4).
	LinkLayer wire.MAC
}

// read fills h from a Relay-forward or Relay-reply.
func (h *Hop) read(data []byte) Fault {
	*h = Hop{}
	if len(data) < RelayLen {
		return FaultShort
	}
	h.Relay = Relay(data)
	if h.Relay.HopCount() > HopCountLimit {
		return FaultRelayHops
	}
	for o := h.Relay.Options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return f
		}
		if f = h.option(opt); f != FaultNone {
			return f
		}
		o = rest
	}
	if h.Message == nil {
		return FaultNoRelayMessage
	}
	return FaultNone
}

// option takes one option of a relay.
func (h *Hop) option(opt Option) Fault {
	switch opt.Code() {
	case OptionRelayMessage:
		if h.Message != nil {
			return FaultDuplicateOption
		}
		h.Message = opt.Body()
	case OptionInterfaceID:
		if h.InterfaceID != nil {
			return FaultDuplicateOption
		}
		h.InterfaceID = opt
	case OptionRemoteID:
		if h.RemoteID != nil {
			return FaultDuplicateOption
		}
		if len(opt.Body()) < remoteIDMin {
			return FaultRelayOption
		}
		h.RemoteID = RemoteID(opt)
	case OptionClientLinkLayer:
		if len(opt.Body()) < linkLayerMin {
			return FaultRelayOption
		}
		if mac, ok := linkLayer(opt.Body()); ok {
			h.LinkLayer = mac
		}
	}
	return FaultNone
}

// linkLayer is the MAC in the body of a Client Link-Layer Address option; false if it is not Ethernet's.
func linkLayer(body []byte) (wire.MAC, bool) {
	if len(body) != clientLinkLayerLen || binary.BigEndian.Uint16(body) != hardwareEthernet {
		return wire.MAC{}, false
	}
	return wire.MAC(body[linkLayerMin:]), true
}

// RemoteID is a whole Remote-ID option. Its gate is Request.Read.
type RemoteID Option

// Enterprise is the number of the vendor who defined what ID means.
func (r RemoteID) Enterprise() uint32 { return binary.BigEndian.Uint32(r[optionHeaderLen:]) }

// ID is opaque (RFC 4649 section 3).
func (r RemoteID) ID() []byte { return r[optionHeaderLen+remoteIDMin:] }

// CheckRelayReply is the gate of a Relay-reply that came to a relay (RFC 9915
// section 19.2). Hop.Message of h, which is overwritten, is what is to go to
// Relay.PeerAddress; it is a message of one of the types that servers send.
func CheckRelayReply(data []byte, h *Hop) Fault {
	switch f := h.read(data); {
	case f != FaultNone:
		return f
	case h.Relay.Type() != RelayReply:
		return FaultUnknownType
	case len(h.Message) < MessageLen:
		return FaultShort
	case !MessageType(h.Message[0]).FromServer():
		return FaultUnknownType
	}
	return FaultNone
}
