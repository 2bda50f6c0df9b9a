package bridge

import (
	"context"
	"fmt"

	"damselfly/flows"
	"damselfly/internal/openflow"
)

// sweep removes the strange flows of a dump, which another version of Damselfly
// left: set is in, and what it replaced is gone already. A flow that could be
// removed only together with flows of ours stays, and in.stuck tells of it.
func (in *Installer) sweep(ctx context.Context, strange []openflow.Entry, set *flows.Set, r *Result) error {
	if len(strange) == 0 {
		return nil
	}
	// place is what a delete can name where it can't name the match.
	type place struct {
		table  uint8
		cookie flows.Cookie
	}
	ours := make(map[place]bool, len(set.Flows))
	for _, f := range set.Flows {
		ours[place{f.Table, f.Cookie}] = true
	}
	var mods []openflow.FlowMod
	for i := range strange {
		f := &strange[i].Flow
		switch {
		case strange[i].MatchKnown:
			if set.Flows[f.Key()] == nil {
				mods = append(mods, openflow.FlowMod{Command: openflow.FlowDelete, Flow: f, CookieMask: ^uint64(0)})
			}
		case ours[place{f.Table, f.Cookie}]:
			in.stuck = append(in.stuck, fmt.Errorf("a flow is marked as Damselfly's but is not: cookie=%#x table=%d priority=%d (%d octets of match): find its match with `ovs-ofctl dump-flows BRIDGE cookie=%#x/-1,table=%d` and remove it alone with `ovs-ofctl --strict del-flows BRIDGE table=%d,priority=%d,MATCH`",
				uint64(f.Cookie), f.Table, f.Priority, len(strange[i].RawMatch), uint64(f.Cookie), f.Table, f.Table, f.Priority))
		default:
			all := flows.Flow{Table: f.Table, Cookie: f.Cookie}
			mods = append(mods, openflow.FlowMod{Command: openflow.FlowDeleteAll, Flow: &all, CookieMask: ^uint64(0)})
		}
	}
	if len(mods) == 0 {
		return nil
	}
	if err := in.conn.Commit(ctx, nil, mods); err != nil {
		return fmt.Errorf("removing flows of another version: %w", err)
	}
	r.Mods += len(mods)
	r.FlowMods += len(mods)
	return nil
}
