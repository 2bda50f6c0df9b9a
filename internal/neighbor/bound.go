package neighbor

// Bounds are how much may be taken. A scan of a prefix makes entries that stay
// incomplete: these have bounds of their own and make room for nobody, so that
// it neither drives out neighbours that are known nor keeps next hops of routes
// from being asked for (RFC 6583 sections 6.2 and 6.4).
type Bounds struct {
	// Asking is how many unknown neighbours are asked for at once because of one
	// port's packets, AskingOn on one network. Each is asked three times in three
	// seconds, so these bound the solicitations too.
	Asking, AskingOn int
	// Known is how many neighbours there are in all.
	Known int
	// Octets is how much waits in all.
	Octets int
}

// DefaultBounds are those of a switch.
func DefaultBounds() Bounds {
	return Bounds{Asking: 16, AskingOn: 256, Known: 1 << 16, Octets: 8 << 20}
}

// Unlimited is how many neighbours may be behind a port without a bound.
const Unlimited = -1

// room reports whether one neighbour more, of which e is the entry or nil, may be
// known behind a port that may have most. Where it may not, the one nobody used
// for longest makes room; one that is in use or pinned never does. Next hops of
// routes are as many as the configuration has.
func (t *Table) room(e *entry, port string, most int) bool {
	if e != nil && e.pinned {
		return true
	}
	full := most != Unlimited && len(t.known[port]) >= most
	if !full && len(t.entries) < t.bounds.Known {
		return true
	}
	var oldest *entry
	for k := range t.known[port] {
		if k.state == Stale && !k.pinned && (oldest == nil || older(k, oldest)) {
			oldest = k
		}
	}
	if oldest == nil {
		return false
	}
	t.tell(Forgotten, oldest)
	t.drop(oldest)
	return true
}

func older(a, b *entry) bool {
	return a.used < b.used || a.used == b.used && a.Addr.Less(b.Addr)
}
