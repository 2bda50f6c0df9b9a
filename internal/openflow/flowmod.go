package openflow

import "damselfly/flows"

// Command is what a flow, group or meter modification does; see the constants
// of each.
type Command uint8

// Commands of a FlowMod (OpenFlow 1.5 section 7.3.4.2).
const (
	// FlowAdd puts a flow in; one with the same table, priority and match is
	// replaced and hands its counters on.
	FlowAdd Command = 0
	// FlowModify changes the actions of the flow with this table, priority and
	// match, and nothing if there is none.
	FlowModify Command = 2
	// FlowDeleteAll removes every flow that the match covers, whatever its
	// priority. Table AllTables means all tables.
	FlowDeleteAll Command = 3
	// FlowDelete removes the flow with this table, priority and match.
	FlowDelete Command = 4
)

// AllTables is the table of a FlowDeleteAll or a dump that means every table.
const AllTables uint8 = 0xff

// AnyGroup and AllGroups are group ids with a meaning of their own (OpenFlow
// 1.5 section 7.3.4.3).
const (
	AnyGroup  uint32 = 0xffffffff
	AllGroups uint32 = 0xfffffffc
)

// FlowMod is one change of the flow table.
type FlowMod struct {
	Command Command
	Flow    *flows.Flow
	// CookieMask narrows a FlowModify, FlowDelete or FlowDeleteAll to flows
	// whose cookie has the bits of Flow.Cookie; 0 takes every cookie.
	CookieMask uint64
}

// AppendFlowMod appends a FLOW_MOD message.
func AppendFlowMod(b []byte, xid uint32, m FlowMod) []byte {
	start := len(b)
	b = AppendHeader(b, TypeFlowMod, xid)
	b = put64(b, uint64(m.Flow.Cookie))
	b = put64(b, m.CookieMask)
	b = append(b, m.Flow.Table, byte(m.Command))
	b = put32(b, 0) // no timeouts
	b = put16(b, m.Flow.Priority)
	b = put32(b, noBuffer)
	b = put32(b, flows.NoPort) // deletes whatever the flow outputs to
	b = put32(b, AnyGroup)
	b = put32(b, 0) // no flags, importance 0
	b = AppendMatch(b, m.Flow.Match)
	if m.Command <= FlowModify && len(m.Flow.Actions) > 0 {
		b = appendApply(b, m.Flow.Actions)
	}
	return finish(b, start)
}

// noBuffer says that a message refers to no frame buffered in the switch.
const noBuffer = 0xffffffff

// applyActions is the only instruction our flows have (OpenFlow 1.5 section 7.2.5).
const applyActions = 4

func appendApply(b []byte, actions []flows.Action) []byte {
	start := len(b)
	b = pad(put32(b, applyActions<<16), 4)
	b = AppendActions(b, actions)
	return finish(b, start)
}
