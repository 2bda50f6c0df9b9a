package lease

import (
	"fmt"
)

// Commit makes the changes durable in one write and then shows them to the
// View. On an error nothing of them is visible, no request of the group may be
// answered with what it changed, and the Book is as it was; a transaction that
// changed nothing writes nothing and gives no error.
func (tx *Tx) Commit() error {
	defer tx.reset()
	if len(tx.writes) > 0 {
		if err := tx.b.storage.Apply(tx.changes()); err != nil {
			for key := range tx.writes {
				tx.b.unsure[key] = struct{}{}
			}
			for _, id := range tx.due {
				tx.b.timers.push(id, tx.now.Uptime+sweepPause)
			}
			tx.due = tx.due[:0]
			return fmt.Errorf("lease: %d changes of leases are not kept: %w", len(tx.writes), err)
		}
		clear(tx.b.unsure)
	}
	tx.publish()
	return nil
}

// changes are the records to write: the transaction's, and those that an
// earlier failed write may have left in a state that never was.
func (tx *Tx) changes() []Change {
	list := make([]Change, 0, len(tx.writes)+len(tx.b.unsure))
	for key := range tx.writes {
		list = append(list, tx.change(key))
	}
	for key := range tx.b.unsure {
		if _, again := tx.writes[key]; !again {
			list = append(list, tx.change(key))
		}
	}
	return list
}

// change is the record of a key as the transaction leaves it.
func (tx *Tx) change(key string) Change {
	var r record
	change := Change{Key: []byte(key)}
	if parseKey(&r, change.Key) != nil {
		return change // one of those that make no sense
	}
	n := tx.b.networks[string(r.network)]
	if n == nil {
		return change
	}
	c, e := tx.holder(holding{n, r.kind == Prefix, place{r.addr, r.bits}})
	if e == nil || c.port.name != string(r.port) || e.kind != r.kind {
		return change
	}
	change.Value = (&record{
		state: e.state, duid: []byte(c.duid), iaid: e.iaid, granted: e.since(tx.now),
		preferred: e.preferred, valid: e.valid, client: e.more,
	}).appendValue(make([]byte, 0, valueHead+1+len(c.duid)))
	return change
}

// publish makes the changes the Book's.
func (tx *Tx) publish() {
	b, v := tx.b, tx.b.view
	for h, c := range tx.moved {
		if c == nil {
			h.net.free(h.delegated, h.at)
		}
	}
	changed := false
	for key, c := range tx.edited {
		changed = v.leave(v.clients.find(key.port, key.duid), c) || changed
	}
	for key, c := range tx.edited {
		changed = v.enter(v.clients.find(key.port, key.duid), c) || changed
		for i := range c.entries {
			h := c.entries[i].holding()
			h.net.hold(h.delegated, h.at, c)
		}
		v.clients.put(c)
		if len(c.entries) == 0 {
			b.timers.cancel(c.identity, v.clients.live)
		} else {
			b.timers.schedule(c)
		}
	}
	for p, t := range tx.ports {
		p.leases += t.leases
		p.registrations += t.registrations
	}
	if changed {
		v.routes.tell()
	}
}

// reset forgets the transaction's changes and gives the clients it took off the
// timer queue their place again.
func (tx *Tx) reset() {
	for _, id := range tx.due {
		if c := tx.b.view.clients.find(id.port.name, id.duid); c != nil && c.identity == id {
			tx.b.timers.schedule(c)
		}
	}
	tx.due = tx.due[:0]
	clear(tx.edited)
	clear(tx.moved)
	clear(tx.ports)
	clear(tx.writes)
}
