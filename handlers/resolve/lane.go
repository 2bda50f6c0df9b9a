package resolve

import (
	"net/netip"
	"time"

	"damselfly/handlers/learn"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/neighbor"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Table is what Lane needs of a neighbor.Table.
type Table interface {
	// Want takes a packet for a neighbour.
	Want(now time.Duration, p neighbor.Place, port string, frame []byte) (o neighbor.Outcome, behind string, mac wire.MAC)
	// Advertised takes a Neighbor Advertisement.
	Advertised(now time.Duration, a neighbor.Advert) bool
	// Seen takes the link-layer address of who sent something else.
	Seen(now time.Duration, s neighbor.Sighting) bool
}

// Routers is what Lane needs of neighbor.Routers.
type Routers interface {
	// Heard takes a Router Advertisement.
	Heard(now time.Duration, p neighbor.Place, lifetime time.Duration, preference int8)
}

var (
	_ Table   = (*neighbor.Table)(nil)
	_ Routers = (*neighbor.Routers)(nil)
)

// Lane is how one lane resolves; nil resolves nothing. Either Slow is set, in
// the fast lane, or Table and Routers, in the slow one. It is one goroutine's.
type Lane struct {
	Slow    learn.SlowLane
	Table   Table
	Routers Routers
	// Uptime is the moment that Table is asked at. Its owner sets it before a group.
	Uptime time.Duration

	frame pipeline.Frame // what is handed over, so that no packet has to outlive its call
}

// handedOver ends a message in the fast lane; done is false in the slow one.
func (l *Lane) handedOver(p *packet.Packet) (why pipeline.Reason, done bool) {
	if l.Slow == nil {
		return 0, false
	}
	l.frame = p.Frame
	if !l.Slow.Push(&l.frame, p.Now) {
		return reason.SlowLaneFull, true
	}
	return reason.HandedOver, true
}

// concerns reports whether somebody unknown may be where a message came from.
func (l *Lane) concerns(p *packet.Packet) bool {
	return l != nil && !p.Port.Secured && p.Network.RouterID() != 0
}

// Packet takes a packet whose next hop has to be asked for. It waits, or goes on
// where the next hop has been found meanwhile.
func (l *Lane) Packet(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	if l == nil {
		return reason.NotOurs
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	to := p.Router.To(p.IPv6.Destination())
	if to.Network == nil || !to.Network.Asks(to.NextHop) {
		return reason.NotOurs
	}
	if owner, known := to.Network.Owner(to.NextHop); known {
		return forward(p, to.Network, owner.Port, owner.MAC, r)
	}
	o, behind, mac := l.Table.Want(l.Uptime, neighbor.Place{Network: to.Network.Name, Addr: to.NextHop}, p.Port.Name, p.Frame.Data)
	switch o {
	case neighbor.Known:
		return forward(p, to.Network, portOf(to.Network, behind), mac, r)
	case neighbor.Crowded:
		return reason.TooManyUnresolved
	}
	return reason.Resolving
}

// Carry translates a packet to or from a floating address and carries it on, or
// has its next hop asked for.
func (l *Lane) Carry(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	to := p.Router.To(p.IPv6.Destination())
	if to.Network == nil {
		return reason.NotOurs
	}
	for _, out := range to.Network.Ports {
		if out.Key == to.Port {
			if why := forward(p, to.Network, out, to.MAC, r); why != reason.Forwarded {
				return why
			}
			return reason.Translated
		}
	}
	return l.Packet(p, r)
}

// Advertise takes a valid Neighbor Advertisement for a target that nobody is
// known to hold. It returns how the message ends, 0 if it goes on to guests.
func (l *Lane) Advertise(p *packet.Packet, na wire.NeighborAdvert) pipeline.Reason {
	if _, known := p.Network.Owner(na.Target()); known || !l.concerns(p) {
		return 0
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	mac, _ := na.TargetLinkLayer()
	flags := na.Flags()
	l.Table.Advertised(l.Uptime, neighbor.Advert{
		Place: neighbor.Place{Network: p.Network.Name, Addr: na.Target()}, Port: p.Port.Name, MAC: mac, Most: p.Port.MaxNeighbors,
		Router: flags&wire.FlagRouter != 0, Solicited: flags&wire.FlagSolicited != 0, Override: flags&wire.FlagOverride != 0,
	})
	if owner, ok := p.Network.Owner(p.IPv6.Destination()); ok && owner.Port == nil {
		return reason.NeighborHeard
	}
	return 0
}

// Solicit takes a valid Neighbor Solicitation for an address of the router's that
// says who asks (RFC 4861 section 7.2.3). It returns how the message ends, 0 if
// it is to be answered.
func (l *Lane) Solicit(p *packet.Packet, mac wire.MAC) pipeline.Reason {
	if !l.concerns(p) || p.IPv6.SourceUnspecified() {
		return 0
	}
	return l.seen(p, p.IPv6.Source(), mac, false)
}

// seen takes the link-layer address of a sender.
func (l *Lane) seen(p *packet.Packet, a netip.Addr, mac wire.MAC, router bool) pipeline.Reason {
	if _, known := p.Network.Owner(a); known {
		return 0
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	l.Table.Seen(l.Uptime, neighbor.Sighting{
		Place: neighbor.Place{Network: p.Network.Name, Addr: a}, Port: p.Port.Name, MAC: mac, Router: router, Most: p.Port.MaxNeighbors,
	})
	return 0
}

// RouterAdvert takes a Router Advertisement from an uplink; it ends here (RFC
// 4861 sections 6.1.2 and 6.3.4).
func (l *Lane) RouterAdvert(p *packet.Packet) pipeline.Reason {
	ra, fault := wire.CheckRouterAdvert(&p.Packet)
	switch {
	case fault != wire.FaultNone:
		return reason.OfFault(fault)
	case !p.Port.AcceptRA || !l.concerns(p):
		return reason.UplinkRouter
	}
	source := p.IPv6.Source()
	if _, known := p.Network.Owner(source); known {
		return reason.ForgedSource
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	// Of the two bits 10 is reserved and counts as 00 (RFC 4191 section 2.2).
	preference := [4]int8{0, int8(topology.High), 0, int8(topology.Low)}[ra.Flags()&wire.FlagPreferenceMask>>3]
	l.Routers.Heard(l.Uptime, neighbor.Place{Network: p.Network.Name, Addr: source}, ra.Lifetime(), preference)
	if mac, linked := ra.SourceLinkLayer(); linked {
		l.seen(p, source, mac, true)
	}
	return reason.RouterHeard
}
