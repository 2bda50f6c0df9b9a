package neighbor

import (
	"time"

	"damselfly/internal/wire"
)

// Advert is a valid Neighbor Advertisement from a port where unknown neighbours
// may be.
type Advert struct {
	Place
	Port string
	// MAC is its target link-layer address, zero for none.
	MAC wire.MAC
	// Router, Solicited and Override are its flags (RFC 4861 section 4.4).
	Router, Solicited, Override bool
	// Most is how many neighbours may be known behind the port.
	Most int
}

// Advertised takes an advertisement (RFC 4861 section 7.2.5 and RFC 9131 section
// 4.1). It reports whether anything came of it.
func (t *Table) Advertised(now time.Duration, a Advert) bool {
	e := t.entries[a.Place]
	switch {
	case e == nil || e.mac.IsZero():
		return t.met(now, e, a)
	case a.Port != e.port:
		// Anybody on the link can claim any address, and what is behind an uplink
		// is not to be had by who is not. So the one that is known is asked; if it
		// is gone, the address is asked for anew.
		t.doubt(now, e)
		return false
	case !a.MAC.IsZero() && a.MAC != e.mac && !a.Override:
		if e.state == ReachableState {
			t.stale(now, e)
		}
		return true
	}
	moved := !a.MAC.IsZero() && a.MAC != e.mac
	if moved {
		t.place(e, a.Port, a.MAC)
		t.tell(Moved, e)
	}
	if e.router && !a.Router {
		t.tell(NoRouter, e)
	}
	e.router = a.Router
	switch {
	case a.Solicited:
		t.reachable(now, e)
	case moved:
		t.stale(now, e)
	}
	return true
}

// met takes the first advertisement of a neighbour that is not known.
func (t *Table) met(now time.Duration, e *entry, a Advert) bool {
	if a.MAC.IsZero() || !t.room(e, a.Port, a.Most) {
		return false
	}
	solicited := e != nil && a.Solicited
	e = t.meet(e, a.Place, a.Port, a.MAC)
	e.router = a.Router
	if solicited {
		t.reachable(now, e)
	} else {
		t.stale(now, e)
	}
	return true
}

// meet files a neighbour that was not known and releases what waited for it.
func (t *Table) meet(e *entry, p Place, port string, mac wire.MAC) *entry {
	if e == nil {
		e = t.enter(p, "")
	}
	t.place(e, port, mac)
	t.tell(Resolved, e)
	t.events[len(t.events)-1].Packets = t.unqueue(e)
	return e
}

// Recall takes a neighbour that was known before a restart. It is used as it was,
// and asked whether it is there when it is (RFC 4861 section 7.3.3).
func (t *Table) Recall(now time.Duration, n Neighbor) {
	if t.entries[n.Place] != nil || n.MAC.IsZero() || len(t.entries) >= t.bounds.Known {
		return
	}
	e := t.enter(n.Place, "")
	t.place(e, n.Port, n.MAC)
	e.router = n.Router
	t.stale(now, e)
}

// Sighting is the link-layer address of who sent a solicitation or a Router
// Advertisement.
type Sighting struct {
	Place
	Port string
	MAC  wire.MAC
	// Router says that it sent a Router Advertisement.
	Router bool
	// Most is how many neighbours may be known behind the port.
	Most int
}

// Seen takes the source of a message with its link-layer address (RFC 4861
// sections 7.2.3, 6.2.6 and 6.3.4). It reports whether anything came of it.
func (t *Table) Seen(now time.Duration, s Sighting) bool {
	e := t.entries[s.Place]
	switch {
	case e == nil || e.mac.IsZero():
		if !t.room(e, s.Port, s.Most) {
			return false
		}
		e = t.meet(e, s.Place, s.Port, s.MAC)
		t.stale(now, e)
	case s.Port != e.port:
		t.doubt(now, e)
		return false
	case s.MAC != e.mac:
		t.place(e, s.Port, s.MAC)
		t.tell(Moved, e)
		t.stale(now, e)
	}
	e.router = e.router || s.Router
	return true
}

// doubt asks a neighbour whether it is still where it was.
func (t *Table) doubt(now time.Duration, e *entry) {
	if e.state != Probe {
		t.probe(now, e)
	}
}

// reachable begins the state of who answered.
func (t *Table) reachable(now time.Duration, e *entry) {
	e.state, e.asked, e.used = ReachableState, 0, now
	life := Reachable
	if e.pinned {
		life = Pinned
	} else {
		life = t.spread(life)
	}
	t.timers.Set(e, now+life)
}

// stale begins the state of who is known and did not answer lately. A next hop
// is asked at once.
func (t *Table) stale(now time.Duration, e *entry) {
	if e.pinned {
		e.state, e.asked = Probe, 0
		t.probe(now, e)
		return
	}
	e.state, e.asked, e.used = Stale, 0, now
	t.timers.Set(e, now+Rest)
}
