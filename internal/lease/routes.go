package lease

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"damselfly/internal/store"
	"damselfly/internal/wire"
)

// Route is the way to a delegated prefix: to the requesting router.
type Route struct {
	Network string // name
	Port    string // name
	Prefix  netip.Prefix
	// NextHop is the router's link-local address and MAC its own; both are
	// zero where the lease does not know them.
	NextHop netip.Addr
	MAC     wire.MAC
}

// routes are those of all delegated prefixes, and the signal of changes.
type routes struct {
	changed chan struct{}

	mu   sync.Mutex
	byAt map[routeKey]endingRoute // guarded by mu
}

type routeKey struct {
	network string
	at      place
}

type endingRoute struct {
	Route
	end time.Duration // uptime
}

func newRoutes() *routes {
	return &routes{changed: make(chan struct{}, 1), byAt: map[routeKey]endingRoute{}}
}

// change enters or withdraws the route of an entry, and reports whether there is
// another one now; of what is no delegated prefix there is none.
func (r *routes) change(c *client, e *entry, bound bool) bool {
	if e.kind != Prefix || e.state != Bound {
		return false
	}
	key := routeKey{e.net.name, place{e.addr, e.bits}}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, was := r.byAt[key]
	if !bound {
		delete(r.byAt, key)
		return was
	}
	route := Route{Network: e.net.name, Port: c.port.name, Prefix: e.prefix()}
	if e.more != nil {
		route.NextHop, route.MAC = e.more.LinkLocal, e.more.MAC
	}
	r.byAt[key] = endingRoute{route, e.end()}
	return !was || before.Route != route
}

// tell signals a change. One that nobody took yet stands for both.
func (r *routes) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Changed gets a value after commits that changed Routes or Addresses. One value
// stands for all commits since the last was taken, so read both again.
func (v *View) Changed() <-chan struct{} { return v.routes.changed }

// Routes returns the routes of the delegated prefixes that run, ordered by
// network and prefix.
func (v *View) Routes(now store.Clock) []Route {
	v.routes.mu.Lock()
	list := make([]Route, 0, len(v.routes.byAt))
	for _, r := range v.routes.byAt {
		if r.end > now.Uptime {
			list = append(list, r.Route)
		}
	}
	v.routes.mu.Unlock()
	slices.SortFunc(list, func(a, b Route) int {
		if c := strings.Compare(a.Network, b.Network); c != 0 {
			return c
		}
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
			return c
		}
		return a.Prefix.Bits() - b.Prefix.Bits()
	})
	return list
}
