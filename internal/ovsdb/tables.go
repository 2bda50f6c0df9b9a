package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// wantedPrefixes are looked up as prefix trees, so that a megaflow keeps only
// the bits that decided. Without them each forged source is a megaflow of its own.
var wantedPrefixes = [...]string{"ipv6_dst", "ipv6_src"}

// SetFlowTablePrefixes makes the bridge look up IPv6 source and destination by
// prefix in exactly the given OpenFlow tables (0 to 254). A table that somebody
// else configured without these prefixes is an error that names it: a table has
// one Flow_Table row, and that one is not ours to change.
func (c *Client) SetFlowTablePrefixes(ctx context.Context, tables []uint8) (changed bool, err error) {
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
		row, create := ourFlowTable(r)
		if create {
			ops = append(ops, insert(tableFlowTable, row.GoUUID, ovsdb.Row{
				"prefixes":     set(wantedPrefixes[:]...),
				"external_ids": stringMap(map[string]string{markKey: markPrefixes}),
			}))
		}
		entries := ovsdb.OvsMap{GoMap: make(map[any]any, len(missing))}
		for _, t := range missing {
			entries.GoMap[t] = row
		}
		return append(ops, mutate(tableBridge, r.bridge.UUID, ovsdb.Mutation{
			Column: "flow_tables", Mutator: ovsdb.MutateOperationInsert, Value: entries,
		})), nil
	})
}

// ourFlowTable is the one row that all our tables share, or the name of one to
// be made.
func ourFlowTable(r rows) (row ovsdb.UUID, create bool) {
	for _, uuid := range slices.Sorted(maps.Values(r.bridge.FlowTables)) {
		if t := r.flowTables[uuid]; t != nil && t.ExternalIDs[markKey] == markPrefixes {
			return ovsdb.UUID{GoUUID: uuid}, false
		}
	}
	return newRow("prefix_table"), true
}

// prefixDifference says which of the wanted tables have no row yet and which
// have one of ours without being wanted.
func (v View) prefixDifference(want []uint8) (missing, surplus []int, err error) {
	for _, t := range slices.Compact(slices.Sorted(slices.Values(want))) {
		if t == 255 {
			return nil, nil, fmt.Errorf("table 255 cannot be configured: tables are 0 to 254")
		}
		have, exists := v.FlowTablePrefixes[t]
		switch {
		case !exists:
			missing = append(missing, int(t))
		case slices.Contains(have, wantedPrefixes[0]) && slices.Contains(have, wantedPrefixes[1]):
		default:
			return nil, nil, fmt.Errorf("table %d of bridge %s has a Flow_Table row of somebody else with prefixes %v: add ipv6_src and ipv6_dst to it (`ovs-vsctl set Flow_Table ... prefixes=...`) or remove it",
				t, v.BridgeName, have)
		}
	}
	for _, t := range v.prefixTables {
		if !slices.Contains(want, t) {
			surplus = append(surplus, int(t))
		}
	}
	return missing, surplus, nil
}
