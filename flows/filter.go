package flows

import (
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// side is one of the two directions in which packets of a filtered port pass
// its rules. The same flows do for both, in tables of their own.
type side struct {
	direction                                     topology.Direction
	choose, state, groups, remote, rules, verdict uint8
	// next is where what may pass goes.
	next uint8
	// port holds the key of the port that is filtered.
	port Field
	// far6 and far4 are the address of the other end.
	far6, far4 Field
}

var egress = side{
	direction: topology.Egress,
	choose:    TableEgress, state: TableEgressState, groups: TableEgressGroups, remote: TableEgressRemote,
	rules: TableEgressRules, verdict: TableEgressVerdict, next: TableSwitch,
	port: regPort, far6: IPv6Dst, far4: IPv4Dst,
}

var ingress = side{
	direction: topology.Ingress,
	choose:    TableIngress, state: TableIngressState, groups: TableIngressGroups, remote: TableIngressRemote,
	rules: TableIngressRules, verdict: TableIngressVerdict, next: TableOutput,
	port: regOut, far6: IPv6Src, far4: IPv4Src,
}

// Priorities of the tables in which a side's port is found and its connections
// are tracked.
const (
	filterLoop  = 400
	filterPass  = 300
	filterState = 300
	filterNever = 200
	filterPort  = 100
	filterTrack = 100
	filterRest  = 10
)

// Numbers of the messages that conntrack knows: errors, which it relates to the
// packet they quote, and echo (RFC 4443 sections 3 and 4). The others read as
// invalid to Open vSwitch's and partly to Linux's.
var (
	icmpv6Errors = []uint8{1, 2, 3, 4}
	icmpv6Echo   = []uint8{128, 129}
)

func (b *builder) baseFilterFlows() {
	for _, s := range []*side{&egress, &ingress} {
		b.passFlows(s)
		b.stateFlows(s)
		b.groupFlows(s)
		b.remoteMissFlows(s)
		b.verdictFlows(s)
	}
	b.baseRejectFlows()
}

// passFlows let through what no rule may stop, because IPv6 does not work
// without it (RFC 4890 section 4.4.1): resolution, discovery, what listeners
// and querying routers say, and DHCP between a client and its server, each in
// the direction in which a host needs it. All of that is judged elsewhere.
func (b *builder) passFlows(s *side) {
	pass := func(m Match) { b.add(s.choose, filterPass, RoleTrack, m, Resubmit{s.next}) }
	pass(Match{}.With(EthType, U16(ethTypeARP)))
	client, server := Match{}.Proto(protoUDP), Match{}.With(EthType, U16(ethTypeIPv4)).With(IPProto, U8(protoUDP))
	if s.direction == topology.Egress {
		for _, typ := range listenerTypes {
			pass(mld(typ))
		}
		for _, typ := range []uint8{wire.TypeRouterSolicit, wire.TypeNeighborSolicit, wire.TypeNeighborAdvert} {
			pass(Match{}.ND(typ))
		}
		pass(client.With(UDPSrc, U16(dhcpv6Client)).With(UDPDst, U16(dhcpv6Server)))
		pass(server.With(UDPSrc, U16(dhcpv4Client)).With(UDPDst, U16(dhcpv4Server)))
	} else {
		for _, typ := range routingTypes {
			pass(mld(typ))
		}
		for _, typ := range []uint8{wire.TypeRouterAdvert, wire.TypeNeighborSolicit, wire.TypeNeighborAdvert, wire.TypeRedirect} {
			pass(Match{}.ND(typ))
		}
		pass(client.With(UDPSrc, U16(dhcpv6Server)).With(UDPDst, U16(dhcpv6Client)))
		pass(server.With(UDPSrc, U16(dhcpv4Server)).With(UDPDst, U16(dhcpv4Client)))
	}
	for _, et := range []uint16{ethTypeIPv6, ethTypeIPv4} {
		b.add(s.choose, filterRest, RoleTrack, Match{}.With(EthType, U16(et)), Resubmit{s.next})
	}
	b.add(s.choose, 0, RoleDropDefault, nil)
}

// mld matches the messages of one type that never leave a link (RFC 9777
// section 5).
func mld(typ uint8) Match { return Match{}.ICMPv6(typ).With(IPTTL, U8(1)) }

// stateFlows find the connection of what comes in untracked, and judge it by
// that when it is back: what belongs to none and can begin none ends here,
// replies and errors about a connection pass, and the rest, the direction that
// began the connection, is asked of the rules each time.
func (b *builder) stateFlows(s *side) {
	t := s.state
	new := Match{}.State(0, ctTrk)
	track := Track{Zone: s.port, Table: t}
	b.add(t, filterState, RoleDropState, Match{}.State(ctTrk|ctInv, 0))
	for _, bit := range []uint32{ctRel, ctRpl} {
		b.add(t, filterState, RoleDropDenied, Match{}.State(ctTrk|bit, ctInv).With(CTMark, U32(ctCut)))
	}
	b.add(t, filterState-10, RoleTrack, Match{}.State(ctTrk|ctRel, 0), Resubmit{s.next})
	b.add(t, filterState-20, RoleTrack, Match{}.State(ctTrk|ctRpl, 0), Resubmit{s.next})

	// What conntrack does not know is asked of the rules packet by packet.
	for _, typ := range append(icmpv6Errors, icmpv6Echo...) {
		b.add(t, filterNever+10, RoleTrack, new.ICMPv6(typ), track)
	}
	b.add(t, filterNever, RoleTrack, new.Proto(protoICMPv6), Resubmit{s.groups})
	b.add(t, filterNever, RoleTrack, new.Proto(protoUDP).WithMask(UDPDst, U16(dhcpv6Client), U16(0xfffe)), Resubmit{s.groups})

	b.add(t, filterTrack, RoleTrack, new.With(EthType, U16(ethTypeIPv6)), track)
	b.add(t, filterTrack, RoleTrack, new.With(EthType, U16(ethTypeIPv4)), track)
	b.add(t, filterRest, RoleTrack, Match{}.State(ctTrk, 0), Resubmit{s.groups})
	b.add(t, 0, RoleDropDefault, nil)
}

// groupFlows pass, of a port that tracks no connections, the errors without
// which IPv6 loses packets for good (RFC 4890 section 4.3.1): nothing knows what
// they belong to. With connections they have passed before.
func (b *builder) groupFlows(s *side) {
	for _, typ := range icmpv6Errors {
		b.add(s.groups, filterPass, RoleTrack, Match{}.State(0, ctTrk).ICMPv6(typ), Resubmit{s.next})
	}
	b.add(s.groups, 0, RoleDropDefault, nil)
}

// portFilterFlows ask the groups of a filtered port.
func (b *builder) portFilterFlows(p *topology.Port) {
	if p.Filter == nil {
		return
	}
	// A flood comes back to its sender, where Open vSwitch prunes it; its rules
	// must not hear of it. What a guest sends to its own floating address does
	// come back.
	loop := Match{}.From(p.Key).With(regOut, U32(uint32(p.Key))).WithMask(regFloating, Value{}, U32(floatingIn))
	b.add(TableIngress, filterLoop, RoleTrack, loop, Resubmit{TableOutput})
	for _, s := range []*side{&egress, &ingress} {
		at := Match{}.With(s.port, U32(uint32(p.Key)))
		first := s.state
		if p.Filter.Stateless {
			first = s.groups
		}
		// What the sender's side found out is of a zone of its own, and nothing to
		// judge the receiver's by.
		var enter []Action
		if s.direction == topology.Ingress {
			enter = []Action{Untrack{}}
		}
		b.add(s.choose, filterPort, RoleTrack, at, append(enter, Resubmit{first})...)
		if p.Router {
			b.routerPassFlows(s, at)
		}
		b.add(s.groups, filterPort, RoleTrack, at, s.judge(p.Filter)...)
		b.add(s.verdict, filterPort, RoleDropDenied, at)
	}
}

// routerPassFlows let a guest that is a router say and hear what routers do.
func (b *builder) routerPassFlows(s *side, at Match) {
	var types []Match
	if s.direction == topology.Egress {
		for _, typ := range routingTypes {
			types = append(types, mld(typ))
		}
	} else {
		types = []Match{Match{}.ND(wire.TypeRouterSolicit)}
		for _, typ := range listenerTypes {
			types = append(types, mld(typ))
		}
	}
	for _, m := range types {
		at := at
		for _, e := range m {
			at = at.WithMask(e.Field, e.Value, e.Mask)
		}
		b.add(s.choose, filterPass+10, RoleTrack, at, Resubmit{s.next})
	}
}

// judge is how the rules of all groups of a filter are asked, one after the
// other: each adds to the verdict.
func (s *side) judge(f *topology.Filter) []Action {
	actions := []Action{Load(regVerdict, Value{})}
	if s.asksRemote(f) {
		actions = append(actions, Resubmit{s.remote})
	}
	for _, g := range f.Groups {
		actions = append(actions, Load(regGroup, U32(g.ID)), Resubmit{s.rules})
	}
	return append(actions, Resubmit{s.verdict})
}

// asksRemote reports whether a rule of this side names a remote group.
func (s *side) asksRemote(f *topology.Filter) bool {
	for _, g := range f.Groups {
		for i := range g.Rules {
			if r := &g.Rules[i]; r.Direction == s.direction && r.RemoteGroup != "" {
				return true
			}
		}
	}
	return false
}
