package dhcpv6

import (
	"encoding/binary"
	"net/netip"
)

const (
	// MessageLen is the length in octets of a client's or server's message without options (RFC 9915 section 8).
	MessageLen = 4
	// RelayLen is the length in octets of a relay's message without options (RFC 9915 section 9).
	RelayLen = 34

	relayHops = 1
	relayLink = 2
	relayPeer = 18
)

// Message is a message between client and server from its type on (RFC 9915
// section 8). Its gate is Request.Read; alone, len(m) >= MessageLen is enough
// for all getters.
type Message []byte

// Type is the message's type.
func (m Message) Type() MessageType { return MessageType(m[0]) }

// TransactionID is the 24-bit number that a reply repeats.
func (m Message) TransactionID() uint32 { return binary.BigEndian.Uint32(m) & 0xffffff }

// Options follow the fixed part.
func (m Message) Options() Options { return Options(m[MessageLen:]) }

// Relay is a Relay-forward or Relay-reply from its type on (RFC 9915 section
// 9). Its gates are Request.Read and CheckRelayReply; alone, len(r) >=
// RelayLen is enough for all getters.
type Relay []byte

// Type is RelayForward or RelayReply.
func (r Relay) Type() MessageType { return MessageType(r[0]) }

// HopCount is how many relays the message had passed before this one.
func (r Relay) HopCount() uint8 { return r[relayHops] }

// LinkAddress names the client's link; :: leaves that to the Interface-ID (RFC 9915 section 19.1.1).
func (r Relay) LinkAddress() netip.Addr { return netip.AddrFrom16([16]byte(r[relayLink:])) }

// PeerAddress is whom the relay had the message from.
func (r Relay) PeerAddress() netip.Addr { return netip.AddrFrom16([16]byte(r[relayPeer:])) }

// Options follow the fixed part.
func (r Relay) Options() Options { return Options(r[RelayLen:]) }
