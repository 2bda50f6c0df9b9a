package lease

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"damselfly/internal/store"
)

// View is what was committed. Its methods may be called from any goroutine and
// do not wait for the Book.
type View struct {
	clients *table
	routes  *routes
	// addresses are those of each port.
	addresses *addresses
	counts    [4]atomic.Int64
}

// Places in View.counts; a declined address counts as that alone.
const (
	countAddresses = iota
	countPrefixes
	countRegistrations
	countDeclined
)

func newView() *View {
	return &View{clients: newTable(), routes: newRoutes(), addresses: newAddresses()}
}

// Find is Tx.Find on what was committed. It allocates nothing if dst has room.
func (v *View) Find(dst []Lease, now store.Clock, port string, duid []byte, kind Kind, iaid uint32) []Lease {
	return v.clients.find(port, asString(duid)).find(dst, now, kind, iaid)
}

// OfClient is Tx.OfClient on what was committed.
func (v *View) OfClient(dst []Lease, now store.Clock, port string, duid []byte) []Lease {
	return v.clients.find(port, asString(duid)).all(dst, now)
}

// Leases lists the leases that run and that the filter selects, ordered by port,
// DUID, IAID, kind and address.
func (v *View) Leases(f Filter, now store.Clock) []Lease {
	var list []Lease
	v.clients.each(func(c *client) {
		for i := range c.entries {
			e := &c.entries[i]
			if f.Port != "" && f.Port != c.port.name || !e.runs(now) {
				continue
			}
			if l := c.lease(e, now); f.Match(&l) {
				list = append(list, l)
			}
		}
	})
	slices.SortFunc(list, func(a, b Lease) int { return compare(&a, &b) })
	return list
}

// Addresses calls fn with every address that is bound or registered and still
// runs, in no order, until fn returns false.
func (v *View) Addresses(now store.Clock, fn func(network, port string, a netip.Addr) bool) {
	more := true
	v.clients.each(func(c *client) {
		for i := range c.entries {
			if e := &c.entries[i]; more && e.kind != Prefix && e.state == Bound && e.runs(now) {
				more = fn(e.net.name, c.port.name, netip.AddrFrom16(e.addr))
			}
		}
	})
}

// Counts is how many leases there are. Those that have ended count until they
// are swept.
type Counts struct{ Addresses, Prefixes, Registrations, Declined int }

// Counts returns the leases by kind and state; they are not all of one moment.
func (v *View) Counts() Counts {
	n := func(i int) int { return int(v.counts[i].Load()) }
	return Counts{n(countAddresses), n(countPrefixes), n(countRegistrations), n(countDeclined)}
}

func (v *View) count(e *entry, by int64) {
	at := countDeclined
	if e.state == Bound {
		at = int(e.kind - Address)
	}
	v.counts[at].Add(by)
}

// leave takes a client's former state out of the counts and routes, and reports
// whether it had addresses or prefixes that it has no more.
func (v *View) leave(old, now *client) (changed bool) {
	if old == nil {
		return false
	}
	for i := range old.entries {
		e := &old.entries[i]
		v.count(e, -1)
		if after := now.entry(e.holding()); after == nil || after.state != e.state {
			v.routes.change(old, e, false)
			v.addresses.change(old, e, false)
			changed = true
		}
	}
	return changed
}

// enter puts a client's new state into the counts and routes, and reports
// whether it has addresses or routes that it had not.
func (v *View) enter(old, now *client) (changed bool) {
	for i := range now.entries {
		e := &now.entries[i]
		v.count(e, 1)
		if before := old.entry(e.holding()); before == nil || before.state != e.state {
			v.addresses.change(now, e, true)
			changed = true
		}
		changed = v.routes.change(now, e, true) || changed
	}
	return changed
}
