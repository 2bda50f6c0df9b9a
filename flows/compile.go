package flows

import (
	"cmp"
	"maps"
	"slices"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Env is what the flows depend on besides the topology.
type Env struct {
	// NDExt says that the datapath can rewrite the reserved word and the option
	// type of Neighbor Discovery messages, so that a flow can make a Neighbor
	// Advertisement.
	NDExt bool
	// PulsePort is the switch's number of the pulse port, whose carrier falls
	// when Damselfly dies. 0 means there is none: punts then go nowhere while
	// Damselfly is away.
	PulsePort uint32
	// PuntPort says that frames are handed over and taken back by the pulse port
	// where they can be; it needs one.
	PuntPort bool
	// MetadataPort is the switch's number of the port behind which the metadata
	// service is, 0 for none.
	MetadataPort uint32
	// FirstGroup and FirstMeter begin the ranges of ids that are Damselfly's.
	FirstGroup, FirstMeter uint32
}

// Compile returns all flows, groups and meters that a switch needs for s.
func Compile(s *topology.Snapshot, env Env) *Set {
	return NewCompiler(env).Update(s).Set()
}

// Compiler compiles snapshot after snapshot and does over only what changed.
// It is used by one goroutine.
type Compiler struct {
	env      Env
	base     *Piece
	networks map[uint16]compiled[*topology.Network]
	listened map[uint16]compiled[listenedSource]
	mrouters map[uint32]compiledMulticast
	mbase    *Piece // what all of mrouters need
	routers  map[uint32]compiledRouter
	ports    map[uint16]compiled[portSource]
	counted  map[uint16]Roles // by port
	filters  filters
}

// portSource is all that a port's piece depends on.
type portSource struct {
	port *topology.Port
	// counted are the drops that have a counter of the port's own.
	counted Roles
	// served: its network has a DHCPv6 server. plain: it is L2 alone, without a
	// router or prefixes. inverse: it has Inverse Neighbor Discovery.
	served, plain, inverse bool
	// send is how its network deals with signatures, path says that it has a
	// certificate to show.
	send topology.SendMode
	path bool
	// rejects, logs: some rule of some port does. tracks: some port's connections
	// are tracked.
	rejects, logs, tracks bool
	// router is that of its network, 0 for none.
	router uint32
	// asks: the router has a network on which it asks for neighbours.
	asks bool
	// metadata: its network has the metadata service.
	metadata bool
}

// listenedSource is all that the piece of who listens on a network depends on.
type listenedSource struct {
	network   *topology.Network
	listening *topology.Listening
	// routed: its router carries multicast.
	routed bool
}

// compiledMulticast is a Piece and what it was made from.
type compiledMulticast struct {
	router    *topology.Router
	listening map[uint16]*topology.Listening
	*Piece
}

// compiledRouter is a Piece and what it was made from.
type compiledRouter struct {
	from *topology.Router
	*Piece
}

// compiled is a Piece and the part of the snapshot it was made from. Parts
// never change, so the same pointer means the same piece.
type compiled[T any] struct {
	from T
	*Piece
}

// NewCompiler returns a Compiler that has seen no snapshot.
func NewCompiler(env Env) *Compiler {
	c := &Compiler{
		env:      env,
		networks: map[uint16]compiled[*topology.Network]{},
		ports:    map[uint16]compiled[portSource]{},
		counted:  map[uint16]Roles{},
	}
	b := builder{env: env, Piece: &Piece{}}
	b.baseFlows()
	c.base = b.Piece
	shared := builder{env: env, Piece: &Piece{}}
	shared.baseMulticastRouteFlows()
	c.mbase = shared.Piece
	return c
}

// Update compiles what differs from the snapshot before and returns the pieces
// of s.
func (c *Compiler) Update(s *topology.Snapshot) *Pieces {
	c.filters.update(c.env, s)
	networks := make(map[uint16]compiled[*topology.Network], len(s.Networks))
	for _, n := range s.Networks {
		k, ok := c.networks[n.Key]
		if !ok || k.from != n {
			k = compiled[*topology.Network]{n, c.network(n)}
		}
		networks[n.Key] = k
	}
	ports := make(map[uint16]compiled[portSource], len(s.Ports))
	asks := map[uint32]bool{}
	for _, n := range s.Networks {
		asks[n.RouterID()] = asks[n.RouterID()] || n.Resolves() || len(n.AskedPrefixes()) > 0
	}
	for _, p := range s.Ports {
		n := s.Network(p.Network.Key)
		from := portSource{
			port: p, counted: c.counted[p.Key], served: n != nil && n.DHCPv6 != nil, plain: n == nil || n.Router == nil,
			inverse: n != nil && n.InverseND,
			rejects: c.filters.rejects, logs: c.filters.logs, tracks: c.filters.tracks,
			router: n.RouterID(), asks: asks[n.RouterID()], metadata: n != nil && n.Metadata != nil,
		}
		from.send, from.path = signatures(n)
		k, ok := c.ports[p.Key]
		if !ok || k.from != from {
			k = compiled[portSource]{from, c.port(from)}
		}
		ports[p.Key] = k
	}
	c.networks, c.ports, c.routers, c.listened = networks, ports, c.updateRouters(s), c.updateListened(s)
	c.mrouters = c.updateMulticast(s)
	return c.pieces()
}

// updateListened compiles who listens on the networks where that changed.
func (c *Compiler) updateListened(s *topology.Snapshot) map[uint16]compiled[listenedSource] {
	listened := map[uint16]compiled[listenedSource]{}
	for _, n := range s.Networks {
		if n.Multicast == nil {
			continue
		}
		router := s.Router(n.RouterID())
		from := listenedSource{n, s.Listening(n.Key), router != nil && router.Multicast != nil}
		k, ok := c.listened[n.Key]
		if !ok || k.from != from {
			b := builder{env: c.env, Piece: &Piece{}, object: uint32(n.Key)}
			b.listenedFlows(n, cmp.Or(from.listening, &topology.Listening{}), from.routed)
			k = compiled[listenedSource]{from, b.Piece}
		}
		listened[n.Key] = k
	}
	return listened
}

// updateMulticast compiles the routers that carry multicast where anything of that changed.
func (c *Compiler) updateMulticast(s *topology.Snapshot) map[uint32]compiledMulticast {
	out := map[uint32]compiledMulticast{}
	for _, r := range s.Routers {
		if r.Multicast == nil {
			continue
		}
		listening := make(map[uint16]*topology.Listening, len(r.Networks))
		for _, n := range r.Networks {
			listening[n.Key] = s.Listening(n.Key)
		}
		k, ok := c.mrouters[r.ID]
		if !ok || k.router != r || !maps.Equal(k.listening, listening) {
			b := builder{env: c.env, Piece: &Piece{}}
			b.multicastRouterFlows(r, listening)
			k = compiledMulticast{r, listening, b.Piece}
		}
		out[r.ID] = k
	}
	return out
}

// updateRouters compiles the routers whose routes changed beyond their networks' prefixes.
func (c *Compiler) updateRouters(s *topology.Snapshot) map[uint32]compiledRouter {
	routers := make(map[uint32]compiledRouter, len(s.Routers))
	for _, r := range s.Routers {
		k, ok := c.routers[r.ID]
		if !ok || !sameRouter(k.from, r) {
			b := builder{env: c.env, Piece: &Piece{}}
			b.routerFlows(r)
			k.Piece = b.Piece
		}
		k.from = r
		routers[r.ID] = k
	}
	return routers
}

// sameRouter reports whether two routers have the same flows of their own.
func sameRouter(a, b *topology.Router) bool {
	return slices.EqualFunc(a.Routes, b.Routes, topology.Route.Equal) && slices.Equal(a.Floating, b.Floating) &&
		slices.Equal(a.Translations, b.Translations) && slices.Equal(a.Hidden, b.Hidden)
}

func (c *Compiler) pieces() *Pieces {
	out := &Pieces{list: make(map[PieceID]*Piece, 1+len(c.networks)+len(c.ports))}
	out.list[PieceID{}] = c.base
	c.filters.pieces(out)
	for key, n := range c.networks {
		out.list[PieceID{'n', uint32(key)}] = n.Piece
	}
	for key, l := range c.listened {
		out.list[PieceID{'m', uint32(key)}] = l.Piece
	}
	if len(c.mrouters) > 0 {
		out.list[PieceID{'M', 0}] = c.mbase
	}
	for id, r := range c.mrouters {
		out.list[PieceID{'M', id}] = r.Piece
	}
	for id, r := range c.routers {
		out.list[PieceID{'t', id}] = r.Piece
	}
	for key, p := range c.ports {
		out.list[PieceID{'p', uint32(key)}] = p.Piece
	}
	return out
}

func (c *Compiler) network(n *topology.Network) *Piece {
	b := builder{env: c.env, Piece: &Piece{}, object: uint32(n.Key)}
	b.networkSourceFlows(n)
	b.networkNDFlows(n)
	b.networkPathFlows(n)
	b.networkEchoFlows(n)
	b.networkDHCPv6Flows(n)
	b.networkMLDFlows(n)
	b.networkRouteFlows(n)
	b.networkSwitchFlows(n)
	b.networkMetadataFlows(n)
	return b.Piece
}

func (c *Compiler) port(from portSource) *Piece {
	p := from.port
	b := builder{env: c.env, Piece: &Piece{}, object: uint32(p.Key)}
	if p.OFPort == 0 {
		return b.Piece
	}
	b.portClassifyFlows(p, from.router)
	b.portSentFlows(p)
	b.portSourceFlows(p)
	b.portGateFlows(p, from.inverse)
	b.portPathFlows(p, from.path)
	b.portNDFlows(p, from.send)
	b.portEchoFlows(p)
	b.portDHCPv4Flows(p)
	b.portDHCPv6Flows(p, from.served && !p.Uplink, from.plain)
	b.portFilterFlows(p)
	b.portVerdictFlows(p, from.rejects, from.logs)
	b.portConnectionFlows(p, from.tracks)
	b.portOutputFlows(p)
	b.portRouteFlows(p, from.router != 0, from.asks)
	if from.metadata {
		b.portMetadataFlows(p)
	}
	b.portDroppedFlows(p, from.counted)
	return b.Piece
}

// builder collects the flows of one piece.
type builder struct {
	env Env
	*Piece
	// object is the key the cookies of the piece carry.
	object uint32
}

// add appends a flow. A drop that is not of one port's frames alone sends them
// to be counted for their port.
func (b *builder) add(table uint8, priority uint16, role Role, m Match, actions ...Action) {
	object := b.object
	if role.Drop() && table != TableDropped && !m.ofOnePort() {
		object, actions = 0, counted(table, role)
	}
	b.flows = append(b.flows, Flow{
		Table: table, Priority: priority, Cookie: cookie(role, object), Match: m, Actions: actions,
	})
}

// baseFlows are those that no network or port has a part in.
func (b *builder) baseFlows() {
	b.guardFlows()
	b.baseSourceFlows()
	b.serviceFlows()
	b.baseNDFlows()
	b.baseEchoFlows()
	b.baseDHCPv4Flows()
	b.baseDHCPv6Flows()
	b.baseMulticastFlows()
	b.baseRouteFlows()
	b.baseFloatingFlows()
	b.puntFlows()
	b.puntPortFlows()
	b.baseFilterFlows()
	b.baseSwitchFlows()
	b.baseMetadataFlows()
	b.baseDroppedFlows()
}

// Groups of the base, counted from Env.FirstGroup; a network's flood group
// follows behind groupFlood by the network's key.
const (
	// groupAway goes to the away table; it is there to be watched.
	groupAway = iota
	// groupPunt hands over, or goes away when the pulse port is down.
	groupPunt
	// groupND recirculates into the ND tables.
	groupND
	// groupEcho recirculates into the echo reply table.
	groupEcho
	// groupReject recirculates into the reject table.
	groupReject
	// groupLog recirculates into the log table.
	groupLog

	// groupMetadata recirculates into the table that answers ARP for the metadata service.
	groupMetadata = 10
	// groupNS hands over, or recirculates into the ND tables when the pulse port is
	// down; there is one where no flow can answer.
	groupNS = 11

	groupFlood = 16
)

// Behind the flood groups, counted from Env.FirstGroup: the multicast routers of each
// network by its key, the listeners of each multicast group by its slot, and paths
// of equal cost by their number.
const (
	groupRouters   = 1 << 15
	groupListeners = 1 << 16
	groupRouted    = groupListeners + topology.MaxGroupSlots
	groupPaths     = 1 << 17
)

// LastGroup is the highest group of ours, counted from Env.FirstGroup.
const LastGroup = groupPaths + topology.MaxPathSets - 1

func (b *builder) group(n uint32) uint32 { return b.env.FirstGroup + n }

// floodGroup is the id of the group that holds all ports of a network.
func (b *builder) floodGroup(network uint16) uint32 {
	return b.group(groupFlood + uint32(network))
}

// meterID is the id of a port's meter for a class.
func (b *builder) meterID(port uint16, c punt.Class) uint32 {
	return b.env.FirstMeter + uint32(port)*punt.MeterSlots + uint32(c)
}

// throughMeter returns the actions that pass frames of a class through the
// port's meter, which it adds the first time; none where the class has no limit. ok is false
// where the limit lets nothing pass: then no flow may hand the class over (a
// meter of rate 0 is refused by the Linux datapath).
func (b *builder) throughMeter(p *topology.Port, c punt.Class) (actions []Action, ok bool) {
	l := p.Limits[c]
	if l == topology.Unlimited {
		return nil, true
	}
	if l.Rate == 0 {
		return nil, false
	}
	m := Meter{ID: b.meterID(p.Key, c), Rate: l.Rate, Burst: l.Burst}
	if !slices.Contains(b.meters, m) {
		b.meters = append(b.meters, m)
	}
	return []Action{ThroughMeter{m.ID}}, true
}
