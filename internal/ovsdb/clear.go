package ovsdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// Clear takes back what the other methods did, in one transaction: our ports,
// our Flow_Table rows, and the settings we changed, each to its former value
// unless somebody has changed it since. A bridge we created goes too, unless
// somebody put a port or a controller on it. done tells what was taken back;
// empty when there was nothing. Putting fail_mode back flushes the bridge's flows.
func (c *Client) Clear(ctx context.Context) (done []string, err error) {
	_, err = c.write(ctx, "clear bridge "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		if r.bridge == nil {
			return nil, nil
		}
		var undo undoing
		if r.bridge.ExternalIDs[markKey] == markBridge && !inUse(r) {
			undo.removeBridge(r)
		} else {
			undo.removePorts(r)
			undo.removePrefixes(r)
			undo.restoreFailMode(r.bridge)
			undo.restoreQueueSize(r.bridge)
		}
		done = undo.done
		return undo.ops, nil
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

// inUse says whether the bridge carries a port that is neither LOCAL nor ours,
// or a controller.
func inUse(r rows) bool {
	for _, uuid := range r.bridge.Ports {
		p := r.ports[uuid]
		if p != nil && p.Name != r.bridge.Name && p.ExternalIDs[markKey] != markPort {
			return true
		}
	}
	return len(r.bridge.Controller) > 0
}

// undoing gathers operations and what to tell of them.
type undoing struct {
	ops  []ovsdb.Operation
	done []string
}

func (u *undoing) say(format string, args ...any) {
	u.done = append(u.done, fmt.Sprintf(format, args...))
}

func (u *undoing) removeBridge(r rows) {
	u.ops = append(u.ops, mutate(tableRoot, r.root.UUID, ovsdb.Mutation{
		Column:  "bridges",
		Mutator: ovsdb.MutateOperationDelete,
		Value:   ovsdb.UUID{GoUUID: r.bridge.UUID},
	}))
	u.say("removed bridge %s", r.bridge.Name)
}

func (u *undoing) removePorts(r rows) {
	var uuids []string
	for _, uuid := range r.bridge.Ports {
		if p := r.ports[uuid]; p != nil && p.ExternalIDs[markKey] == markPort {
			uuids = append(uuids, uuid)
			u.say("removed port %s", p.Name)
		}
	}
	if len(uuids) > 0 {
		u.ops = append(u.ops, removeFromBridge(r.bridge, "ports", uuids...))
	}
}

func (u *undoing) removePrefixes(r rows) {
	v := View{}
	v.addBridge(r)
	if len(v.prefixTables) == 0 {
		return
	}
	tables := make([]int, len(v.prefixTables))
	for i, t := range v.prefixTables {
		tables[i] = int(t)
	}
	u.ops = append(u.ops, mutate(tableBridge, r.bridge.UUID, ovsdb.Mutation{
		Column: "flow_tables", Mutator: ovsdb.MutateOperationDelete, Value: set(tables...),
	}))
	u.say("removed the prefixes of tables %v", tables)
}

func (u *undoing) restoreFailMode(b *bridgeRow) {
	former, ok := b.ExternalIDs[formerFailModeKey]
	if !ok {
		return
	}
	u.ops = append(u.ops, mutate(tableBridge, b.UUID, deleteKeys("external_ids", formerFailModeKey)))
	if deref(b.FailMode) != failSecure {
		return
	}
	var value any = former
	if former == formerNone {
		value = set[string]()
	}
	u.ops = append(u.ops, update(tableBridge, b.UUID, ovsdb.Row{"fail_mode": value}))
	u.say("set fail_mode back to %s", former)
}

func (u *undoing) restoreQueueSize(b *bridgeRow) {
	record, ok := b.ExternalIDs[formerQueueSizeKey]
	if !ok {
		return
	}
	u.ops = append(u.ops, mutate(tableBridge, b.UUID, deleteKeys("external_ids", formerQueueSizeKey)))
	former, ours, _ := strings.Cut(record, "/")
	if b.OtherConfig[queueSizeKey] != ours {
		return
	}
	if former == formerNone {
		u.ops = append(u.ops, mutate(tableBridge, b.UUID, deleteKeys("other_config", queueSizeKey)))
	} else {
		u.ops = append(u.ops, mutate(tableBridge, b.UUID, setKey("other_config", queueSizeKey, former)...))
	}
	u.say("set controller-queue-size back to %s", former)
}
