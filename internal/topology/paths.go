package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// MaxPathSets is how many sets of next hops of equal cost there are at most; each
// is a group of the switch.
const MaxPathSets = 1 << 16

// MaxPaths is how many next hops of equal cost a route has at most.
const MaxPaths = 64

// maxSharedRoutes is how many routes may have several next hops: half of
// MaxPathSets, so that numbers that are made of names find a place soon.
const maxSharedRoutes = MaxPathSets / 2

// Equal reports whether two routes are the same.
func (r Route) Equal(o Route) bool {
	return r.Prefix == o.Prefix && r.Type == o.Type && r.Origin == o.Origin && r.Hop == o.Hop &&
		r.PathsID == o.PathsID && slices.Equal(r.Paths, o.Paths)
}

// There are the paths of a route with several whose neighbour is known.
func (r *Route) There() (list []Hop) {
	for _, h := range r.Paths {
		if h.Port != 0 {
			list = append(list, h)
		}
	}
	return list
}

// Hops are all next hops of a route.
func (r *Route) Hops() []Hop {
	if r.Paths == nil {
		return []Hop{r.Hop}
	}
	return r.Paths
}

// hop is the way to a neighbour on the network. Behind a port that the switch
// does not have nobody is there.
func (n *Network) hop(a netip.Addr) Hop {
	h := Hop{Network: NetworkRef{Key: n.Key, Name: n.Name}, NextHop: a, Asked: n.Asks(a)}
	port, mac := n.neighbor(a)
	if i := slices.IndexFunc(n.Ports, func(p *Port) bool { return p.Key == port && p.OFPort != 0 }); i >= 0 {
		h.Port, h.MAC, h.OFPort = port, mac, n.Ports[i].OFPort
	}
	return h
}

// lead finds where a configured route leads; ok is false where its networks are
// isolated.
func (r *Router) lead(route *Route, s *StaticRouteSpec) (ok bool) {
	var hops []Hop
	for _, a := range s.NextHops {
		if n := r.towards(a, s.Network); n != nil {
			hops = append(hops, n.hop(a))
		}
	}
	if len(hops) == 0 {
		return false
	}
	// The order in which they are written makes no difference.
	slices.SortFunc(hops, func(a, b Hop) int {
		return cmp.Or(strings.Compare(a.Network.Name, b.Network.Name), a.NextHop.Compare(b.NextHop))
	})
	route.Hop = hops[max(0, slices.IndexFunc(hops, func(h Hop) bool { return h.Port != 0 }))]
	if len(hops) > 1 {
		route.Paths = hops
	}
	return true
}

// numberPaths gives each set of next hops a number, made of what they are called.
func numberPaths(routers []*Router) {
	var names []string
	each := func(f func(r *Route, name string)) {
		for _, router := range routers {
			for i := range router.Routes {
				if route := &router.Routes[i]; route.Paths != nil {
					f(route, pathsName(router, route))
				}
			}
		}
	}
	each(func(_ *Route, name string) { names = append(names, name) })
	numbers := numbersOf(names, MaxPathSets-1)
	each(func(r *Route, name string) { r.PathsID = numbers[name] })
}

func pathsName(router *Router, r *Route) string {
	var b strings.Builder
	b.WriteString("paths of " + router.Name)
	for _, h := range r.Paths {
		b.WriteString(" " + h.Network.Name + " " + h.NextHop.String())
	}
	return b.String()
}

// on is the router's network that a route leads to.
func (r *Router) on(ref NetworkRef) *Network {
	return r.Networks[slices.IndexFunc(r.Networks, func(n *Network) bool { return n.Key == ref.Key })]
}
