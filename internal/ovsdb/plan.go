package ovsdb

import (
	"fmt"
	"slices"
)

// Setup is what Damselfly wants of its bridge.
type Setup struct {
	// Create allows the bridge to be created, with DatapathType.
	Create       bool
	DatapathType string
	// ControllerQueueSize in messages, 1 to 512.
	ControllerQueueSize int
	// PrefixTables are the OpenFlow tables that match addresses, and the fields,
	// sorted, that are looked up by prefix in each.
	PrefixTables map[uint8][]string
	// Ports are the names of our own ports.
	Ports []string
}

// Change is one thing that setting up the bridge would do.
type Change struct {
	// Text is a line for a person.
	Text string
	// Disruptive is true when traffic that flows now would stop or change.
	Disruptive bool
}

// Plan lists what the set-up methods of Client would change to reach s, in
// their order; empty when all is so already. An error is what one of them
// would refuse: ErrNoBridge, ErrForeignPort, a Flow_Table of somebody else.
func (v View) Plan(s Setup) ([]Change, error) {
	var plan []Change
	add := func(disruptive bool, format string, args ...any) {
		plan = append(plan, Change{Text: fmt.Sprintf(format, args...), Disruptive: disruptive})
	}
	switch {
	case !v.Exists && !s.Create:
		return nil, fmt.Errorf("%w: create it with `ovs-vsctl add-br %s`, or name another one than %s", ErrNoBridge, v.BridgeName, v.BridgeName)
	case !v.Exists:
		add(false, "create bridge %s with datapath_type=%q and fail_mode=secure", v.BridgeName, s.DatapathType)
	case v.FailMode != failSecure:
		add(true, "set fail_mode of bridge %s from %s to secure, which flushes its flows", v.BridgeName, orNone(v.FailMode))
	}
	if v.ControllerQueueSize != s.ControllerQueueSize {
		add(false, "set controller-queue-size of bridge %s from %d to %d", v.BridgeName, v.ControllerQueueSize, s.ControllerQueueSize)
	}
	missing, surplus, err := v.prefixDifference(s.PrefixTables)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		add(false, "look up addresses by prefix in tables %v of bridge %s", missing, v.BridgeName)
	}
	if len(surplus) > 0 {
		add(false, "no longer look up by prefix in tables %v of bridge %s", surplus, v.BridgeName)
	}
	for _, name := range s.Ports {
		in, exists := v.Interface(name)
		switch {
		case exists && !in.Ours, v.foreignInUse[name]:
			return nil, fmt.Errorf("%w: %s: remove it (`ovs-vsctl del-port %s`)", ErrForeignPort, name, name)
		case !exists:
			add(false, "add port %s to bridge %s", name, v.BridgeName)
		}
	}
	return slices.Clip(plan), nil
}
