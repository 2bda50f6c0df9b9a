package openflow

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the only wire version spoken: OpenFlow 1.5. Earlier ones lack the
// masked set-field action and bucket commands that flows are made of.
const Version = 0x06

// headerLen is the length of the header all messages start with, in octets
// (OpenFlow 1.5 section 7.1.1).
const headerLen = 8

// maxMessage is the longest message its 16-bit length can tell.
const maxMessage = 0xffff

// Type is the kind of a message (OpenFlow 1.5 section 7.1.1).
type Type uint8

// Message types.
const (
	TypeHello           Type = 0
	TypeError           Type = 1
	TypeEchoRequest     Type = 2
	TypeEchoReply       Type = 3
	TypeExperimenter    Type = 4
	TypeFeaturesRequest Type = 5
	TypeFeaturesReply   Type = 6
	TypeGetConfig       Type = 7
	TypeGetConfigReply  Type = 8
	TypeSetConfig       Type = 9
	TypePacketIn        Type = 10
	TypeFlowRemoved     Type = 11
	TypePortStatus      Type = 12
	TypePacketOut       Type = 13
	TypeFlowMod         Type = 14
	TypeGroupMod        Type = 15
	TypeMultipart       Type = 18
	TypeMultipartReply  Type = 19
	TypeBarrier         Type = 20
	TypeBarrierReply    Type = 21
	TypeRole            Type = 24
	TypeRoleReply       Type = 25
	TypeSetAsync        Type = 28
	TypeMeterMod        Type = 29
	TypeBundleControl   Type = 33
	TypeBundleAdd       Type = 34
)

// Message is one whole message; its methods may be called once Frame has
// returned it.
type Message []byte

// Version returns the wire version the message is in.
func (m Message) Version() uint8 { return m[0] }

// Type returns the kind of the message.
func (m Message) Type() Type { return Type(m[1]) }

// XID returns the transaction the message belongs to; replies and errors repeat
// their request's.
func (m Message) XID() uint32 { return binary.BigEndian.Uint32(m[4:]) }

// Body returns what follows the header.
func (m Message) Body() []byte { return m[headerLen:] }

// errShort ends the decoding of anything whose lengths do not fit.
var errShort = errors.New("openflow: message is cut short")

// Frame returns the message at the start of b. The message is nil while b holds
// less than all of it; the error is for a length that no message can have,
// after which the stream cannot be read any further.
func Frame(b []byte) (Message, error) {
	if len(b) < headerLen {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < headerLen {
		return nil, fmt.Errorf("openflow: message length %d is below the header's %d", n, headerLen)
	}
	if len(b) < n {
		return nil, nil
	}
	return Message(b[:n:n]), nil
}

// AppendHeader appends a message without a body.
func AppendHeader(b []byte, t Type, xid uint32) []byte {
	b = append(b, Version, byte(t), 0, headerLen)
	return binary.BigEndian.AppendUint32(b, xid)
}

// finish writes the length of the message that starts at b[start:].
func finish(b []byte, start int) []byte {
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// Vendor ids of experimenter messages, actions and properties.
const (
	vendorNicira = 0x00002320
	vendorNTR    = 0x0000154d
)

// experimenterLen is the length of an experimenter message's header.
const experimenterLen = headerLen + 8

// appendNicira appends the header of a Nicira extension message (nicira-ext.h).
func appendNicira(b []byte, subtype, xid uint32) []byte {
	b = AppendHeader(b, TypeExperimenter, xid)
	b = put32(b, vendorNicira)
	return put32(b, subtype)
}

// nicira returns the subtype of a Nicira extension message.
func (m Message) nicira() (subtype uint32, ok bool) {
	if m.Type() != TypeExperimenter || len(m) < experimenterLen || get32(m[8:]) != vendorNicira {
		return 0, false
	}
	return get32(m[12:]), true
}

func get16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func get32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func get64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func put16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func put32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func put64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// zeros is what padding is cut from.
var zeros [16]byte

// pad appends n zeros, n <= 16.
func pad(b []byte, n int) []byte { return append(b, zeros[:n]...) }

// pad8 fills what starts at b[start:] up to a multiple of eight octets.
func pad8(b []byte, start int) []byte { return pad(b, -(len(b)-start)&7) }

// round8 returns n rounded up to a multiple of eight.
func round8(n int) int { return (n + 7) &^ 7 }
