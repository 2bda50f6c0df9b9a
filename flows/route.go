package flows

import (
	"net/netip"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Priorities of the router's tables. A route's is routePrefix and eight for each
// bit of its length, so that the longest prefix wins, and of one length the
// origin that counts more.
const (
	routeLocal  = 2200
	routeAsked  = 2210
	routeEcho   = 2220
	routeNever  = 2100
	routePrefix = 1000
	// sourcePrefix is routePrefix for checks of sources.
	sourcePrefix = 500
	routeNone    = 500
	routeOn      = 100
	routeMiss    = 10
	routeAsk     = 20

	neighborOwn  = 2000
	neighborPair = 1000
)

// viaTooBig is the bit of regVia that says that a packet is longer than the
// link it leaves on.
const (
	viaTooBigBit = 31
	viaTooBig    = 1 << viaTooBigBit
)

// troubleDrops end, by its name, what a router could not carry on and may not be
// answered: the port's limit lets no error pass.
var troubleDrops = map[punt.Trouble]Role{
	punt.HopLimit: RoleDropHopLimit, punt.NoRoute: RoleDropNoRoute, punt.Unreachable: RoleDropUnreachable,
	punt.Prohibited: RoleDropBlackhole, punt.RejectRoute: RoleDropBlackhole, punt.BeyondScope: RoleDropScope,
	punt.TooBig: RoleDropTooBig, punt.Local: RoleDropLocal, punt.Unresolved: RoleDropUnresolved,
	punt.Untranslated: RoleDropUntranslated,
}

// trouble hands a packet over that cannot go on.
func trouble(why punt.Trouble) []Action {
	return []Action{Load(regTrouble, U32(uint32(why))), Resubmit{TableTrouble}}
}

// routeTo is the priority of a route.
func routeTo(p netip.Prefix, origin topology.RouteOrigin) uint16 {
	return routePrefix + 8*uint16(p.Bits()) + uint16(origin)
}

// sourceFrom is the priority of the check of a source. A route by several networks
// has, above the one of its first, one for each other.
func sourceFrom(p netip.Prefix, origin topology.RouteOrigin) uint16 {
	return sourcePrefix + 10*uint16(p.Bits()) + 2*uint16(origin)
}

// through matches what a router carries, by its id.
func (m Match) through(router uint32) Match { return m.IPv6().With(regRouter, U32(router)) }

// baseRouteFlows end what no router forwards: a packet whose source or
// destination is of its link alone, or of many (RFC 4291 sections 2.5.2, 2.5.6
// and 2.7), and one at the end of its hop limit (RFC 8200 section 3).
func (b *builder) baseRouteFlows() {
	t := uint8(TableRouteSource)
	ip6 := Match{}.IPv6()
	for _, never := range []netip.Prefix{multicast, linkLocal, loopback} {
		b.add(t, routeNever+10, RoleDropScope, ip6.DstIn(never))
	}
	b.add(t, routeNever+10, RoleDropScope, ip6.Dst(netip.IPv6Unspecified()))
	b.add(t, routeNever+10, RoleDropScope, ip6.Src(netip.IPv6Unspecified()))
	b.add(t, routeNever, RoleTrouble, ip6.SrcIn(linkLocal), trouble(punt.BeyondScope)...)
	b.add(t, 0, RoleDropReversePath, nil)
	b.add(TableReversePath, 0, RoleDropReversePath, nil)

	b.add(TableRoute, routeNever, RoleTrouble, ip6.With(IPTTL, U8(1)), trouble(punt.HopLimit)...)
	b.add(TableRoute, 0, RoleDropNoRoute, nil)

	b.add(TableNeighbor, routeMiss, RoleTrouble, ip6, trouble(punt.Unreachable)...)
	b.add(TableNeighbor, 0, RoleDropDefault, nil)
	b.add(TableLength, routeMiss, RoleRoute, ip6, Resubmit{TableForward})
	b.add(TableLength, 0, RoleDropDefault, nil)
	b.add(TableForward, routeNever, RoleTrouble, ip6.WithMask(regVia, U32(viaTooBig), U32(viaTooBig)), trouble(punt.TooBig)...)
	b.add(TableForward, 0, RoleDropDefault, nil)

	for why := punt.HopLimit; why < punt.Troubles; why++ {
		b.add(TableTrouble, routeMiss, troubleDrops[why], Match{}.With(regTrouble, U32(uint32(why))))
	}
	b.add(TableTrouble, 0, RoleDropDefault, nil)
}

// networkRouteFlows send what comes to the router's MAC to the router's tables,
// and take from there what leaves on the network. A source is only let in from
// where packets to it would leave (RFC 3704 section 2.2): the longest prefix
// around it must be of this network. Each route says of which it is, and one flow
// of the network compares.
func (b *builder) networkRouteFlows(n *topology.Network) {
	id := n.RouterID()
	if id == 0 {
		return
	}
	b.add(TableDestination, destinationIs, RoleSwitch, special(n.Key, n.Router.MAC).IPv6(), append(noMAC(), Resubmit{TableRouteSource})...)
	b.add(TableReversePath, routeOn, RoleRoute, Match{}.On(n.Key).through(id).With(regVia, U32(uint32(n.Key))), Resubmit{TableRoute})
	for _, r := range n.Connected() {
		b.routeFlows(id, &r)
	}
	for _, a := range n.Router.Addresses {
		to := Match{}.through(id).Dst(a.Addr())
		// The router's address on another network than the asker's.
		b.add(TableRoute, routeEcho, RoleEcho, echoRequest().through(id).Dst(a.Addr()), Resubmit{TableEcho})
		b.add(TableRoute, routeAsked, RoleDropLocal, to.With(IPProto, U8(protoICMPv6)))
		b.add(TableRoute, routeLocal, RoleTrouble, to, trouble(punt.Local)...)
	}
	b.localFlows(n)
	via := neighborAt(n.Key)
	if n.MTU > 0 && n.Router.Narrow {
		b.add(TableLength, routeOn, RoleRoute, via, LongerThan{uint16(min(n.MTU+ethernetLen, 0xffff)), regVia, viaTooBigBit}, Resubmit{TableForward})
	}
	b.add(TableForward, routeOn, RoleRoute, via, forward(n, TableIngress)...)
	b.pairNeighborFlows(n)
	b.foundNeighborFlows(n)
}

// localFlows hand over what is for the router itself and is no packet that a
// network carries: its sender has to hear of a next header that is not known (RFC
// 8200 section 4).
func (b *builder) localFlows(n *topology.Network) {
	for _, a := range n.Router.All() {
		b.add(TableGuard, guardLocal, RoleGuard, Match{}.On(n.Key).IPv6().EthDst(n.Router.MAC).Dst(a),
			Load(regTrouble, U32(uint32(punt.Local))), Resubmit{TableSource})
	}
	to := Match{}.On(n.Key).IPv6().Dst(n.Router.LinkLocal)
	b.add(TableRouteSource, routeAsked, RoleDropLocal, to.With(IPProto, U8(protoICMPv6)))
	b.add(TableRouteSource, routeLocal, RoleTrouble, to, trouble(punt.Local)...)
}

// forward sends a packet out on a network.
func forward(n *topology.Network, next uint8) []Action {
	return []Action{DecTTL{}, Load(Metadata, U64(uint64(n.Key))), Load(EthSrc, MAC(n.Router.MAC)), Resubmit{next}}
}

// ethernetLen is what check_pkt_larger counts beside the packet.
const ethernetLen = 14

// routeFlows are one route and, for packets from there, the check of the source.
func (b *builder) routeFlows(router uint32, r *topology.Route) {
	priority := routeTo(r.Prefix, r.Origin)
	to, from := Match{}.through(router), Match{}.through(router)
	if r.Prefix.Bits() > 0 {
		to, from = to.DstIn(r.Prefix), from.SrcIn(r.Prefix)
	}
	source := sourceFrom(r.Prefix, r.Origin)
	if r.Type != topology.Unicast {
		b.add(TableRouteSource, source, RoleDropReversePath, from)
	}
	switch r.Type {
	case topology.Blackhole:
		b.add(TableRoute, priority, RoleDropBlackhole, to)
		return
	case topology.RejectRoute:
		b.add(TableRoute, priority, RoleTrouble, to, trouble(punt.RejectRoute)...)
		return
	case topology.ProhibitRoute:
		b.add(TableRoute, priority, RoleTrouble, to, trouble(punt.Prohibited)...)
		return
	}
	b.reverseFlows(from, source, r)
	via := Load(regVia, U32(uint32(r.Network.Key)))
	switch {
	case len(r.Paths) > 0 && r.Port != 0:
		b.add(TableRoute, priority, RoleRoute, to, ToGroup{b.pathsGroup(r)})
	case r.Origin == topology.Connected:
		b.add(TableRoute, priority, RoleRoute, to, via, Resubmit{TableNeighbor})
	case r.Port == 0 && r.Asked:
		b.add(TableRoute, priority, RoleTrouble, to, trouble(punt.Unresolved)...)
	case r.Port == 0:
		b.add(TableRoute, priority, RoleTrouble, to, trouble(punt.Unreachable)...)
	default:
		b.add(TableRoute, priority, RoleRoute, to, via, Load(EthDst, MAC(r.MAC)), Load(regOut, U32(uint32(r.Port))), Resubmit{TableLength})
	}
}

// routerFlows are those of a router that none of its networks has a part in.
func (b *builder) routerFlows(r *topology.Router) {
	b.add(TableRoute, routeNone, RoleTrouble, Match{}.through(r.ID), trouble(punt.NoRoute)...)
	b.add(TableEchoReply, echoFar, RolePunt, echoRequest().through(r.ID), ToGroup{b.group(groupPunt)})
	for i := range r.Routes {
		b.routeFlows(r.ID, &r.Routes[i])
	}
	b.floatingFlows(r)
}

// portRouteFlows find a port by its addresses, for what a router carries to its
// network, and hand over what of the port's own no router could carry on, through
// its meter.
func (b *builder) portRouteFlows(p *topology.Port, routed, asks bool) {
	if !routed {
		return
	}
	for _, a := range p.Addresses {
		if !a.IsLinkLocalUnicast() && !p.MAC.IsZero() {
			b.add(TableNeighbor, neighborOwn, RoleRoute, neighborAt(p.Network.Key).Dst(a), Load(EthDst, MAC(p.MAC)),
				Load(regOut, U32(uint32(p.Key))), Resubmit{TableLength})
		}
	}
	if asks {
		b.askFlows(p)
	}
	if actions, ok := b.throughMeter(p, punt.Error); ok {
		actions = append(actions, Load(regClass, U32(uint32(punt.Error))), ToGroup{b.group(groupPunt)})
		b.add(TableTrouble, routeOn, RoleTrouble, Match{}.IPv6().From(p.Key), actions...)
	}
}

// neighborAt matches what a router carries to a network.
func neighborAt(network uint16) Match { return Match{}.IPv6().With(regVia, U32(uint32(network))) }

// pairNeighborFlows find who has an address as a pair, by the pair's MAC, which
// the switch table knows: of several ports with one virtual MAC each gets the
// packet, and the others' kernels drop it. Of several with MACs of their own the
// first does.
func (b *builder) pairNeighborFlows(n *topology.Network) {
	pairs := n.NeighborPairs()
	for _, pair := range pairs {
		b.add(TableNeighbor, neighborPair+uint16(pair.Prefix.Bits()), RoleRoute, neighborAt(n.Key).DstIn(pair.Prefix),
			Load(EthDst, MAC(pair.MAC)), Resubmit{TableLength})
	}
	if len(pairs) > 0 {
		b.add(TableForward, routeOn+1, RoleRoute, neighborAt(n.Key).With(regOut, Value{}), forward(n, TableSwitch)...)
	}
}
