package neighbor

import (
	"net/netip"
	"time"

	"damselfly/internal/wire"
)

// The times and counts of resolution.
const (
	// Solicitations is how often an unknown neighbour is asked for, Retrans apart
	// (RFC 4861 section 10, MAX_MULTICAST_SOLICIT and RETRANS_TIMER), and how
	// often a known one is asked whether it is there (MAX_UNICAST_SOLICIT).
	Solicitations = 3
	Retrans       = time.Second
	// Reachable is how long an answer counts (RFC 4861 section 10, REACHABLE_TIME),
	// from half of it to one and a half (section 6.3.2).
	Reachable = 30 * time.Second
	// Delay is how long a stale neighbour that is used waits before it is asked
	// (RFC 4861 section 10, DELAY_FIRST_PROBE_TIME).
	Delay = 5 * time.Second
	// Pinned is Reachable for next hops of routes: with three probes behind it, a
	// router that is gone is noticed after six seconds.
	Pinned = 3 * time.Second
	// Rest is how long a stale neighbour that nobody uses is kept.
	Rest = 5 * time.Minute
	// QueueMost is how many packets wait for one neighbour; a newer one takes the
	// place of the oldest (RFC 4861 section 7.2.2).
	QueueMost = 3
)

// State is how much is known of a neighbour (RFC 4861 section 7.3.2).
type State uint8

// The states.
const (
	Incomplete State = iota
	ReachableState
	Stale
	DelayState
	Probe
	// States is the number of states.
	States
)

// String returns the state's name as status and metrics write it.
func (s State) String() string {
	return [...]string{"incomplete", "reachable", "stale", "delay", "probe"}[s]
}

// Place is an address on a network.
type Place struct {
	Network string
	Addr    netip.Addr
}

// Neighbor is one neighbour.
type Neighbor struct {
	Place
	// Port and MAC are where it is: zero while it is Incomplete.
	Port  string
	MAC   wire.MAC
	State State
	// Router says that it told that it is one (RFC 4861 section 7.3.3).
	Router bool
	// Pinned says that it is the next hop of a route.
	Pinned bool
}

// Packet is a frame that waited for a neighbour, and the port it came from.
type Packet struct {
	Port  string
	Frame []byte
}

// Kind is what an Event asks or tells.
type Kind uint8

const (
	// Ask: ask all on the network who has the address (RFC 4861 section 7.2.2).
	Ask Kind = iota
	// AskHolder: ask the neighbour whether it is still there (RFC 4861 section 7.3.3).
	AskHolder
	// Resolved: a neighbour is known now; Packets are to be sent to it.
	Resolved
	// Moved: a known neighbour has another MAC or port now.
	Moved
	// Unreachable: nobody answered; Packets are to be answered with an error (RFC
	// 4861 section 7.2.2).
	Unreachable
	// Lost: a known neighbour does not answer any more.
	Lost
	// Forgotten: a neighbour that nobody used, or that had to make room, is known no more.
	Forgotten
	// NoRouter: a neighbour that was a router says that it is none any more (RFC
	// 4861 section 7.2.5).
	NoRouter
	// Kinds is the number of kinds.
	Kinds
)

// String returns the kind as metrics label it.
func (k Kind) String() string {
	return [...]string{"ask", "ask-holder", "resolved", "moved", "unreachable", "lost", "forgotten", "no-router"}[k]
}

// Event is something to be sent or told.
type Event struct {
	Kind Kind
	Place
	// Port and MAC are where the neighbour is, or was; zero for Ask and Unreachable.
	Port string
	MAC  wire.MAC
	// Packets waited for it; for Resolved and Unreachable alone.
	Packets []Packet
}
