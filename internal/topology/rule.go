package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Equal reports whether two rules say the same.
func (r *RuleSpec) Equal(o *RuleSpec) bool { return r.String() == o.String() }

// Families are the IP versions that the rule is for, IPv4 first.
func (r *RuleSpec) Families() []Family {
	switch {
	case r.Family != AnyFamily:
		return []Family{r.Family}
	case r.RemotePrefix.IsValid():
		return []Family{FamilyOf(r.RemotePrefix.Addr())}
	case r.Protocol == ProtocolICMPv6:
		return []Family{IPv6}
	}
	return []Family{IPv4, IPv6}
}

// ProtocolIn is the protocol's number in packets of a family.
func (r *RuleSpec) ProtocolIn(f Family) int {
	if r.Protocol == ProtocolICMP && f == IPv6 {
		return ProtocolICMPv6
	}
	return r.Protocol
}

// protocolNames are the words that the configuration has for protocols, the
// first of several that a number is told by.
var protocolNames = []struct {
	name   string
	number int
}{
	{"icmp", ProtocolICMP}, {"igmp", 2}, {"ipip", 4}, {"tcp", ProtocolTCP}, {"egp", 8}, {"udp", ProtocolUDP}, {"dccp", 33},
	{"ipv6-encap", 41}, {"rsvp", 46}, {"gre", 47}, {"esp", 50}, {"ah", 51}, {"icmpv6", ProtocolICMPv6}, {"ipv6-icmp", ProtocolICMPv6},
	{"ipv6-nonxt", 59}, {"ospf", 89}, {"pgm", 113}, {"vrrp", 112}, {"sctp", ProtocolSCTP}, {"udplite", 136},
}

// ProtocolNumber finds a protocol by its name (Neutron's words); ok is false if
// there is none of that name.
func ProtocolNumber(name string) (number int, ok bool) {
	for _, p := range protocolNames {
		if p.name == name {
			return p.number, true
		}
	}
	return 0, false
}

// protocolName is the name of a protocol, or its number.
func protocolName(number int) string {
	for _, p := range protocolNames {
		if p.number == number {
			return p.name
		}
	}
	return fmt.Sprint(number)
}

// String returns the rule on one line in the words of the configuration.
func (r *RuleSpec) String() string {
	parts := []string{r.Direction.String()}
	if r.Family != AnyFamily {
		parts = append(parts, fmt.Sprintf("ipv%d", r.Family))
	}
	if r.Protocol != AnyProtocol {
		parts = append(parts, protocolName(r.Protocol))
	}
	if r.Ports != nil {
		parts = append(parts, "ports "+r.Ports.String())
	}
	if r.ICMP != nil {
		parts = append(parts, "icmp "+r.ICMP.String())
	}
	if r.RemotePrefix.IsValid() {
		parts = append(parts, "remote "+r.RemotePrefix.String())
	}
	if r.RemoteGroup != "" {
		parts = append(parts, "remote group "+r.RemoteGroup)
	}
	parts = append(parts, r.Action())
	if r.Log {
		parts = append(parts, "log")
	}
	return strings.Join(parts, " ")
}

// Action is "allow" or "reject".
func (r *RuleSpec) Action() string {
	if r.Reject {
		return "reject"
	}
	return "allow"
}

// String returns the range as the configuration writes it.
func (p PortRange) String() string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// String returns type and code as the configuration writes them.
func (m ICMPMatch) String() string {
	if !m.HasCode {
		return fmt.Sprint(m.Type)
	}
	return fmt.Sprintf("%d/%d", m.Type, m.Code)
}

// hasPorts reports whether a protocol's headers begin with ports.
func hasPorts(protocol int) bool {
	return protocol == ProtocolTCP || protocol == ProtocolUDP || protocol == ProtocolSCTP
}

// Attempt is the beginning of a connection, or a packet by itself, as rules see it.
type Attempt struct {
	Direction Direction
	// Network is the key of the port's network, Router the id of its router, 0 for none.
	Network uint16
	Router  uint32
	// Remote is the address of the other end.
	Remote   netip.Addr
	Protocol uint8
	// Port is the destination port, of protocols that have ports; Type and Code
	// are those of ICMP and ICMPv6.
	Port       uint16
	Type, Code uint8
}

// Verdict is what the rules of a port say.
type Verdict uint8

// The verdicts.
const (
	// Denied: no rule allows it.
	Denied Verdict = iota
	Allowed
	Rejected
)

// Judge says what the port's rules make of an attempt, and by which rule: nil if
// none matches. It is the twin of the rules' flows.
func (f *Filter) Judge(remotes *Remotes, a Attempt) (v Verdict, by *Rule) {
	groups := remotes.GroupsOf(a.Network, a.Router, a.Remote)
	for _, g := range f.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			if !r.matches(groups, a) {
				continue
			}
			if r.Reject {
				return Rejected, r
			}
			if by == nil {
				v, by = Allowed, r
			}
		}
	}
	return v, by
}

// matches reports whether a rule is about an attempt whose other end is in these groups.
func (r *RuleSpec) matches(groups []string, a Attempt) bool {
	family := FamilyOf(a.Remote)
	if r.Direction != a.Direction || !slices.Contains(r.Families(), family) {
		return false
	}
	if r.Protocol != AnyProtocol && r.ProtocolIn(family) != int(a.Protocol) {
		return false
	}
	if r.Ports != nil && (a.Port < r.Ports.First || a.Port > r.Ports.Last) {
		return false
	}
	if r.ICMP != nil && (a.Type != r.ICMP.Type || r.ICMP.HasCode && a.Code != r.ICMP.Code) {
		return false
	}
	if r.RemotePrefix.IsValid() && !r.RemotePrefix.Contains(a.Remote) {
		return false
	}
	if r.RemoteGroup != "" && !slices.Contains(groups, r.RemoteGroup) {
		return false
	}
	return true
}
