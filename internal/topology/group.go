package topology

import "net/netip"

// DefaultGroup is the security group that is there although nobody configures
// it, with Neutron's rules: everything may leave, and what members of the group
// send may come in.
const DefaultGroup = "default"

// SecurityGroupSpec is one wanted security group. Without a rule for egress it
// lets everything leave; without one for ingress it lets nothing in.
type SecurityGroupSpec struct {
	Name string
	// Stateless rules match each packet by itself: replies need a rule of their own.
	Stateless bool
	Rules     []RuleSpec
}

// RuleSpec is one rule of a security group. It is comparable but for its
// pointers; see Equal.
type RuleSpec struct {
	Direction Direction
	// Family is AnyFamily unless the rule is for one.
	Family Family
	// Protocol is the number in the IP header, AnyProtocol for all of them. That
	// of ICMP means ICMPv6 in IPv6.
	Protocol int
	// Ports bounds the destination port of TCP, UDP and SCTP; nil for all.
	Ports *PortRange
	// ICMP bounds type and code; nil for all.
	ICMP *ICMPMatch
	// RemotePrefix is where the other end is; invalid for anywhere. RemoteGroup
	// is the group whose members it is of, "" for none. At most one is given.
	RemotePrefix netip.Prefix
	RemoteGroup  string
	// Reject answers what matches with an error; otherwise it is allowed. A
	// packet that one rule rejects is rejected, whatever others allow.
	Reject bool
	// Log tells of what matches, a few packets a second for each port.
	Log bool
}

// AnyProtocol is the Protocol of a rule for all of them.
const AnyProtocol = -1

// Numbers of the protocols that rules treat in a way of their own (IANA's
// registry of protocol numbers).
const (
	ProtocolICMP   = 1
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
	ProtocolSCTP   = 132
)

// Direction is which way a rule looks, seen from the port.
type Direction uint8

// The directions.
const (
	Ingress Direction = iota
	Egress
)

// String returns the direction as the configuration writes it.
func (d Direction) String() string { return [...]string{"ingress", "egress"}[d] }

// Family is the IP version a rule is for.
type Family uint8

// The families, in the numbers of the IP header.
const (
	AnyFamily Family = 0
	IPv4      Family = 4
	IPv6      Family = 6
)

// FamilyOf is the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// PortRange is a range of ports, both ends in it.
type PortRange struct{ First, Last uint16 }

// ICMPMatch is a type and, if HasCode, a code of ICMP or ICMPv6.
type ICMPMatch struct {
	Type, Code uint8
	HasCode    bool
}

// Filter is what the security groups of a port come to. Without a group nothing
// passes in either direction.
type Filter struct {
	// Groups are the port's, sorted by name.
	Groups []*SecurityGroup
	// Stateless says that no connection is tracked: all Groups are stateless.
	Stateless bool
}

// SecurityGroup is one security group. Who its members are is in Remotes, so
// that a port that has the group stays as it is when members come and go.
type SecurityGroup struct {
	Name string
	// ID is the group's number in flows, 1 to 2^31-1, made of its name.
	ID        uint32
	Stateless bool
	// Rules are those of its SecurityGroupSpec and, where that has none for
	// egress, one that lets everything leave.
	Rules []Rule
}

// Rule is one rule of a SecurityGroup.
type Rule struct {
	// ID is the rule's number in flows and counters, 1 to 2^31-1, made of the
	// group's name and what the rule says: a rule that moves keeps its number.
	ID uint32
	RuleSpec
}
