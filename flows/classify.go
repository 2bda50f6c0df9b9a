package flows

import "damselfly/internal/topology"

// portClassifyFlows tell the frames of one port by its number in the switch. An
// access port sends untagged frames; a tag it puts on itself ends the frame
// here, whatever is behind it (VLAN 0 included: the VID alone reads as zero
// there, so the match covers the bit that says a tag is present).
func (b *builder) portClassifyFlows(p *topology.Port) {
	from := Match{}.With(InPort, U32(p.OFPort))
	b.add(TableClassify, ClassifyLow+100, RoleClassify, from.With(VLANVID, U16(0)),
		Load(regPort, U32(uint32(p.Key))),
		Load(Metadata, U64(uint64(p.Network.Key))),
		Resubmit{TableGuard})
	b.add(TableClassify, ClassifyLow, RoleDropTagged, from)
}
