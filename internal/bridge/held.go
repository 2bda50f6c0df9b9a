package bridge

import (
	"context"
	"fmt"

	"damselfly/flows"
	"damselfly/internal/openflow"
	"damselfly/internal/punt"
)

// IDs are the ranges of group and meter ids that are Damselfly's.
type IDs struct{ FirstGroup, FirstMeter uint32 }

// Env returns what flows on a bridge with these ids depend on: whether its
// datapath has the ND extensions, and its number of the pulse port, 0 for none.
func (r IDs) Env(ndExt bool, pulsePort uint32) flows.Env {
	return flows.Env{NDExt: ndExt, PulsePort: pulsePort, FirstGroup: r.FirstGroup, FirstMeter: r.FirstMeter}
}

// OwnGroup reports whether a group id is in Damselfly's range.
func (r IDs) OwnGroup(id uint32) bool {
	return id >= r.FirstGroup && id-r.FirstGroup <= flows.LastGroup
}

// OwnMeter reports whether a meter id is in Damselfly's range.
func (r IDs) OwnMeter(id uint32) bool {
	return id >= r.FirstMeter+punt.MeterSlots && id-r.FirstMeter < (punt.MaxKey+1)*punt.MeterSlots
}

// Held is what a bridge was found to hold.
type Held struct {
	// Ours is what carries our owner in the cookie or an id of our ranges.
	Ours *flows.Set
	// Strange are flows with our owner that package flows has no words for:
	// another version of Damselfly put them there.
	Strange []openflow.Entry
	// Foreign are other people's flows.
	Foreign []openflow.Entry
}

// Dump asks the bridge for everything it holds.
func Dump(ctx context.Context, c *openflow.Conn, ids IDs) (*Held, error) {
	h := &Held{Ours: flows.NewSet()}
	if err := h.addMeters(ctx, c, ids); err != nil {
		return nil, err
	}
	groups, err := c.DumpGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("dumping groups: %w", err)
	}
	for i := range groups {
		g := &groups[i]
		if !ids.OwnGroup(g.Group.ID) {
			continue
		}
		if g.Unknown != nil {
			// Not comparable, but there: an unlike group makes it be replaced.
			g.Group = flows.Group{ID: g.Group.ID, Type: g.Group.Type}
		}
		h.Ours.Groups[g.Group.ID] = &g.Group
	}
	entries, err := c.DumpFlows(ctx, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("dumping flows: %w", err)
	}
	for i := range entries {
		e := &entries[i]
		switch {
		case !e.Flow.Cookie.Ours():
			h.Foreign = append(h.Foreign, *e)
		case e.Unknown != nil:
			h.Strange = append(h.Strange, *e)
		default:
			h.Ours.Flows[e.Flow.Key()] = &e.Flow
		}
	}
	return h, nil
}

func (h *Held) addMeters(ctx context.Context, c *openflow.Conn, ids IDs) error {
	meters, err := c.DumpMeters(ctx)
	if err != nil {
		return fmt.Errorf("dumping meters: %w", err)
	}
	for _, m := range meters {
		if ids.OwnMeter(m.Meter.ID) {
			h.Ours.Meters[m.Meter.ID] = m.Meter
		}
	}
	return nil
}
