package openflow

import "damselfly/flows"

// Event is something the switch tells unasked: a PortEvent, a FlowGone or a
// Missed.
type Event interface{ event() }

// PortEvent is a port that came, changed or went (OpenFlow 1.5 section 7.4.3).
type PortEvent struct {
	Reason PortReason
	Port   Port
}

// PortReason is what happened to a port.
type PortReason uint8

// What may happen to a port.
const (
	PortAdded   PortReason = 0
	PortGone    PortReason = 1
	PortChanged PortReason = 2
)

// FlowGone is a flow that was removed though no controller asked for it, or that
// had asked to be told (OpenFlow 1.5 section 7.4.2).
type FlowGone struct {
	Table    uint8
	Priority uint16
	Cookie   flows.Cookie
	// Reason is OpenFlow's OFPRR number: 2 is a delete, 3 its group's, 4 its meter's.
	Reason uint8
	FlowCounters
}

// Missed says that Events came faster than they were taken and Count of them
// were thrown away: whoever keeps a copy of the switch's state reads it anew.
type Missed struct{ Count int }

func (PortEvent) event() {}
func (FlowGone) event()  {}
func (Missed) event()    {}

// DecodeEvent returns the event that an asynchronous message tells of; ok is
// false for messages that are none.
func DecodeEvent(m Message) (e Event, ok bool) {
	b := m.Body()
	switch m.Type() {
	case TypePortStatus:
		if len(b) < 8 {
			return nil, false
		}
		p, _, err := cutPort(b[8:])
		return PortEvent{PortReason(b[0]), p}, err == nil
	case TypeFlowRemoved:
		if len(b) < 16 {
			return nil, false
		}
		g := FlowGone{Table: b[0], Reason: b[1], Priority: get16(b[2:]), Cookie: flows.Cookie(get64(b[8:]))}
		_, rest, err := cutMatch(b[16:])
		if err == nil {
			g.FlowCounters, _, err = cutCounters(rest)
		}
		return g, err == nil
	}
	return nil, false
}
