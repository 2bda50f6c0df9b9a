package agent

import (
	"context"
	"log/slog"
	"time"

	"damselfly/internal/neighbor"
	"damselfly/internal/store"
	"damselfly/internal/wire"
)

// saveInterval is how often what was found of neighbours is written where it
// changed: beside the lanes, since nobody waits for it. What is lost by a crash is
// found again.
const saveInterval = time.Second

// neighborMemory keeps on disk who was found, so that the flows to neighbours stay
// over a restart. But for open it is one goroutine's.
type neighborMemory struct {
	store     *store.Store
	clock     func() store.Clock
	log       *slog.Logger
	neighbors map[neighbor.Place]store.Neighbor // as on disk, and the next too
	upstreams map[neighbor.Place]store.Upstream
	failing   bool
}

// openNeighborMemory reads what is on disk, and has it recalled.
func openNeighborMemory(s *store.Store, clock func() store.Clock, log *slog.Logger, table *neighbor.Table, routers *neighbor.Routers) (*neighborMemory, error) {
	m := &neighborMemory{store: s, clock: clock, log: log, neighbors: map[neighbor.Place]store.Neighbor{}, upstreams: map[neighbor.Place]store.Upstream{}}
	neighbors, upstreams, err := s.Neighbors()
	if err != nil {
		return nil, err
	}
	now := clock()
	for _, n := range neighbors {
		p := neighbor.Place{Network: n.Network, Addr: n.Addr}
		m.neighbors[p] = n
		table.Recall(now.Uptime, neighbor.Neighbor{Place: p, Port: n.Port, MAC: wire.MAC(n.MAC), Router: n.Router})
	}
	table.Show()
	var list []neighbor.Router
	for _, u := range upstreams {
		p := neighbor.Place{Network: u.Network, Addr: u.Addr}
		m.upstreams[p] = u
		list = append(list, neighbor.Router{Place: p, Preference: u.Preference, Until: now.Uptime + u.Until.Remaining(now)})
	}
	routers.Recall(now.Uptime, list)
	return m, nil
}

// save writes what differs from what is on disk. How long a default router lasts
// is written anew when half of it would be lost.
func (m *neighborMemory) save(known []neighbor.Neighbor, upstreams []neighbor.Router) error {
	now := m.clock()
	var c store.NeighborChanges
	there := make(map[neighbor.Place]bool, len(known))
	for _, n := range known {
		there[n.Place] = true
		r := store.Neighbor{Network: n.Network, Addr: n.Addr, Port: n.Port, MAC: n.MAC, Router: n.Router}
		if m.neighbors[n.Place] != r {
			c.Put = append(c.Put, r)
		}
	}
	for p, r := range m.neighbors {
		if !there[p] {
			c.Forget = append(c.Forget, r)
		}
	}
	listed := make(map[neighbor.Place]bool, len(upstreams))
	for _, u := range upstreams {
		listed[u.Place] = true
		left := u.Until - now.Uptime
		was, found := m.upstreams[u.Place]
		if !found || was.Preference != u.Preference || was.Until.Remaining(now) < left/2 || was.Until.Remaining(now) > left+time.Second {
			c.PutUpstreams = append(c.PutUpstreams, store.Upstream{Network: u.Network, Addr: u.Addr, Preference: u.Preference, Until: store.NewDeadline(now, left)})
		}
	}
	for p, r := range m.upstreams {
		if !listed[p] {
			c.ForgetUpstreams = append(c.ForgetUpstreams, r)
		}
	}
	if err := m.store.RecordNeighbors(c); err != nil {
		return err
	}
	for _, r := range c.Put {
		m.neighbors[neighbor.Place{Network: r.Network, Addr: r.Addr}] = r
	}
	for _, r := range c.Forget {
		delete(m.neighbors, neighbor.Place{Network: r.Network, Addr: r.Addr})
	}
	for _, r := range c.PutUpstreams {
		m.upstreams[neighbor.Place{Network: r.Network, Addr: r.Addr}] = r
	}
	for _, r := range c.ForgetUpstreams {
		delete(m.upstreams, neighbor.Place{Network: r.Network, Addr: r.Addr})
	}
	return nil
}

// report tells when nothing can be written any more, and when it can again.
func (m *neighborMemory) report(err error) {
	if (err != nil) == m.failing {
		return
	}
	if m.failing = err != nil; m.failing {
		m.log.Error("neighbours cannot be written, so a restart will have to find them again; look at the disk of `state`", "error", err)
	} else {
		m.log.Info("neighbours are written again")
	}
}

// run writes what changed, until ctx ends.
func (l *neighbors) run(ctx context.Context) error {
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		if !l.unsaved.Swap(false) {
			continue
		}
		err := l.memory.save(l.table.View().Known(), *l.upstream.Load())
		l.memory.report(err)
		if err != nil {
			l.unsaved.Store(true)
		}
	}
	return nil
}
