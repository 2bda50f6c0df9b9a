// Package punt is the contract between the flows that hand a frame to
// Damselfly and the code that receives it: which class the frame is of, which
// registers carry the ingress port and the class, and which controller
// connection a port's frames go to.
//
// flows writes these values, the OpenFlow edge reads them back from the
// packet-in, handlers and the limits count by class. Nothing here depends on
// another package of ours.
package punt

// Class says why the switch handed a frame over. Limits, meters and counters
// are per port and class; what is done with the frame is decided by parsing it,
// never by its class.
type Class uint8

// The classes, in the order of their meter slots. The numbers are part of the
// flows in a live switch: append, never renumber.
const (
	// None is no class: a frame that reached Damselfly without one.
	None Class = iota
	// NS is a Neighbor Solicitation (RFC 4861 section 4.3).
	NS
	// NA is a Neighbor Advertisement (RFC 4861 section 4.4).
	NA
	// RS is router discovery: a Router Solicitation (RFC 4861 section 4.1), or
	// the Router Advertisement of a guest that is a router.
	RS
	// MLD is Multicast Listener Discovery (RFC 9777).
	MLD
	// DHCPv6 is a client's or relay's message to a server (RFC 9915).
	DHCPv6
	// Echo is an Echo Request to an address of Damselfly (RFC 4443 section 4.1).
	Echo
	// Error is a packet that an ICMPv6 error may have to answer (RFC 4443 section 2.4).
	Error
	// Unknown is traffic whose next hop is not resolved.
	Unknown
	// Metadata is a connection to the metadata service.
	Metadata
	// SEND is a message with Secure Neighbor Discovery options (RFC 3971).
	SEND
	// Source is a packet from an address that nobody is known to hold yet (RFC
	// 6620 section 3.2.2).
	Source
	// Log is a copy of a packet that a logging rule of a security group decided.
	Log
	// Opens is no class of frames that come to Damselfly, but of those that make
	// the switch remember a connection.
	Opens
	// Inverse is an Inverse Neighbor Discovery Solicitation (RFC 3122 section 2.1).
	Inverse
	// Classes is the number of classes, None included.
	Classes
)

var classNames = [Classes]string{"none", "ns", "na", "rs", "mld", "dhcpv6", "echo", "error", "unknown", "metadata", "send", "source", "log", "opens", "inverse"}

// String returns the name of c as configuration and metrics write it.
func (c Class) String() string {
	if c >= Classes {
		return "invalid"
	}
	return classNames[c]
}

// Registers of the OpenFlow pipeline that a packet-in carries to Damselfly. The
// network's key travels in the metadata field.
const (
	// RegPort is the register that holds the ingress port's key.
	RegPort = 0
	// RegClass is the register that holds the Class.
	RegClass = 1
	// RegRule is the register that holds, for class Log, the id of the rule that
	// is to be told of, and RuleRejected.
	RegRule = 10
)

// RuleRejected is the bit beside the rule's id that says that the packet was
// rejected in the end, by that rule or another.
const RuleRejected = 1 << 31

// RegTrouble is the register that holds, for classes Error and Unknown, the Trouble.
const RegTrouble = 13

// RegFloating is the register that holds, for classes Error and Unknown, in its
// low 16 bits the key of the network whose floating addresses were put in the
// packet or taken out of it, 0 for none; and FloatingIn.
const RegFloating = 14

// FloatingIn is the bit of RegFloating that says that the packet was for a
// floating address, which was replaced.
const FloatingIn = 1 << 16

// inShift is how far FloatingIn lies above its place in a Note.
const inShift = 8

// Note is what a frame of class Error or Unknown is handed over with, made of its
// two registers.
func Note(trouble, floating uint32) uint32 {
	return trouble&0xff | floating&FloatingIn>>inShift | floating<<16
}

// NoteTrouble is the Trouble of a Note.
func NoteTrouble(note uint32) Trouble { return Trouble(note & 0xff) }

// NoteExternal is the network's key of a Note, and whether its FloatingIn is set.
func NoteExternal(note uint32) (key uint16, in bool) {
	return uint16(note >> 16), note&(FloatingIn>>inShift) != 0
}

// Trouble says, for class Error, why a router could not carry a packet on; 0 is
// that a rule of a security group rejects it.
type Trouble uint8

// The troubles. The numbers are part of the flows in a live switch: append,
// never renumber.
const (
	// HopLimit: the hop limit is used up (RFC 4443 section 3.3).
	HopLimit Trouble = 1 + iota
	// NoRoute: no route leads to the destination (RFC 4443 section 3.1, code 0).
	NoRoute
	// Unreachable: nobody is known to have the address on its link (code 3).
	Unreachable
	// Prohibited: a route forbids it (code 1).
	Prohibited
	// RejectRoute: a route rejects it (code 6).
	RejectRoute
	// BeyondScope: the destination is beyond the scope of the source (code 2).
	BeyondScope
	// TooBig: it is longer than the next link's MTU (RFC 4443 section 3.2).
	TooBig
	// Local: it is for the router itself, which has nobody to take it (code 4).
	Local
	// Unresolved: nobody is known to have the address of the next hop, on a network
	// where Damselfly can ask for it; the packet is of class Unknown.
	Unresolved
	// Untranslated: it goes to or comes from a floating address, and no flow can
	// translate it: an ICMPv6 error with what it quotes, or an address that is not
	// known yet.
	Untranslated
	// Troubles is the number of troubles, 0 included.
	Troubles
)

// MaxKey is the highest key a port or network may have. Sixteen meter slots a
// key must stay below the 2^18 meters of Open vSwitch's userspace datapath.
const MaxKey = 16000

// MeterSlots is the number of meter ids reserved for each port key.
const MeterSlots = 16

// MeterName names what a port's meter in a slot limits: a class, or in the slot of
// None all packets to the metadata service, whose connections class Metadata limits.
func MeterName(slot uint8) string {
	if Class(slot) == None {
		return "metadata-packets"
	}
	return Class(slot).String()
}

// Lanes is the number of controller connections that take punted frames. A
// port's frames always use the lane its key selects, so they keep their order
// and the state of a port has one writer. It is a constant, not the number of
// processors, so that a restart elsewhere changes no flow.
const Lanes = 4

// LaneMask selects the lane from a port key.
const LaneMask = Lanes - 1

// ControllerID is the first of the Lanes controller ids that punting flows
// name and that Damselfly's connections take.
const ControllerID = 0xdf00

// Lane returns the lane that frames of the port with this key use.
func Lane(key uint16) int { return int(key) & LaneMask }

// The tag of a frame at the punt port: the bits of a VLAN tag (IEEE 802.1Q section
// 9.6) hold the key of a port, its low twelve in the VLAN identifier and the two
// above them in the low bits of the priority. The highest bit of the priority says
// that the frame is not for the port with that key but goes through the switch as
// if it had come from there; the switch never sets it. VLAN identifiers 0 and 4095
// are no VLAN's (section 9.6), so what comes from keys that would need them is
// handed over by packet-ins.
const (
	// TagBits is the number of a key's bits in the VLAN identifier.
	TagBits = 12
	// TagMask selects these bits.
	TagMask = 1<<TagBits - 1
	// TagHigh is the lowest bit of the priority in a tag.
	TagHigh = 13
	// TagHighBits is the number of a key's bits there.
	TagHighBits = 2
	// TagThrough is the bit of a tag above the key.
	TagThrough = 1 << 15
)

// Tag returns the tag of a port's frames, and whether the port has one.
func Tag(key uint16) (tag uint16, ok bool) {
	vid := key & TagMask
	return vid | key>>TagBits<<TagHigh, vid != 0 && vid != TagMask && key <= MaxKey
}

// OfTag returns the key of the port that a tag stands for, 0 if there is none.
func OfTag(tag uint16) (key uint16) {
	key = tag&TagMask | tag>>TagHigh&(1<<TagHighBits-1)<<TagBits
	if want, ok := Tag(key); !ok || want != tag {
		return 0
	}
	return key
}

// ByPort reports whether frames of a class go by the punt port where there is
// one: those that say by themselves what is to be done with them. Of the others
// Damselfly has to be told more: why a packet could not be carried on (Error,
// Unknown), which rule it is about (Log), that nobody is known to hold its source
// (Source), which a packet of any kind may have.
func (c Class) ByPort() bool {
	switch c {
	case NS, NA, RS, MLD, DHCPv6, Echo, Inverse, SEND:
		return true
	}
	return false
}

// Marks of Secure Neighbor Discovery in a frame's note, for the classes whose
// notes the switch leaves 0.
const (
	// SecureSeen: it was looked at where signatures are verified and made.
	SecureSeen = 1 << 0
	// SecureVerified: it is signed, and rightly.
	SecureVerified = 1 << 1
)

// Version is the first octet of the userdata of every punting flow. A frame
// with another version comes from flows of another layout and is not
// interpreted.
const Version = 1
