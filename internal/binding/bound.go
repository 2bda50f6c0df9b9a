package binding

import "time"

// room reports whether a port may hold one address more. Where it may not, what
// it has not used for longest is asked for, so that a guest that goes from
// address to address (RFC 8981) finds room when it tries again.
func (t *Table) room(now time.Duration, c Claim) bool {
	if c.Most == Unlimited || len(t.ports[c.Port]) < c.Most {
		return true
	}
	var oldest *entry
	for e := range t.ports[c.Port] {
		if e.state == valid && now-e.seen >= Fresh && (oldest == nil || older(e, oldest)) {
			oldest = e
		}
	}
	if oldest != nil {
		t.ask(now, oldest)
	}
	return false
}

func older(a, b *entry) bool {
	return a.seen < b.seen || a.seen == b.seen && a.addr.Less(b.addr)
}

// enter files an entry under its place and its port.
func (t *Table) enter(e *entry) {
	t.entries[e.place] = e
	if t.ports[e.port] == nil {
		t.ports[e.port] = map[*entry]struct{}{}
	}
	t.ports[e.port][e] = struct{}{}
}

// leave takes an entry from its port.
func (t *Table) leave(e *entry) {
	delete(t.ports[e.port], e)
	if len(t.ports[e.port]) == 0 {
		delete(t.ports, e.port)
	}
}
