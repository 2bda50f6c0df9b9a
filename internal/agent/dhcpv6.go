package agent

import (
	"crypto/rand"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/handlers"
	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/learn"
	"damselfly/handlers/mld"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/handlers/secure"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/slowlane"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Places of the slow lane: how many requests of one worker wait at most, and
// which part of them one port may fill. A relay's port, whose budget is raised,
// must outlast a disk that stalls: half the places are a quarter of a second at
// 8,000 exchanges a second.
const (
	slowPlaces = 8192
	slowShare  = 2
)

// slowPace is the least time between groups under load, so that requests share
// syncs and wake-ups: some ten at 10,000 exchanges a second. Four times as long cost
// half of the exchanges where 64 clients wait, and saved next to no processor time.
const slowPace = time.Millisecond

// expireMost is how many ended leases are swept before one group of requests.
const expireMost = 256

// leases is the DHCPv6 server at work: who holds what, and the slow lane that
// changes it.
type leases struct {
	a     *Agent
	book  *lease.Book // the slow lane's
	owner *slowlane.Owner
	boot  store.BootID
	// deciding is the slow lane's server, workers those of the lanes.
	deciding *dhcpv6.Server
	decider  *handlers.Decider
	workers  []*dhcpv6.Server
	rings    []*slowlane.Ring // of the workers
	asking   *asking
	told     told   // the slow lane's
	replay   replay // the slow lane's
	failing  bool   // the latest write failed; the slow lane's
	// probe tries whether the state can be written; the slow lane's.
	probe     func() error
	learned   *learned
	neighbors *neighbors
	listeners *listeners
}

// watched is the Storage of leases that has each write's end reported.
type watched struct {
	lease.Storage
	report func(error)
}

// Apply implements lease.Storage.
func (w watched) Apply(changes []lease.Change) error {
	err := w.Storage.Apply(changes)
	w.report(err)
	return err
}

// openLeases reads the leases from the store and sets the slow lane up.
func (a *Agent) openLeases() (*leases, error) {
	now, err := store.ReadClock()
	if err != nil {
		return nil, err
	}
	l := &leases{a: a, boot: now.Boot, told: newTold(a.log), replay: replay{store: a.store, wall: time.Now, log: a.log}}
	book, err := lease.Open(watched{lease.InStore(a.store), l.report}, now, a.log)
	if err != nil {
		return nil, err
	}
	l.book = book
	l.probe = func() error { return tryWriting(a.store) }
	l.asking = newAsking(l.sendReconfigure, a.log)
	if l.learned, err = a.openLearned(now, &l.told); err != nil {
		return nil, err
	}
	if l.neighbors, err = a.openNeighbors(l.now, &l.told); err != nil {
		return nil, err
	}
	if l.listeners, err = a.newListeners(); err != nil {
		return nil, err
	}
	wake := make(chan struct{}, 1)
	a.secured = a.newSecured(wake)
	l.learned.signs = a.secured.shared
	l.owner = &slowlane.Owner{
		Rings: []*slowlane.Ring{a.secured.onward},
		Wake:  wake, Decide: l.decide, Tick: l.tick, Sink: a.sink, Log: a.log, Pace: slowPace,
		Count: func(port uint16, class uint8, r pipeline.Reason) { a.stats.Add(lanes, port, class, r) },
	}
	_, _ = l.replay.next() // so that no client waits for the era; without one it is tried again
	id := codec.DUID(book.DUID())
	l.deciding = &dhcpv6.Server{ID: id, Reconfigures: true, NewKey: newKey, NextReplay: l.replay.next, Uplink: &a.relay}
	l.decider = handlers.NewDecider(handlers.Services{DHCPv6: l.deciding, Learn: l.learned.lane, Resolve: l.neighbors.lane, Listen: l.listeners.lane,
		Secure: &secure.Lane{Shared: a.secured.shared}}, a.log)
	for range lanes {
		ring := slowlane.NewRing(slowPlaces, slowShare, wake)
		l.owner.Rings = append(l.owner.Rings, ring)
		l.rings = append(l.rings, ring)
		l.workers = append(l.workers, &dhcpv6.Server{
			ID: id, Committed: &dhcpv6.Committed{View: book.View()}, Slow: ring, Reconfigures: true,
			Heard: l.asking.heard,
		})
	}
	return l, nil
}

// newKey makes a reconfigure key (RFC 9915 section 20.4.1).
func newKey() (key [codec.KeyLen]byte) {
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	return key
}

// now is this moment in both times the machine knows.
func (l *leases) now() store.Clock {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // it worked when the leases were opened
	return store.Clock{Wall: time.Now(), Boot: l.boot, Uptime: time.Duration(ts.Nano())}
}

// handler is the Handler of lane n: the fast lane, and the door to the slow one.
func (l *leases) handler(n int) pipeline.Handler {
	committed := l.workers[n].Committed.(*dhcpv6.Committed)
	ring, signed := l.rings[n], l.a.secured.owner.Rings[n]
	services := &handlers.Services{DHCPv6: l.workers[n], Learn: &learn.Lane{Slow: ring}, Resolve: &resolve.Lane{Slow: ring}, Listen: &mld.Lane{Slow: ring},
		Secure: &secure.Lane{Shared: l.a.secured.shared, Slow: signed}, Matched: l.a.rules.matched}
	decide := services.Bind(l.a.snapshot.Load, time.Now, l.a.log)
	return func(batch []pipeline.Frame, r *pipeline.Replies, reasons []pipeline.Reason) {
		committed.Now = l.now()
		decide(batch, r, reasons)
		ring.Wake()
		signed.Wake()
	}
}

// decide is the slow lane: it decides a group, commits once and only then lets
// the answers go. What could not be written is not answered. Messages about
// addresses that are learned come after the leases, since a disk that is full
// does not keep them from being answered.
func (l *leases) decide(batch []slowlane.Request, r *pipeline.Replies, reasons []pipeline.Reason) {
	now := l.now()
	snap := l.a.snapshot.Load()
	l.learned.begin(snap, now.Uptime)
	l.neighbors.begin(snap, now.Uptime)
	l.listeners.begin(snap, now.Uptime)
	l.decideLeases(now, snap, batch, r, reasons)
	for i := range batch {
		if reasons[i] == pipeline.Unset {
			reasons[i] = l.decider.DecideAddress(snap, now.Wall, &batch[i].Frame, r)
		}
	}
	l.owner.TickIn(min(l.learned.finish(r), l.neighbors.finish(r), l.listeners.finish(r)))
}

// decideLeases decides what of a group changes leases, and commits.
func (l *leases) decideLeases(now store.Clock, snap *topology.Snapshot, batch []slowlane.Request, r *pipeline.Replies, reasons []pipeline.Reason) {
	l.deciding.Now = now
	tx := l.book.Begin(now)
	ended := tx.Expire(expireMost)
	l.told.begin(tx, now.Uptime)
	made := len(r.List())
	l.told.exhausted.look(snap, tx, now.Uptime)
	for i := range batch {
		reasons[i] = l.decider.Decide(snap, now.Wall, &l.told, &batch[i].Frame, r)
	}
	if tx.Commit() == nil {
		l.expired(ended)
		l.told.committed()
		return
	}
	r.Undo(made)
	for i := range batch {
		if reason.Replies(reasons[i]) {
			reasons[i] = reason.NotDurable
		}
	}
}

// tick does what is due of leases and learned addresses, and says when to look
// again.
func (l *leases) tick(r *pipeline.Replies) time.Duration {
	now := l.now()
	l.told.uptime = now.Uptime
	snap := l.a.snapshot.Load()
	l.learned.begin(snap, now.Uptime)
	l.neighbors.begin(snap, now.Uptime)
	l.listeners.begin(snap, now.Uptime)
	return min(l.tickLeases(now), l.learned.finish(r), l.neighbors.finish(r), l.listeners.finish(r))
}

// tickLeases ends what has run out.
func (l *leases) tickLeases(now store.Clock) time.Duration {
	const rest, again = 2 * time.Second, time.Second
	if l.failing {
		// Guests that got no answer may be long in coming again.
		l.report(l.probe())
	}
	tx := l.book.Begin(now)
	ended := tx.Expire(expireMost)
	l.told.exhausted.look(l.a.snapshot.Load(), tx, now.Uptime)
	// Also one that ended nothing: it gives clients their place among the timers
	// again.
	if tx.Commit() != nil {
		return again
	}
	l.expired(ended)
	if l.failing {
		return again
	}
	wait, ok := l.book.NextExpiry(now)
	if !ok {
		return rest
	}
	return min(max(wait, 10*time.Millisecond), rest)
}

// expired tells of leases that have ended.
func (l *leases) expired(n int) {
	if n > 0 {
		l.a.log.Debug("leases expired", "leases", n)
	}
}

// report tells when leases can't be written any more, and when they can again.
func (l *leases) report(err error) {
	if (err != nil) == l.failing {
		return
	}
	l.failing = err != nil
	text := ""
	if err != nil {
		text = "leases cannot be written, so none are given: " + err.Error()
		l.a.log.Error("leases cannot be written, so none are given; look at the disk of `state`", "error", err)
	} else {
		l.a.log.Info("leases are written again")
	}
	l.a.note(func(s *Status) { s.LeaseError = text })
}

// probeSize is about what a full group of leases takes, in octets: a small record
// finds room on a disk where those have none.
const probeSize = 64 << 10

// tryWriting writes a record and deletes it again.
func tryWriting(s *store.Store) error {
	key := []byte("probe")
	if err := s.Update(func(tx *store.Tx) error { return tx.Put(store.BucketServer, key, make([]byte, probeSize)) }); err != nil {
		return err
	}
	return s.Update(func(tx *store.Tx) error { return tx.Delete(store.BucketServer, key) })
}

// leased are the addresses leased to ports as the topology takes them. What
// stands behind a relay is not the port's.
func (l *leases) leased(keys topology.Keys, spec *topology.Spec) map[string][]topology.HeldAddress {
	relays := relayPorts(spec)
	out := map[string][]topology.HeldAddress{}
	l.book.View().Held(func(port string, a lease.HeldAddress) {
		if key := keys.Ports[port]; key != 0 && !relays[port] {
			out[a.Network] = append(out[a.Network], topology.HeldAddress{Addr: a.Addr, Port: key})
		}
	})
	return out
}

// relayPorts are the names of the ports behind which relays stand.
func relayPorts(spec *topology.Spec) map[string]bool {
	relays := map[string]bool{}
	for i := range spec.Ports {
		if p := &spec.Ports[i]; p.DHCPv6Relay {
			relays[p.Name] = true
		}
	}
	return relays
}

// delegated are the routes of delegated prefixes as the topology takes them.
func (l *leases) delegated(keys topology.Keys) map[string][]topology.DelegatedPrefix {
	out := map[string][]topology.DelegatedPrefix{}
	for _, r := range l.book.View().Routes(l.now()) {
		if key := keys.Ports[r.Port]; key != 0 {
			out[r.Network] = append(out[r.Network], topology.DelegatedPrefix{
				Prefix: r.Prefix, Port: key, NextHop: r.NextHop, MAC: r.MAC,
			})
		}
	}
	return out
}
