package neighbor

import (
	"time"

	"damselfly/internal/wire"
)

// Idle is how long Tick wants to rest where no neighbours are known.
const Idle = time.Minute

// Tick does what is due at now and returns how long there is nothing to do.
func (t *Table) Tick(now time.Duration) (rest time.Duration) {
	for {
		e, ok := t.timers.First(now)
		if !ok {
			return t.timers.Rest(now, Idle)
		}
		t.expire(now, e)
	}
}

// expire ends the state of an entry whose time has come.
func (t *Table) expire(now time.Duration, e *entry) {
	switch e.state {
	case Incomplete:
		if e.asked%Solicitations == 0 {
			t.fail(now, e)
			return
		}
		t.ask(now, e)
	case ReachableState:
		t.stale(now, e)
	case Stale:
		t.tell(Forgotten, e)
		t.drop(e)
	case DelayState:
		t.probe(now, e)
	case Probe:
		if e.asked == Solicitations {
			t.lose(now, e)
			return
		}
		t.probe(now, e)
	}
}

// ask asks for an unknown neighbour once more.
func (t *Table) ask(now time.Duration, e *entry) {
	e.asked++
	t.tell(Ask, e)
	t.timers.Set(e, now+Retrans)
}

// probe asks a known one whether it is there once more.
func (t *Table) probe(now time.Duration, e *entry) {
	if e.state != Probe {
		e.state, e.asked = Probe, 0
	}
	e.asked++
	t.tell(AskHolder, e)
	t.timers.Set(e, now+Retrans)
}

// fail gives a neighbour up that nobody answered for. A next hop is asked for
// again.
func (t *Table) fail(now time.Duration, e *entry) {
	t.tell(Unreachable, e)
	t.events[len(t.events)-1].Packets = t.unqueue(e)
	if !e.pinned {
		t.drop(e)
		return
	}
	e.asked = 0
	t.ask(now, e)
}

// lose gives a neighbour up that does not answer any more. Who still has
// something for it finds it again by a packet; a next hop is asked for at once.
func (t *Table) lose(now time.Duration, e *entry) {
	t.tell(Lost, e)
	if !e.pinned {
		t.drop(e)
		return
	}
	t.leave(e)
	e.state, e.port, e.mac, e.asked, e.router = Incomplete, "", wire.MAC{}, 0, false
	t.ask(now, e)
}
