package multicast

import (
	"net/netip"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Kind is what an Event asks to be sent.
type Kind uint8

const (
	// Ask: the Query, to all of the network or to the Port alone.
	Ask Kind = iota
	// Advertise: a Multicast Router Advertisement to all of the network, with the Query's times.
	Advertise
	// Terminate: a Multicast Router Termination in the name of Former's router, to all of its ports.
	Terminate
	// Retell: the Records, to multicast routers, on behalf of the Port, which has moved.
	Retell

	// Report: the Records, to multicast routers, of what the network's router listens to itself; by MLDv1 if Old.
	Report

	// Kinds is the number of kinds.
	Kinds
)

// String returns the kind's name as metrics write it.
func (k Kind) String() string {
	return [...]string{"queries", "advertisements", "terminations", "reports", "proxied"}[k]
}

// Event is something to be sent.
type Event struct {
	Kind    Kind
	Network string
	// Port is "" for all.
	Port    string
	Query   wire.Query
	Records []wire.Record
	Old     bool
	// Former is the network as it was advertised.
	Former *topology.Network
}

// Tracked reports whether it is known who listens to a group. Some are carried to all
// anyway: all nodes and what has no scope, of which listeners do not tell (RFC 9777
// section 6, RFC 4541 section 3), the groups by which neighbours are found, and those
// of routers and snoopers.
func Tracked(group netip.Addr) bool {
	a := group.As16()
	switch {
	case a[0] != 0xff || a[1]&0xf < linkScope:
		return false
	case group == wire.AllNodes || group == wire.AllRouters || group == wire.AllSnoopers:
		return false
	}
	return wire.SolicitedNode(group) != group
}

// linkScope is the scope of a link (RFC 4291 section 2.7).
const linkScope = 2
