package binding

import "time"

// Idle is how long Tick wants to rest where nothing is bound.
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
	switch {
	case e.state == tentative:
		t.bind(now, e)
		t.tell(Learned, e, e.port, "")
	case e.contender.Port != "":
		t.yield(now, e)
	case e.asked == Probes || !t.Present(e.network, e.port):
		t.tell(Lost, e, e.port, "")
		t.drop(e)
	default:
		t.ask(now, e)
	}
}

// ask asks a silent holder once more.
func (t *Table) ask(now time.Duration, e *entry) {
	e.state = tested
	e.asked++
	t.tell(AskHolder, e, e.port, "")
	t.timers.Set(e, now+ProbeInterval)
}
