package agent

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"damselfly/internal/neighbor"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

var (
	routesDesc    = desc("routes", "Routes of a router by where they come from and by what becomes of packets.", "router", "origin", "type")
	hoplessDesc   = desc("routes_unresolved", "Routes of a router to next hops of which none is known to be there.", "router")
	knownDesc     = desc("neighbors", "Neighbours that nobody configured, by the state of RFC 4861 section 7.3.2.", "network", "state")
	defaultsDesc  = desc("default_routers", "Default routers that advertise themselves behind a network's uplink, by whether they are known to be there.", "network", "there")
	neighborsDesc = desc("neighbor_events_total", "What was asked and found of neighbours that nobody configured: questions (ask, ask-holder), answers that resolved one, moves, those whose resolution failed (unreachable), losses.", "event")
)

// routes tells what routes there are, and which lead nowhere for now.
func (c collector) routes(gauge func(*prometheus.Desc, float64, ...string), snap *topology.Snapshot) {
	if snap == nil {
		return
	}
	type kind struct {
		origin topology.RouteOrigin
		typ    topology.RouteType
	}
	for _, r := range snap.Routers {
		counts, hopless := map[kind]int{}, 0
		for _, n := range r.Networks {
			counts[kind{topology.Connected, topology.Unicast}] += len(n.Connected())
		}
		for i := range r.Routes {
			route := &r.Routes[i]
			counts[kind{route.Origin, route.Type}]++
			if route.Type == topology.Unicast && route.NextHop.IsValid() && route.Port == 0 {
				hopless++ // of several, the first that is there counts
			}
		}
		for k, n := range counts {
			gauge(routesDesc, float64(n), r.Name, k.origin.String(), k.typ.String())
		}
		gauge(hoplessDesc, float64(hopless), r.Name)
	}
}

// neighbors tells what was found of neighbours that nobody configured, and who of
// them is a default router.
func (c collector) neighbors(ctx context.Context, counter func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string), snap *topology.Snapshot) {
	l := c.a.leases.neighbors
	for kind := range neighbor.Kinds {
		counter(neighborsDesc, l.counts[kind].Load(), kind.String())
	}
	var counts map[string][neighbor.States]int
	_ = c.a.leases.owner.Call(ctx, func(*pipeline.Replies) { counts = l.table.Counts() }) // at its end there are none
	for network, states := range counts {
		for s, n := range states {
			gauge(knownDesc, float64(n), network, neighbor.State(s).String())
		}
	}
	if snap == nil {
		return
	}
	for _, n := range snap.Networks {
		if p := n.Uplink(); p == nil || !p.AcceptRA {
			continue
		}
		there := 0
		for _, u := range n.Upstream {
			if _, known := n.Resolved(u.Router); known {
				there++
			}
		}
		gauge(defaultsDesc, float64(there), n.Name, "yes")
		gauge(defaultsDesc, float64(len(n.Upstream)-there), n.Name, "no")
	}
}
