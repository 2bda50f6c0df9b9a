package flows

import "damselfly/internal/topology"

// portClassifyFlows tell the frames of one port by its number in the switch.
func (b *builder) portClassifyFlows(p *topology.Port) {
	b.add(TableClassify, ClassifyLow+100, RoleClassify, Match{}.With(InPort, U32(p.OFPort)),
		Load(regPort, U32(uint32(p.Key))),
		Load(Metadata, U64(uint64(p.Network.Key))),
		Resubmit{TableGuard})
}
