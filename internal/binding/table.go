package binding

import (
	"net/netip"
	"time"

	"damselfly/internal/due"
)

// Table holds all bindings.
type Table struct {
	storage Storage
	// Present reports whether a port of a network is on the switch, so that it
	// can be asked at all. Its owner sets it before the first message.
	Present func(network, port string) bool

	entries map[place]*entry
	// ports are the entries of each port.
	ports  map[string]map[*entry]struct{}
	timers due.Queue[*entry]
	events []Event
	// unsaved are the places whose record in the store is not as it should be.
	unsaved map[place]struct{}
	// shown says that what others see is what there is.
	shown bool
	view  View
}

// place is an address on a network.
type place struct {
	network string
	addr    netip.Addr
}

// entry is the binding of one place.
type entry struct {
	place
	port  string
	state state
	// seen is the uptime of the latest sign of life.
	seen time.Duration
	// Timer is of the uptime at which the state ends.
	due.Timer
	// contender is who wants the address while it is tested, without a Port
	// where the holder was just silent; asked is how often it was asked then.
	contender Claim
	asked     int
}

func (t *Table) tell(k Kind, e *entry, port, other string) {
	t.events = append(t.events, Event{Kind: k, Network: e.network, Addr: e.addr, Port: port, Other: other})
}

// Events returns what is to be sent and told since the last call, in order; it
// is valid until the next message.
func (t *Table) Events() []Event {
	list := t.events
	t.events = t.events[:0]
	return list
}

// Probe takes a duplicate address probe (RFC 4862 section 5.4.2). For Held it
// returns who holds the address.
func (t *Table) Probe(now time.Duration, c Claim) (o Outcome, holder string) {
	e := t.entries[place{c.Network, c.Addr}]
	switch {
	case e == nil && c.Witness:
		return Carry, ""
	case e == nil:
		if !t.begin(now, c) {
			return Full, ""
		}
		return Carry, ""
	case e.port == c.Port && e.state == tentative:
		return Carry, "" // once more (RFC 4862 section 5.1, DupAddrDetectTransmits)
	case e.port == c.Port:
		t.alive(now, e)
		return Own, ""
	}
	return t.contest(now, e, c)
}

// Use takes a packet from an address that the port is not known to hold: the
// data trigger (RFC 6620 section 3.2.2).
func (t *Table) Use(now time.Duration, c Claim) Outcome {
	e := t.entries[place{c.Network, c.Addr}]
	switch {
	case e != nil && e.port == c.Port:
		if e.state == tentative {
			return Undecided
		}
		t.alive(now, e)
		return Own
	case e != nil && (e.state == tentative || t.Present(e.network, e.port)):
		t.tell(Conflict, e, c.Port, e.port)
		return Held
	case e != nil: // of a port that cannot be asked
		if !t.room(now, c) {
			return Full
		}
		t.tell(Lost, e, e.port, "")
		t.drop(e)
	}
	if !t.begin(now, c) {
		return Full
	}
	t.tell(AskOthers, t.entries[place{c.Network, c.Addr}], c.Port, "")
	return Undecided
}

// Advertise takes a Neighbor Advertisement for an address that the port is not
// known to hold. One that another port is just probing for is an objection (RFC
// 6620 section 3.2.3): the address is the objector's, and the message is to be
// carried on.
func (t *Table) Advertise(now time.Duration, c Claim) Outcome {
	e := t.entries[place{c.Network, c.Addr}]
	switch {
	case e != nil && e.port != c.Port && e.state == tentative:
		return t.object(now, e, c)
	case c.Witness && e != nil:
		t.tell(Conflict, e, c.Port, e.port)
		return Carry
	case c.Witness:
		return Carry
	}
	return t.Use(now, c)
}

// Alive takes a sign of life of a port from an address; it changes nothing where
// the port does not hold it.
func (t *Table) Alive(now time.Duration, network, port string, addr netip.Addr) {
	if e := t.entries[place{network, addr}]; e != nil && e.port == port && e.state != tentative {
		t.alive(now, e)
	}
}

// alive keeps a binding for its holder.
func (t *Table) alive(now time.Duration, e *entry) {
	if other := e.contender.Port; other != "" {
		t.tell(Conflict, e, other, e.port)
		t.tell(Defend, e, other, e.port)
	}
	e.seen, e.state, e.contender, e.asked = now, valid, Claim{}, 0
	t.timers.Set(e, now+DefaultLifetime)
}

// begin makes a tentative binding; false if the port may not have one more.
func (t *Table) begin(now time.Duration, c Claim) bool {
	if !t.room(now, c) {
		return false
	}
	e := &entry{place: place{c.Network, c.Addr}, port: c.Port, state: tentative, seen: now}
	t.enter(e)
	t.timers.Set(e, now+Wait)
	return true
}

// bind makes a binding valid.
func (t *Table) bind(now time.Duration, e *entry) {
	e.state, e.seen, e.contender, e.asked = valid, now, Claim{}, 0
	t.timers.Set(e, now+DefaultLifetime)
	t.changed(e.place)
}

// drop forgets a binding.
func (t *Table) drop(e *entry) {
	delete(t.entries, e.place)
	t.leave(e)
	t.timers.Cancel(e)
	if e.state != tentative {
		t.changed(e.place)
	}
}

// Revise drops every binding that keep refuses: the topology has changed.
func (t *Table) Revise(keep func(Binding) bool) {
	for _, e := range t.entries {
		if !keep(Binding{e.network, e.port, e.addr}) {
			t.tell(Superseded, e, e.port, "")
			t.drop(e)
		}
	}
}
