package handlers

import (
	"time"

	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/floating"
	"damselfly/handlers/icmpv6"
	"damselfly/handlers/learn"
	"damselfly/handlers/mld"
	"damselfly/handlers/nd"
	"damselfly/handlers/packet"
	"damselfly/handlers/ra"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/handlers/secure"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Services is what protocols need beside the snapshot. Each worker has its own,
// and so has the owner of the slow lane.
type Services struct {
	// DHCPv6 is nil where it is not served.
	DHCPv6 *dhcpv6.Server
	// Matched is told of what logging rules decided; nil for nobody. It must not
	// wait, and keeps nothing of the frame.
	Matched func(Match)
	// Learn is nil where no addresses are learned.
	Learn *learn.Lane
	// Resolve is nil where no neighbours are asked for.
	Resolve *resolve.Lane
	// Listen is nil where nobody wants to know who listens to multicast groups.
	Listen *mld.Lane
	// Secure is nil where no signatures are verified or made.
	Secure *secure.Lane
}

// Dispatch is Services.Dispatch without any service.
func Dispatch(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var none Services
	return none.Dispatch(s, now, f, r)
}

// Dispatch decides one frame at a time now in the topology s: it adds the
// replies to r and returns the frame's reason. It keeps nothing of the frame,
// but a copy if it hands it over. What is in the frame decides, never its punt
// class, but for two classes that a frame's content does not show: what a rule of
// a security group rejects or a router cannot carry on, and copies of what a rule
// logs.
func (v *Services) Dispatch(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var p packet.Packet
	if punt.Class(f.Class) == punt.Log {
		return v.log(s, f, &p)
	}
	if why := open(s, now, f, &p); why != 0 {
		if punt.Class(f.Class) == punt.Error && f.Note != 0 {
			if told := icmpv6.Unreadable(&p, r); told != 0 {
				return told
			}
		}
		return why
	}
	return v.dispatch(&p, r)
}

// unroutable decides what a router could not carry on by itself.
func (v *Services) unroutable(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch why := icmpv6.Unroutable(p, r); why {
	case reason.Resolving:
		return v.Resolve.Packet(p, r)
	case reason.Translated:
		return v.Resolve.Carry(p, r)
	default:
		return why
	}
}

// dispatch decides a frame that is cut.
func (v *Services) dispatch(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch class := punt.Class(p.Frame.Class); {
	case class == punt.Error && punt.NoteTrouble(p.Frame.Note) == 0:
		return icmpv6.Reject(p, r)
	case class == punt.Error, class == punt.Unknown:
		return v.unroutable(p, r)
	}
	if p.Protocol == wire.ProtocolICMPv6 {
		if p.Network.Send != nil {
			if ends := v.Secure.Take(p, r); ends != 0 {
				return ends
			}
		}
		switch p.ICMPv6().Type() {
		case wire.TypeNeighborSolicit:
			return nd.Solicit(p, v.Learn, v.Resolve, r)
		case wire.TypeNeighborAdvert:
			return nd.Advertise(p, v.Learn, v.Resolve, r)
		}
	}
	if p.Port.Uplink && p.Protocol == wire.ProtocolICMPv6 && p.ICMPv6().Type() == wire.TypeRouterAdvert {
		return v.Resolve.RouterAdvert(p)
	}
	if mld.Concerns(p) {
		return v.listen(p, r)
	}
	why := v.others(p, r)
	if why == reason.Learning {
		why = v.learn(p)
	}
	return why
}

// listen has it heard who listens to multicast groups and who routes them. That a
// guest says it from an address that nobody is known to hold is how that one is learned
// too, where that takes no signature; the membership is its port's.
func (v *Services) listen(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	why, learning := v.Listen.Handle(p, r)
	if learning {
		_ = v.learn(p)
	}
	return why
}

// learn has the source of a packet learned that nobody is known to hold. The
// packet itself ends with that, also where the port holds it by now: by which
// flow it would have gone on is not known here. Where signatures are required it is
// learned by one, nothing else.
func (v *Services) learn(p *packet.Packet) pipeline.Reason {
	if s := p.Network.Send; s != nil && s.Mode == topology.SendRequire && !p.Verified() {
		return reason.SendUnsigned
	}
	if why := v.Learn.Source(p); why != 0 {
		return why
	}
	return reason.Learning
}

// others decides all but what neighbours say of each other.
func (v *Services) others(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch p.Protocol {
	case wire.ProtocolICMPv6:
		return icmp(p, r)
	case wire.ProtocolUDP:
		if v.DHCPv6 != nil && dhcpv6.Concerns(p) {
			return v.DHCPv6.Handle(p, r)
		}
	case wire.ProtocolVRRP:
		if len(p.Port.Pairs) == 0 {
			return stranger(p, reason.OfFault(wire.FaultUnknownNextHeader))
		}
	}
	return stranger(p, reason.NotOurs)
}

// stranger is why a packet that nothing here answers was handed over: for its
// source, or for otherwise.
func stranger(p *packet.Packet, otherwise pipeline.Reason) pipeline.Reason {
	if why := p.Honest(wire.MAC{}, false); why != 0 {
		return why
	}
	if p.Port.Secured && p.IPv6.SourceUnspecified() && !reports(p) {
		return reason.OfFault(wire.FaultUnspecifiedSource)
	}
	return otherwise
}

// reports reports whether a host says which groups it listens to, which it does
// also before it has an address (RFC 3590 section 4, RFC 9777 section 5.2.14).
func reports(p *packet.Packet) bool {
	if p.Protocol != wire.ProtocolICMPv6 || !p.IPv6.Destination().IsLinkLocalMulticast() {
		return false
	}
	switch p.ICMPv6().Type() {
	case wire.TypeMLDv1Report, wire.TypeMLDDone, wire.TypeMLDv2Report:
		return true
	}
	return false
}

// Decide decides one frame that Dispatch handed over, within the transaction c,
// at a time now in the topology s, which may be newer than the one that it was
// handed over in. Its replies may leave once c is committed. What changes no
// lease it leaves alone and returns 0: that is for DecideAddress.
func (v *Services) Decide(s *topology.Snapshot, now time.Time, c dhcpv6.Changes, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var p packet.Packet
	if why := open(s, now, f, &p); why != 0 {
		return why
	}
	if class := punt.Class(f.Class); class == punt.Error || class == punt.Unknown {
		return 0
	}
	if v.DHCPv6 == nil || p.Protocol != wire.ProtocolUDP || !dhcpv6.Concerns(&p) {
		return 0
	}
	why := v.DHCPv6.Decide(&p, c, r)
	if why == reason.Learning {
		why = v.learn(&p)
	}
	return why
}

// DecideAddress decides one frame that Dispatch handed over because of an address
// in it that nobody was known to hold, as Decide does.
func (v *Services) DecideAddress(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var p packet.Packet
	if why := open(s, now, f, &p); why != 0 {
		return why
	}
	return v.dispatch(&p, r)
}

// open finds the frame's place and cuts it into p; 0, or the reason why it cannot.
func open(s *topology.Snapshot, now time.Time, f *pipeline.Frame, p *packet.Packet) pipeline.Reason {
	if why := locate(s, f, p); why != 0 {
		return why
	}
	p.Now = now
	if fault := wire.Cut(f.Data, &p.Packet); fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	if class := punt.Class(f.Class); class == punt.Error || class == punt.Unknown {
		floating.Restore(p)
	}
	return 0
}

// icmp decides the other ICMPv6 messages by their type.
func icmp(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch p.ICMPv6().Type() {
	case wire.TypeRouterSolicit:
		return ra.Solicit(p, r)
	case wire.TypeRouterAdvert:
		return ra.Guard(p, r)
	case wire.TypeRedirect:
		return nd.Redirect()
	case wire.TypeMLDQuery:
		// The querier of a link has an address on it (RFC 9777 section 5.1.14).
		if !p.Port.Router || p.IPv6.SourceUnspecified() {
			return reason.GuestMLDQuery
		}
	case wire.TypeEchoRequest:
		return icmpv6.Echo(p, r)
	case wire.TypePathSolicit:
		return secure.PathSolicit(p, r)
	case wire.TypePathAdvert:
		return secure.PathAdvert()
	case wire.TypeInverseSolicit:
		return nd.InverseSolicit(p, r)
	case wire.TypeInverseAdvert:
		return nd.InverseAdvert()
	}
	return stranger(p, reason.NotHandled)
}

// locate finds the frame's port and network, and tells f its VLAN and, where it
// came by its key alone, its number in the switch. A frame may have been punted by
// flows of an older snapshot, so what it names need not exist any more.
func locate(s *topology.Snapshot, f *pipeline.Frame, p *packet.Packet) pipeline.Reason {
	if s == nil {
		return reason.UnknownPort
	}
	p.Frame = *f
	p.Port = s.Port(f.Port)
	if p.Port == nil || p.Port.Network == nil {
		return reason.UnknownPort
	}
	if f.InPort == 0 {
		f.InPort, p.Frame.InPort = p.Port.OFPort, p.Port.OFPort
	}
	if f.InPort == 0 {
		return reason.UnknownPort
	}
	f.VLAN, p.Frame.VLAN = p.Port.VLAN, p.Port.VLAN
	if f.Network == 0 {
		p.Frame.Network = p.Port.Network.Key
	}
	p.Network = s.Network(p.Port.Network.Key)
	if p.Network == nil {
		return reason.UnknownNetwork
	}
	p.Router = s.Router(p.Network.RouterID())
	if p.Frame.Network == p.Network.Key {
		return 0
	}
	// What rules of a port on another network of the router say of it.
	on := s.Network(p.Frame.Network)
	class := punt.Class(f.Class)
	if on == nil || p.Router == nil || on.RouterID() != p.Router.ID || class != punt.Error && class != punt.Log {
		return reason.UnknownNetwork
	}
	p.Routed, p.Frame.Network = true, p.Network.Key
	return 0
}
