package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// SetFlowTablePrefixes makes the bridge look up the given fields, sorted, by
// prefix, each in its OpenFlow table (0 to 254), so that a megaflow keeps only
// the bits that decided: without them each forged source is a megaflow of its
// own. A table that somebody else configured without these prefixes is an error
// that names it: a table has one Flow_Table row, and that one is not ours to
// change.
func (c *Client) SetFlowTablePrefixes(ctx context.Context, tables map[uint8][]string) (changed bool, err error) {
	return c.writeBridge(ctx, "set Flow_Table prefixes of "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		v := View{}
		v.addBridge(r)
		missing, surplus, err := v.prefixDifference(tables)
		if err != nil {
			return nil, err
		}
		var ops []ovsdb.Operation
		if len(surplus) > 0 {
			ops = append(ops, mutate(tableBridge, r.bridge.UUID, ovsdb.Mutation{
				Column: "flow_tables", Mutator: ovsdb.MutateOperationDelete, Value: set(surplus...),
			}))
		}
		if len(missing) == 0 {
			return ops, nil
		}
		rows, entries := make(map[string]ovsdb.UUID), ovsdb.OvsMap{GoMap: make(map[any]any, len(missing))}
		for _, t := range missing {
			fields := tables[uint8(t)]
			name := strings.Join(fields, "_")
			row, known := rows[name]
			if !known {
				var create bool
				if row, create = ourFlowTable(r, fields); create {
					ops = append(ops, insert(tableFlowTable, row.GoUUID, ovsdb.Row{
						"prefixes":     set(fields...),
						"external_ids": stringMap(map[string]string{markKey: markPrefixes}),
					}))
				}
				rows[name] = row
			}
			entries.GoMap[t] = row
		}
		return append(ops, mutate(tableBridge, r.bridge.UUID, ovsdb.Mutation{
			Column: "flow_tables", Mutator: ovsdb.MutateOperationInsert, Value: entries,
		})), nil
	})
}

// ourFlowTable is the one row that all our tables with these fields share, or
// the name of one to be made.
func ourFlowTable(r rows, fields []string) (row ovsdb.UUID, create bool) {
	for _, uuid := range slices.Sorted(maps.Values(r.bridge.FlowTables)) {
		if t := r.flowTables[uuid]; t != nil && t.ExternalIDs[markKey] == markPrefixes && slices.Equal(slices.Sorted(slices.Values(t.Prefixes)), fields) {
			return ovsdb.UUID{GoUUID: uuid}, false
		}
	}
	return newRow("prefix_table_" + strings.Join(fields, "_")), true
}

// prefixDifference says which of the wanted tables have no row with their fields
// and which have one of ours that is not wanted.
func (v View) prefixDifference(want map[uint8][]string) (missing, surplus []int, err error) {
	for _, t := range slices.Sorted(maps.Keys(want)) {
		if t == 255 {
			return nil, nil, fmt.Errorf("table 255 cannot be configured: tables are 0 to 254")
		}
		have, exists := v.FlowTablePrefixes[t]
		ours := slices.Contains(v.prefixTables, t)
		switch {
		case !exists, ours && !slices.Equal(have, want[t]):
			missing = append(missing, int(t))
		case ours, !slices.ContainsFunc(want[t], func(f string) bool { return !slices.Contains(have, f) }):
		default:
			return nil, nil, fmt.Errorf("table %d of bridge %s has a Flow_Table row of somebody else with prefixes %v: make it %v (`ovs-vsctl set Flow_Table ... prefixes=...`) or remove it",
				t, v.BridgeName, have, want[t])
		}
	}
	for _, t := range v.prefixTables {
		if have := v.FlowTablePrefixes[t]; !slices.Equal(have, want[t]) {
			surplus = append(surplus, int(t))
		}
	}
	return missing, surplus, nil
}
