package flows

import (
	"net/netip"

	"damselfly/internal/topology"
)

// Priorities of the route table; a route's is routePrefix and its length, so
// that the longest prefix wins.
const (
	routeNever  = 2000
	routePrefix = 1000
)

// baseRouteFlows end what no router forwards: a packet at the end of its hop
// limit (RFC 8200 section 3), and one whose source is of its link alone (RFC
// 4291 sections 2.5.2 and 2.5.6).
func (b *builder) baseRouteFlows() {
	b.add(TableRoute, routeNever, RoleDropHopLimit, Match{}.IPv6().With(IPTTL, U8(1)))
	b.add(TableRoute, routeNever, RoleDropScope, Match{}.IPv6().SrcIn(linkLocal))
	b.add(TableRoute, routeNever, RoleDropScope, Match{}.IPv6().Src(netip.IPv6Unspecified()))
	b.add(TableRoute, 0, RoleDropNoRoute, nil)
}

// networkRouteFlows carry what guests send to the router's MAC on to the
// requesting router that the destination was delegated to (RFC 9915 section 6.3).
func (b *builder) networkRouteFlows(n *topology.Network) {
	if n.Router == nil || len(n.Delegated) == 0 {
		return
	}
	b.add(TableSwitch, switchKnown, RoleSwitch, Match{}.On(n.Key).IPv6().EthDst(n.Router.MAC), Resubmit{TableRoute})
	for _, d := range n.Delegated {
		b.add(TableRoute, routePrefix+uint16(d.Prefix.Bits()), RoleRoute, Match{}.On(n.Key).IPv6().DstIn(d.Prefix),
			DecTTL{}, Load(EthSrc, MAC(n.Router.MAC)), Load(EthDst, MAC(d.MAC)),
			Load(regOut, U32(uint32(d.Port))), Resubmit{TableIngress})
	}
}
