package flows

import (
	"net/netip"
	"slices"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Priorities of the multicast tables.
const (
	groupsAlways       = 300
	groupsKnown        = 200
	groupsLink         = 100
	groupsUnregistered = 10

	sourcesNamed = 200
	sourcesOther = 100

	mldGate = 100
)

// listenerTypes are what hosts say of multicast: who listens, and who routes?
// routingTypes are what routers say: who listens?, and that they route (RFC 9777
// section 5, RFC 2710 section 3, RFC 4286).
var (
	listenerTypes = []uint8{wire.TypeMLDv1Report, wire.TypeMLDDone, wire.TypeMLDv2Report, wire.TypeMRDSolicit}
	routingTypes  = []uint8{wire.TypeMLDQuery, wire.TypeMRDAdvert, wire.TypeMRDTermination}
)

// shortTo are where Multicast Router Solicitations and Terminations go. These have
// four octets (RFC 4286 sections 4.1 and 5.1), and Open vSwitch reads the type of ICMPv6 of
// eight and more only: it takes them for type 0, as it does what is cut.
var shortTo = []netip.Addr{wire.AllRouters, wire.AllSnoopers}

// shortMRD matches what may be one of them.
func (m Match) shortMRD(to netip.Addr) Match {
	return m.ICMPv6(0).With(IPTTL, U8(wire.ListenerHopLimit)).With(IPFrag, U8(fragNo)).Dst(to)
}

// baseMulticastFlows end what comes to the multicast tables by no way we know, and
// what guests that are no routers say as such. This is a guard, as that against their
// Router Advertisements is, and stands on networks without multicast too: what a
// guest asks there makes everybody report to it, and snooping switches and bridges
// behind ports and uplinks take who asks or advertises for a router, which gets all
// groups (RFC 9777 section 7.6.2, RFC 4286 section 7). Of a Termination Open vSwitch
// can read the type only where it is longer than it has to be.
func (b *builder) baseMulticastFlows() {
	for _, typ := range routingTypes {
		b.add(TableServices, serviceDrop, RoleDropMLDQuery, Match{}.ICMPv6(typ))
	}
	b.add(TableMLD, 0, RoleDropMLDInvalid, nil)
	for _, t := range []uint8{TableGroups, TableSources} {
		b.add(t, 0, RoleDropDefault, nil)
	}
}

// networkMLDFlows take out what is said of multicast on a network where somebody
// wants to hear it.
func (b *builder) networkMLDFlows(n *topology.Network) {
	if n.Multicast == nil {
		return
	}
	for _, typ := range listenerTypes {
		of := Match{}.On(n.Key).ICMPv6(typ)
		b.add(TableServices, serviceGate, RoleGate, of.With(IPTTL, U8(wire.ListenerHopLimit)).With(IPFrag, U8(fragNo)), Resubmit{TableMLD})
		b.add(TableServices, serviceDrop, RoleDropMLDInvalid, of)
	}
	for _, to := range shortTo {
		b.add(TableGuard, guardShort, RoleGuard, Match{}.On(n.Key).shortMRD(to), Resubmit{TableSource})
		b.add(TableServices, serviceGate, RoleGate, Match{}.On(n.Key).shortMRD(to), Resubmit{TableMLD})
	}
	// The guard lets no other of type 0 on.
	b.add(TableIngress, filterPass, RoleTrack, Match{}.On(n.Key).With(IPFrag, U8(fragNo)).ICMPv6(0).With(IPTTL, U8(wire.ListenerHopLimit)), Resubmit{TableOutput})
	// While Damselfly is away, routers go on asking, and hear who listens.
	away := Match{}.On(n.Key).With(regClass, U32(uint32(punt.MLD)))
	for _, typ := range routingTypes {
		b.add(TableAway, ndAnswer, RoleListen, away.ICMPv6(typ), Resubmit{TableSwitch})
	}
	b.add(TableAway, ndSubnet, RoleListen, away, ToGroup{b.routersGroup(n.Key)})
}

// portMLDFlows hand over what a port says of multicast, through its meter, and let
// a router say what only routers do.
func (b *builder) portMLDFlows(p *topology.Port) {
	next := onward
	if p.Multicast != nil {
		next = Resubmit{TableMLD}
		if actions, ok := b.throughMeter(p, punt.MLD); ok {
			actions = append(actions, Load(regClass, U32(uint32(punt.MLD))), ToGroup{b.group(groupPunt)})
			b.add(TableMLD, mldGate, RoleGate, Match{}.From(p.Key), actions...)
		}
	}
	if !p.Router {
		return
	}
	// A listener query makes everybody report, and who asks from the lowest
	// address decides for the link (RFC 9777 section 7.6.2).
	for _, typ := range routingTypes {
		m := Match{}.ICMPv6(typ).From(p.Key)
		if p.Secured {
			m = m.WithMask(regND, U32(ndOwnSource), U32(ndOwnSource))
		}
		b.add(TableServices, serviceGate, RoleGate, m, next)
	}
}

// listenedFlows carry groups on a network to who listens to them and to multicast
// routers, once it is known who that is (RFC 4541 section 3). routed: their router
// carries some on.
func (b *builder) listenedFlows(n *topology.Network, l *topology.Listening, routed bool) {
	routers := Group{ID: b.routersGroup(n.Key), Type: All}
	ports := make(map[uint16]*topology.Port, len(n.Ports))
	for _, p := range n.Ports {
		if p.OFPort != 0 {
			ports[p.Key] = p
		}
	}
	for _, key := range l.Routers {
		if p := ports[key]; p != nil {
			routers.Buckets = append(routers.Buckets, bucket(key, deliver(p)))
		}
	}
	b.groups = append(b.groups, routers)
	on, flood := Match{}.On(n.Key), ToGroup{b.floodGroup(n.Key)}
	known := n.Multicast.Snooping && l.Ready
	switch {
	case routed && known:
		b.routedGroupFlows(n, Resubmit{TableGroups})
	case routed:
		b.routedGroupFlows(n, flood)
		b.add(TableGroups, groupsUnregistered, RoleListen, on.IPv6(), flood)
	}
	if !known {
		return
	}
	b.add(TableSwitch, switchGroups, RoleListen,
		on.IPv6().DstIn(multicast).WithMask(EthDst, MAC(groupBit), MAC(groupBit)), Resubmit{TableGroups})
	t := uint8(TableGroups)
	b.add(t, groupsAlways, RoleListen, on.ICMPv6(wire.TypeMLDQuery), flood)
	for _, a := range []netip.Addr{wire.AllNodes, wire.AllRouters, wire.AllSnoopers} {
		b.add(t, groupsAlways, RoleListen, on.IPv6().Dst(a), flood)
	}
	b.add(t, groupsAlways, RoleListen, on.IPv6().DstIn(solicitedNodes), flood)
	b.add(t, groupsAlways, RoleListen, on.IPv6().WithMask(IPv6Dst, Value{0xff}, noScopeMask), flood)
	// Of these, hosts' stacks are known not to tell always.
	b.add(t, groupsLink, RoleListen, on.IPv6().DstIn(linkLocalMulticast), flood)
	unregistered := ToGroup{routers.ID}
	if n.Multicast.FloodUnregistered {
		unregistered = flood
	}
	b.add(t, groupsUnregistered, RoleListen, on.IPv6(), unregistered)
	for i := range l.Groups {
		b.listenedGroup(n, l, &l.Groups[i], ports)
	}
}

// noScopeMask selects what says that a group has no scope beyond a node, whatever its
// flags (RFC 4291 section 2.7).
var noScopeMask = Value{0xff, 0x0e}

// listenedGroup carries one group. Routers get it by a group of their own.
func (b *builder) listenedGroup(n *topology.Network, l *topology.Listening, g *topology.ListenedGroup, ports map[uint16]*topology.Port) {
	to := Match{}.On(n.Key).IPv6().Dst(g.Group)
	listeners := Group{ID: b.group(groupListeners + uint32(g.Slot)), Type: All}
	for i := range g.Ports {
		at := &g.Ports[i]
		p := ports[at.Port]
		if p == nil || slices.Contains(l.Routers, at.Port) {
			continue
		}
		actions := deliver(p)
		if !at.Exclude || len(at.Sources) > 0 {
			b.sourceFlows(p, g.Group, at)
			actions = []Action{actions[0], Resubmit{TableSources}}
		}
		listeners.Buckets = append(listeners.Buckets, bucket(p.Key, actions))
	}
	if len(listeners.Buckets) == 0 {
		b.add(TableGroups, groupsKnown, RoleListen, to, ToGroup{b.routersGroup(n.Key)})
		return
	}
	b.groups = append(b.groups, listeners)
	b.add(TableGroups, groupsKnown, RoleListen, to, ToGroup{listeners.ID}, ToGroup{b.routersGroup(n.Key)})
}

// sourceFlows let a port have of a group what it wants.
func (b *builder) sourceFlows(p *topology.Port, group netip.Addr, at *topology.Listener) {
	own := b.object
	b.object = uint32(p.Key)
	defer func() { b.object = own }()
	of := Match{}.With(regOut, U32(uint32(p.Key))).IPv6().Dst(group)
	wanted := deliver(p)[1]
	add := func(priority uint16, m Match, want bool) {
		if want {
			b.add(TableSources, priority, RoleListen, m, wanted)
		} else {
			b.add(TableSources, priority, RoleDropUnwanted, m)
		}
	}
	add(sourcesOther, of, at.Exclude)
	for _, s := range at.Sources {
		add(sourcesNamed, of.Src(s), !at.Exclude)
	}
}

// bucket is one copy of a frame.
func bucket(key uint16, actions []Action) Bucket {
	return Bucket{ID: uint32(key), WatchPort: NoPort, WatchGroup: NoGroup, Actions: actions}
}

// routersGroup is the id of the group that holds the multicast routers of a network.
func (b *builder) routersGroup(network uint16) uint32 {
	return b.group(groupRouters + uint32(network))
}
