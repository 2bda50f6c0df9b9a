package topology

import (
	"cmp"
	"net/netip"
	"slices"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

var linkLocal = netip.MustParsePrefix("fe80::/10")

// Router joins networks: what a guest on one sends to its MAC goes on to the
// others. It is part of a Snapshot and never changes.
type Router struct {
	// ID is the router's number in flows, 1 to 2^31-1, made of its name.
	ID   uint32
	Name string
	// Networks are those it stands on, sorted by name.
	Networks []*Network
	// Routes are those beside its networks' own prefixes, configured, delegated
	// and learned, sorted by prefix.
	Routes []Route
	// Multicast is nil where it carries none between its networks.
	Multicast *RouterMulticast
	// Floating is what floats on its networks, Translations what flows translate
	// for that, sorted. Hidden are addresses of the router's own that nobody
	// reaches by what they would be translated from.
	Floating     []Floating
	Translations []Translation
	Hidden       []netip.Addr
}

// RouteType is what becomes of packets that take a route, in the words of Linux.
type RouteType uint8

// The types.
const (
	// Unicast: they go on.
	Unicast RouteType = iota
	// Blackhole: they end, and nobody is told.
	Blackhole
	// RejectRoute: they end, and the sender is told (RFC 4443 section 3.1, code 6).
	RejectRoute
	// ProhibitRoute: as RejectRoute, for a reason of policy (code 1).
	ProhibitRoute
)

// RouteTypes are the types in the configuration's words.
var RouteTypes = []string{"unicast", "blackhole", "reject", "prohibit"}

// String returns the type as the configuration writes it.
func (t RouteType) String() string { return RouteTypes[t] }

// RouteOrigin is where a route comes from; of several for one prefix the
// highest counts.
type RouteOrigin uint8

// The origins.
const (
	// Connected: the router has an address on the prefix.
	Connected RouteOrigin = iota
	// DelegatedRoute: DHCPv6 gave the prefix to a guest (RFC 9915 section 6.3).
	DelegatedRoute
	// StaticRoute: configured.
	StaticRoute
	// LearnedRoute: a router behind an uplink advertises itself, and no default
	// route is configured (RFC 4861 section 6.3.4).
	LearnedRoute
	// FloatingRoute: an address of one network that a guest on another has itself.
	FloatingRoute
)

// String returns the origin in one word.
func (o RouteOrigin) String() string {
	return [...]string{"connected", "delegated", "static", "learned", "floating"}[o]
}

// Route is one way of a router.
type Route struct {
	Prefix netip.Prefix
	Type   RouteType
	Origin RouteOrigin
	// Hop is where packets go; of several paths the first that is there, else the
	// first.
	Hop
	// Paths are the next hops of a route with several of equal cost, sorted; nil
	// for one. Each connection keeps to one of those that are there.
	Paths []Hop
	// PathsID is the number of these paths in flows, 0 to MaxPathSets-1; other
	// routes by the same paths have it too.
	PathsID uint32
}

// Hop is the next hop of a route.
type Hop struct {
	// Network is where packets leave; zero where they end.
	Network NetworkRef
	// NextHop is the neighbour that they go to, invalid where that is their
	// destination itself. Port and MAC are its; Port is 0 if nobody is known there.
	NextHop netip.Addr
	Port    uint16
	MAC     wire.MAC
	// OFPort is the number of the port in the switch, 0 if Port is.
	OFPort uint32
	// Asked says that Damselfly finds out who has the next hop's address.
	Asked bool
}

// Way is what a router does with packets to one address.
type Way struct {
	// Trouble is why they cannot go on, as far as the address decides; 0 if they can.
	Trouble punt.Trouble
	// Silent: they end, and nobody is told.
	Silent bool
	// MTU is that of the network they leave on, 0 if nothing is known of it.
	MTU int
	// Network is where they leave, nil where they end; NextHop who they go to there.
	Network *Network
	NextHop netip.Addr
	// Port and MAC are where NextHop is, zero while nobody is known to be it.
	Port uint16
	MAC  wire.MAC
}

// RouterID is the id of the router on the network, 0 where nothing is routed.
func (n *Network) RouterID() uint32 {
	if n == nil || n.Router == nil {
		return 0
	}
	return n.Router.ID
}

// Connected are the routes to the prefixes that the router has on the network.
func (n *Network) Connected() (list []Route) {
	if n.RouterID() == 0 {
		return nil
	}
	ref := NetworkRef{Key: n.Key, Name: n.Name}
	seen := make(map[netip.Prefix]bool, len(n.Router.Addresses))
	for _, a := range n.Router.Addresses {
		if p := a.Masked(); !seen[p] {
			seen[p] = true
			list = append(list, Route{Prefix: p, Hop: Hop{Network: ref}})
		}
	}
	return list
}

// Table returns all routes, sorted by prefix; of several for one the one that
// counts first.
func (r *Router) Table() []Route {
	list := slices.Clone(r.Routes)
	for _, n := range r.Networks {
		list = append(list, n.Connected()...)
	}
	slices.SortStableFunc(list, func(a, b Route) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(b.Origin, a.Origin))
	})
	return list
}

// Holds reports whether an address is one of the router's own, but for the
// link-local ones, which it has on each network anew.
func (r *Router) Holds(a netip.Addr) bool {
	return slices.ContainsFunc(r.Networks, func(n *Network) bool {
		return slices.ContainsFunc(n.Router.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// To says what becomes of packets to an address: the slow, plain twin of the
// route and neighbour tables' flows. What is for a floating address goes to whom
// it stands for.
func (r *Router) To(a netip.Addr) Way {
	if a.IsLinkLocalUnicast() || !a.IsGlobalUnicast() {
		return Way{Silent: true}
	}
	if r.Holds(a) {
		return Way{Trouble: punt.Local}
	}
	f := r.Translated(a)
	if f == nil {
		return r.way(a)
	}
	inner, ok := f.In(a)
	switch {
	case !ok:
		return Way{Trouble: punt.NoRoute}
	case r.Holds(inner):
		return Way{Trouble: punt.Prohibited}
	}
	w := r.way(inner)
	if w.Network != nil && w.Network.Key == f.External.Key {
		return Way{Trouble: punt.NoRoute} // it would come back
	}
	return w
}

// way is To by the routes alone.
func (r *Router) way(a netip.Addr) Way {
	best, found := Route{}, false
	consider := func(list []Route) {
		for i := range list {
			c := &list[i]
			if c.Prefix.Contains(a) && (!found || cmp.Or(cmp.Compare(c.Prefix.Bits(), best.Prefix.Bits()), cmp.Compare(c.Origin, best.Origin)) > 0) {
				best, found = *c, true
			}
		}
	}
	consider(r.Routes)
	for _, n := range r.Networks {
		consider(n.Connected())
	}
	if !found {
		return Way{Trouble: punt.NoRoute}
	}
	switch best.Type {
	case Blackhole:
		return Way{Silent: true}
	case RejectRoute:
		return Way{Trouble: punt.RejectRoute}
	case ProhibitRoute:
		return Way{Trouble: punt.Prohibited}
	}
	n := r.on(best.Network)
	w := Way{MTU: n.MTU, Network: n, NextHop: best.NextHop}
	if best.Origin == Connected || !best.NextHop.IsValid() {
		w.NextHop = a
	}
	port, mac := best.Port, best.MAC
	for _, path := range best.There() {
		// By which it goes the switch decides: what fits the narrowest fits all.
		if mtu := r.on(path.Network).MTU; mtu > 0 && (w.MTU == 0 || mtu < w.MTU) {
			w.MTU = mtu
		}
	}
	if best.Origin == Connected {
		port, mac = n.neighbor(a)
	}
	if slices.ContainsFunc(n.Ports, func(p *Port) bool { return p.Key == port && p.OFPort != 0 }) {
		w.Port, w.MAC = port, mac
		return w
	}
	w.Trouble = punt.Unreachable
	// Who is known to have it and is not on the switch need not be asked for.
	if _, known := n.Owner(w.NextHop); !known && n.Asks(w.NextHop) {
		w.Trouble = punt.Unresolved
	}
	return w
}

// neighbor finds the port, by its key, and the MAC of who has an address on the
// network; 0 if nobody is known to.
func (n *Network) neighbor(a netip.Addr) (port uint16, mac wire.MAC) {
	if o, ok := n.Owner(a); ok {
		if o.Port == nil {
			return 0, wire.MAC{}
		}
		return o.Port.Key, o.MAC
	}
	if b, ok := n.Resolved(a); ok {
		return b.Port, b.MAC
	}
	bits := -1
	for _, pair := range n.NeighborPairs() {
		if pair.Prefix.Contains(a) && pair.Prefix.Bits() > bits {
			bits, port, mac = pair.Prefix.Bits(), pair.Port, pair.MAC
		}
	}
	return port, mac
}

// NeighborPair is an allowed address pair at which addresses of the network are
// found, and the first port that has it and is on the switch.
type NeighborPair struct {
	AddressPair
	Port uint16
}

// NeighborPairs are the IPv6 pairs on prefixes of the router's on the network:
// who has a wider one forwards for others, and is nobody's neighbour by that.
func (n *Network) NeighborPairs() (list []NeighborPair) {
	if n.RouterID() == 0 {
		return nil
	}
	seen := make(map[netip.Prefix]bool)
	for _, p := range n.Ports {
		for _, pair := range p.Pairs {
			pair.Prefix = pair.Prefix.Masked()
			onLink := slices.ContainsFunc(n.Router.Addresses, func(a netip.Prefix) bool {
				return a.Bits() <= pair.Prefix.Bits() && a.Contains(pair.Prefix.Addr())
			})
			if p.OFPort != 0 && onLink && !seen[pair.Prefix] {
				seen[pair.Prefix] = true
				list = append(list, NeighborPair{pair, p.Key})
			}
		}
	}
	return list
}

// Router returns the router with this id, nil if there is none.
func (s *Snapshot) Router(id uint32) *Router { return s.routers[id] }
