package handlers

import (
	"time"

	"damselfly/handlers/icmpv6"
	"damselfly/handlers/nd"
	"damselfly/handlers/packet"
	"damselfly/handlers/ra"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Dispatch decides one frame at a time now in the topology s: it adds the
// replies to r and returns the frame's reason. It keeps nothing of the frame.
// What is in the frame decides, never its punt class. Before there is a
// topology, s is nil: flows of an earlier run may punt already.
func Dispatch(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) pipeline.Reason {
	var p packet.Packet
	if why := locate(s, f, &p); why != 0 {
		return why
	}
	p.Now = now
	if fault := wire.Cut(f.Data, &p.Packet); fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	if p.Protocol != wire.ProtocolICMPv6 {
		return reason.NotOurs
	}
	switch p.ICMPv6().Type() {
	case wire.TypeNeighborSolicit:
		return nd.Solicit(&p, r)
	case wire.TypeNeighborAdvert:
		return nd.Advertise(&p, r)
	case wire.TypeRouterSolicit:
		return ra.Solicit(&p, r)
	case wire.TypeRouterAdvert:
		return ra.Guard(&p, r)
	case wire.TypeRedirect:
		return nd.Redirect()
	case wire.TypeEchoRequest:
		return icmpv6.Echo(&p, r)
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
