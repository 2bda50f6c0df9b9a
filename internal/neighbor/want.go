package neighbor

import (
	"bytes"
	"time"

	"damselfly/internal/wire"
)

// Outcome is what becomes of a packet for a neighbour.
type Outcome uint8

const (
	// Waiting: it waits until the neighbour is known, or is found unreachable.
	Waiting Outcome = iota
	// Known: the neighbour is known; the packet may be sent.
	Known
	// Crowded: too many are asked for already; the packet is dropped.
	Crowded
)

// Want takes a packet for a neighbour from a port. It keeps a copy of frame where
// that has to wait. For Known it returns where the neighbour is.
func (t *Table) Want(now time.Duration, p Place, port string, frame []byte) (o Outcome, behind string, mac wire.MAC) {
	e := t.entries[p]
	switch {
	case e == nil:
		if t.asking[port] >= t.bounds.Asking || t.askingOn[p.Network] >= t.bounds.AskingOn || len(t.entries) >= t.bounds.Known {
			return Crowded, "", wire.MAC{}
		}
		e = t.enter(p, port)
		t.ask(now, e)
	case !e.mac.IsZero():
		t.use(now, e)
		return Known, e.port, e.mac
	}
	t.enqueue(e, port, frame)
	return Waiting, "", wire.MAC{}
}

// enqueue keeps a packet for an entry that is asked for.
func (t *Table) enqueue(e *entry, port string, frame []byte) {
	if len(e.queue) == QueueMost {
		t.queued -= len(e.queue[0].Frame)
		copy(e.queue, e.queue[1:])
		e.queue = e.queue[:QueueMost-1]
	}
	if t.queued+len(frame) > t.bounds.Octets {
		return
	}
	t.queued += len(frame)
	e.queue = append(e.queue, Packet{Port: port, Frame: bytes.Clone(frame)})
}

// unqueue gives up what waits for an entry.
func (t *Table) unqueue(e *entry) (list []Packet) {
	for i := range e.queue {
		t.queued -= len(e.queue[i].Frame)
	}
	list, e.queue = e.queue, nil
	return list
}
