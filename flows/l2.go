package flows

import "damselfly/internal/topology"

// Priorities of the switch table.
const (
	switchKnown   = 100
	switchGroups  = 95
	switchFlood   = 90
	switchUnknown = 10
	// In the output table, before the port itself.
	outputSelf   = 400
	outputUplink = 200
)

// baseSwitchFlows end what no network carries.
func (b *builder) baseSwitchFlows() {
	b.add(TableSwitch, 0, RoleDropUnknownMAC, nil)
	b.add(TableOutput, 0, RoleDropUnbound, nil)
	b.baseReturnFlows()
}

// portSwitchFlows deliver to a port: by its MAC, and by its key. A port that
// takes what is unknown needs no MAC.
func (b *builder) portSwitchFlows(p *topology.Port) {
	if !p.MAC.IsZero() {
		b.add(TableSwitch, switchKnown, RoleSwitch, Match{}.On(p.Network.Key).EthDst(p.MAC), deliver(p)...)
	}
	b.portOutputFlows(p)
}

// networkSwitchFlows carry multicast and broadcast to every port of the network
// but the sender's, which Open vSwitch leaves out by itself, and unicast that
// nobody is known for to the ports that asked for it.
func (b *builder) networkSwitchFlows(n *topology.Network) {
	flood := Group{ID: b.floodGroup(n.Key), Type: All}
	var unknown []Action
	for _, p := range n.Ports {
		if p.OFPort == 0 {
			continue
		}
		flood.Buckets = append(flood.Buckets, bucket(p.Key, deliver(p)))
		if p.Unknown {
			unknown = append(unknown, deliver(p)...)
		}
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
			b.add(TableSwitch, switchKnown, RoleSwitch, Match{}.On(n.Key).EthDst(m.MAC), all...)
		}
	}
	b.add(TableSwitch, switchFlood, RoleSwitch,
		Match{}.On(n.Key).WithMask(EthDst, MAC(groupBit), MAC(groupBit)), ToGroup{flood.ID})
	if len(unknown) > 0 {
		b.add(TableSwitch, switchUnknown, RoleSwitch, Match{}.On(n.Key), unknown...)
	}
}

// deliver is how a frame goes to a port.
func deliver(p *topology.Port) []Action {
	next := uint8(TableOutput)
	if p.Filter != nil {
		next = TableIngress
	}
	return []Action{Load(regOut, U32(uint32(p.Key))), Resubmit{next}}
}
