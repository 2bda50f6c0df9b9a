package flows

import (
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Priorities of the punt and sent tables.
const (
	puntNoTag = 300
	puntByTag = 200
	puntByKey = 100

	sentThrough = 200
	sentTo      = 100
)

// sentThroughBit is the bit of regOut that says of what Damselfly sent that it goes
// through the switch; it stands above the key, as in the tag.
const sentThroughBit = 1 << (punt.TagBits + punt.TagHighBits)

// puntPortFlows hand frames over by the punt port, whose tag says which port each
// is from, and take replies from there. What a sub-port sent has lost its own tag
// where it came in, so the frame has this one alone, as Open vSwitch's own
// datapath wants it.
func (b *builder) puntPortFlows() {
	if !b.env.PuntPort {
		return
	}
	const high, bits = punt.TagHigh, punt.TagBits
	for c := range punt.Classes {
		if !c.ByPort() {
			continue
		}
		b.add(TablePunt, puntByTag, RolePunt, Match{}.With(regClass, U32(uint32(c))),
			PushVLAN{},
			MoveBits{Src: regPort, Dst: VLANTCI, Bits: bits},
			MoveBits{Src: regPort, SrcBit: bits, Dst: VLANTCI, DstBit: high, Bits: punt.TagHighBits},
			Output{b.env.PulsePort}, PopVLAN{})
	}
	for _, vid := range []uint32{0, punt.TagMask} {
		b.add(TablePunt, puntNoTag, RolePunt, Match{}.WithMask(regPort, U32(vid), U32(punt.TagMask)), toLane(vid&punt.LaneMask))
	}

	from := Match{}.With(InPort, U32(b.env.PulsePort))
	b.add(TableClassify, classifySent, RoleClassify, from.WithMask(VLANVID, U16(vlanPresent), U16(vlanPresent)),
		MoveBits{Src: VLANTCI, Dst: regOut, Bits: bits},
		MoveBits{Src: VLANTCI, SrcBit: high, Dst: regOut, DstBit: bits, Bits: punt.TagHighBits + 1},
		PopVLAN{}, Resubmit{TableSent})
	b.add(TableClassify, classifyPort, RoleDropPuntPort, from)
	b.add(TableSent, 0, RoleDropPuntPort, nil)
	b.add(TableSent, sentTo, RoleOutput, Match{}.WithMask(regOut, Value{}, U32(sentThroughBit)), Resubmit{TableOutput})
}

// portSentFlows carry what Damselfly sends on for a port as if the port had sent
// it: through its network, but not back to it.
func (b *builder) portSentFlows(p *topology.Port) {
	if _, ok := punt.Tag(p.Key); !ok || !b.env.PuntPort {
		return
	}
	b.add(TableSent, sentThrough, RoleSwitch, Match{}.With(regOut, U32(sentThroughBit|uint32(p.Key))),
		Load(InPort16, U16(uint16(p.OFPort))), Load(regPort, U32(uint32(p.Key))), Load(Metadata, U64(uint64(p.Network.Key))), Load(regOut, Value{}),
		Resubmit{TableSwitch})
}
