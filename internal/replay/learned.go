package replay

import (
	"log/slog"
	"time"

	"damselfly/handlers/learn"
	"damselfly/internal/binding"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// learned are the addresses learned in a replay, in memory, by the capture's clock.
type learned struct {
	table *binding.Table
	lane  *learn.Lane
}

// openLearned starts without any. All ports are present: a capture does not say
// when a guest was away.
func openLearned() (*learned, error) {
	table, err := binding.Open(forgetful{}, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	table.Present = func(string, string) bool { return true }
	return &learned{table: table, lane: &learn.Lane{Table: table}}, nil
}

// at sets the clock to the time of a frame, has happen what was due until then
// and reports whether what is learned changed. What Damselfly would have sent by
// itself is not part of a replay: nobody is there to hear it.
func (l *learned) at(t time.Time) (changed bool) {
	l.lane.Uptime = time.Duration(t.UnixNano())
	l.table.Tick(l.lane.Uptime)
	l.table.Events()
	changed, _ = l.table.Commit() // into memory
	return changed
}

// sent adds what a frame made Damselfly say beside its answer.
func (l *learned) sent(s *topology.Snapshot, r *pipeline.Replies) {
	for _, e := range l.table.Events() {
		learn.Send(s, e, nil, r)
	}
}

// held are the learned addresses as the topology takes them.
func (l *learned) held(keys topology.Keys) map[string][]topology.HeldAddress {
	out := map[string][]topology.HeldAddress{}
	for _, b := range l.table.View().Bound() {
		out[b.Network] = append(out[b.Network], topology.HeldAddress{Addr: b.Addr, Port: keys.Ports[b.Port]})
	}
	return out
}

// forgetful is a binding.Storage that lasts as long as the replay.
type forgetful struct{}

// Load implements binding.Storage.
func (forgetful) Load(func(key, value []byte)) error { return nil }

// Apply implements binding.Storage.
func (forgetful) Apply([]binding.Change) error { return nil }
