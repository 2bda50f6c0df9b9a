package handlers

import (
	"time"

	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/icmpv6"
	"damselfly/handlers/nd"
	"damselfly/handlers/packet"
	"damselfly/handlers/ra"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Services is what protocols need beside the snapshot. Each worker has its own,
// and so has the owner of the slow lane.
type Services struct {
	// DHCPv6 is nil where it is not served.
	DHCPv6 *dhcpv6.Server
}

// Dispatch is Services.Dispatch without any service.
func Dispatch(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var none Services
	return none.Dispatch(s, now, f, r)
}

// Dispatch decides one frame at a time now in the topology s: it adds the
// replies to r and returns the frame's reason. It keeps nothing of the frame,
// but a copy if it hands it over. What is in the frame decides, never its punt
// class.
func (v *Services) Dispatch(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var p packet.Packet
	if why := open(s, now, f, &p); why != 0 {
		return why
	}
	switch p.Protocol {
	case wire.ProtocolICMPv6:
		return icmp(&p, r)
	case wire.ProtocolUDP:
		if v.DHCPv6 != nil && dhcpv6.Concerns(&p) {
			return v.DHCPv6.Handle(&p, r)
		}
	}
	return reason.NotOurs
}

// Decide decides one frame that Dispatch handed over, within the transaction c,
// at a time now in the topology s, which may be newer than the one that it was
// handed over in. Its replies may leave once c is committed.
func (v *Services) Decide(s *topology.Snapshot, now time.Time, c dhcpv6.Changes, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var p packet.Packet
	if why := open(s, now, f, &p); why != 0 {
		return why
	}
	if v.DHCPv6 == nil || p.Protocol != wire.ProtocolUDP || !dhcpv6.Concerns(&p) {
		return reason.NotOurs
	}
	return v.DHCPv6.Decide(&p, c, r)
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
	return 0
}

// icmp decides an ICMPv6 message by its type.
func icmp(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	switch p.ICMPv6().Type() {
	case wire.TypeNeighborSolicit:
		return nd.Solicit(p, r)
	case wire.TypeNeighborAdvert:
		return nd.Advertise(p, r)
	case wire.TypeRouterSolicit:
		return ra.Solicit(p, r)
	case wire.TypeRouterAdvert:
		return ra.Guard(p, r)
	case wire.TypeRedirect:
		return nd.Redirect()
	case wire.TypeEchoRequest:
		return icmpv6.Echo(p, r)
	}
	return reason.NotHandled
}

// locate finds the frame's port and network. A frame may have been punted by
// flows of an older snapshot, so what it names need not exist any more.
func locate(s *topology.Snapshot, f *pipeline.Frame, p *packet.Packet) pipeline.Reason {
	if s == nil {
		return reason.UnknownPort
	}
	p.Frame = *f
	p.Port = s.Port(f.Port)
	if p.Port == nil || p.Port.Network == nil || f.InPort == 0 {
		return reason.UnknownPort
	}
	if f.Network == 0 {
		p.Frame.Network = p.Port.Network.Key
	}
	p.Network = s.Network(p.Frame.Network)
	if p.Network == nil || p.Port.Network.Key != p.Network.Key {
		return reason.UnknownNetwork
	}
	return 0
}
