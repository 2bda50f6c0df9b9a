package replay

import (
	"time"

	"damselfly/handlers/resolve"
	"damselfly/internal/neighbor"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// resolved are the neighbours found in a replay, by the capture's clock. They do
// not become part of the topology.
type resolved struct {
	table   *neighbor.Table
	routers neighbor.Routers
	lane    *resolve.Lane
}

func newResolved() *resolved {
	l := &resolved{table: neighbor.New(neighbor.DefaultBounds(), nil)}
	l.lane = &resolve.Lane{Table: l.table, Routers: &l.routers}
	return l
}

// at sets the clock to the time of a frame. What Damselfly would have sent by
// itself until then is not part of a replay.
func (l *resolved) at(t time.Time) {
	l.lane.Uptime = time.Duration(t.UnixNano())
	l.table.Tick(l.lane.Uptime)
	l.table.Events()
}

// sent adds what a frame made Damselfly ask.
func (l *resolved) sent(s *topology.Snapshot, r *pipeline.Replies) {
	events := l.table.Events()
	for i := range events {
		resolve.Send(s, &events[i], r)
	}
}
