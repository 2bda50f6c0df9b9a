package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Bind records a new lease, or extends and changes the one that this client's
// IA has already. It gives ErrTaken where somebody else holds the address or a
// prefix that overlaps, or it is in quarantine; ErrPortFull where the port may
// not hold one more; and any other error for a Grant that cannot be.
//
// What a lease that has ended still occupies is taken over, and so is what
// another client of the same port holds if the Grant is Own. A port's leases that
// have ended count to its limit until they are swept, so Expire comes first.
func (tx *Tx) Bind(g Grant) error {
	if err := g.check(); err != nil {
		return err
	}
	h := holding{tx.b.network(g.Network), g.Kind == Prefix, placeOf(g.Prefix)}
	if c, e := tx.holder(h); e != nil && e.state == Bound && e.kind == g.Kind && e.iaid == g.IAID && c.duid == string(g.DUID) && c.port.name == g.Port {
		c = tx.edit(g.Port, c.duid)
		e = c.entry(h)
		*e = tx.entry(&g, h)
		tx.write(c, e)
		return nil
	}
	inWay, ok := tx.inWay(h, &g)
	if !ok {
		return ErrTaken
	}
	if !tx.room(&g, inWay) {
		return ErrPortFull
	}
	for _, other := range inWay {
		tx.remove(other)
	}
	tx.add(tx.edit(g.Port, asString(g.DUID)), tx.entry(&g, h))
	return nil
}

func (g *Grant) check() error {
	bits := g.Prefix.Bits()
	switch {
	case len(g.Port) < 1 || len(g.Port) > maxName || len(g.Network) < 1 || len(g.Network) > maxName:
		return fmt.Errorf("lease: port %q or network %q is not a name of 1 to %d octets", g.Port, g.Network, maxName)
	case len(g.DUID) < 1 || len(g.DUID) > maxDUID:
		return fmt.Errorf("lease: a DUID of %d octets, want 1 to %d", len(g.DUID), maxDUID)
	case g.Kind < Address || g.Kind > Registration || g.Kind == Registration && g.IAID != 0:
		return fmt.Errorf("lease: kind %d with IAID %d", g.Kind, g.IAID)
	case !g.Prefix.IsValid() || !g.Prefix.Addr().Is6() || g.Prefix.Addr().Is4In6() || g.Prefix != g.Prefix.Masked() || g.Kind != Prefix && bits != 128:
		return fmt.Errorf("lease: %v is no %v", g.Prefix, g.Kind)
	case seconds(g.Valid) == 0 || seconds(g.Preferred) > seconds(g.Valid):
		return fmt.Errorf("lease: lifetimes of %v and %v", g.Preferred, g.Valid)
	case len(g.Client.FQDN) > maxFQDN:
		return fmt.Errorf("lease: a name of %d octets, want up to %d", len(g.Client.FQDN), maxFQDN)
	}
	if a := g.Client.LinkLocal; a.IsValid() && (!a.Is6() || a.Zone() != "") {
		return fmt.Errorf("lease: link-local address %v, want IPv6 without zone", a)
	}
	return nil
}

// entry is a Grant that begins now.
func (tx *Tx) entry(g *Grant, h holding) entry {
	e := entry{
		addr: h.at.addr, bits: h.at.bits, net: h.net, iaid: g.IAID, kind: g.Kind, state: Bound,
		granted: tx.now.Uptime, preferred: seconds(g.Preferred), valid: seconds(g.Valid),
	}
	if g.Client != (Client{}) {
		more := g.Client
		e.more = &more
	}
	return e
}

// inWay lists what has to go for a Grant; ok is false if something may not.
func (tx *Tx) inWay(h holding, g *Grant) (list []holding, ok bool) {
	yields := func(other holding) bool {
		c, e := tx.holder(other)
		switch {
		case e == nil:
			return true
		case e.runs(tx.now) && (!g.Own || e.state == Declined || (e.kind == Registration) != (g.Kind == Registration) || c.port.name != g.Port || c.duid == string(g.DUID)):
			return false
		}
		list = append(list, other)
		return true
	}
	if !yields(h) {
		return nil, false
	}
	if !h.delegated {
		return list, true
	}
	lengths := tx.lengths(h.net)
	for length := range h.at.bits {
		if lengths[length] && !yields(holding{h.net, true, h.at.within(length)}) {
			return nil, false
		}
	}
	return list, tx.inside(h) == 0
}

// lengths are those of the prefixes that may be held.
func (tx *Tx) lengths(n *network) (set [129]bool) {
	for length, count := range n.lengths {
		set[length] = count > 0
	}
	for m := range tx.moved {
		if m.net == n && m.delegated {
			set[m.at.bits] = true
		}
	}
	return set
}

// inside returns how many prefixes longer than h lie in it, those that have
// ended and are not swept yet included.
func (tx *Tx) inside(h holding) int {
	count := h.net.inside(h.at)
	for m, c := range tx.moved {
		if m.net != h.net || !m.delegated || m.at.bits <= h.at.bits || !m.at.overlaps(h.at) {
			continue
		}
		before, after := h.net.prefixes[m.at] != nil, c != nil
		if before && !after {
			count--
		} else if !before && after {
			count++
		}
	}
	return count
}

// room reports whether the port may hold one more once the others are gone.
func (tx *Tx) room(g *Grant, inWay []holding) bool {
	p := tx.b.port(g.Port)
	t := tx.tally(p)
	held := p.leases + t.leases
	if g.Kind == Registration {
		held = p.registrations + t.registrations
	}
	for _, h := range inWay {
		if c, e := tx.holder(h); c.port == p && (e.kind == Registration) == (g.Kind == Registration) {
			held--
		}
	}
	limit := g.Limit
	if limit < 1 {
		limit = DefaultLimit
	}
	return held < limit
}

// own finds the running lease of an IA, nil if it does not hold it.
func (tx *Tx) own(port string, duid []byte, kind Kind, iaid uint32, p netip.Prefix) (*client, *entry) {
	c := tx.client(port, asString(duid))
	if c == nil || !p.IsValid() || !p.Addr().Is6() {
		return nil, nil
	}
	at := placeOf(p)
	for i := range c.entries {
		if e := &c.entries[i]; e.kind == kind && e.iaid == iaid && e.addr == at.addr && e.bits == at.bits && e.runs(tx.now) {
			return c, e
		}
	}
	return nil, nil
}

// Release gives back an address (as a /128) or prefix. It returns false, the
// server's NoBinding, where the client's IA does not hold it.
func (tx *Tx) Release(port string, duid []byte, kind Kind, iaid uint32, p netip.Prefix) bool {
	_, e := tx.own(port, duid, kind, iaid, p)
	if e == nil || e.state != Bound {
		return false
	}
	tx.remove(e.holding())
	return true
}

// Revoke ends every lease the filter selects, Declined ones too: an operator's
// act. It returns how many.
func (tx *Tx) Revoke(f Filter) int {
	var found []holding
	tx.b.view.clients.each(func(c *client) {
		for i := range c.entries {
			e := &c.entries[i]
			if l := c.lease(e, tx.now); f.Match(&l) {
				found = append(found, e.holding())
			}
		}
	})
	found = slices.DeleteFunc(found, func(h holding) bool {
		_, e := tx.holder(h)
		return e == nil
	})
	for _, h := range found {
		tx.remove(h)
	}
	return len(found)
}

// Decline puts an address in quarantine, where nobody gets it (RFC 9915 section
// 18.3.8). It returns true also if the same IA declined it before, whose
// quarantine then ends as it would have, and false, NoBinding, where the IA does
// not hold it.
func (tx *Tx) Decline(port string, duid []byte, iaid uint32, a netip.Addr, quarantine time.Duration) bool {
	if !a.Is6() {
		return false
	}
	c, e := tx.own(port, duid, Address, iaid, netip.PrefixFrom(a, 128))
	if e == nil || e.state == Declined {
		return e != nil
	}
	h := e.holding()
	c = tx.edit(port, c.duid)
	e = c.entry(h)
	e.state, e.granted, e.preferred, e.valid = Declined, tx.now.Uptime, 0, max(seconds(quarantine), 1)
	tx.write(c, e)
	return true
}

// Expire sweeps up to limit clients whose leases have ended. It returns how many
// leases that were; call it again while it returns more than none.
func (tx *Tx) Expire(limit int) (ended int) {
	for range limit {
		id := tx.b.timers.pop(tx.now.Uptime)
		if id == nil {
			break
		}
		tx.due = append(tx.due, id)
		c := tx.client(id.port.name, id.duid)
		if c == nil {
			continue
		}
		var over []holding
		for i := range c.entries {
			if !c.entries[i].runs(tx.now) {
				over = append(over, c.entries[i].holding())
			}
		}
		for _, h := range over {
			tx.remove(h)
		}
		ended += len(over)
	}
	return ended
}
