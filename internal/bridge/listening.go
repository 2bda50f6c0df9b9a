package bridge

import (
	"context"
	"fmt"

	"damselfly/flows"
	"damselfly/internal/openflow"
	"damselfly/internal/topology"
)

// Listening asks the bridge who it carries multicast to, by the keys of networks.
func Listening(ctx context.Context, c *openflow.Conn, ids IDs) (map[uint16]*topology.Listening, error) {
	held := flows.NewSet()
	for _, role := range []flows.Role{flows.RoleListen, flows.RoleDropUnwanted} {
		cookie, mask := role.Select()
		entries, err := c.DumpFlows(ctx, cookie, mask)
		if err != nil {
			return nil, fmt.Errorf("dumping flows: %w", err)
		}
		for i := range entries {
			if f := &entries[i].Flow; entries[i].Unknown == nil {
				held.Flows[f.Key()] = f
			}
		}
	}
	if len(held.Flows) == 0 {
		return nil, nil
	}
	groups, err := c.DumpGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("dumping groups: %w", err)
	}
	for i := range groups {
		if g := &groups[i]; g.Unknown == nil && ids.OwnGroup(g.Group.ID) {
			held.Groups[g.Group.ID] = &g.Group
		}
	}
	return held.Listening(ids.FirstGroup), nil
}
