package flows

import (
	"fmt"
	"slices"
)

// lintUntracked: Neighbor Discovery, listener discovery and DHCPv6 never reach
// conntrack, which takes most of their messages for invalid: of ICMPv6 only
// errors and echo are tracked, and above what tracks the rest of IPv6 stand
// flows that lead all other ICMPv6 and both ports of DHCPv6 elsewhere.
func lintUntracked(c *compilation) (faults []string) {
	trackable := []uint8{1, 2, 3, 4, 128, 129}
	for _, t := range []uint8{TableEgressState, TableIngressState} {
		general, around := uint16(0), map[string]uint16{}
		for _, f := range c.flows {
			if f.Table != t {
				continue
			}
			typ, typed := f.Match.Get(ICMPv6Type)
			proto, protocol := f.Match.Get(IPProto)
			switch {
			case tracks(f.Actions) && typed && slices.Contains(trackable, typ.Value[0]):
			case tracks(f.Actions) && !protocol:
				general = max(general, f.Priority)
			case tracks(f.Actions):
				faults = append(faults, "tracks what conntrack does not know: "+f.String())
			case protocol && proto.Value[0] == 58 && !typed:
				around["ICMPv6"] = f.Priority
			case protocol && proto.Value[0] == 17:
				if port, ok := f.Match.Get(UDPDst); ok && port.Value == U16(546) && port.Mask == U16(0xfffe) {
					around["DHCPv6"] = f.Priority
				}
			}
		}
		for _, what := range []string{"ICMPv6", "DHCPv6"} {
			if around[what] <= general {
				faults = append(faults, fmt.Sprintf("table %s tracks %s", TableName(t), what))
			}
		}
	}
	for _, f := range c.flows {
		if tracks(f.Actions) && !slices.Contains([]uint8{TableEgressState, TableIngressState, TableEgressVerdict, TableIngressVerdict}, f.Table) {
			faults = append(faults, "tracks elsewhere: "+f.String())
		}
	}
	return faults
}

func tracks(actions []Action) bool {
	return slices.ContainsFunc(actions, func(a Action) bool { _, ok := a.(Track); return ok })
}

// lintEssential: what IPv6 cannot live without goes round the rules of every
// filtered port, each in the direction that a host needs (RFC 4890 section 4.4.1).
func lintEssential(c *compilation) (faults []string) {
	must := map[uint8][]uint8{TableEgress: {131, 132, 143, 152, 133, 135, 136}, TableIngress: {130, 151, 153, 134, 135, 136}}
	for t, types := range must {
		filtered := uint16(0)
		for _, f := range c.flows {
			if f.Table == t && f.Cookie.Role() == RoleTrack && f.Cookie.Object() != 0 && len(f.Match) == 1 {
				filtered = max(filtered, f.Priority)
			}
		}
		for _, typ := range types {
			if !slices.ContainsFunc(c.flows, func(f Flow) bool {
				e, ok := f.Match.Get(ICMPv6Type)
				return f.Table == t && f.Priority > filtered && ok && e.Value[0] == typ && f.Cookie.Object() == 0 && len(f.Actions) == 1
			}) {
				faults = append(faults, fmt.Sprintf("table %s asks rules about ICMPv6 type %d", TableName(t), typ))
			}
		}
	}
	return faults
}

// lintOwnZone: what comes to the receiver's rules brings nothing along of what the
// sender's connections are.
func lintOwnZone(c *compilation) (faults []string) {
	for _, f := range c.flows {
		if f.Table != TableIngress {
			continue
		}
		for i, a := range f.Actions {
			r, ok := a.(Resubmit)
			if ok && (r.Table == TableIngressState || r.Table == TableIngressGroups) && !slices.Contains(f.Actions[:i], Action(Untrack{})) {
				faults = append(faults, "judges by the sender's connection: "+f.String())
			}
		}
	}
	return faults
}

// lintRejects: what is handed over of what rules decided goes through the meter
// of its port, behind a recirculation: the meter ends only the copy it is for.
func lintRejects(c *compilation) (faults []string) {
	for _, f := range c.flows {
		handed := f.Table == TableReject || f.Table == TableLog
		if handed && len(f.Actions) > 0 {
			port, ok := f.Match.Get(regPort)
			p := c.snapshot.Port(uint16(port.Value.Uint(4)))
			if _, metered := f.Actions[0].(ThroughMeter); !ok || p == nil || !metered {
				faults = append(faults, "hands over without a meter: "+f.String())
			}
		}
		for _, a := range f.Actions {
			if r, ok := a.(Resubmit); ok && (r.Table == TableReject || r.Table == TableLog) {
				faults = append(faults, "not behind a recirculation: "+f.String())
			}
		}
	}
	return faults
}
