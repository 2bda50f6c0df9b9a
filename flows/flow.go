package flows

import (
	"fmt"
	"slices"
	"strings"
)

// Flow is one flow: what it matches in which table and what it does. Flows
// carry no timeouts. An empty action list drops.
type Flow struct {
	Table    uint8
	Priority uint16
	Cookie   Cookie
	Match    Match
	Actions  []Action
}

// Key is what makes a flow the same flow to the switch: table, priority and
// match. An ADD with the key of a flow that is there replaces it.
type Key string

// Key returns the flow's identity.
func (f *Flow) Key() Key {
	b := make([]byte, 0, 64)
	b = append(b, f.Table, byte(f.Priority>>8), byte(f.Priority))
	for _, m := range f.Match {
		n := m.Field.Info().Size
		b = append(b, byte(m.Field))
		b = append(b, m.Value[:n]...)
		b = append(b, m.Mask[:n]...)
	}
	return Key(b)
}

// Equal reports whether f and o are the same flow and do the same.
func (f *Flow) Equal(o *Flow) bool {
	return f.Table == o.Table && f.Priority == o.Priority && f.Cookie == o.Cookie &&
		f.Match.Equal(o.Match) && slices.Equal(f.Actions, o.Actions)
}

// String renders the flow in ovs-ofctl's language.
func (f *Flow) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cookie=%#x, table=%d, priority=%d", uint64(f.Cookie), f.Table, f.Priority)
	if m := f.Match.String(); m != "" {
		b.WriteString(",")
		b.WriteString(m)
	}
	b.WriteString(" actions=")
	b.WriteString(actionsText(f.Actions))
	return b.String()
}

// GroupType is the kind of a group.
type GroupType uint8

// Group types with their OpenFlow numbers (OpenFlow 1.5 section 7.3.4.3).
const (
	// All runs every bucket on its own copy of the frame.
	All GroupType = 0
	// Select runs one bucket, chosen by the datapath's hash (dp_hash): the
	// frame is recirculated first.
	Select GroupType = 1
	// Indirect runs its only bucket.
	Indirect GroupType = 2
	// FastFailover runs the first bucket whose watched port is alive.
	FastFailover GroupType = 3
)

// Group is one group. A Select group uses dp_hash with no fields.
type Group struct {
	ID      uint32
	Type    GroupType
	Buckets []Bucket
}

// NoGroup is a bucket's watch group that watches nothing.
const NoGroup uint32 = 0xffffffff

// Bucket is one action list of a group.
type Bucket struct {
	ID uint32
	// WatchPort and WatchGroup are the port and the group whose liveness the
	// bucket of a FastFailover group needs; NoPort and NoGroup for none.
	WatchPort  uint32
	WatchGroup uint32
	// Weight counts in Select groups.
	Weight  uint16
	Actions []Action
}

// Equal reports whether b and o are the same bucket.
func (b Bucket) Equal(o Bucket) bool {
	return b.ID == o.ID && b.WatchPort == o.WatchPort && b.WatchGroup == o.WatchGroup && b.Weight == o.Weight && slices.Equal(b.Actions, o.Actions)
}

// Equal reports whether g and o are the same group.
func (g *Group) Equal(o *Group) bool {
	return g.ID == o.ID && g.Type == o.Type && slices.EqualFunc(g.Buckets, o.Buckets, Bucket.Equal)
}

// String renders the group in ovs-ofctl's language.
func (g *Group) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "group_id=%d,type=%s", g.ID, g.Type)
	if g.Type == Select {
		b.WriteString(",selection_method=dp_hash")
	}
	for _, k := range g.Buckets {
		fmt.Fprintf(&b, ",bucket=bucket_id:%d", k.ID)
		if g.Type == Select {
			fmt.Fprintf(&b, ",weight:%d", k.Weight)
		}
		if k.WatchPort != NoPort {
			fmt.Fprintf(&b, ",watch_port:%s", portText(k.WatchPort))
		}
		if k.WatchGroup != NoGroup {
			fmt.Fprintf(&b, ",watch_group:%d", k.WatchGroup)
		}
		b.WriteString(",actions=" + actionsText(k.Actions))
	}
	return b.String()
}

// String returns ovs-ofctl's word for the type.
func (t GroupType) String() string {
	switch t {
	case All:
		return "all"
	case Select:
		return "select"
	case Indirect:
		return "indirect"
	case FastFailover:
		return "ff"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Meter is one meter with a single drop band.
type Meter struct {
	ID uint32
	// Rate is the frames a second that pass.
	Rate uint32
	// Burst is the frames that pass at once.
	Burst uint32
}

// String renders the meter in ovs-ofctl's language.
func (m Meter) String() string {
	return fmt.Sprintf("meter=%d pktps burst stats bands=type=drop rate=%d burst_size=%d", m.ID, m.Rate, m.Burst)
}
