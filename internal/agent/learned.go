package agent

import (
	"sync/atomic"
	"time"

	"damselfly/handlers/learn"
	"damselfly/handlers/secure"
	"damselfly/internal/binding"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// saveAgain is how long a write of learned addresses that failed waits.
const saveAgain = time.Second

// learned is what was learned of addresses: the slow lane's, but for what says
// otherwise.
type learned struct {
	a       *Agent
	table   *binding.Table
	lane    *learn.Lane
	told    *told
	signs   *secure.Shared
	snap    *topology.Snapshot // what the bindings were last held against
	failing bool
	// counts of events by kind, for anybody to read.
	counts [binding.Conflict + 1]atomic.Uint64
}

// openLearned reads the learned addresses from the store.
func (a *Agent) openLearned(now store.Clock, t *told) (*learned, error) {
	table, err := binding.Open(binding.InStore(a.store), now.Uptime, a.log)
	if err != nil {
		return nil, err
	}
	l := &learned{a: a, table: table, told: t, lane: &learn.Lane{Table: table}}
	table.Present = func(network, port string) bool {
		if l.snap == nil {
			return false
		}
		p := l.snap.PortNamed(port)
		return p != nil && p.OFPort != 0 && p.Network.Name == network
	}
	return l, nil
}

// begin holds the bindings against the topology that the group is decided in.
func (l *learned) begin(snap *topology.Snapshot, uptime time.Duration) {
	l.lane.Uptime = uptime
	if snap == l.snap || snap == nil {
		return
	}
	l.snap = snap
	l.table.Revise(l.keep)
}

// keep reports whether a binding may stay: the configuration gives the address
// to nobody, and the port may still learn. A port or network that is not there
// may come back.
func (l *learned) keep(b binding.Binding) bool {
	if p := l.snap.PortNamed(b.Port); p != nil && (p.Network.Name != b.Network || !p.Secured) {
		return false
	}
	n := l.snap.NetworkNamed(b.Network)
	if n == nil {
		return true
	}
	if _, shared := n.Shared(b.Addr); shared {
		return false
	}
	owner, known := n.Owner(b.Addr)
	return !known || owner.Learned
}

// finish does what is due, sends and tells what came of it, and makes it
// durable. It returns how long there is nothing to do.
func (l *learned) finish(r *pipeline.Replies) (rest time.Duration) {
	rest = l.table.Tick(l.lane.Uptime)
	for _, e := range l.table.Events() {
		l.counts[e.Kind].Add(1)
		if l.snap != nil {
			learn.Send(l.snap, e, l.signs, r)
		}
		l.tell(e)
	}
	changed, err := l.table.Commit()
	l.report(err)
	if changed {
		l.a.changed()
	}
	if err != nil {
		return min(rest, saveAgain)
	}
	return rest
}

// tell logs an event. Guests decide how often addresses come and go, and how many
// they contest: what is a warning is one for each port that does, now and then.
func (l *learned) tell(e binding.Event) {
	switch e.Kind {
	case binding.Learned:
		l.a.log.Debug("address learned", "network", e.Network, "address", e.Addr, "port", e.Port)
	case binding.Lost:
		l.a.log.Debug("address is used no more", "network", e.Network, "address", e.Addr, "port", e.Port)
	case binding.Superseded:
		l.a.log.Info("a learned address is given up: the configuration or a lease says otherwise", "network", e.Network, "address", e.Addr, "port", e.Port)
	case binding.Moved:
		l.told.warn("moved to "+e.Port, "an address moved: its former holder does not answer any more",
			"network", e.Network, "address", e.Addr, "port", e.Port, "former", e.Other)
	case binding.Conflict:
		l.told.warn("conflict of "+e.Port, "two ports want one address: the holder keeps it",
			"network", e.Network, "address", e.Addr, "holder", e.Other, "other", e.Port)
	}
}

// report tells when learned addresses can't be written any more, and when they
// can again.
func (l *learned) report(err error) {
	if (err != nil) == l.failing {
		return
	}
	l.failing = err != nil
	text := ""
	if err != nil {
		text = "learned addresses cannot be written, so a restart will have to learn them again: " + err.Error()
		l.a.log.Error("learned addresses cannot be written, so a restart will have to learn them again; look at the disk of `state`", "error", err)
	} else {
		l.a.log.Info("learned addresses are written again")
	}
	l.a.note(func(s *Status) { s.LearnError = text })
}

// held are the bindings as the topology takes them.
func (l *learned) held(keys topology.Keys) map[string][]topology.HeldAddress {
	out := map[string][]topology.HeldAddress{}
	for _, b := range l.table.View().Bound() {
		if key := keys.Ports[b.Port]; key != 0 {
			out[b.Network] = append(out[b.Network], topology.HeldAddress{Addr: b.Addr, Port: key})
		}
	}
	return out
}
