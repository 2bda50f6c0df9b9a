package multicast

import (
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
	// Solicit: a Multicast Router Solicitation to who is behind the Port.
	Solicit
	// Retell: the Records, to multicast routers, on behalf of the Port, which has moved.
	Retell
	// Report: the Records, to multicast routers, of what the network's router listens to itself; by MLDv1 if Old.
	Report

	// Kinds is the number of kinds.
	Kinds
)

// String returns the kind's name as metrics write it.
func (k Kind) String() string {
	return [...]string{"queries", "advertisements", "terminations", "solicitations", "reports", "proxied"}[k]
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
