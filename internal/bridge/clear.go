package bridge

import (
	"context"
	"fmt"

	"damselfly/flows"
	"damselfly/internal/openflow"
)

// Clear removes every flow, group and meter that is Damselfly's, and returns
// how many of each.
func Clear(ctx context.Context, c *openflow.Conn, ids IDs) (nFlows, nGroups, nMeters int, err error) {
	h, err := Dump(ctx, c, ids)
	if err != nil {
		return 0, 0, 0, err
	}
	all := flows.Flow{Table: openflow.AllTables, Cookie: flows.Cookie(flows.Owner)}
	mods := []openflow.FlowMod{{Command: openflow.FlowDeleteAll, Flow: &all, CookieMask: flows.OwnerMask}}
	groups := make([]openflow.GroupMod, 0, len(h.Ours.Groups))
	for id := range h.Ours.Groups {
		groups = append(groups, openflow.GroupMod{Command: openflow.GroupDelete, Group: &flows.Group{ID: id}})
	}
	if err := c.Commit(ctx, groups, mods); err != nil {
		return 0, 0, 0, fmt.Errorf("removing flows and groups: %w", err)
	}
	meters := make([]uint32, 0, len(h.Ours.Meters))
	for id := range h.Ours.Meters {
		meters = append(meters, id)
	}
	if err := c.Meters(ctx, nil, nil, meters); err != nil {
		return 0, 0, 0, fmt.Errorf("removing meters: %w", err)
	}
	cfg, err := c.Config(ctx)
	if err == nil && cfg.Flags == openflow.FragmentsMatched {
		cfg.Flags = openflow.FragmentsNormal
		err = c.SetConfig(ctx, cfg)
	}
	if err != nil {
		return 0, 0, 0, fmt.Errorf("matching fragments as before: %w", err)
	}
	return len(h.Ours.Flows) + len(h.Strange), len(h.Ours.Groups), len(meters), nil
}
