package timers

import (
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// identity is how hosts know a router: by its link-local address alone (RFC
// 4861 section 6.2.8). The MAC is what its frames come from.
type identity struct {
	linkLocal netip.Addr
	mac       wire.MAC
}

// farewell is the last words of one router: "no more than
// MAX_FINAL_RTR_ADVERTISEMENTS final multicast Router Advertisements [...] with
// a Router Lifetime field of zero" (RFC 4861 section 6.2.5).
type farewell struct {
	from    identity
	adverts []topology.Advert
	left    int
	next    time.Time
}

// part starts and drops farewells so that they fit net, the network as it is
// now; before is as it was, nil if it was not there. It returns those it
// started, for the caller to say when.
func (e *entry) part(before, net *topology.Network) (started []*farewell) {
	present := netip.Addr{}
	if advertised(net) {
		present = net.Router.LinkLocal
	}
	// Hosts would take a farewell from the present router's address as its own.
	e.farewells = slices.DeleteFunc(e.farewells, func(f *farewell) bool { return f.from.linkLocal == present })

	start := func(from identity, adverts []topology.Advert) {
		known := slices.ContainsFunc(e.farewells, func(f *farewell) bool { return f.from.linkLocal == from.linkLocal })
		if known || from.linkLocal == present || e.said[from] || len(adverts) == 0 {
			return
		}
		f := &farewell{from: from, adverts: adverts, left: maxFinal}
		e.farewells = append(e.farewells, f)
		started = append(started, f)
	}
	if advertised(before) && !advertised(net) {
		// Said while it is known what was advertised: this withdraws
		// everything, a former router's advertisement only the router.
		start(identityOf(before), topology.FinalAdvert(before))
	}
	listed := make(map[identity]bool, len(net.Former))
	for _, former := range net.Former {
		from := identity{linkLocal: former.LinkLocal, mac: former.MAC}
		listed[from] = true
		start(from, former.Adverts)
	}
	for from := range e.said {
		if !listed[from] {
			delete(e.said, from)
		}
	}
	return started
}

func identityOf(n *topology.Network) identity {
	return identity{linkLocal: n.Router.LinkLocal, mac: n.Router.MAC}
}

// finish takes off a farewell that has been said often enough.
func (e *entry) finish(f *farewell) {
	e.farewells = slices.DeleteFunc(e.farewells, func(g *farewell) bool { return f == g })
	if e.said == nil {
		e.said = make(map[identity]bool)
	}
	e.said[f.from] = true
}
