package lease

import (
	"fmt"
	"log/slog"

	"damselfly/internal/store"
)

// Book holds all leases. One goroutine owns it and calls its methods; View is
// for everybody.
type Book struct {
	storage  Storage
	log      *slog.Logger
	identity Identity

	ports    map[string]*port
	networks map[string]*network
	timers   timers
	view     *View
	tx       *Tx
	// unsure are the keys of records that a failed write may have changed.
	unsure map[string]struct{}
}

// Open loads all leases that still run at now. A record that makes no sense is
// reported in log and left out; it never stops a start.
func Open(s Storage, now store.Clock, log *slog.Logger) (*Book, error) {
	b := &Book{storage: s, log: log, ports: map[string]*port{}, networks: map[string]*network{}, view: newView(), unsure: map[string]struct{}{}}
	b.tx = newTx(b)
	var err error
	if b.identity, err = s.Identity(); err != nil {
		return nil, err
	}
	if err := b.load(now); err != nil {
		return nil, fmt.Errorf("lease: the leases cannot be read: %w", err)
	}
	return b, nil
}

// DUID returns the server's DUID, the same for as long as the state lives.
func (b *Book) DUID() []byte { return b.identity.DUID[:] }

// View returns what other goroutines may read.
func (b *Book) View() *View { return b.view }

// port returns what is known of a port.
func (b *Book) port(name string) *port {
	p := b.ports[name]
	if p == nil {
		p = &port{name: name}
		b.ports[name] = p
	}
	return p
}

// network returns what is known of a network.
func (b *Book) network(name string) *network {
	n := b.networks[name]
	if n == nil {
		n = newNetwork(name)
		b.networks[name] = n
	}
	return n
}

// load reads every record. Records of leases that have ended are swept by the
// first transactions; records that cannot be are deleted with them.
func (b *Book) load(now store.Clock) error {
	var r record
	var p *port
	var n *network
	wrong := 0
	err := b.storage.Load(func(key, value []byte) error {
		err := r.parse(key, value)
		if err == nil {
			// Neighbouring records share their names.
			if p == nil || p.name != string(r.port) {
				p = b.port(string(r.port))
			}
			if n == nil || n.name != string(r.network) {
				n = b.network(string(r.network))
			}
			err = b.enter(&r, p, n, now)
		}
		if err != nil {
			b.unsure[string(key)] = struct{}{}
			if wrong++; wrong <= reportedRecords {
				b.log.Error("dropped a lease of the state", "key", fmt.Sprintf("%x", key), "error", err)
			}
		}
		return nil
	})
	if wrong > reportedRecords {
		b.log.Error("dropped leases of the state", "records", wrong)
	}
	if err != nil {
		return err
	}
	b.timers.load(b.view.clients)
	return nil
}

// reportedRecords is how many bad records are named in the log one by one.
const reportedRecords = 10

// enter adds one record to what is held. Nobody reads yet, so clients still
// change in place.
func (b *Book) enter(r *record, p *port, n *network, now store.Clock) error {
	e := entry{
		addr: r.addr, bits: r.bits, net: n, iaid: r.iaid, kind: r.kind, state: r.state,
		preferred: r.preferred, valid: r.valid, more: r.client, granted: now.Uptime,
	}
	if r.valid != forever {
		valid := duration(r.valid)
		e.granted -= valid - store.NewDeadline(r.granted, valid).Remaining(now)
	}
	at, delegated := place{r.addr, r.bits}, r.kind == Prefix
	if other := n.holder(delegated, at); other != nil || delegated && b.overlapped(n, at) {
		return fmt.Errorf("lease: %v of port %s is held by another lease", e.prefix(), p.name)
	}
	c := b.view.clients.find(p.name, asString(r.duid))
	if c == nil {
		c = &client{identity: &identity{port: p, duid: string(r.duid)}, entries: []entry{e}}
		b.view.clients.put(c)
	} else {
		c.entries = insert(c.entries, e)
	}
	n.hold(delegated, at, c)
	p.tally(e.kind, 1)
	b.view.count(&e, 1)
	b.view.routes.change(c, &e, true)
	b.view.addresses.change(c, &e, true)
	return nil
}

// overlapped reports whether a prefix is held that overlaps at.
func (b *Book) overlapped(n *network, at place) bool {
	for length := range at.bits {
		if n.lengths[length] > 0 && n.prefixes[at.within(length)] != nil {
			return true
		}
	}
	return n.prefixes[at] != nil || n.inside(at) > 0
}

// tally counts a lease of the port.
func (p *port) tally(k Kind, by int) {
	if k == Registration {
		p.registrations += by
	} else {
		p.leases += by
	}
}
