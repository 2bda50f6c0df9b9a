package flows

import "damselfly/internal/punt"

const classNS = uint32(punt.NS)

// puntFlows hand frames to Damselfly. Which connection gets them is the low bits
// of the port's key, so that a port's frames keep their order. The group in
// front watches the pulse port: when Damselfly is gone, the same frames go by
// the away table, with no flow changed.
func (b *builder) puntFlows() {
	// A bucket that watches nothing is always alive to Open vSwitch, but
	// ovs-ofctl refuses to read one, and with it what ovs-save wrote. So the
	// second bucket watches a group that has no way to die.
	if b.env.PulsePort != 0 {
		b.groups = append(b.groups, Group{ID: b.group(groupAway), Type: Indirect, Buckets: []Bucket{
			{ID: 0, WatchPort: NoPort, WatchGroup: NoGroup, Actions: []Action{Resubmit{TableAway}}},
		}})
	}
	b.groups = append(b.groups, b.handOver(groupPunt, ToGroup{b.group(groupAway)}))
	if !b.env.NDExt {
		b.groups = append(b.groups, b.handOver(groupNS, ToGroup{b.group(groupND)}))
	}
	for lane := range uint32(punt.Lanes) {
		b.add(TablePunt, puntByKey, RolePunt, Match{}.WithMask(regPort, U32(lane), U32(punt.LaneMask)), toLane(lane))
	}
	b.add(TablePunt, 0, RoleDropDefault, nil)
}

// handOver is a group that hands over, or does something else when the pulse port
// is down.
func (b *builder) handOver(id uint32, away Action) Group {
	there := Bucket{ID: 0, WatchPort: NoPort, WatchGroup: NoGroup, Actions: []Action{Resubmit{TablePunt}}}
	if b.env.PulsePort == 0 {
		return Group{ID: b.group(id), Type: Indirect, Buckets: []Bucket{there}}
	}
	there.WatchPort = b.env.PulsePort
	return Group{ID: b.group(id), Type: FastFailover, Buckets: []Bucket{there,
		{ID: 1, WatchPort: NoPort, WatchGroup: b.group(groupAway), Actions: []Action{away}}}}
}

// toLane hands a frame to one of the connections.
func toLane(lane uint32) Punt {
	return Punt{ID: uint16(punt.ControllerID + lane), Userdata: string([]byte{punt.Version})}
}
