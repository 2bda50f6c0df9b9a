package flows

import "damselfly/internal/topology"

// Priorities of the classify table, counted from ClassifyLow.
const (
	classifySent   = ClassifyLow + 300
	classifyTagged = ClassifyLow + 200
	classifyPort   = ClassifyLow + 100
)

// portClassifyFlows tell the frames of one port by its number in the switch,
// those of a sub-port by its VLAN as well. Without their tag they are an access
// port's; any other tag is for the guard table to end. router is that of its
// network, 0 for none.
func (b *builder) portClassifyFlows(p *topology.Port, router uint32) {
	m := Match{}.With(InPort, U32(p.OFPort))
	actions := []Action{
		Load(regPort, U32(uint32(p.Key))),
		Load(Metadata, U64(uint64(p.Network.Key))),
	}
	if router != 0 {
		actions = append(actions, Load(regRouter, U32(router)))
	}
	if !p.Unknown && len(macsOf(p)) == 1 {
		actions = append(actions, candidate(p.MAC, 0)...)
	}
	actions = append(actions, Resubmit{TableGuard})
	if p.VLAN == 0 {
		b.add(TableClassify, classifyPort, RoleClassify, m, actions...)
		return
	}
	b.add(TableClassify, classifyTagged, RoleClassify, m.With(VLANVID, vid(p)), append([]Action{PopVLAN{}}, actions...)...)
}
