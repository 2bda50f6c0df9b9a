package replay

import (
	"time"

	"damselfly/handlers/mld"
	"damselfly/internal/multicast"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// listened is who listens to multicast groups and who routes them in a replay, by the
// capture's clock.
type listened struct {
	table *multicast.Table
	lane  *mld.Lane
}

func newListened() *listened {
	t := multicast.New(nil)
	return &listened{table: t, lane: &mld.Lane{Table: t}}
}

// at sets the clock to the time of a frame, and reports whether what is known changed by then.
// What Damselfly would have sent by itself until then is not part of a replay.
func (l *listened) at(t time.Time, s *topology.Snapshot) (changed bool) {
	l.lane.Uptime = time.Duration(t.UnixNano())
	l.table.Serve(l.lane.Uptime, s)
	l.table.Tick(l.lane.Uptime)
	l.table.Events()
	return l.table.Show()
}

// sent adds what a frame made Damselfly say of multicast.
func (l *listened) sent(r *pipeline.Replies) {
	l.table.Tick(l.lane.Uptime)
	events := l.table.Events()
	for i := range events {
		l.lane.Send(&events[i], r)
	}
}

// held is what is known as the topology takes it.
func (l *listened) held(keys topology.Keys) map[string]*topology.Listening {
	out := map[string]*topology.Listening{}
	for name, s := range l.table.View().Networks() {
		out[name] = s.Listening(keys)
	}
	return out
}
