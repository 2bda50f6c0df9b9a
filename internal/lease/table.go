package lease

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"damselfly/internal/store"
)

// port is what the Book knows of a port. The owner alone uses the counts.
type port struct {
	name                  string
	leases, registrations int
}

// identity is a client: a DUID behind a port.
type identity struct {
	port *port
	duid string
	// due is the uptime of the client's place in the timer heap, 0 without
	// one. The owner alone uses it.
	due time.Duration
}

// client is an identity with what it holds. Once published it never changes.
type client struct {
	*identity
	entries []entry // ordered by kind, IAID, address
}

// entry is one lease in memory. A million of them are kept, so what most do not
// have stands behind a pointer and times are offsets.
type entry struct {
	addr [16]byte
	net  *network
	more *Client // nil: nothing known
	// granted is when the lifetimes began, as uptime of this boot; below zero
	// for an earlier boot.
	granted          time.Duration
	iaid             uint32
	preferred, valid uint32 // seconds; forever is infinite
	bits             uint8
	kind             Kind
	state            State
}

// end is the uptime at which the lease ends.
func (e *entry) end() time.Duration {
	if e.valid == forever {
		return store.Infinite
	}
	return e.granted + duration(e.valid)
}

// runs reports whether the lease has not ended.
func (e *entry) runs(now store.Clock) bool { return e.end() > now.Uptime }

func (e *entry) prefix() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16(e.addr), int(e.bits))
}

// since is the moment of the grant in both times.
func (e *entry) since(now store.Clock) store.Clock {
	return store.Clock{Wall: now.Wall.Add(e.granted - now.Uptime), Boot: now.Boot, Uptime: e.granted}
}

// lease tells an entry.
func (c *client) lease(e *entry, now store.Clock) Lease {
	since := e.since(now)
	l := Lease{
		Kind: e.kind, State: e.state, Port: c.port.name, Network: e.net.name, DUID: c.duid, IAID: e.iaid, Prefix: e.prefix(),
		Preferred: store.NewDeadline(since, duration(e.preferred)), Valid: store.NewDeadline(since, duration(e.valid)),
	}
	if e.more != nil {
		l.Client = *e.more
	}
	return l
}

// find appends the bound leases of one IA that run.
func (c *client) find(dst []Lease, now store.Clock, kind Kind, iaid uint32) []Lease {
	if c == nil {
		return dst
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.kind == kind && e.iaid == iaid && e.state == Bound && e.runs(now) {
			dst = append(dst, c.lease(e, now))
		}
	}
	return dst
}

// all appends every lease that runs.
func (c *client) all(dst []Lease, now store.Clock) []Lease {
	if c == nil {
		return dst
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.runs(now) {
			dst = append(dst, c.lease(e, now))
		}
	}
	return dst
}

// table finds clients by port and DUID. One goroutine writes, any number read,
// without locks: a slot changes from empty to a client, between states of that
// client, and to gone, but never to another client, so a reader that follows
// the probe sequence misses nothing that stays. A full array is replaced whole.
type table struct {
	seed  maphash.Seed
	slots atomic.Pointer[[]atomic.Pointer[client]]
	// The writer's: slots not empty, and those with a client.
	used, live int
}

const minSlots = 64

// gone marks a slot whose client left.
var gone = &client{identity: &identity{port: &port{}}}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	t.slots.Store(new(make([]atomic.Pointer[client], minSlots)))
	return t
}

func (t *table) hash(port, duid string) uint64 {
	return maphash.String(t.seed, duid) ^ bits.RotateLeft64(maphash.String(t.seed, port), 32)
}

// asString views octets as a string for a look-up that keeps nothing, without
// the copy.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// find returns a client, nil if it holds nothing.
func (t *table) find(port, duid string) *client {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := t.hash(port, duid) & mask; ; i = (i + 1) & mask {
		c := slots[i].Load()
		if c == nil {
			return nil
		}
		if c.duid == duid && c.port.name == port && c != gone {
			return c
		}
	}
}

// put publishes a state of a client; without entries the client leaves.
func (t *table) put(c *client) {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := t.hash(c.port.name, c.duid) & mask; ; i = (i + 1) & mask {
		old := slots[i].Load()
		switch {
		case old == nil && len(c.entries) == 0:
			return
		case old == nil:
			slots[i].Store(c)
			t.used++
			t.live++
			t.grow()
			return
		case old == gone || old.duid != c.duid || old.port.name != c.port.name:
		case len(c.entries) == 0:
			slots[i].Store(gone)
			t.live--
			return
		default:
			slots[i].Store(c)
			return
		}
	}
}

// grow makes room when three of four slots are used. Slots of clients that left
// are not taken over.
func (t *table) grow() {
	old := *t.slots.Load()
	if t.used*4 < len(old)*3 {
		return
	}
	size := minSlots
	for size < 2*t.live {
		size *= 2
	}
	slots := make([]atomic.Pointer[client], size)
	mask := uint64(size - 1)
	for i := range old {
		c := old[i].Load()
		if c == nil || c == gone {
			continue
		}
		at := t.hash(c.port.name, c.duid) & mask
		for slots[at].Load() != nil {
			at = (at + 1) & mask
		}
		slots[at].Store(c)
	}
	t.used = t.live
	t.slots.Store(&slots)
}

// each calls fn with every client as it is at that moment.
func (t *table) each(fn func(*client)) {
	slots := *t.slots.Load()
	for i := range slots {
		if c := slots[i].Load(); c != nil && c != gone {
			fn(c)
		}
	}
}
