package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Routes of a router that guests of a network are told of beside the configured
// ones (RFC 4191 section 2.3).
//
// "Routers should not advertise preferences or routes by default. In particular,
// they should not 'dump out' their entire routing table to hosts" (section 4). So
// they are told only where guests may send elsewhere what the router alone carries: it
// is no default router, or gives way to others, or a guest is a router too. What
// they are told is configured, and none of it comes and goes with the state of the
// network: "announcement of prefixes to hosts is decoupled from the routing table
// dynamics" (the same section).

// AdvertisedRoute is a destination that guests were told they reach by the router,
// and how long they may believe it.
type AdvertisedRoute struct {
	Prefix   netip.Prefix
	Lifetime time.Duration
}

// destination is a prefix that a router reaches, and the network that it is on: ""
// for one behind a neighbour.
type destination struct {
	prefix  netip.Prefix
	network string
}

// destinations are what a router reaches by its configuration, from wide to narrow:
// the prefixes of its networks, the pools of what is delegated there, and static
// routes. The default route is none: that is told by the router lifetime. Neither
// are routes on which packets end.
func destinations(nets map[string]*NetworkSpec, r *RouterSpec) (list []destination) {
	for i := range r.Networks {
		p := &r.Networks[i]
		n := nets[p.Network]
		for j := range n.Subnets {
			list = append(list, destination{n.Subnets[j].Prefix.Masked(), n.Name})
		}
		for _, a := range p.Addresses {
			list = append(list, destination{a.Masked(), n.Name})
		}
		// What is delegated on a network is behind its guests, and not on its link.
		for j := range n.Delegations {
			list = append(list, destination{n.Delegations[j].Pool.Masked(), ""})
		}
	}
	for i := range r.Routes {
		if s := &r.Routes[i]; s.Type == Unicast && s.Destination.Bits() > 0 {
			list = append(list, destination{s.Destination.Masked(), ""})
		}
	}
	slices.SortFunc(list, func(a, b destination) int {
		return cmp.Or(cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.network, b.network))
	})
	return list
}

// routesFor are those of a router's destinations that guests of one of its networks
// are told of beside the routes configured for it: none that lies within another,
// and of too many the widest.
func routesFor(n *NetworkSpec, from []destination) (list []netip.Prefix) {
	room := maxRoutes - len(n.RouterAdvertisement.Routes)
	if n.Metadata != nil {
		room--
	}
	for _, d := range from {
		if len(list) >= room {
			break
		}
		configured := slices.ContainsFunc(n.RouterAdvertisement.Routes, func(r RouteSpec) bool { return r.Destination.Masked() == d.prefix })
		within := slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(d.prefix.Addr()) })
		if d.network != n.Name && !configured && !within {
			list = append(list, d.prefix)
		}
	}
	return list
}

// giveRoutes adds to the presences what guests are told that they reach by the
// router, where that helps.
func giveRoutes(spec *Spec, presences map[string]presence) {
	guests := make(map[string]bool)
	for i := range spec.Ports {
		if spec.Ports[i].Router {
			guests[spec.Ports[i].Network] = true
		}
	}
	nets := make(map[string]*NetworkSpec, len(spec.Networks))
	for i := range spec.Networks {
		nets[spec.Networks[i].Name] = &spec.Networks[i]
	}
	for i := range spec.Routers {
		var from []destination
		for j := range spec.Routers[i].Networks {
			n := nets[spec.Routers[i].Networks[j].Network]
			a := &n.RouterAdvertisement
			if lifetimeOf(a, true) != 0 && a.Preference != Low && !guests[n.Name] {
				continue
			}
			if from == nil {
				from = destinations(nets, &spec.Routers[i])
			}
			p := presences[n.Name]
			p.routes = routesFor(n, from)
			presences[n.Name] = p
		}
	}
}

// routes are all that guests are told that they reach by the router.
func (a *advertiser) routes() []RouteSpec {
	list := slices.Clone(a.spec.Routes)
	if a.metadata && a.header.RouterLifetime == 0 {
		// Guests for whom the router is no default router need a route to what is on none
		// of their links (RFC 4191 section 3.1).
		list = append(list, RouteSpec{Destination: netip.PrefixFrom(MetadataRouted, MetadataRouted.BitLen())})
	}
	for _, p := range a.own {
		list = append(list, RouteSpec{Destination: p})
	}
	return list
}

// advertised are the routes as they are remembered, sorted.
func (a *advertiser) advertised() (list []AdvertisedRoute) {
	for _, r := range a.routes() {
		list = append(list, AdvertisedRoute{r.Destination.Masked(), a.other})
	}
	slices.SortFunc(list, func(a, b AdvertisedRoute) int { return a.Prefix.Compare(b.Prefix) })
	return list
}

// withdrawnOptions end routes that guests were told of and that are no more:
// lifetime 0 has them removed (RFC 4191 section 3.1). They are at most as many as
// there may be routes.
func (a *advertiser) withdrawnOptions(withdrawn []netip.Prefix) (options []option) {
	present := a.routes()
	for _, p := range withdrawn {
		if len(options) < maxRoutes && !slices.ContainsFunc(present, func(r RouteSpec) bool { return r.Destination.Masked() == p }) {
			options = append(options, routeOption(RouteSpec{Destination: p}, 0))
		}
	}
	return options
}
