package flows

import "damselfly/internal/topology"

// Priorities of the output and return tables.
const (
	outputSender  = 300
	outputSibling = 200
	outputPort    = 100

	returnTagged = 200
	returnPort   = 100
)

// vid is the VLAN field of frames of a sub-port.
func vid(p *topology.Port) Value { return U16(vlanPresent | p.VLAN) }

// tagged are the actions that send a frame out of a port with the tag of p. The
// tag comes off again behind them: other copies of the frame follow.
func tagged(p *topology.Port, out Output) []Action {
	if p.VLAN == 0 {
		return []Action{out}
	}
	return []Action{PushVLAN{}, Load(VLANVID, vid(p)), out, PopVLAN{}}
}

// portOutputFlows deliver to a port by its key. Open vSwitch leaves the port out
// that a frame came in by, which is how the sender is spared; but behind a trunk
// port live several, and only the one that sent it is to be left out.
func (b *builder) portOutputFlows(p *topology.Port) {
	m := Match{}.With(regOut, U32(uint32(p.Key)))
	b.add(TableOutput, outputPort, RoleOutput, m, tagged(p, Output{p.OFPort})...)
	if p.VLAN == 0 && !p.Trunk {
		return
	}
	b.add(TableOutput, outputSender, RoleOutput, m.From(p.Key), Output{p.OFPort})
	b.add(TableOutput, outputSibling, RoleOutput, m.With(InPort, U32(p.OFPort)), tagged(p, Output{ToInPort})...)
	if p.VLAN != 0 {
		b.add(TableReturn, returnTagged, RoleOutput, Match{}.From(p.Key), tagged(p, Output{ToInPort})...)
	}
}

// baseReturnFlows send an answer back by the port that the question came in by.
func (b *builder) baseReturnFlows() {
	b.add(TableReturn, returnPort, RoleOutput, nil, Output{ToInPort})
	b.add(TableReturn, 0, RoleDropDefault, nil)
}
