package multicast

import (
	"net/netip"
	"time"

	"damselfly/internal/due"
	"damselfly/internal/topology"
)

// Table knows who listens on all networks.
type Table struct {
	// random gives a random time below a bound.
	random   func(time.Duration) time.Duration
	networks map[string]*network
	slots    slots
	timers   due.Queue[*timer]
	events   []Event
	changed  bool // some network's view is not what there is
	// proxies are the networks where routers listen on behalf of others, and some where one did.
	proxies []*network
	// untold are the groups of which proxies have yet to see whether they are wanted, unplanned the
	// networks whose turn has yet to be set.
	untold    map[netip.Addr]bool
	unplanned []*network
	// seen is what the last Serve saw.
	seen *topology.Snapshot
	view View
	// remembered is who advertised in an earlier life, until that is looked at;
	// advertisers says that who does has changed.
	remembered  []Advertiser
	advertisers bool
}

// network is what is known of one.
type network struct {
	name string
	conf topology.Multicast
	// address is the querier's, invalid where there is nobody to ask.
	address netip.Addr
	now     *topology.Network
	ports   map[string]*port
	groups  map[netip.Addr]*group

	querier
	discovery
	// proxy is nil where no router listens on behalf of its other networks.
	proxy *proxy
	// dirty says that shown is not what there is, stale are the groups of which.
	dirty     bool
	stale     map[netip.Addr]bool
	shown     *Shown
	unplanned bool
	timer
}

// port is one port of a network.
type port struct {
	name   string
	conf   topology.PortMulticast
	ofport uint32
	uplink bool
	// members are its memberships by group; learned counts those that are not
	// configured, sources the sources of all.
	members          map[netip.Addr]*member
	learned, sources int
}

// group is one that somebody listens to.
type group struct {
	addr    netip.Addr
	slot    uint16
	members map[string]*member // by port
}

// member is what one port wants of one group (RFC 9777 section 7.2): in include mode
// the sources, in exclude mode all but those whose time is 0.
type member struct {
	network *network
	group   *group
	port    *port
	exclude bool
	// static says that the configuration has it: it has no times.
	static bool
	// filter is when exclude mode ends.
	filter time.Duration
	// sources are when each is given up; 0 are those not wanted in exclude mode.
	sources map[netip.Addr]time.Duration
	// old is until when an MLDv1 listener is taken to be there (section 8.3.2).
	old time.Duration
	asking
	timer
}

// New returns a Table that knows of no network. random gives a random time below a
// bound; nil gives the bound.
func New(random func(time.Duration) time.Duration) *Table {
	if random == nil {
		random = func(d time.Duration) time.Duration { return d }
	}
	return &Table{random: random, networks: map[string]*network{}, untold: map[netip.Addr]bool{}}
}

// tell queues an Event.
func (t *Table) tell(e Event) { t.events = append(t.events, e) }

// Events returns what is to be sent since the last call, valid until the next.
func (t *Table) Events() []Event {
	list := t.events
	t.events = t.events[:0]
	return list
}

// find returns a port of a network; nil if either is not served.
func (t *Table) find(network, port string) (*network, *port) {
	n := t.networks[network]
	if n == nil {
		return nil, nil
	}
	return n, n.ports[port]
}

// join returns the membership of a port, made if there is none; nil if the port has no room.
func (t *Table) join(n *network, p *port, group netip.Addr) *member {
	if m := p.members[group]; m != nil {
		return m
	}
	if !p.mayLearn() {
		return nil
	}
	return t.enter(n, p, group, false)
}

// enter files a new membership; nil if there is no slot.
func (t *Table) enter(n *network, p *port, addr netip.Addr, static bool) *member {
	g := n.groups[addr]
	if g == nil {
		slot, ok := t.slots.take()
		if !ok {
			return nil
		}
		g = &group{addr: addr, slot: slot, members: map[string]*member{}}
		n.groups[addr] = g
	}
	m := &member{network: n, group: g, port: p, static: static, exclude: static, sources: map[netip.Addr]time.Duration{}}
	m.timer = timer{member: m}
	g.members[p.name], p.members[addr] = m, m
	if !static {
		p.learned++
	}
	t.regroup(n, addr)
	return m
}

// leave forgets a membership.
func (t *Table) leave(m *member) {
	t.timers.Cancel(&m.timer)
	delete(m.port.members, m.group.addr)
	delete(m.group.members, m.port.name)
	m.port.sources -= len(m.sources)
	if !m.static {
		m.port.learned--
	}
	if len(m.group.members) == 0 {
		t.slots.give(m.group.slot)
		delete(m.network.groups, m.group.addr)
	}
	t.regroup(m.network, m.group.addr)
}

// mark says that what is shown of a network is no longer so, its groups apart.
func (t *Table) mark(n *network) { n.dirty, t.changed = true, true }

// regroup says that what is known of a group on a network is another.
func (t *Table) regroup(n *network, group netip.Addr) {
	if n.stale == nil {
		n.stale = map[netip.Addr]bool{}
	}
	n.stale[group], t.untold[group] = true, true
	t.mark(n)
}
