package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// routerIDs gives each router its number, by "router " and its name.
func routerIDs(spec *Spec) map[string]uint32 {
	names := make([]string, len(spec.Routers))
	for i := range spec.Routers {
		names[i] = "router " + spec.Routers[i].Name
	}
	return idsOf(names)
}

// nonZero is a pointer to i, nil for 0.
func nonZero(i int) *int {
	if i == 0 {
		return nil
	}
	return &i
}

// routersOf makes the routers of a valid Spec, taking those over from old that
// are just as they were.
func routersOf(spec *Spec, nets map[string]*builtNetwork, old []*Router) []*Router {
	ids := routerIDs(spec)
	var list []*Router
	for i := range spec.Routers {
		s := &spec.Routers[i]
		r := &Router{ID: ids["router "+s.Name], Name: s.Name, Multicast: routerMulticastOf(s.Multicast)}
		for j := range s.Networks {
			if b := nets[s.Networks[j].Network]; b != nil {
				r.Networks = append(r.Networks, b.net)
			}
		}
		slices.SortFunc(r.Networks, func(a, b *Network) int { return strings.Compare(a.Name, b.Name) })
		r.Floating = r.floatingOf()
		r.Routes = sortedRoutes(slices.Concat(r.static(s.Routes), r.delegated(), r.routedFloating()))
		r.Translations, r.Hidden = r.translations(), r.hidden()
		list = append(list, r)
	}
	numberPaths(list)
	for i, r := range list {
		for _, o := range old {
			if o.ID == r.ID && o.Name == r.Name && slices.Equal(o.Networks, r.Networks) && slices.EqualFunc(o.Routes, r.Routes, Route.Equal) &&
				slices.Equal(o.Floating, r.Floating) && slices.Equal(o.Translations, r.Translations) && slices.Equal(o.Hidden, r.Hidden) &&
				equalValues(o.Multicast, r.Multicast) {
				list[i] = o
				break
			}
		}
	}
	slices.SortFunc(list, func(a, b *Router) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// static resolves the configured routes and, where none is for all, the default
// route that was learned. One whose network is isolated is left out.
func (r *Router) static(specs []StaticRouteSpec) (list []Route) {
	for i := range specs {
		s := &specs[i]
		route := Route{Prefix: s.Destination.Masked(), Type: s.Type, Origin: StaticRoute}
		if s.Type == Unicast && !r.lead(&route, s) {
			continue
		}
		list = append(list, route)
	}
	if d, ok := r.learnedDefault(); ok && !slices.ContainsFunc(list, func(s Route) bool { return s.Prefix == d.Prefix }) {
		list = append(list, d)
	}
	return list
}

// delegated are the routes to what DHCPv6 gave to guests of the router's networks.
func (r *Router) delegated() (list []Route) {
	for _, n := range r.Networks {
		for _, d := range n.Delegated {
			list = append(list, Route{
				Prefix: d.Prefix, Origin: DelegatedRoute,
				Hop: Hop{Network: NetworkRef{Key: n.Key, Name: n.Name}, NextHop: d.NextHop, Port: d.Port, MAC: d.MAC},
			})
		}
	}
	return list
}

// sortedRoutes sorts routes by prefix. What was delegated on two networks, before a
// pool moved and after, leads to the first.
func sortedRoutes(list []Route) []Route {
	slices.SortStableFunc(list, func(a, b Route) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(a.Origin, b.Origin))
	})
	return slices.CompactFunc(list, func(a, b Route) bool { return a.Prefix == b.Prefix && a.Origin == b.Origin })
}

// towards is the network that a next hop is on, nil if there is none: for a
// global address that with the longest prefix around it.
func (r *Router) towards(a netip.Addr, name string) (found *Network) {
	bits := -1
	for _, n := range r.Networks {
		if name != "" {
			if n.Name == name {
				return n
			}
			continue
		}
		for _, p := range n.Router.Addresses {
			if p.Masked().Contains(a) && p.Bits() > bits {
				found, bits = n, p.Bits()
			}
		}
	}
	return found
}
