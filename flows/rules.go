package flows

import (
	"slices"

	"damselfly/internal/topology"
)

// Priorities of the rules tables: what decides more stands higher, so that one
// flow a group is enough to know what the group says.
const (
	ruleAllow  = 100
	ruleReject = 300
	// ruleLog is added for a rule that is to be told of.
	ruleLog  = 100
	ruleMiss = 1
)

// groupRules are the flows of one security group: for each rule one a family, a
// masked range of ports and a class of remote addresses; how many members a
// group has does not count here. classes gives the classes that have a group.
func (b *builder) groupRules(g *topology.SecurityGroup, classes func(group string) []uint32) {
	seen := map[Key]bool{}
	for i := range g.Rules {
		r := &g.Rules[i]
		s := &ingress
		if r.Direction == topology.Egress {
			s = &egress
		}
		for _, m := range s.ruleMatches(g, r, classes) {
			priority, actions := ruleActions(r)
			if _, later := m.Get(IPFrag); later {
				if r.Reject && guessed(r, m) {
					continue // the first fragment is rejected, and what is left is of no use
				}
				silent := *r
				silent.Log = false
				priority, actions = ruleActions(&silent)
			}
			f := Flow{Table: s.rules, Priority: priority, Cookie: cookie(RoleRule, r.ID), Match: m, Actions: actions}
			// Of rules that overlap to the same flow the first counts the hits.
			if key := f.Key(); !seen[key] {
				seen[key] = true
				b.flows = append(b.flows, f)
			}
		}
	}
}

// guessed reports whether a match of later fragments is wider than its rule.
func guessed(r *topology.Rule, m Match) bool {
	_, protocol := m.Get(IPProto)
	_, tracked := m.Get(CTProto)
	return r.Ports != nil || r.ICMP != nil || !protocol && !tracked
}

// ruleActions add to the verdict.
func ruleActions(r *topology.Rule) (priority uint16, actions []Action) {
	priority, bits := uint16(ruleAllow), uint32(verdictAllow)
	if r.Reject {
		priority, bits = ruleReject, verdictReject
	}
	if r.Log {
		priority, bits = priority+ruleLog, bits|verdictLog
		actions = []Action{Load(regRule, U32(r.ID))}
	}
	return priority, append(actions, LoadBits(regVerdict, bits, bits))
}

// ruleMatches are all that a rule takes to be matched.
func (s *side) ruleMatches(g *topology.SecurityGroup, r *topology.Rule, classes func(string) []uint32) (out []Match) {
	of := Match{}.With(regGroup, U32(g.ID))
	var remotes []Match
	if r.RemoteGroup == "" {
		remotes = []Match{of}
	} else {
		for _, c := range classes(r.RemoteGroup) {
			remotes = append(remotes, of.With(regRemote, U32(c)))
		}
	}
	for _, family := range r.Families() {
		for _, m := range remotes {
			m = m.family(family)
			if p := r.RemotePrefix; p.IsValid() && p.Bits() > 0 {
				far := s.far6
				if family == topology.IPv4 {
					far = s.far4
				}
				m = m.WithMask(far, Addr(p.Addr()), prefixMask(p.Bits()))
			}
			out = append(out, upperMatches(m, g.Stateless, r, family)...)
		}
	}
	return out
}

func (m Match) family(f topology.Family) Match {
	if f == topology.IPv4 {
		return m.With(EthType, U16(ethTypeIPv4))
	}
	return m.IPv6()
}

// upperMatches add protocol, ports and type. With connections those of the first
// fragment are read from what conntrack knows of the whole datagram.
func upperMatches(m Match, stateless bool, r *topology.Rule, family topology.Family) []Match {
	if r.Protocol == topology.AnyProtocol {
		return []Match{m}
	}
	protocol := uint8(r.ProtocolIn(family))
	of := m.With(IPProto, U8(protocol))
	var out []Match
	switch {
	case r.Ports == nil && r.ICMP == nil:
		out = []Match{of}
		if family == topology.IPv4 {
			return out // which shows the protocol in every fragment
		}
	case r.ICMP != nil:
		out = icmpMatches(m, of, stateless, r.ICMP, family)
	default:
		out = portMatches(m, of, stateless, r, family)
	}
	return append(out, laterMatch(m, stateless, protocol, family))
}

// laterMatch matches the later fragments of what a rule is about, which show no
// ports and in IPv6 no protocol. Where connections are tracked, a later fragment
// comes here only with all others of its datagram, by Open vSwitch's own
// conntrack, and with the protocol; to Linux's the datagram is whole. Nobody can
// make use of it without the first fragment, which is judged by all that there is.
func laterMatch(m Match, stateless bool, protocol uint8, family topology.Family) Match {
	m = m.With(IPFrag, U8(fragLater))
	switch {
	case !stateless:
		return m.State(ctTrk, ctInv).With(CTProto, U8(protocol))
	case family == topology.IPv4:
		return m.With(IPProto, U8(protocol))
	}
	return m
}

// tracked matches what conntrack knows to be of a protocol.
func (m Match) tracked(protocol uint8) Match {
	return m.State(ctTrk, ctInv).With(CTProto, U8(protocol))
}

// portMatches match a range of destination ports; of is m with the protocol.
func portMatches(m, of Match, stateless bool, r *topology.Rule, family topology.Family) (out []Match) {
	protocol := uint8(r.Protocol)
	for _, p := range maskedPorts(r.Ports.First, r.Ports.Last) {
		switch {
		case p.mask == 0:
			return []Match{of} // all ports there are
		case stateless:
			out = append(out, of.WithMask(portFields[protocol], U16(p.value), U16(p.mask)))
		default:
			out = append(out, m.tracked(protocol).WithMask(CTDstPort, U16(p.value), U16(p.mask)))
		}
	}
	if stateless || family != topology.IPv6 || protocol != protoUDP {
		return out
	}
	// DHCPv6 is never tracked.
	for _, port := range []uint16{dhcpv6Client, dhcpv6Server} {
		if r.Ports.First <= port && port <= r.Ports.Last {
			out = append(out, of.State(0, ctTrk).With(UDPDst, U16(port)))
		}
	}
	return out
}

var portFields = map[uint8]Field{protoTCP: TCPDst, protoUDP: UDPDst, protoSCTP: SCTPDst}

// icmpMatches match a type and a code; of is m with the protocol.
func icmpMatches(m, of Match, stateless bool, i *topology.ICMPMatch, family topology.Family) []Match {
	typ, code, protocol := ICMPv4Type, ICMPv4Code, uint8(protoICMP)
	tracked := !stateless
	if family == topology.IPv6 {
		typ, code, protocol = ICMPv6Type, ICMPv6Code, protoICMPv6
		tracked = tracked && slices.Contains(icmpv6Echo, i.Type)
	}
	if tracked {
		m = m.tracked(protocol).With(CTSrcPort, U16(uint16(i.Type)))
		if i.HasCode {
			m = m.With(CTDstPort, U16(uint16(i.Code)))
		}
		return []Match{m}
	}
	if !stateless {
		of = of.State(0, ctTrk)
	}
	of = of.With(typ, U8(i.Type))
	if i.HasCode {
		of = of.With(code, U8(i.Code))
	}
	return []Match{of}
}

// without returns m without a field.
func without(m Match, f Field) Match {
	out := make(Match, 0, len(m)+1)
	for _, e := range m {
		if e.Field != f {
			out = append(out, e)
		}
	}
	return out
}

// maskedPort is the ports that have value where mask has ones.
type maskedPort struct{ value, mask uint16 }

// maskedPorts cuts a range of ports, both ends in it, into the fewest masks, 30
// at most.
func maskedPorts(first, last uint16) (out []maskedPort) {
	for at, end := uint32(first), uint32(last); at <= end; {
		size := uint32(1)
		for size < 1<<16 && at&(2*size-1) == 0 && at+2*size-1 <= end {
			size *= 2
		}
		out = append(out, maskedPort{uint16(at), uint16(-int32(size))})
		at += size
	}
	return out
}
