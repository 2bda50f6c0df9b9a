package flows

import (
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Priorities of the services table. A gate takes a message that is whole as far
// as a flow can tell; the drop below it takes the others of its type.
const (
	serviceLocal  = 300
	serviceEcho   = 210
	serviceGate   = 200
	serviceUplink = 110
	serviceDrop   = 100
	serviceOther  = 10
)

// onward is where a packet goes that no service takes.
var onward = Resubmit{TableEgress}

// serviceFlows are the part of the services table that all ports share. Drops
// match the type alone, so that whatever a gate did not take ends here and
// never reaches the switch table.
func (b *builder) serviceFlows() {
	t := uint8(TableServices)
	b.add(t, serviceDrop, RoleDropGuestRA, Match{}.ICMPv6(wire.TypeRouterAdvert))
	b.add(t, serviceDrop, RoleDropRedirect, Match{}.ICMPv6(wire.TypeRedirect))
	for _, typ := range []uint8{wire.TypeRouterSolicit, wire.TypeNeighborSolicit, wire.TypeNeighborAdvert} {
		b.add(t, serviceDrop, RoleDropNDInvalid, Match{}.ICMPv6(typ))
	}
	for _, typ := range []uint8{wire.TypeInverseSolicit, wire.TypeInverseAdvert} {
		b.add(t, serviceDrop, RoleDropInverse, Match{}.ICMPv6(typ))
	}
	// Who has no pair has no virtual router to speak for (RFC 9568 section 9).
	b.add(t, serviceDrop, RoleDropNextHeader, vrrpAdvert())
	// The guard table let it in for that alone.
	b.add(t, serviceLocal, RoleTrouble, Match{}.IPv6().With(regTrouble, U32(uint32(punt.Local))), Resubmit{TableTrouble})
	for _, et := range []uint16{ethTypeIPv6, ethTypeIPv4, ethTypeARP} {
		b.add(t, serviceOther, RoleSwitch, Match{}.With(EthType, U16(et)), onward)
	}
	b.add(t, 0, RoleDropEtherType, nil)
}

// portGateFlows let a port's Neighbor Discovery in, each class through its
// meter. Solicitations and advertisements of neighbours go on behind a
// recirculation: what is matched there, the guest chooses freely, and only what
// the meter passed may make megaflows of it. inverse says that the port's network
// has Inverse Neighbor Discovery.
func (b *builder) portGateFlows(p *topology.Port, inverse bool) {
	nd := ToGroup{b.group(groupND)}
	toUs := ToGroup{b.group(groupPunt)}
	b.gate(p, wire.TypeNeighborSolicit, punt.NS, nd)
	if actions, ok := b.throughMeter(p, punt.NS); ok && !b.env.NDExt {
		// A question to all is Damselfly's to answer, and what the ND tables would
		// find out is for flows that answer and for when it is away.
		b.add(TableServices, serviceGate+1, RoleGate, Match{}.ND(wire.TypeNeighborSolicit).From(p.Key).DstIn(multicast),
			append(actions, Load(regClass, U32(classNS)), ToGroup{b.group(groupNS)})...)
	}
	b.gate(p, wire.TypeNeighborAdvert, punt.NA, nd)
	b.portMLDFlows(p)
	if p.Uplink {
		b.uplinkFlows(p)
		return
	}
	b.gate(p, wire.TypeRouterSolicit, punt.RS, toUs)
	if inverse {
		b.gate(p, wire.TypeInverseSolicit, punt.Inverse, toUs)
	}
	if p.Router {
		b.gate(p, wire.TypeRouterAdvert, punt.RS, toUs)
	}
}

// gate lets messages of one type from a port through its class's meter, and on
// to next.
func (b *builder) gate(p *topology.Port, typ uint8, class punt.Class, next Action) {
	if actions, ok := b.throughMeter(p, class); ok {
		actions = append(actions, Load(regClass, U32(uint32(class))), next)
		b.add(TableServices, serviceGate, RoleGate, Match{}.ND(typ).From(p.Key), actions...)
	}
}
