package agent

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"damselfly/handlers/mld"
	"damselfly/internal/bridge"
	"damselfly/internal/multicast"
	"damselfly/internal/openflow"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// listeners is what was found out of who listens to multicast groups and who routes
// them: the slow lane's, but for what says otherwise.
type listeners struct {
	a     *Agent
	table *multicast.Table
	lane  *mld.Lane
	// counts are the events by kind, for anybody to read.
	counts [multicast.Kinds]atomic.Uint64
	// keyed is what reconciling made of the View last.
	keyed listenedByKey
	// kept is who the store has as advertising; gone are its networks where nobody does
	// any more, until that was told.
	kept map[string]multicast.Advertiser
	gone []string
	// older are the networks where a querier of version 1 was warned of.
	older map[string]bool
}

// newListeners knows nobody yet: what the bridge held is adopted before it changes.
func (a *Agent) newListeners() (*listeners, error) {
	t := multicast.New(func(d time.Duration) time.Duration { return rand.N(max(d, 1)) })
	l := &listeners{a: a, table: t, lane: &mld.Lane{Table: t}, kept: map[string]multicast.Advertiser{}}
	kept, err := a.store.MulticastRouters()
	if err != nil {
		return nil, err
	}
	var before []multicast.Advertiser
	for _, r := range kept {
		l.kept[r.Network] = multicast.Advertiser{Network: r.Network, LinkLocal: r.LinkLocal, MAC: r.MAC}
		before = append(before, l.kept[r.Network])
	}
	t.Remember(before)
	return l, nil
}

// keep records who advertises by now, before anybody hears it. That it ended is
// recorded by forget, once that was told. What cannot be recorded costs a termination
// after a crash, no more.
func (l *listeners) keep() {
	now, changed := l.table.Advertisers()
	if !changed {
		return
	}
	var fresh []store.MulticastRouter
	for name, a := range now {
		if l.kept[name] != a {
			fresh = append(fresh, store.MulticastRouter{Network: name, LinkLocal: a.LinkLocal, MAC: a.MAC})
		}
	}
	l.gone = nil
	for name := range l.kept {
		if _, still := now[name]; !still {
			l.gone = append(l.gone, name)
		}
	}
	l.record(fresh)
	l.kept = now
}

// forget drops from the store who advertises no more.
func (l *listeners) forget() {
	gone := l.gone
	l.gone = nil
	l.record(nil, gone...)
}

func (l *listeners) record(fresh []store.MulticastRouter, gone ...string) {
	if err := l.a.store.RecordMulticastRouters(fresh, gone...); err != nil {
		l.a.log.Error("who advertises itself as a multicast router is not recorded", "error", err)
	}
}

// begin makes ready for a group of messages.
func (l *listeners) begin(snap *topology.Snapshot, uptime time.Duration) {
	l.lane.Snapshot, l.lane.Uptime = snap, uptime
}

// serve makes a snapshot that the bridge holds the one that listeners are asked on.
func (l *listeners) serve(snap *topology.Snapshot) { l.table.Serve(l.lane.Uptime, snap) }

// finish does what is due, and sends what came of it. It returns how long there is
// nothing to do.
func (l *listeners) finish(r *pipeline.Replies) (rest time.Duration) {
	if l.lane.Snapshot == nil {
		return multicast.Idle
	}
	rest = l.table.Tick(l.lane.Uptime)
	l.keep()
	for events := l.table.Events(); len(events) > 0; events = events[1:] {
		l.counts[events[0].Kind].Add(1)
		l.lane.Send(&events[0], r)
	}
	l.forget()
	if l.table.Show() {
		l.warn()
		l.a.changed()
	}
	return rest
}

// warn warns of each querier of version 1 that came: "If a router is not explicitly
// configured to use MLDv1 and receives an MLDv1 General Query, it SHOULD log a
// warning. These warnings MUST be rate-limited" (RFC 9777 section 8.3.1).
func (l *listeners) warn() {
	before := l.older
	l.older = nil
	for name, s := range l.table.View().Networks() {
		if !s.Older {
			continue
		}
		if !before[name] {
			l.a.log.Warn("a multicast router asks for listeners by MLD version 1, which knows no sources: have it use version 2", "network", name)
		}
		if l.older == nil {
			l.older = map[string]bool{}
		}
		l.older[name] = true
	}
}

// listenedByKey gives what is shown by name as the topology takes it.
type listenedByKey struct {
	keys  topology.Keys
	shown map[string]*multicast.Shown
	made  map[string]*topology.Listening
}

// of returns what is known by network; one of which nothing changed keeps its pointer.
func (b *listenedByKey) of(view *multicast.View, keys topology.Keys) map[string]*topology.Listening {
	now := view.Networks()
	same := maps.Equal(b.keys.Ports, keys.Ports)
	made := make(map[string]*topology.Listening, len(now))
	for name, s := range now {
		if old := b.made[name]; same && b.shown[name] == s {
			made[name] = old
		} else {
			made[name] = s.Listening(keys)
		}
	}
	b.keys, b.shown, b.made = keys, now, made
	return made
}

// heldListening is what a bridge was found to hold of who listens on the networks of
// a snapshot, by their names.
func heldListening(held map[uint16]*topology.Listening, snap *topology.Snapshot) map[string]*multicast.Shown {
	out := map[string]*multicast.Shown{}
	name := func(key uint16) string {
		if p := snap.Port(key); p != nil {
			return p.Name
		}
		return ""
	}
	for key, l := range held {
		n := snap.Network(key)
		if n == nil || n.Multicast == nil {
			continue
		}
		s := &multicast.Shown{}
		for _, r := range l.Routers {
			s.Routers = append(s.Routers, name(r))
		}
		for i := range l.Groups {
			g := multicast.ShownGroup{Group: l.Groups[i].Group, Slot: l.Groups[i].Slot}
			for _, p := range l.Groups[i].Ports {
				g.Ports = append(g.Ports, multicast.ShownPort{Port: name(p.Port), Exclude: p.Exclude, Sources: p.Sources})
			}
			s.Groups = append(s.Groups, g)
		}
		out[n.Name] = s
	}
	return out
}

// adoptListeners takes over, once, what the bridge holds of who listens, before
// anything of it is changed. It reports whether a new snapshot is due because of it.
func (a *Agent) adoptListeners(ctx context.Context, conn *openflow.Conn, snap *topology.Snapshot) (adopted bool, err error) {
	if a.state.listenersAdopted {
		return false, nil
	}
	var shown map[string]*multicast.Shown
	for _, n := range snap.Networks {
		if n.Multicast != nil {
			held, err := bridge.Listening(ctx, conn, a.ids)
			if err != nil {
				return false, err
			}
			shown = heldListening(held, snap)
			break
		}
	}
	a.state.listenersAdopted = true
	if len(shown) == 0 {
		return false, nil
	}
	return true, a.leases.owner.Call(ctx, func(r *pipeline.Replies) {
		l := a.leases.listeners
		l.begin(snap, a.leases.now().Uptime)
		l.serve(snap)
		for name, s := range shown {
			l.table.Adopt(l.lane.Uptime, name, s)
		}
		a.leases.owner.TickIn(l.finish(r))
	})
}

// plannedListening is what a run would know at first of who listens, of what a bridge
// holds and of what is configured.
func plannedListening(snap *topology.Snapshot, keys topology.Keys, held map[uint16]*topology.Listening) map[string]*topology.Listening {
	t := multicast.New(nil)
	const now = time.Hour
	t.Serve(now, snap)
	for name, s := range heldListening(held, snap) {
		t.Adopt(now, name, s)
	}
	t.Show()
	return new(listenedByKey).of(t.View(), keys)
}
