package flows

import (
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Priorities of the switch and the destination table. Group addresses come
// first: a tree of MACs must not lead them anywhere.
const (
	switchBack    = 130
	switchGroups  = 120
	switchFlood   = 110
	switchKnown   = 100
	switchUnknown = 10

	destinationDiffers = 300
	destinationIs      = 100
	destinationOther   = 10
	// In the output table, before the port itself.
	outputSelf   = 400
	outputUplink = 200
)

// baseSwitchFlows end what no network carries, and deliver what is for the MAC
// that it may be for.
func (b *builder) baseSwitchFlows() {
	b.add(TableSwitch, 0, RoleDropUnknownMAC, nil)
	differs := []Action{LoadBits(regMACLow, stageDiffers, stageDiffers), Resubmit{TableSwitch}}
	stage := func(s uint32) Match { return Match{}.WithMask(regMACLow, U32(s), U32(macStage)) }
	b.macDiffersFlows(TableDestination, destinationDiffers, RoleSwitch, nil, EthDst, differs...)
	b.add(TableDestination, destinationIs, RoleSwitch, stage(stagePlain), Resubmit{TableOutput})
	b.add(TableDestination, destinationIs, RoleSwitch, stage(stageFiltered), Resubmit{TableIngress})
	b.add(TableDestination, destinationOther, RoleSwitch, stage(stageSpecial), differs...)
	b.add(TableDestination, destinationIs, RoleEcho, stage(stageEcho), append(noMAC(), Resubmit{TableEcho})...)
	b.add(TableDestination, 0, RoleDropDefault, nil)
	b.add(TableSwitch, switchBack, RoleSwitch, stage(stageEcho|stageDiffers), append(noMAC(), onward)...)
	b.add(TableOutput, 0, RoleDropUnbound, nil)
	b.baseReturnFlows()
}

// networkSwitchFlows carry multicast and broadcast to every port of the network
// but the sender's, which Open vSwitch leaves out by itself, and unicast that
// nobody is known for to the ports that asked for it.
func (b *builder) networkSwitchFlows(n *topology.Network) {
	flood := Group{ID: b.floodGroup(n.Key), Type: All}
	tree := macTree{table: TableSwitch, compare: TableDestination, scope: Match{}.On(n.Key), field: EthDst, role: RoleSwitch}
	var known []macLeaf
	var unknown []Action
	for _, p := range n.Ports {
		if p.OFPort == 0 {
			continue
		}
		flood.Buckets = append(flood.Buckets, bucket(p.Key, deliver(p)))
		if p.Unknown {
			unknown = append(unknown, deliver(p)...)
		}
		if !p.MAC.IsZero() { // one that takes what is unknown needs none
			known = append(known, leafOf(p))
		}
	}
	if n.RouterID() != 0 {
		known = append(known, macLeaf{mac: n.Router.MAC, stage: stageSpecial, object: b.object})
	}
	b.groups = append(b.groups, flood)
	// Which of its ports a pair's MAC is at now, they alone know; the others'
	// kernels drop what is not for them (RFC 9568 section 8.2).
	for _, m := range n.PairMACs() {
		var all []Action
		for _, p := range m.Ports {
			if p.OFPort != 0 {
				all = append(all, deliver(p)...)
			}
		}
		if len(all) > 0 {
			known = append(known, macLeaf{mac: m.MAC, stage: stageSpecial, object: b.object})
			b.add(TableDestination, destinationIs, RoleSwitch, special(n.Key, m.MAC), all...)
		}
	}
	b.add(TableSwitch, switchFlood, RoleSwitch,
		Match{}.On(n.Key).WithMask(EthDst, MAC(groupBit), MAC(groupBit)), ToGroup{flood.ID})
	if len(unknown) > 0 {
		b.add(TableSwitch, switchUnknown, RoleSwitch, Match{}.On(n.Key), unknown...)
	}
	b.macTreeFlows(tree, known)
}

// leafOf leads to a port by its MAC.
func leafOf(p *topology.Port) macLeaf {
	l := macLeaf{mac: p.MAC, stage: stagePlain, object: uint32(p.Key), actions: []Action{Load(regOut, U32(uint32(p.Key)))}}
	if p.Filter != nil {
		l.stage = stageFiltered
	}
	return l
}

// special matches what is for a MAC of a network that is not one port's.
func special(network uint16, m wire.MAC) Match {
	return Match{}.On(network).WithMask(regMACLow, U32(stageSpecial), U32(macStage)).EthDst(m)
}

// deliver is how a frame goes to a port.
func deliver(p *topology.Port) []Action {
	next := uint8(TableOutput)
	if p.Filter != nil {
		next = TableIngress
	}
	return []Action{Load(regOut, U32(uint32(p.Key))), Resubmit{next}}
}
