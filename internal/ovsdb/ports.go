package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// ErrForeignPort says that a port of that name exists and is not ours.
var ErrForeignPort = errors.New("a port of that name exists and Damselfly did not make it")

// AddPort puts the network device name on the bridge, marked as ours, with
// externalIDs on its Interface. ifaceType is "" for a device that exists
// outside of OVS, else a netdev type as "internal". A port of ours is brought
// in line; anybody else's of that name is ErrForeignPort.
func (c *Client) AddPort(ctx context.Context, name, ifaceType string, externalIDs map[string]string) (changed bool, err error) {
	ids := maps.Clone(externalIDs)
	if ids == nil {
		ids = make(map[string]string)
	}
	ids[markKey] = markPort
	return c.writeBridge(ctx, "add port "+name+" to "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		port, err := ourPort(r, name)
		if err != nil {
			return nil, err
		}
		if port != nil {
			return alignPort(r, port, ifaceType, ids), nil
		}
		return []ovsdb.Operation{
			insert(tableInterface, "new_interface", ovsdb.Row{"name": name, "type": ifaceType, "external_ids": stringMap(ids)}),
			insert(tablePort, "new_port", ovsdb.Row{
				"name":         name,
				"interfaces":   newRow("new_interface"),
				"external_ids": stringMap(map[string]string{markKey: markPort}),
			}),
			mutate(tableBridge, r.bridge.UUID, ovsdb.Mutation{
				Column: "ports", Mutator: ovsdb.MutateOperationInsert, Value: newRow("new_port"),
			}),
		}, nil
	})
}

// DelPort takes a port of ours off the bridge. A port that is not there is
// success; anybody else's of that name is ErrForeignPort.
func (c *Client) DelPort(ctx context.Context, name string) (changed bool, err error) {
	return c.write(ctx, "remove port "+name+" from "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		if r.bridge == nil {
			return nil, nil
		}
		port, err := ourPort(r, name)
		if err != nil || port == nil {
			return nil, err
		}
		return []ovsdb.Operation{removeFromBridge(r.bridge, "ports", port.UUID)}, nil
	})
}

// ourPort finds the port of that name; nil when the name is free.
func ourPort(r rows, name string) (*portRow, error) {
	for _, uuid := range r.bridge.Ports {
		if p := r.ports[uuid]; p != nil && p.Name == name {
			if p.ExternalIDs[markKey] != markPort {
				return nil, fmt.Errorf("%w: %s on bridge %s: remove it (`ovs-vsctl del-port %s`) or choose another name",
					ErrForeignPort, name, r.bridge.Name, name)
			}
			return p, nil
		}
	}
	return nil, nameIsFree(r, name)
}

// nameIsFree refuses a name that stands anywhere in the database: port and
// interface names are unique over all bridges.
func nameIsFree(r rows, name string) error {
	for _, p := range r.ports {
		if p.Name == name {
			return fmt.Errorf("%w: %s, on another bridge: remove it there or choose another name", ErrForeignPort, name)
		}
	}
	for _, i := range r.interfaces {
		if i.Name == name {
			return fmt.Errorf("%w: %s, as an interface of another port: choose another name", ErrForeignPort, name)
		}
	}
	return nil
}

func alignPort(r rows, port *portRow, ifaceType string, ids map[string]string) []ovsdb.Operation {
	var ops []ovsdb.Operation
	for _, uuid := range port.Interfaces {
		i := r.interfaces[uuid]
		if i == nil || (i.Type == ifaceType && maps.Equal(i.ExternalIDs, ids)) {
			continue
		}
		ops = append(ops, update(tableInterface, uuid, ovsdb.Row{"type": ifaceType, "external_ids": stringMap(ids)}))
	}
	return ops
}

// removeFromBridge drops references; rows that nobody refers to any more are
// removed by the server itself.
func removeFromBridge(b *bridgeRow, column string, uuids ...string) ovsdb.Operation {
	refs := make([]ovsdb.UUID, len(uuids))
	for i, uuid := range uuids {
		refs[i] = ovsdb.UUID{GoUUID: uuid}
	}
	return mutate(tableBridge, b.UUID, ovsdb.Mutation{
		Column: column, Mutator: ovsdb.MutateOperationDelete, Value: set(refs...),
	})
}
