package flows

import (
	"maps"
	"net/netip"
	"slices"

	"damselfly/internal/topology"
)

// Priorities of the multicast tables of routers.
const (
	mrouteHops     = 2400
	mrouteBoundary = 2300
	mrouteUpstream = 900
	mrouteGroup    = 200
	mrouteScope    = 100
	mrouteOther    = 10
)

// ends is what becomes of the copy of a packet that no network wants: nothing was
// to be delivered, so nothing is dropped.
var ends = []Action{Load(regVia, Value{})}

// scopes are the groups of one scope or, of the wide ones, several: that of the link and
// below a router carries nowhere (RFC 4291 section 2.7).
func scopes(bits, mask byte) (value, of Value) { return Value{0xff, bits}, Value{0xff, mask} }

// baseMulticastRouteFlows end what no router carries: what has used up its hop limit, of
// which 1 is hosts' default (RFC 8200 section 3), is from an address of its link alone, or is not
// where its source is.
func (b *builder) baseMulticastRouteFlows() {
	t := uint8(TableMulticastSource)
	b.add(t, mrouteHops, RoleRoute, Match{}.IPv6().With(IPTTL, U8(1)), ends...)
	for _, never := range []netip.Prefix{linkLocal, loopback} {
		b.add(t, routeNever, RoleDropScope, Match{}.IPv6().SrcIn(never))
	}
	b.add(t, routeNever, RoleDropScope, Match{}.IPv6().Src(netip.IPv6Unspecified()))
	b.add(t, 0, RoleDropReversePath, nil)
	b.add(TableMulticastRoute, 0, RoleDropDefault, nil)
	b.add(TableForward, routeNever+10, RoleDropTooBig, Match{}.IPv6().DstIn(multicast).WithMask(regVia, U32(viaTooBig), U32(viaTooBig)))
}

// routedGroupFlows have a network's router carry groups on beside what the network itself
// does with them, local, and take from there what comes from its other networks.
func (b *builder) routedGroupFlows(n *topology.Network, local Action) {
	groups := Match{}.On(n.Key).IPv6().WithMask(EthDst, MAC(groupBit), MAC(groupBit))
	for _, s := range [][2]byte{{0x08, 0x08}, {0x04, 0x0c}, {0x03, 0x0f}} {
		value, mask := scopes(s[0], s[1])
		b.add(TableSwitch, switchGroups+1, RoleListen, groups.WithMask(IPv6Dst, value, mask), local, Resubmit{TableMulticastSource})
	}
	via := neighborAt(n.Key).DstIn(multicast)
	b.add(TableLength, routeNever, RoleRoute, via.On(n.Key), ends...)
	b.add(TableForward, routeOn+10, RoleRoute, via, forward(n, TableGroups)...)
}

// multicastRouterFlows are those of a router that carries multicast (RFC 4605 section
// 4): to the networks where it asks for listeners and somebody listens, and all of it to the
// upstream one. listening is what is known by the networks' keys.
func (b *builder) multicastRouterFlows(r *topology.Router, listening map[uint16]*topology.Listening) {
	var upstream *topology.Network
	for _, n := range r.Networks {
		if n.Name == r.Multicast.Upstream && n.Multicast != nil {
			upstream = n
		}
		for _, route := range n.Connected() {
			b.multicastSource(r.ID, &route)
		}
	}
	for i := range r.Routes {
		b.multicastSource(r.ID, &r.Routes[i])
	}
	through := Match{}.through(r.ID)
	if upstream != nil {
		b.add(TableMulticastSource, mrouteUpstream, RoleRoute, through.On(upstream.Key), Resubmit{TableMulticastRoute})
		for scope := byte(3); scope <= r.Multicast.Boundary; scope++ {
			value, mask := scopes(scope, 0x0f)
			b.add(TableMulticastSource, mrouteBoundary, RoleRoute, through.On(upstream.Key).WithMask(IPv6Dst, value, mask), ends...)
			b.add(TableMulticastRoute, mrouteScope, RoleRoute, through.WithMask(IPv6Dst, value, mask), ends...)
		}
	}
	b.add(TableMulticastRoute, mrouteOther, RoleRoute, through, onTo(upstream)...)
	for _, w := range wantedOn(r, upstream, listening) {
		g := Group{ID: b.group(groupRouted + uint32(w.slot)), Type: All}
		for _, n := range w.networks {
			g.Buckets = append(g.Buckets, bucket(n.Key, onTo(n)))
		}
		if upstream != nil && w.group.As16()[1]&0xf > r.Multicast.Boundary {
			g.Buckets = append(g.Buckets, bucket(upstream.Key, onTo(upstream)))
		}
		b.groups = append(b.groups, g)
		b.add(TableMulticastRoute, mrouteGroup, RoleRoute, through.Dst(w.group), ToGroup{g.ID})
	}
}

// onTo carries a copy on to a network; without one it ends.
func onTo(n *topology.Network) []Action {
	if n == nil {
		return ends
	}
	return []Action{Load(regVia, U32(uint32(n.Key))), Resubmit{TableLength}}
}

// multicastSource lets in what comes from where its source is (RFC 5110 section 2.2.3).
func (b *builder) multicastSource(router uint32, r *topology.Route) {
	if r.Type != topology.Unicast {
		return
	}
	from := Match{}.through(router)
	if r.Prefix.Bits() > 0 {
		from = from.SrcIn(r.Prefix)
	}
	b.add(TableMulticastSource, sourceFrom(r.Prefix, r.Origin), RoleDropReversePath, from)
	seen := map[uint16]bool{}
	for _, h := range r.Hops() {
		if on := h.Network.Key; !seen[on] {
			seen[on] = true
			b.add(TableMulticastSource, sourceFrom(r.Prefix, r.Origin)+1, RoleRoute, from.On(on), Resubmit{TableMulticastRoute})
		}
	}
}

// wantedGroup is a group and the networks of a router where somebody listens to it.
type wantedGroup struct {
	group    netip.Addr
	slot     uint16 // that of the first network
	networks []*topology.Network
}

// wantedOn are the groups that somebody listens to on the networks of a router where
// it is who asks, but for the upstream one.
func wantedOn(r *topology.Router, upstream *topology.Network, listening map[uint16]*topology.Listening) (list []wantedGroup) {
	found := map[netip.Addr]*wantedGroup{}
	for _, n := range r.Networks {
		l := listening[n.Key]
		if n == upstream || n.Multicast == nil || l == nil || !l.Querying {
			continue
		}
		for i := range l.Groups {
			g := &l.Groups[i]
			if g.Group.As16()[1]&0xf <= 2 {
				continue
			}
			w := found[g.Group]
			if w == nil {
				w = &wantedGroup{group: g.Group, slot: g.Slot}
				found[g.Group] = w
			}
			w.networks = append(w.networks, n)
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(found), netip.Addr.Compare) {
		list = append(list, *found[a])
	}
	return list
}
