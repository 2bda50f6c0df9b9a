package binding

import "time"

// contest decides a probe for an address that another port has a binding for.
func (t *Table) contest(now time.Duration, e *entry, c Claim) (Outcome, string) {
	switch {
	// Two probes at once: the first is before the second.
	case e.state == tentative:
		t.tell(Conflict, e, c.Port, e.port)
		return Held, e.port
	case e.contender.Port == c.Port:
		return Undecided, ""
	case e.contender.Port != "":
		t.tell(Conflict, e, c.Port, e.port)
		return Held, e.port
	case !t.Present(e.network, e.port):
		if !c.Witness && !t.room(now, c) {
			return Full, ""
		}
		return t.moveAway(now, e, c), ""
	case now-e.seen < Fresh:
		t.tell(Conflict, e, c.Port, e.port)
		return Held, e.port
	case !c.Witness && !t.room(now, c):
		return Full, ""
	}
	e.state, e.contender, e.asked = tested, c, 1
	t.timers.Set(e, now+Wait)
	t.tell(AskHolder, e, e.port, "")
	return Undecided, ""
}

// moveAway gives the address of a port that cannot be asked to the one that
// probes for it: as nobody else can be known to hold it, its probe is like any.
func (t *Table) moveAway(now time.Duration, e *entry, c Claim) Outcome {
	t.tell(Lost, e, e.port, "")
	t.drop(e)
	if !c.Witness && !t.begin(now, c) {
		return Full
	}
	return Carry
}

// object gives a tentative address to the port that advertises it.
func (t *Table) object(now time.Duration, e *entry, c Claim) Outcome {
	if !c.Witness && !t.room(now, c) {
		return Full
	}
	first := e.port
	t.drop(e)
	t.tell(Conflict, e, first, c.Port)
	if c.Witness {
		return Carry
	}
	e = &entry{place: e.place, port: c.Port}
	t.enter(e)
	t.bind(now, e)
	t.tell(Learned, e, e.port, "")
	t.tell(Defend, e, first, e.port)
	return Carry
}

// yield takes a tested address from its silent holder and gives it to the port
// that wants it, if that may still have it.
func (t *Table) yield(now time.Duration, e *entry) {
	old, next := e.port, e.contender
	if next.Witness || !t.room(now, next) {
		t.tell(Lost, e, old, "")
		t.drop(e)
		return
	}
	t.leave(e)
	e.port = next.Port
	t.enter(e)
	t.bind(now, e)
	t.tell(Moved, e, e.port, old)
}
