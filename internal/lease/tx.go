package lease

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"damselfly/internal/store"
)

// Tx is a group of decisions. Its lookups see its own changes; nobody else does
// before Commit. A Tx that is not committed is as if it never was.
type Tx struct {
	b   *Book
	now store.Clock
	// edited are the clients it changed, private until Commit.
	edited map[clientKey]*client
	// moved says who holds what changed hands; nil is nobody.
	moved map[holding]*client
	// ports are the leases and registrations it added to each.
	ports map[*port]*port
	// writes are the keys of the records that change.
	writes map[string]struct{}
	// due are the clients that Expire took off the timer queue.
	due []*identity
}

type clientKey struct{ port, duid string }

// holding is a place on a network. Addresses and prefixes are apart: a /128 may
// be delegated too.
type holding struct {
	net       *network
	delegated bool
	at        place
}

func newTx(b *Book) *Tx {
	return &Tx{b: b, edited: map[clientKey]*client{}, moved: map[holding]*client{}, ports: map[*port]*port{}, writes: map[string]struct{}{}}
}

// Begin starts a transaction. There is one at a time: one that was begun before
// and not committed is given up.
func (b *Book) Begin(now store.Clock) *Tx {
	b.tx.reset()
	b.tx.now = now
	return b.tx
}

// client returns a client as the transaction has it, nil if it holds nothing.
func (tx *Tx) client(port, duid string) *client {
	if len(tx.edited) > 0 {
		if c, ok := tx.edited[clientKey{port, duid}]; ok {
			return c
		}
	}
	return tx.b.view.clients.find(port, duid)
}

// Find appends to dst the Bound leases of one IA that still run, on any
// network, ordered by address. A Registration has IAID 0.
func (tx *Tx) Find(dst []Lease, port string, duid []byte, kind Kind, iaid uint32) []Lease {
	return tx.client(port, asString(duid)).find(dst, tx.now, kind, iaid)
}

// OfClient appends to dst every lease of a client that still runs, Declined ones
// too, ordered by kind, IAID and address.
func (tx *Tx) OfClient(dst []Lease, port string, duid []byte) []Lease {
	return tx.client(port, asString(duid)).all(dst, tx.now)
}

// Address returns the lease of an address that still runs: Bound or Declined, an
// Address or a Registration.
func (tx *Tx) Address(network string, a netip.Addr) (Lease, bool) {
	n := tx.b.networks[network]
	if n == nil {
		return Lease{}, false
	}
	c, e := tx.running(holding{n, false, place{a.As16(), 128}})
	if e == nil {
		return Lease{}, false
	}
	return c.lease(e, tx.now), true
}

// holder returns who holds h and the entry, also one that has ended.
func (tx *Tx) holder(h holding) (*client, *entry) {
	c, ok := tx.moved[h]
	if !ok {
		c = h.net.holder(h.delegated, h.at)
	}
	if c == nil {
		return nil, nil
	}
	// It may have been changed since.
	c = tx.client(c.port.name, c.duid)
	return c, c.entry(h)
}

// running is holder without what has ended.
func (tx *Tx) running(h holding) (*client, *entry) {
	c, e := tx.holder(h)
	if e == nil || !e.runs(tx.now) {
		return nil, nil
	}
	return c, e
}

// entry returns the client's lease of h.
func (c *client) entry(h holding) *entry {
	if c == nil {
		return nil
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.addr == h.at.addr && e.bits == h.at.bits && e.net == h.net && (e.kind == Prefix) == h.delegated {
			return e
		}
	}
	return nil
}

func (e *entry) holding() holding {
	return holding{e.net, e.kind == Prefix, place{e.addr, e.bits}}
}

// edit returns the client as the transaction may change it.
func (tx *Tx) edit(port, duid string) *client {
	key := clientKey{port, duid}
	if c, ok := tx.edited[key]; ok {
		return c
	}
	c := &client{}
	if old := tx.b.view.clients.find(port, duid); old != nil {
		c.identity = old.identity
		c.entries = slices.Clone(old.entries)
	} else {
		c.identity = &identity{port: tx.b.port(port), duid: strings.Clone(duid)}
	}
	tx.edited[clientKey{c.port.name, c.duid}] = c
	return c
}

// add gives an entry to a client of the transaction.
func (tx *Tx) add(c *client, e entry) {
	c.entries = insert(c.entries, e)
	tx.moved[e.holding()] = c
	tx.tally(c.port).tally(e.kind, 1)
	tx.write(c, &e)
}

// remove takes what h names from whoever holds it.
func (tx *Tx) remove(h holding) {
	c, _ := tx.holder(h)
	c = tx.edit(c.port.name, c.duid)
	e := *c.entry(h)
	c.entries = slices.DeleteFunc(c.entries, func(o entry) bool { return o.holding() == h })
	tx.moved[h] = nil
	tx.tally(c.port).tally(e.kind, -1)
	tx.write(c, &e)
}

// tally is what the transaction added to a port.
func (tx *Tx) tally(p *port) *port {
	t := tx.ports[p]
	if t == nil {
		t = &port{name: p.name}
		tx.ports[p] = t
	}
	return t
}

// write notes that the record of an entry changes.
func (tx *Tx) write(c *client, e *entry) {
	var room [128]byte
	tx.writes[string(appendKey(room[:0], c.port.name, e.kind, e.net.name, e.addr, e.bits))] = struct{}{}
}

// insert keeps the entries of a client in their order.
func insert(list []entry, e entry) []entry {
	at, _ := slices.BinarySearchFunc(list, e, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.iaid, b.iaid), slices.Compare(a.addr[:], b.addr[:]),
			cmp.Compare(a.bits, b.bits), cmp.Compare(a.net.name, b.net.name))
	})
	return slices.Insert(list, at, e)
}
