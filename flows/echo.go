package flows

import (
	"net/netip"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Priorities of the echo tables.
const (
	echoBad    = 300
	echoAnswer = 200
	echoFar    = 100
)

func echoRequest() Match {
	return Match{}.ICMPv6(wire.TypeEchoRequest).With(ICMPv6Code, U8(0)).With(IPFrag, U8(fragNo))
}

// baseEchoFlows are the parts of the echo tables that all ports share.
func (b *builder) baseEchoFlows() {
	b.groups = append(b.groups, recirculation(b.group(groupEcho), TableEchoReply))
	b.add(TableEcho, 0, RoleDropEcho, nil)
	b.add(TableEchoReply, echoBad, RoleDropEcho, echoRequest().Src(netip.IPv6Unspecified()))
	// RFC 4443 section 4.2: a request to a group may be answered, from an
	// address of the interface. Which one depends on the source: not a flow's work.
	for _, group := range []netip.Addr{wire.AllNodes, wire.AllRouters} {
		b.add(TableEchoReply, echoAnswer, RolePunt, echoRequest().Dst(group), ToGroup{b.group(groupPunt)})
	}
	b.add(TableEchoReply, 0, RoleDropEcho, nil)
}

// networkEchoFlows answer Echo Requests to the router's addresses (RFC 4443
// section 4.2). The rewrite is made in the slow path of the switch, so it
// stands behind the port's meter and a recirculation.
func (b *builder) networkEchoFlows(n *topology.Network) {
	if n.Router == nil {
		return
	}
	b.add(TableServices, serviceEcho, RoleEcho, echoRequest().On(n.Key).Dst(wire.AllRouters), Resubmit{TableEcho})
	b.add(TableServices, serviceEcho, RoleEcho, echoRequest().On(n.Key).Dst(wire.AllNodes),
		Resubmit{TableEgress}, Resubmit{TableEcho})
	for _, a := range n.Router.All() {
		b.add(TableServices, serviceEcho, RoleEcho, echoRequest().On(n.Key).Dst(a), append(candidate(n.Router.MAC, stageEcho), Resubmit{TableDestination})...)
		b.add(TableEchoReply, echoAnswer, RoleEchoAnswer, echoRequest().On(n.Key).Dst(a),
			append(answerHeaders(a, n.Router.MAC, wire.DefaultHopLimit),
				Load(ICMPv6Type, U8(wire.TypeEchoReply)), Resubmit{TableReturn})...)
	}
}

// portEchoFlows meter a port's Echo Requests to Damselfly.
func (b *builder) portEchoFlows(p *topology.Port) {
	if actions, ok := b.throughMeter(p, punt.Echo); ok {
		actions = append(actions, Load(regClass, U32(uint32(punt.Echo))), ToGroup{b.group(groupEcho)})
		b.add(TableEcho, echoAnswer, RoleEcho, Match{}.From(p.Key), actions...)
	}
}
