package timers

import (
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/store"
	"damselfly/internal/topology"
)

// route is a destination that guests of a network were told they reach by the
// router. Of one that is told of nothing is renewed: until when guests may believe
// it begins to count when it is gone, or when a process finds it gone.
type route struct {
	record store.AdvertisedRoute
	// saved says that the record is on disk, gone that it may be forgotten.
	saved, gone bool
}

// rememberRoute ties the deadline of an earlier boot to this one.
func rememberRoute(now store.Clock, r store.AdvertisedRoute) *route {
	if r.WithdrawnUntil != (store.Deadline{}) {
		r.WithdrawnUntil = store.NewDeadline(now, r.WithdrawnUntil.Remaining(now))
	}
	return &route{record: r, saved: true}
}

func (r *route) withdrawn() bool { return r.record.WithdrawnUntil != (store.Deadline{}) }

// left is how long the route is withdrawn yet, Infinite for one that is told of.
func (r *route) left(now store.Clock) time.Duration {
	if !r.withdrawn() {
		return store.Infinite
	}
	return r.record.WithdrawnUntil.Remaining(now)
}

// reconcileRoutes brings the routes to what the networks' advertisements say.
func (m *Memory) reconcileRoutes(now store.Clock, networks map[string]*topology.Network) error {
	present := make(map[promiseKey]bool)
	for name, n := range networks {
		if !advertised(n) {
			continue
		}
		for _, a := range n.Routes {
			k := promiseKey{name, a.Prefix}
			present[k] = true
			r := m.routes[k]
			if r == nil {
				r = &route{record: store.AdvertisedRoute{Network: name, Prefix: a.Prefix}}
				m.routes[k] = r
			}
			if r.gone || r.withdrawn() || r.record.Lifetime < a.Lifetime {
				r.record.Lifetime, r.record.WithdrawnUntil = max(r.record.Lifetime, a.Lifetime), store.Deadline{}
				r.saved, r.gone = false, false
			}
		}
	}
	for k, r := range m.routes {
		switch {
		case present[k] || r.gone:
		case !advertised(networks[k.network]):
			r.gone = true // the last advertisements ended it
		case !r.withdrawn():
			r.record.WithdrawnUntil, r.saved = store.NewDeadline(now, r.record.Lifetime), false
		}
	}
	m.lapseRoutes(now)
	return m.saveRoutes()
}

// lapseRoutes marks the routes that nobody can believe in any more.
func (m *Memory) lapseRoutes(now store.Clock) (ended bool) {
	for _, r := range m.routes {
		if !r.gone && r.left(now) == 0 {
			r.gone, ended = true, true
		}
	}
	return ended
}

// saveRoutes writes what is not on disk as it is, in one fsync.
func (m *Memory) saveRoutes() error {
	var routes, forget []store.AdvertisedRoute
	for _, r := range m.routes {
		switch {
		case r.gone:
			forget = append(forget, r.record)
		case !r.saved:
			routes = append(routes, r.record)
		}
	}
	if err := m.c.Store.RecordRoutes(routes, forget); err != nil {
		return err
	}
	for k, r := range m.routes {
		if r.saved = true; r.gone {
			delete(m.routes, k)
		}
	}
	return nil
}

// withdrawn lists by network the routes that hosts are told the end of, sorted.
func (m *Memory) withdrawn(now store.Clock, networks map[string]*topology.Network) map[string][]netip.Prefix {
	list := make(map[string][]netip.Prefix)
	for k, r := range m.routes {
		if networks[k.network] != nil && !r.gone && r.withdrawn() && r.left(now) > 0 {
			list[k.network] = append(list[k.network], k.prefix)
		}
	}
	for _, l := range list {
		slices.SortFunc(l, netip.Prefix.Compare)
	}
	return list
}
