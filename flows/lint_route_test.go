package flows

import (
	"fmt"
	"slices"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// lintHopLimit: Open vSwitch hands a packet whose hop limit is used up to a
// controller, where it can be neither metered nor marked. So what takes one off
// stands in one table, which is reached from the route table alone, by flows
// below one that takes out every packet with hop limit 1.
func lintHopLimit(c *compilation) (faults []string) {
	behind := []uint8{TableFloating, TableInward, TableOutward, TableNeighbor, TableLength, TableForward}
	paths := map[Action]bool{}
	for _, g := range c.groups {
		if g.ID >= c.env.FirstGroup+groupPaths {
			paths[ToGroup{g.ID}] = true
		}
	}
	last := Match{}.With(EthType, U16(0x86dd)).With(IPTTL, U8(1))
	taken, early := uint16(0), uint16(0)
	for _, f := range c.flows {
		if f.Table == TableMulticastSource && f.Match.Equal(last) && slices.Equal(f.Actions, ends) {
			early = f.Priority
		}
		if f.Table == TableRoute && f.Match.Equal(last) && slices.Equal(f.Actions, trouble(punt.HopLimit)) {
			taken = f.Priority
		}
	}
	for _, f := range c.flows {
		if slices.Contains(f.Actions, Action(Resubmit{TableMulticastRoute})) && (f.Table != TableMulticastSource || f.Priority >= early) {
			faults = append(faults, "goes round the check of the hop limit: "+f.String())
		}
		if i := slices.Index(f.Actions, Action(DecTTL{})); i >= 0 && (f.Table != TableForward || slices.Contains(f.Actions[i+1:], Action(DecTTL{}))) {
			faults = append(faults, "may use up the hop limit: "+f.String())
		}
		goes := 0
		for _, a := range f.Actions {
			if r, ok := a.(Resubmit); ok && slices.Contains(behind, r.Table) || paths[a] {
				goes++
			}
		}
		switch {
		case goes == 0, (slices.Contains(behind, f.Table) || f.Table == TableMulticastRoute) && goes == 1:
		case goes > 1:
			faults = append(faults, "is routed twice over: "+f.String())
		case f.Table != TableRoute || f.Priority >= taken:
			faults = append(faults, "goes round the check of the hop limit: "+f.String())
		}
	}
	return faults
}

// lintTrouble: what a router cannot carry on is handed over only from the
// trouble table, through the meter of the sender, and there is a drop by name for
// each trouble where the limit lets nothing pass.
func lintTrouble(c *compilation) (faults []string) {
	named := map[uint64]bool{}
	ends, most := uint16(0), uint16(0)
	for _, f := range c.flows {
		if f.Table != TableServices {
			continue
		}
		most = max(most, f.Priority)
		if f.Match.Equal(Match{}.IPv6().With(regTrouble, U32(uint32(punt.Local)))) && slices.Equal(f.Actions, []Action{Resubmit{TableTrouble}}) {
			ends = f.Priority
		}
	}
	if ends == 0 || ends != most {
		faults = append(faults, "what the guard table takes out for the router may be served otherwise")
	}
	for _, f := range c.flows {
		for _, a := range f.Actions {
			if s, ok := a.(SetField); ok && s.Field == regTrouble && !slices.Contains(f.Actions, Action(Resubmit{TableTrouble})) && !toRouterItself(&f) {
				faults = append(faults, "finds trouble and goes on: "+f.String())
			}
		}
		if f.Table != TableTrouble {
			continue
		}
		if why, ok := f.Match.Get(regTrouble); ok && f.Cookie.Role().Drop() {
			named[why.Value.Uint(4)] = true
		} else if len(f.Actions) > 0 {
			from, ok := f.Match.Get(regPort)
			p := c.snapshot.Port(uint16(from.Value.Uint(4)))
			if !ok || p == nil {
				faults = append(faults, "is of no port: "+f.String())
			} else if _, metered := f.Actions[0].(ThroughMeter); !metered && p.Limits[punt.Error] != topology.Unlimited {
				faults = append(faults, "hands over without a meter: "+f.String())
			}
		}
	}
	for why := punt.HopLimit; why < punt.Troubles; why++ {
		if !named[uint64(why)] {
			faults = append(faults, fmt.Sprintf("no drop for trouble %d", why))
		}
	}
	return faults
}

// lintReversePath: a router looks for a route only once the source is known to be
// where the packet came from. What goes to a floating address comes to the route
// table once more, from there.
func lintReversePath(c *compilation) (faults []string) {
	for _, f := range c.flows {
		toRoute, toCheck := slices.Contains(f.Actions, Action(Resubmit{TableRoute})), slices.Contains(f.Actions, Action(Resubmit{TableReversePath}))
		if !toRoute && !toCheck {
			continue
		}
		if _, floats := f.Match.Get(regFloating); f.Table == TableInward && floats {
			continue
		}
		on, ok := f.Match.Get(Metadata)
		via, compared := f.Match.Get(regVia)
		_, router := f.Match.Get(regRouter)
		loads := slices.ContainsFunc(f.Actions, func(a Action) bool { s, ok := a.(SetField); return ok && s.Field == regVia })
		switch {
		case toCheck && f.Table == TableRouteSource && router && loads:
		case toRoute && f.Table == TableReversePath && router && ok && on.Exact() && compared && via.Exact() && on.Value.Uint(8) == via.Value.Uint(4):
		default:
			faults = append(faults, "goes round the check of the source's way: "+f.String())
		}
	}
	return faults
}
