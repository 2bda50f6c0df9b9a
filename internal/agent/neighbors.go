package agent

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"damselfly/flows"
	"damselfly/handlers/resolve"
	"damselfly/internal/neighbor"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// neighbors is what was found out of neighbours that nobody configured and of
// routers behind uplinks: the slow lane's, but for what says otherwise.
type neighbors struct {
	a       *Agent
	table   *neighbor.Table
	routers neighbor.Routers
	lane    *resolve.Lane
	told    *told
	snap    *topology.Snapshot // what the neighbours were last held against
	// upstream are the default routers, counts the events by kind: for anybody to read.
	upstream atomic.Pointer[[]neighbor.Router]
	// unsaved says that memory is behind; memory is run's.
	unsaved atomic.Bool
	memory  *neighborMemory
	counts  [neighbor.Kinds]atomic.Uint64
}

// openNeighbors knows who was there before a restart: whether they still are is
// found out.
func (a *Agent) openNeighbors(clock func() store.Clock, t *told) (l *neighbors, err error) {
	l = &neighbors{a: a, told: t, table: neighbor.New(neighbor.DefaultBounds(), spread)}
	l.lane = &resolve.Lane{Table: l.table, Routers: &l.routers}
	l.memory, err = openNeighborMemory(a.store, clock, a.log, l.table, &l.routers)
	list := l.routers.List()
	l.upstream.Store(&list)
	return l, err
}

// spread is a uniformly distributed time between half of d and one and a half of
// it (RFC 4861 section 6.3.2).
func spread(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// begin holds the neighbours against the topology that the group is decided in.
func (l *neighbors) begin(snap *topology.Snapshot, uptime time.Duration) {
	l.lane.Uptime = uptime
	if snap == l.snap || snap == nil {
		return
	}
	l.snap = snap
	l.table.Settle(l.settled)
	l.table.Revise(l.keep)
	var listening []string
	for _, n := range snap.Networks {
		if p := n.Uplink(); p != nil && p.AcceptRA && n.Resolves() {
			listening = append(listening, n.Name)
		}
	}
	l.routers.Serve(uptime, listening)
	l.pin()
}

// settled is where an address is that was asked for and whose holder the topology
// knows by now: a guest that answered was learned to hold it.
func (l *neighbors) settled(p neighbor.Place) (port string, mac wire.MAC, ok bool) {
	n := l.snap.NetworkNamed(p.Network)
	if n == nil {
		return "", mac, false
	}
	owner, known := n.Owner(p.Addr)
	if !known || owner.Port == nil || owner.Port.OFPort == 0 {
		return "", mac, false
	}
	return owner.Port.Name, owner.MAC, true
}

// keep reports whether a neighbour may stay: somebody may still be where it is,
// and nobody is known to have its address.
func (l *neighbors) keep(n neighbor.Neighbor) bool {
	on := l.snap.NetworkNamed(n.Network)
	if on == nil || !on.Asks(n.Addr) {
		return false
	}
	if _, known := on.Owner(n.Addr); known {
		return false
	}
	p := l.snap.PortNamed(n.Port)
	return n.MAC.IsZero() || p != nil && !p.Secured && p.OFPort != 0 && p.Network.Key == on.Key
}

// pin has the next hops of routes found and watched.
func (l *neighbors) pin() {
	hops := map[neighbor.Place]bool{}
	for _, r := range l.snap.Routers {
		r.NextHops(func(network string, a netip.Addr) { hops[neighbor.Place{Network: network, Addr: a}] = true })
	}
	for _, r := range l.routers.List() {
		hops[r.Place] = true
	}
	l.table.Pin(l.lane.Uptime, hops)
}

// finish does what is due, and sends and tells what came of it. It returns how
// long there is nothing to do.
func (l *neighbors) finish(r *pipeline.Replies) (rest time.Duration) {
	if l.snap == nil {
		return neighbor.Idle
	}
	rest = l.routers.Tick(l.lane.Uptime, func(network string) { resolve.SolicitRouters(l.snap, network, r) })
	moved := l.routers.Changed()
	if moved {
		l.pin()
	}
	rest = min(rest, l.table.Tick(l.lane.Uptime))
	for events := l.table.Events(); len(events) > 0; events = events[1:] {
		e := &events[0]
		l.counts[e.Kind].Add(1)
		resolve.Send(l.snap, e, r)
		l.tell(e)
		if e.Kind == neighbor.NoRouter {
			l.routers.Gone(e.Place)
		}
	}
	if l.routers.Changed() {
		l.pin()
		moved, rest = true, 0 // what that asks is sent at the next tick
	}
	if l.routers.Renewed() || moved {
		list := l.routers.List()
		l.upstream.Store(&list)
		l.unsaved.Store(true)
	}
	if l.table.Show() || moved {
		l.unsaved.Store(true)
		l.a.changed()
	}
	return rest
}

// tell logs an event. What becomes of next hops an operator wants to know; other
// neighbours come and go.
func (l *neighbors) tell(e *neighbor.Event) {
	args := []any{"network", e.Network, "address", e.Addr, "port", e.Port, "mac", e.MAC.String()}
	router := l.routers.On(e.Network, e.Addr)
	switch {
	case e.Kind == neighbor.Resolved:
		l.a.log.Debug("neighbour found", args...)
	case e.Kind == neighbor.Moved && router:
		l.told.warn("router "+e.Addr.String(), "a router has another MAC now", args...)
	case e.Kind == neighbor.Lost && router:
		l.told.warn("router "+e.Addr.String(), "a router does not answer any more", args...)
	case e.Kind == neighbor.NoRouter && router:
		l.told.warn("router "+e.Addr.String(), "a router says that it is none any more", args...)
	case e.Kind == neighbor.Lost, e.Kind == neighbor.Forgotten, e.Kind == neighbor.Moved:
		l.a.log.Debug("neighbour "+e.Kind.String(), args...)
	}
}

// found are the neighbours as the topology takes them.
func (l *neighbors) found(keys topology.Keys) map[string][]topology.Neighbor {
	out := map[string][]topology.Neighbor{}
	for _, n := range l.table.View().Known() {
		if key := keys.Ports[n.Port]; key != 0 {
			out[n.Network] = append(out[n.Network], topology.Neighbor{Addr: n.Addr, Port: key, MAC: n.MAC})
		}
	}
	return out
}

// heard are the default routers as the topology takes them.
func (l *neighbors) heard() map[string][]topology.Upstream {
	out := map[string][]topology.Upstream{}
	for _, r := range *l.upstream.Load() {
		out[r.Network] = append(out[r.Network], topology.Upstream{Router: r.Addr, Preference: topology.Preference(r.Preference)})
	}
	return out
}

// useInterval is how often counters of flows are read for who was used.
const useInterval = 5 * time.Second

// watchUse tells the slow lane which neighbours flows carried packets to: the
// stale ones among them are to be asked whether they are there (RFC 4861 section
// 7.3.3).
func (a *Agent) watchUse(ctx context.Context) error {
	tick := time.NewTicker(useInterval)
	defer tick.Stop()
	var last map[uint32]uint64 // nil before the first look
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if len(a.leases.neighbors.table.View().Known()) == 0 {
			last = map[uint32]uint64{}
			continue
		}
		now, err := a.neighborPackets(ctx)
		if err != nil {
			continue // the connection's own watch sees to it
		}
		if last == nil {
			last = now // what flows carried before a restart is no use of now
		}
		used := map[uint32]bool{}
		grown(last, now, func(id uint32, _ uint64) { used[id] = true })
		last = now
		if len(used) > 0 {
			_ = a.leases.owner.Call(ctx, func(*pipeline.Replies) { a.leases.neighbors.used(used) }) // it has ended, and so do we
		}
	}
}

// lookAround has next hops, routers and listeners of a new snapshot asked for at once.
func (l *leases) lookAround(ctx context.Context, snap *topology.Snapshot) {
	_ = l.owner.Call(ctx, func(r *pipeline.Replies) { // at its end there is nobody to ask for
		now := l.now().Uptime
		l.neighbors.begin(snap, now)
		l.listeners.begin(snap, now)
		l.listeners.serve(snap)
		l.owner.TickIn(min(l.neighbors.finish(r), l.listeners.finish(r)))
	})
}

// neighborPackets counts the packets of the flows to found neighbours, by
// flows.NeighborID.
func (a *Agent) neighborPackets(ctx context.Context) (map[uint32]uint64, error) {
	out := map[uint32]uint64{}
	conn := a.connection()
	if conn == nil {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	cookie, mask := flows.RoleNeighbor.Select()
	stats, err := conn.TableStats(ctx, flows.TableNeighbor, cookie, mask)
	for _, f := range stats {
		out[f.Cookie.Object()] += f.Packets
	}
	return out, err
}

// used takes which neighbours were used, by flows.NeighborID.
func (l *neighbors) used(ids map[uint32]bool) {
	if l.snap == nil {
		return
	}
	now := l.a.leases.now().Uptime
	for _, n := range l.table.View().Known() {
		if on := l.snap.NetworkNamed(n.Network); on != nil && ids[flows.NeighborID(on.Key, n.Addr)] {
			l.table.Used(now, n.Place)
		}
	}
	l.a.leases.owner.TickIn(0)
}
