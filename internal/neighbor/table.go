package neighbor

import (
	"time"

	"damselfly/internal/due"
	"damselfly/internal/wire"
)

// Table holds the neighbours of all networks.
type Table struct {
	bounds Bounds
	// spread moves a time to anywhere between half of it and one and a half.
	spread func(time.Duration) time.Duration

	entries map[Place]*entry
	// known are the entries with a MAC, by the port they are behind.
	known map[string]map[*entry]struct{}
	// asking counts the entries without one, by the port whose packet made them
	// and by network; those of pinned next hops are not counted.
	asking, askingOn map[string]int
	queued           int // octets that wait
	timers           due.Queue[*entry]
	events           []Event
	shown            bool // what others see is what there is
	view             View
}

// entry is one neighbour.
type entry struct {
	Place
	state  State
	port   string
	mac    wire.MAC
	router bool
	pinned bool
	// asker is the port whose packet made the entry; "" where it is not counted.
	asker string
	queue []Packet
	asked int // solicitations since the state began
	// used is the uptime at which it was heard of or used last.
	used time.Duration
	// Timer is of the uptime at which the state ends.
	due.Timer
}

// New returns an empty Table. spread moves a time to anywhere between half of it
// and one and a half, so that not all neighbours are asked at once; nil leaves it.
func New(b Bounds, spread func(time.Duration) time.Duration) *Table {
	if spread == nil {
		spread = func(d time.Duration) time.Duration { return d }
	}
	return &Table{
		bounds: b, spread: spread, entries: map[Place]*entry{}, known: map[string]map[*entry]struct{}{},
		asking: map[string]int{}, askingOn: map[string]int{}, shown: true,
	}
}

func (t *Table) tell(k Kind, e *entry) {
	t.events = append(t.events, Event{Kind: k, Place: e.Place, Port: e.port, MAC: e.mac})
}

// Events returns what is to be sent and told since the last call, in order; it
// is valid until the next message.
func (t *Table) Events() []Event {
	list := t.events
	t.events = t.events[:0]
	return list
}

// place files an entry as known to be at a port with a MAC.
func (t *Table) place(e *entry, port string, mac wire.MAC) {
	if e.mac.IsZero() {
		t.settle(e)
	} else {
		t.leave(e)
	}
	e.port, e.mac = port, mac
	if t.known[port] == nil {
		t.known[port] = map[*entry]struct{}{}
	}
	t.known[port][e] = struct{}{}
	t.shown = false
}

// leave takes an entry from the port it is behind.
func (t *Table) leave(e *entry) {
	delete(t.known[e.port], e)
	if len(t.known[e.port]) == 0 {
		delete(t.known, e.port)
	}
	t.shown = false
}

// enter makes an entry without a MAC that is counted for asker.
func (t *Table) enter(p Place, asker string) *entry {
	e := &entry{Place: p, asker: asker}
	t.entries[p] = e
	if asker != "" {
		t.asking[asker]++
		t.askingOn[p.Network]++
	}
	return e
}

// settle counts an entry no more among those asked for.
func (t *Table) settle(e *entry) {
	if e.asker == "" {
		return
	}
	dec(t.asking, e.asker)
	dec(t.askingOn, e.Network)
	e.asker = ""
}

func dec(m map[string]int, k string) {
	if m[k]--; m[k] == 0 {
		delete(m, k)
	}
}

// drop forgets an entry and what waits for it.
func (t *Table) drop(e *entry) {
	t.unqueue(e)
	t.settle(e)
	if !e.mac.IsZero() {
		t.leave(e)
	}
	delete(t.entries, e.Place)
	t.timers.Cancel(e)
}

// Settle ends the search for neighbours whose place is known from elsewhere by now:
// what waits is to be sent there.
func (t *Table) Settle(place func(Place) (port string, mac wire.MAC, known bool)) {
	for p, e := range t.entries {
		if !e.mac.IsZero() {
			continue
		}
		if port, mac, known := place(p); known {
			t.events = append(t.events, Event{Kind: Resolved, Place: p, Port: port, MAC: mac, Packets: t.unqueue(e)})
			t.drop(e)
		}
	}
}

// Revise forgets every neighbour that keep refuses: the topology has changed.
// What waits for it is dropped.
func (t *Table) Revise(keep func(Neighbor) bool) {
	for _, e := range t.entries {
		if !keep(e.neighbor()) {
			if !e.mac.IsZero() {
				t.tell(Forgotten, e)
			}
			t.drop(e)
		}
	}
}
