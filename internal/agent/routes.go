package agent

import (
	"net/http"
	"net/netip"

	"damselfly/internal/topology"
)

// RouteStatus is one route that GET /routes lists; of one with several next hops
// each is a route.
type RouteStatus struct {
	Router string       `json:"router"`
	Prefix netip.Prefix `json:"prefix"`
	// Type is unicast, blackhole, reject or prohibit; Origin is connected,
	// delegated, static or learned.
	Type   string `json:"type"`
	Origin string `json:"origin"`
	// Network is where packets leave, "" where they end.
	Network string `json:"network,omitempty"`
	// NextHop is the neighbour that takes them, invalid where that is their
	// destination itself, and Port where it is; "" if that is not known.
	NextHop netip.Addr `json:"nexthop,omitzero"`
	Port    string     `json:"port,omitempty"`
}

// serveRoutes answers GET /routes: all routes of all routers, by router and prefix.
func (a *Agent) serveRoutes(w http.ResponseWriter, _ *http.Request) {
	list := []RouteStatus{}
	if s := a.snapshot.Load(); s != nil {
		list = routesOf(s)
	}
	reply(w, list)
}

func routesOf(s *topology.Snapshot) []RouteStatus {
	list := []RouteStatus{}
	for _, r := range s.Routers {
		for _, route := range r.Table() {
			for _, hop := range route.Hops() {
				status := RouteStatus{
					Router: r.Name, Prefix: route.Prefix, Type: route.Type.String(), Origin: route.Origin.String(),
					Network: hop.Network.Name, NextHop: hop.NextHop,
				}
				if p := s.Port(hop.Port); p != nil {
					status.Port = p.Name
				}
				list = append(list, status)
			}
		}
	}
	return list
}
