package flows

import (
	"net/netip"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Octets of a Neighbor Solicitation or Advertisement: Ethernet, IPv6 and the 24
// octets of RFC 4861 section 4.3 without options, and with the one link-layer
// address option.
const (
	ndBare   = 14 + 40 + 24
	ndOption = ndBare + 8
)

// Priorities of the ND tables.
const (
	ndOwner   = 400
	ndForward = 300
	ndAnswer  = 200
	ndSource  = 200
	ndSubnet  = 100
	ndRest    = 1
)

// Flag octet of a Neighbor Advertisement (RFC 4861 section 4.4), in its word.
const (
	flagRouter    = 0x80000000
	flagSolicited = 0x40000000
	flagOverride  = 0x20000000
)

// baseNDFlows are the parts of the ND tables that all ports share.
func (b *builder) baseNDFlows() {
	punt := ToGroup{b.group(groupPunt)}
	b.groups = append(b.groups, recirculation(b.group(groupND), TableNDOptions))
	ns, na := Match{}.ND(wire.TypeNeighborSolicit), Match{}.ND(wire.TypeNeighborAdvert)

	// No flow answers who asks from what is not known to be its own. Their questions
	// are told apart here, before anything looks at the target: each target that is
	// looked at is a megaflow.
	b.add(TableNDOptions, ndOwner, RolePunt, ns.WithMask(regND, Value{}, U32(ndOwnSource)), punt)
	// Without a link-layer option the length tells that there is no other one.
	b.add(TableNDOptions, ndSubnet, RoleND, ns.With(NDSLL, Value{}), exactly(ndBare, TableNDTarget)...)
	b.add(TableNDOptions, ndSubnet, RoleND, na.With(NDTLL, Value{}), exactly(ndBare, TableNDFlags)...)
	b.flagFlows(na)

	for _, t := range []uint8{TableNDOptions, TableNDTarget} {
		b.add(t, ndRest, RolePunt, ns, punt)
		b.add(t, ndRest, RolePunt, na, punt)
		b.add(t, 0, RoleDropDefault, nil)
	}
	b.replyFlows()

	// While Damselfly is away, a question that is the sender's own in every
	// part goes to all and its owner answers. The answer needs no rule here:
	// advertisements of one's own are always forwarded.
	b.add(TableAway, ndAnswer, RoleNDAway,
		ns.DstIn(solicitedNodes).WithMask(EthDst, MAC(groupBit), MAC(groupBit)).
			With(regClass, U32(classNS)).
			WithMask(regND, U32(ndOwnSource|ndOwnOption|ndFull), U32(ndOwnSource|ndOwnOption|ndFull|ndLonger)),
		Resubmit{TableSwitch})
	b.add(TableAway, 0, RoleDropAway, nil)
}

// flagFlows mark the advertisements of who claims no router (RFC 4861 section
// 4.4). Open vSwitch matches the word of flags and reserved bits as a whole, so
// each value that a host sends has a flow; what is left is Damselfly's to judge.
// A datapath that can't see the word lets all pass: the flag marks this
// neighbour a router in the cache of who hears it, and a host that sees it go
// from 1 to 0 drops that default router (RFC 4861 section 7.2.5), which a guest
// that is none never was.
//
// Nobody is solicited by all (RFC 4861 section 7.1.2): to a group, what a flow does
// not know to be without the Solicited flag is Damselfly's to judge, whatever else
// is in the word.
func (b *builder) flagFlows(na Match) {
	mark := []Action{LoadBits(regND, ndNoRouter, ndNoRouter), Resubmit{TableNDTarget}}
	if b.env.NDExt {
		for _, flags := range []uint32{0, flagOverride} {
			b.add(TableNDFlags, ndOwner, RoleND, na.With(NDReserved, U32(flags)), mark...)
			b.add(TableNDFlags, ndOwner, RoleND, na.With(NDReserved, U32(flagRouter|flags)), mark[1])
			b.add(TableNDFlags, ndSource, RoleND, na.With(NDReserved, U32(flagSolicited|flags)), mark...)
		}
		b.add(TableNDFlags, ndForward, RolePunt, na.DstIn(multicast), ToGroup{b.group(groupPunt)})
		mark = mark[1:]
	}
	b.add(TableNDFlags, ndRest, RoleND, na, mark...)
	b.add(TableNDFlags, 0, RoleDropDefault, nil)
}

// replyFlows finish an answer by flow: link-layer option and flags can be set
// only where the match says Neighbor Advertisement. The frame leaves by the
// port that asked.
func (b *builder) replyFlows() {
	b.add(TableNDReply, 0, RoleDropDefault, nil)
	if !b.env.NDExt {
		return
	}
	// Who only stands in for an address does not override what its holder says (RFC
	// 4861 section 7.2.8).
	const proxied = flagRouter | flagSolicited
	for _, flags := range []uint32{0, flagRouter, proxied} {
		override := uint32(flagOverride)
		if flags == proxied {
			override = 0
		}
		b.add(TableNDReply, ndAnswer, RoleND,
			Match{}.ND(wire.TypeNeighborAdvert).With(regFlags, U32(flags)),
			Load(NDReserved, U32(flags|flagSolicited|override)),
			Load(NDOptionsType, U8(wire.OptionTargetLinkLayer)),
			Move{EthSrc, NDTLL},
			Resubmit{TableReturn})
	}
}

// portNDFlows say what is a port's own, and answer or forward for its addresses.
//
// On a network with Secure Neighbor Discovery no flow answers for a guest, which may
// sign what it says itself; and where what is not signed may not go on, or not always,
// no flow carries it.
func (b *builder) portNDFlows(p *topology.Port, mode topology.SendMode) {
	if p.Unknown {
		return // any address may live there: everything is Damselfly's to judge
	}
	own := Match{}.From(p.Key).EthSrc(p.MAC)
	ns, na := own.ND(wire.TypeNeighborSolicit), own.ND(wire.TypeNeighborAdvert)
	mark := LoadBits(regND, ndOwnOption, ndOwnOption)
	b.add(TableNDOptions, ndSource, RoleND, ns.With(NDSLL, MAC(p.MAC)), append([]Action{mark}, exactly(ndOption, TableNDTarget)...)...)
	b.add(TableNDOptions, ndSource, RoleND, na.With(NDTLL, MAC(p.MAC)), append([]Action{mark}, exactly(ndOption, TableNDFlags)...)...)

	for _, a := range p.Addresses {
		if mode < topology.SendPrefer {
			b.forwardFlows(p, a)
		}
		if b.env.NDExt && mode == topology.SendNone {
			// An answer to one's own probe makes one give the address up (RFC 4862
			// section 5.4.4): who asks for its own address is never answered.
			b.add(TableNDTarget, ndOwner, RolePunt,
				Match{}.ND(wire.TypeNeighborSolicit).From(p.Key).With(NDTarget, Addr(a)), ToGroup{b.group(groupPunt)})
			b.answerFlow(p.Network.Key, a, topology.Owner{Port: p, MAC: p.MAC, Router: p.Router}, true)
		}
	}
}

// forwardFlows let the port be asked for its address by unicast (the probe of
// RFC 4861 section 7.3) and let it answer for it, as long as every part of the
// message is the sender's own and nothing is hidden behind.
func (b *builder) forwardFlows(p *topology.Port, a netip.Addr) {
	const exact, of = ndOwnSource | ndFull, ndOwnSource | ndFull | ndLonger
	b.add(TableNDTarget, ndForward, RoleNDForward,
		Match{}.ND(wire.TypeNeighborSolicit).On(p.Network.Key).With(NDTarget, Addr(a)).Dst(a).EthDst(p.MAC).
			WithMask(regND, U32(exact), U32(of)),
		Load(regOut, U32(uint32(p.Key))), Resubmit{TableOutput})
	want, mask := uint32(exact), uint32(of)
	if !p.Router {
		want, mask = want|ndNoRouter, mask|ndNoRouter
	}
	b.add(TableNDTarget, ndForward, RoleNDForward,
		Match{}.ND(wire.TypeNeighborAdvert).From(p.Key).With(NDTarget, Addr(a)).WithMask(regND, U32(want), U32(mask)),
		Resubmit{TableSwitch})
}

// answerFlow turns a solicitation for a into the advertisement its owner would
// send. It stands for the one form a flow can answer exactly: an address of the
// sender's own as source, its own link-layer option and nothing else. Guests
// are answered for only where the question went to all; a router's addresses
// always.
func (b *builder) answerFlow(network uint16, a netip.Addr, o topology.Owner, multicastOnly bool) {
	known := uint32(ndOwnSource | ndOwnOption | ndFull)
	m := Match{}.ND(wire.TypeNeighborSolicit).On(network).With(NDTarget, Addr(a)).
		WithMask(regND, U32(known), U32(known|ndLonger))
	if multicastOnly {
		group := wire.SolicitedNode(a)
		m = m.Dst(group).EthDst(wire.MulticastMAC(group))
	}
	flags := uint32(0)
	if o.Router {
		flags = flagRouter
	}
	if o.Proxied() {
		flags |= flagSolicited
	}
	actions := append(answerHeaders(a, o.MAC, 255),
		Load(ICMPv6Type, U8(wire.TypeNeighborAdvert)),
		Load(regFlags, U32(flags)),
		Resubmit{TableNDReply})
	b.add(TableNDTarget, ndAnswer, RoleNDAnswer, m, actions...)
}

// answerHeaders turns a request's headers into those of the answer from address
// a with link-layer address mac. Flow label and traffic class are zeroed: the
// request's are the guest's own business.
func answerHeaders(a netip.Addr, mac wire.MAC, hopLimit uint8) []Action {
	return []Action{
		Move{EthSrc, EthDst},
		Load(EthSrc, MAC(mac)),
		Move{IPv6Src, IPv6Dst},
		Load(IPv6Src, Addr(a)),
		Load(IPv6Label, U32(0)),
		Load(IPDSCP, U8(0)),
		Load(IPECN, U8(0)),
		Load(IPTTL, U8(hopLimit)),
	}
}

// networkNDFlows answer for the router's addresses, and hand over what guests
// answer to Damselfly's own question whether they are still there.
func (b *builder) networkNDFlows(n *topology.Network) {
	asker, _ := n.Asker()
	b.add(TableNDTarget, ndOwner, RolePunt,
		Match{}.ND(wire.TypeNeighborAdvert).On(n.Key).Dst(asker), ToGroup{b.group(groupPunt)})
	if n.Router == nil || !b.env.NDExt {
		return
	}
	for _, a := range n.Router.All() {
		// No flow signs, nor does it ask whether the question is signed.
		if mode, _ := signatures(n); mode == topology.SendRequire || n.Signs() && a == n.Router.LinkLocal {
			continue
		}
		b.answerFlow(n.Key, a, topology.Owner{MAC: n.Router.MAC, Router: true}, false)
	}
	for _, a := range n.FloatingAddresses() {
		if o, _ := n.Owner(a); !o.Floating.Away {
			b.answerFlow(n.Key, a, o, false)
		}
	}
}

// exactly measures whether the frame is of just this many octets and goes on to
// the next table.
func exactly(octets uint16, next uint8) []Action {
	return []Action{
		LongerThan{octets, regND, ndLongerBit},
		LongerThan{octets - 1, regND, ndFullBit},
		Resubmit{next},
	}
}

// recirculation is the group that continues in a table behind a recirculation:
// the datapath chooses the one bucket by a hash it can only take anew.
func recirculation(id uint32, table uint8) Group {
	return Group{ID: id, Type: Select, Buckets: []Bucket{
		{ID: 0, Weight: 1, WatchPort: NoPort, WatchGroup: NoGroup, Actions: []Action{Resubmit{table}}},
	}}
}
