package flows

import (
	"slices"

	"damselfly/internal/topology"
)

// reverseFlows tell by which network a source is reached. Where there are several
// it may come from each.
func (b *builder) reverseFlows(from Match, priority uint16, r *topology.Route) {
	hops := r.Hops()
	first := hops[0].Network.Key
	b.add(TableRouteSource, priority, RoleRoute, from, Load(regVia, U32(uint32(first))), Resubmit{TableReversePath})
	seen := []uint16{first}
	for _, h := range hops[1:] {
		if key := h.Network.Key; !slices.Contains(seen, key) {
			seen = append(seen, key)
			b.add(TableRouteSource, priority+1, RoleRoute, from.On(key), Load(regVia, U32(uint32(key))), Resubmit{TableReversePath})
		}
	}
}

// pathsGroup is the group of a route's paths of equal cost, which it adds the
// first time. The datapath's hash chooses one for each connection; one whose
// neighbour is not known has no part in it, and one whose port loses its carrier
// the switch leaves out by itself.
func (b *builder) pathsGroup(r *topology.Route) uint32 {
	g := Group{ID: b.group(groupPaths + r.PathsID), Type: Select}
	if slices.ContainsFunc(b.groups, func(k Group) bool { return k.ID == g.ID }) {
		return g.ID
	}
	for i, h := range r.Paths {
		if h.Port == 0 {
			continue
		}
		g.Buckets = append(g.Buckets, Bucket{
			ID: uint32(i), WatchPort: h.OFPort, WatchGroup: NoGroup, Weight: 1,
			Actions: []Action{
				Load(regVia, U32(uint32(h.Network.Key))), Load(EthDst, MAC(h.MAC)), Load(regOut, U32(uint32(h.Port))), Resubmit{TableLength},
			},
		})
	}
	b.groups = append(b.groups, g)
	return g.ID
}
