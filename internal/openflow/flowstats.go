package openflow

import (
	"errors"
	"fmt"
	"time"

	"damselfly/flows"
)

// Entry is one flow of a dump.
type Entry struct {
	// Flow is the flow. Table, Priority and Cookie are always right, Match and
	// Actions as far as the fields below say.
	Flow flows.Flow
	// Unknown is nil if Flow says all there is. Otherwise the flow has something
	// package flows has no word for, so it is none of ours; the error says what.
	Unknown error
	// MatchKnown reports that Flow.Match is whole even though Unknown is set.
	MatchKnown bool
	// RawMatch is the match as it came, OXM fields without a header.
	RawMatch []byte
	FlowCounters
}

// FlowCounters is how much a flow was used, and since when.
type FlowCounters struct {
	Packets  uint64
	Octets   uint64
	Duration time.Duration
}

// FlowStat is what a counting reader needs of a flow.
type FlowStat struct {
	Table    uint8
	Priority uint16
	Cookie   flows.Cookie
	FlowCounters
}

// appendFlowRequest appends the body that FLOW and AGGREGATE requests share
// (OpenFlow 1.5 section 7.3.5.2).
func appendFlowRequest(b []byte, table uint8, cookie, mask uint64) []byte {
	b = append(b, table, 0, 0, 0)
	b = put32(b, flows.NoPort)
	b = pad(put32(b, AnyGroup), 4)
	b = put64(b, cookie)
	b = put64(b, mask)
	return AppendMatch(b, nil)
}

// flowEntry is one flow of a FLOW reply, cut into its parts.
type flowEntry struct {
	stat         FlowStat
	timed        bool // has a timeout, flags or an importance
	match        []byte
	instructions []byte
}

const flowStatsLen = 24

// cutFlowEntry splits the first flow off the body of a FLOW reply (OpenFlow 1.5
// section 7.3.5.2).
func cutFlowEntry(b []byte) (e flowEntry, rest []byte, err error) {
	if len(b) < flowStatsLen {
		return e, nil, errShort
	}
	n := int(get16(b))
	if n < flowStatsLen || n > len(b) {
		return e, nil, errShort
	}
	e.stat = FlowStat{Table: b[4], Priority: get16(b[6:]), Cookie: flows.Cookie(get64(b[16:]))}
	e.timed = get64(b[8:]) != 0
	var stats []byte
	if e.match, stats, err = cutMatch(b[flowStatsLen:n]); err != nil {
		return e, nil, err
	}
	e.stat.FlowCounters, e.instructions, err = cutCounters(stats)
	return e, b[n:], err
}

// Counters of a flow (OXS, OpenFlow 1.5 section 7.2.4).
const (
	oxsDuration = 0x80020008
	oxsPackets  = 0x80020808
	oxsOctets   = 0x80020a08
)

// cutCounters splits the counters off b.
func cutCounters(b []byte) (c FlowCounters, rest []byte, err error) {
	if len(b) < 4 {
		return c, nil, errShort
	}
	n := int(get16(b[2:]))
	if n < 4 || round8(n) > len(b) {
		return c, nil, errShort
	}
	rest = b[round8(n):]
	for list := b[4:n]; len(list) > 0; {
		if len(list) < 4 || len(list) < 4+int(list[3]) {
			return c, nil, errShort
		}
		value := list[4 : 4+int(list[3])]
		switch get32(list) {
		case oxsDuration:
			c.Duration = time.Duration(get32(value))*time.Second + time.Duration(get32(value[4:]))
		case oxsPackets:
			c.Packets = get64(value)
		case oxsOctets:
			c.Octets = get64(value)
		}
		list = list[4+len(value):]
	}
	return c, rest, nil
}

// entry returns the flow with its match and actions decoded.
func (e *flowEntry) entry() Entry {
	out := Entry{
		Flow:         flows.Flow{Table: e.stat.Table, Priority: e.stat.Priority, Cookie: e.stat.Cookie},
		FlowCounters: e.stat.FlowCounters,
		RawMatch:     e.match,
	}
	match, err := DecodeMatch(e.match)
	if err != nil {
		out.Unknown = err
		return out
	}
	out.MatchKnown = true
	out.Flow.Match = match
	if e.timed {
		out.Unknown = errors.New("openflow: the flow has a timeout or flags, ours have none")
		return out
	}
	out.Flow.Actions, out.Unknown = decodeInstructions(e.instructions)
	return out
}

func decodeInstructions(b []byte) ([]flows.Action, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < 8 {
		return nil, errShort
	}
	n := int(get16(b[2:]))
	if typ := get16(b); typ != applyActions || n != len(b) {
		return nil, fmt.Errorf("openflow: instruction %d of %d octets in %d is not one of ours", typ, n, len(b))
	}
	return DecodeActions(b[8:])
}

// DecodeFlows appends the flows in the body of a FLOW reply to out. Flows that
// are not ours do not make an error; see Entry.Unknown.
func DecodeFlows(out []Entry, body []byte) ([]Entry, error) {
	for len(body) > 0 {
		e, rest, err := cutFlowEntry(body)
		if err != nil {
			return out, err
		}
		out = append(out, e.entry())
		body = rest
	}
	return out, nil
}

// Aggregate is what AGGREGATE counts over many flows.
type Aggregate struct {
	Flows   uint32
	Packets uint64
	Octets  uint64
}

const oxsFlows = 0x80020604

func decodeAggregate(b []byte) (a Aggregate, err error) {
	c, _, err := cutCounters(b)
	if err != nil {
		return a, err
	}
	a.Packets, a.Octets = c.Packets, c.Octets
	for list := b[4:get16(b[2:])]; len(list) >= 8; list = list[4+int(list[3]):] {
		if get32(list) == oxsFlows {
			a.Flows = get32(list[4:])
		}
	}
	return a, nil
}
