package mld

import (
	"net/netip"
	"time"

	"damselfly/handlers/learn"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/multicast"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Table is what Lane needs of a multicast.Table.
type Table interface {
	// Report takes one record of what a listener says.
	Report(now time.Duration, network, at string, c multicast.Change, old bool) multicast.Outcome
	// Asked takes a Query.
	Asked(now time.Duration, network, at string, q multicast.Query)
	// Advertised, Terminated and Solicited take Multicast Router Discovery.
	Advertised(now time.Duration, network, at string, source netip.Addr, interval time.Duration)
	Terminated(now time.Duration, network, at string, source netip.Addr)
	Solicited(now time.Duration, network string) bool
}

var _ Table = (*multicast.Table)(nil)

// Lane is how one lane hears; nil hears nothing, and only says how messages end where
// no multicast router is known. Either Slow is set, in the fast
// lane, or Table, in the slow one. It is one goroutine's.
type Lane struct {
	Slow  learn.SlowLane
	Table Table
	// Uptime is the moment that Table is told at, Snapshot the topology that the group
	// is decided in. Their owner sets them before a group.
	Uptime   time.Duration
	Snapshot *topology.Snapshot

	frame   pipeline.Frame // what is handed over, so that no packet has to outlive its call
	sources []netip.Addr
}

// Concerns reports whether a packet is of a protocol that is heard on its network.
func Concerns(p *packet.Packet) bool {
	if p.Network.Multicast == nil || p.Protocol != wire.ProtocolICMPv6 {
		return false
	}
	switch p.ICMPv6().Type() {
	case wire.TypeMLDQuery, wire.TypeMLDv1Report, wire.TypeMLDDone, wire.TypeMLDv2Report,
		wire.TypeMRDAdvert, wire.TypeMRDSolicit, wire.TypeMRDTermination:
		return true
	}
	return false
}

// message is what a valid one says; what it is of, its type tells.
type message struct {
	typ    uint8
	query  wire.ListenerQuery
	report wire.ListenerReport
	group  netip.Addr
	advert wire.MRDAdvert
}

// check is the gate of all of them.
func check(p *packet.Packet) (m message, f wire.Fault) {
	m.typ = p.ICMPv6().Type()
	switch m.typ {
	case wire.TypeMLDQuery:
		m.query, f = wire.CheckListenerQuery(&p.Packet)
	case wire.TypeMLDv2Report:
		m.report, f = wire.CheckListenerReport(&p.Packet)
	case wire.TypeMLDv1Report, wire.TypeMLDDone:
		m.group, f = wire.CheckListenerV1(&p.Packet, m.typ)
	default:
		var body wire.ICMPv6
		body, f = wire.CheckMRD(&p.Packet, m.typ)
		m.advert = wire.MRDAdvert(body)
	}
	return m, f
}

// ofRouter reports whether only a router says it.
func (m *message) ofRouter() bool {
	return m.typ == wire.TypeMLDQuery || m.typ == wire.TypeMRDAdvert || m.typ == wire.TypeMRDTermination
}

// Handle takes a packet that Concerns. It returns how that ends, and whether its
// source is to be learned.
func (l *Lane) Handle(p *packet.Packet, r *pipeline.Replies) (why pipeline.Reason, learning bool) {
	m, fault := check(p)
	// A listener query makes everybody report, and who asks from the lowest address decides for
	// the link (RFC 9777 section 7.6.2); who is taken for a router gets all groups.
	if m.ofRouter() && !p.Port.Router {
		return reason.GuestMLDQuery, false
	}
	if fault != wire.FaultNone {
		return reason.OfFault(fault), false
	}
	switch why = p.Honest(wire.MAC{}, false); {
	case why == reason.Learning && !m.ofRouter():
		learning = true
	case why != 0:
		return why, why == reason.Learning
	}
	switch {
	case l == nil && m.ofRouter():
		return p.Relay(r), learning
	case l == nil:
		return reason.ListenerHeard, learning
	}
	if l.Slow != nil {
		l.frame = p.Frame
		if !l.Slow.Push(&l.frame, p.Now) {
			return reason.SlowLaneFull, false
		}
		return reason.HandedOver, false
	}
	return l.decide(p, &m, r), learning
}

// decide does what a message says.
func (l *Lane) decide(p *packet.Packet, m *message, r *pipeline.Replies) pipeline.Reason {
	network, at, source := p.Network.Name, p.Port.Name, p.IPv6.Source()
	switch m.typ {
	case wire.TypeMLDQuery:
		to := p.IPv6.Destination()
		own := p.Network.Router != nil && to == p.Network.Router.LinkLocal
		if own || to.IsMulticast() { // others' are asked of them alone
			l.Table.Asked(l.Uptime, network, at, l.query(source, m.query))
		}
		if own {
			return reason.ListenersAsked
		}
		return p.Relay(r)
	case wire.TypeMRDAdvert:
		l.Table.Advertised(l.Uptime, network, at, source, m.advert.Interval())
		return p.Relay(r)
	case wire.TypeMRDTermination:
		l.Table.Terminated(l.Uptime, network, at, source)
		return p.Relay(r)
	case wire.TypeMRDSolicit:
		told := l.toRouters(p, r)
		if l.Table.Solicited(l.Uptime, network) && told == reason.ListenerHeard {
			return reason.MulticastRouterAsked
		}
		return told
	}
	outcome := multicast.Taken
	if m.typ == wire.TypeMLDv2Report {
		for record := range m.report.Each {
			outcome = max(outcome, l.Table.Report(l.Uptime, network, at, l.change(record), false))
		}
	} else {
		c := multicast.Change{Type: wire.ModeIsExclude, Group: m.group}
		if m.typ == wire.TypeMLDDone {
			c.Type = wire.ChangeToInclude
		}
		outcome = l.Table.Report(l.Uptime, network, at, c, true)
	}
	// "A snooping switch should forward [...] Membership Reports only to those ports
	// where multicast routers are attached", RFC 4541 section 2.1.1: a host of version 1
	// that hears another's would not send its own.
	told := l.toRouters(p, r)
	switch outcome {
	case multicast.ManyGroups:
		return reason.TooManyGroups
	case multicast.ManySources:
		return reason.TooManySources
	}
	return told
}

// query is what a Query says.
func (l *Lane) query(source netip.Addr, q wire.ListenerQuery) multicast.Query {
	l.sources = l.sources[:0]
	for i := range q.SourceCount() {
		l.sources = append(l.sources, q.Source(i))
	}
	return multicast.Query{
		Source: source, Group: q.Group(), Sources: l.sources, MaxResponse: q.MaxResponse(),
		Suppress: q.Suppress(), Version: q.Version(), Robustness: q.Robustness(), Interval: q.Interval(),
	}
}

// change is what a record says. Sources that nobody can be are left out.
func (l *Lane) change(record wire.ListenerRecord) multicast.Change {
	l.sources = l.sources[:0]
	for i := range record.SourceCount() {
		if s := record.Source(i); !s.IsUnspecified() && !s.IsMulticast() {
			l.sources = append(l.sources, s)
		}
	}
	return multicast.Change{Type: record.Type(), Group: record.Group(), Sources: l.sources}
}

// toRouters re-sends a message to the multicast routers of its network but one that
// sent it.
func (l *Lane) toRouters(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	why := reason.ListenerHeard
	l.routers(p.Network.Key, p.Port, func(to *topology.Port) {
		copy(r.To(to.OFPort, to.VLAN, len(p.Ethernet)), p.Ethernet)
		why = reason.Relayed
	})
	return why
}

// routers yields the ports with multicast routers but one.
func (l *Lane) routers(network uint16, but *topology.Port, yield func(*topology.Port)) {
	listening := l.Snapshot.Listening(network)
	if listening == nil {
		return
	}
	for _, key := range listening.Routers {
		if to := l.Snapshot.Port(key); to != nil && to != but && to.OFPort != 0 && to.Network.Key == network {
			yield(to)
		}
	}
}
