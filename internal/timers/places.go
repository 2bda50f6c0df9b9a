package timers

import (
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// keptFor is how long an address that nobody holds is known to have been
// somewhere: neighbours that do not use it keep it about as long.
const keptFor = 10 * time.Minute

// place is where an address is: what a neighbour's cache, or the switch's way
// there, would have to follow.
type place struct {
	port   uint16 // 0 for the router
	ofport uint32
	vlan   uint16
	mac    wire.MAC
}

// seen is an address's place with what was said of it.
type seen struct {
	place
	// gone is since when nobody holds it, zero while somebody does.
	gone time.Time
	// said is when it was last announced.
	said time.Time
}

// placeOf is the place of an address of n; ok is false while it is nowhere: its
// owner is not on the bridge, or nobody holds it alone.
func placeOf(n *topology.Network, a netip.Addr) (o topology.Owner, at place, ok bool) {
	o, ok = n.Owner(a)
	switch {
	case !ok:
		return o, at, false
	case o.Floating != nil:
		// Neighbours find it at the router; who moves is the guest it stands for.
		return o, place{port: o.Floating.Port, mac: o.MAC}, !o.Floating.Away
	case o.Port == nil:
		return o, place{mac: o.MAC}, true
	}
	p := o.Port
	return o, place{p.Key, p.OFPort, p.VLAN, o.MAC}, p.OFPort != 0
}

// moves brings known, the places of n's addresses, to what they are now, and
// returns the addresses that are at another place than before, in the order of
// ports. What floats comes from elsewhere, so it counts as moved when it is new as
// well, but for when nothing is running yet.
func moves(known map[netip.Addr]*seen, n *topology.Network, now time.Time, running bool) (moved []netip.Addr) {
	held := make(map[netip.Addr]bool, len(known))
	floating := n.FloatingAddresses()
	look := func(a netip.Addr) {
		held[a] = true
		_, at, ok := placeOf(n, a)
		s := known[a]
		switch {
		case !ok:
		case s == nil:
			known[a] = &seen{place: at}
			if _, floats := slices.BinarySearchFunc(floating, a, netip.Addr.Compare); floats && running {
				moved = append(moved, a)
			}
		default:
			s.gone = time.Time{}
			if s.place != at {
				s.place = at
				moved = append(moved, a)
			}
		}
	}
	if n.Router != nil {
		for _, a := range n.Router.All() {
			look(a)
		}
	}
	for _, a := range floating {
		look(a)
	}
	for _, p := range n.Ports {
		for _, a := range p.Addresses {
			look(a)
		}
	}
	for a, s := range known {
		switch {
		case held[a]:
		case s.gone.IsZero():
			s.gone = now
		case now.Sub(s.gone) > keptFor:
			delete(known, a)
		}
	}
	return moved
}
