package ovsdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// What is ours carries markKey in external_ids: on the row itself where we
// created the row, and under a key of its own on the bridge where we changed a
// column of somebody else's, with the former value.
const (
	markKey      = "damselfly"
	markBridge   = "bridge"
	markPort     = "port"
	markPrefixes = "prefixes"

	formerFailModeKey  = "damselfly-fail-mode"
	formerQueueSizeKey = "damselfly-controller-queue-size"
	// formerNone records that the column was unset.
	formerNone = "none"

	queueSizeKey = "controller-queue-size"
	failSecure   = "secure"
)

// ErrNoBridge says that the bridge to be served does not exist.
var ErrNoBridge = errors.New("no such bridge")

func (c *Client) noBridge() error {
	return fmt.Errorf("%w: %s is not in the database at %s: create it with `ovs-vsctl add-br %s`, or name another one",
		ErrNoBridge, c.bridge, c.endpoint, c.bridge)
}

// write runs one transaction of the operations that plan finds to be wanting,
// and nothing when it finds none. The server announces a change before it
// confirms the transaction, so the view shows it when write returns.
func (c *Client) write(ctx context.Context, what string, plan func(rows) ([]ovsdb.Operation, error)) (changed bool, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	lib, err := c.connection(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	r, ok := readRows(lib, c.bridge)
	if !ok {
		return false, fmt.Errorf("%s: %w", what, errConnectionLost)
	}
	ops, err := plan(r)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	if len(ops) == 0 {
		return false, nil
	}
	if err := transact(ctx, lib, ops); err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	c.rebuild(lib, false)
	c.log.Info("changed the switch's configuration", "what", what)
	return true, nil
}

// writeBridge is write for what needs the bridge to be there.
func (c *Client) writeBridge(ctx context.Context, what string, plan func(rows) ([]ovsdb.Operation, error)) (bool, error) {
	return c.write(ctx, what, func(r rows) ([]ovsdb.Operation, error) {
		if r.bridge == nil {
			return nil, c.noBridge()
		}
		return plan(r)
	})
}

func transact(ctx context.Context, lib client.Client, ops []ovsdb.Operation) error {
	results, err := lib.Transact(ctx, ops...)
	if err != nil {
		return err
	}
	failed, err := ovsdb.CheckOperationResults(results, ops)
	if err == nil {
		return nil
	}
	for _, f := range failed {
		err = fmt.Errorf("%w; %s", err, f.Error())
	}
	return err
}

// The operations below name their row by UUID: a row that somebody removed in
// the meantime is left alone rather than made anew.

func byUUID(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: uuid})}
}

func insert(table, name string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUIDName: name, Row: row}
}

func update(table, uuid string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: table, Where: byUUID(uuid), Row: row}
}

func mutate(table, uuid string, mutations ...ovsdb.Mutation) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid), Mutations: mutations}
}

// setKey are the mutations that give key of a string map a value: an insert
// alone would not replace one.
func setKey(column, key, value string) []ovsdb.Mutation {
	return []ovsdb.Mutation{
		deleteKeys(column, key),
		{Column: column, Mutator: ovsdb.MutateOperationInsert, Value: stringMap(map[string]string{key: value})},
	}
}

func deleteKeys(column string, keys ...string) ovsdb.Mutation {
	return ovsdb.Mutation{Column: column, Mutator: ovsdb.MutateOperationDelete, Value: set(keys...)}
}

func set[T any](items ...T) ovsdb.OvsSet {
	s := ovsdb.OvsSet{GoSet: []any{}}
	for _, i := range items {
		s.GoSet = append(s.GoSet, i)
	}
	return s
}

func stringMap(m map[string]string) ovsdb.OvsMap {
	out := ovsdb.OvsMap{GoMap: make(map[any]any, len(m))}
	for k, v := range m {
		out.GoMap[k] = v
	}
	return out
}

// newRow refers to a row inserted in the same transaction, RFC 7047 section 5.1.
func newRow(name string) ovsdb.UUID { return ovsdb.UUID{GoUUID: name} }
