package resolve

import (
	"net/netip"
	"slices"

	"damselfly/handlers/floating"
	"damselfly/handlers/icmpv6"
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/neighbor"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Send adds what an event asks, and what becomes of the packets that waited for
// it. What it names need not be there any more.
func Send(s *topology.Snapshot, e *neighbor.Event, r *pipeline.Replies) {
	n := s.NetworkNamed(e.Network)
	if n == nil || n.RouterID() == 0 {
		return
	}
	switch e.Kind {
	case neighbor.Ask:
		if n.CanLearn(e.Addr) { // any guest may have it
			solicitAll(n, e.Addr, r)
			return
		}
		for _, p := range n.Ports {
			if !p.Secured && p.OFPort != 0 {
				group := wire.SolicitedNode(e.Addr)
				solicit(n, p, e.Addr, group, wire.MulticastMAC(group), r)
			}
		}
	case neighbor.AskHolder:
		to, mac := e.Addr, e.MAC
		// Nobody's entry is secured here, so that a router that signs asks the group (RFC 3971
		// section 8).
		if n.Signs() {
			to = wire.SolicitedNode(e.Addr)
			mac = wire.MulticastMAC(to)
		}
		if p := portOf(n, e.Port); p != nil && p.OFPort != 0 {
			solicit(n, p, e.Addr, to, mac, r)
		}
	case neighbor.Resolved:
		out := portOf(n, e.Port)
		for i := range e.Packets {
			var p packet.Packet
			if cut(s, &e.Packets[i], &p) {
				forward(&p, n, out, e.MAC, r)
			}
		}
	case neighbor.Unreachable:
		for i := range e.Packets {
			var p packet.Packet
			if cut(s, &e.Packets[i], &p) {
				icmpv6.Unreachable(&p, r)
			}
		}
	}
}

// solicitAll asks everybody on a network for an address.
func solicitAll(n *topology.Network, target netip.Addr, r *pipeline.Replies) {
	group := wire.SolicitedNode(target)
	h := wire.Headers{SourceMAC: n.Router.MAC, DestinationMAC: wire.MulticastMAC(group), Source: sourceFor(n.Router, target), Destination: group, HopLimit: wire.MaxHopLimit}
	wire.PutNeighborSolicit(r.Into(n.Key, wire.NeighborSolicitFrameLen), &h, target)
}

// solicit asks for an address in the name of the network's router (RFC 4861
// section 7.2.2).
func solicit(n *topology.Network, out *topology.Port, target, to netip.Addr, mac wire.MAC, r *pipeline.Replies) {
	h := wire.Headers{SourceMAC: n.Router.MAC, DestinationMAC: mac, Source: sourceFor(n.Router, target), Destination: to, HopLimit: wire.MaxHopLimit}
	wire.PutNeighborSolicit(r.To(out.OFPort, out.VLAN, wire.NeighborSolicitFrameLen), &h, target)
}

// sourceFor is the router's address on the target's prefix, or its link-local one.
func sourceFor(router *topology.RouterInterface, target netip.Addr) netip.Addr {
	for _, a := range router.Addresses {
		if a.Contains(target) {
			return a.Addr()
		}
	}
	return router.LinkLocal
}

// SolicitRouters asks for the routers behind a network's uplink (RFC 4861 section
// 6.3.7).
func SolicitRouters(s *topology.Snapshot, network string, r *pipeline.Replies) {
	n := s.NetworkNamed(network)
	if n == nil || n.RouterID() == 0 {
		return
	}
	if out := n.Uplink(); out != nil && out.OFPort != 0 {
		body := make([]byte, wire.RouterSolicitLen+wire.LinkLayerOptionLen)
		body[0] = wire.TypeRouterSolicit
		option := body[wire.RouterSolicitLen:]
		option[0], option[1] = wire.OptionSourceLinkLayer, 1 // in units of 8 octets
		copy(option[2:], n.Router.MAC[:])
		h := wire.Headers{
			SourceMAC: n.Router.MAC, DestinationMAC: wire.AllRoutersMAC,
			Source: n.Router.LinkLocal, Destination: wire.AllRouters, HopLimit: wire.MaxHopLimit,
		}
		wire.PutICMPv6(r.To(out.OFPort, out.VLAN, wire.HeadersLen+len(body)), &h, body, wire.SumBody(body))
	}
}

// cut takes a packet that waited apart again; false if its sender is gone.
func cut(s *topology.Snapshot, w *neighbor.Packet, p *packet.Packet) bool {
	p.Port = s.PortNamed(w.Port)
	if p.Port == nil || p.Port.OFPort == 0 {
		return false
	}
	if p.Network = s.Network(p.Port.Network.Key); p.Network == nil {
		return false
	}
	p.Router = s.Router(p.Network.RouterID())
	p.Frame = pipeline.Frame{Data: w.Frame, InPort: p.Port.OFPort, Port: p.Port.Key, Network: p.Network.Key}
	return p.Router != nil && wire.Cut(w.Frame, &p.Packet) == wire.FaultNone
}

// hopLimit is where the hop limit stands in a frame (RFC 8200 section 3).
const hopLimit = 14 + 7

// forward carries a packet on to a neighbour behind a port of a network, as the
// flows will from now on (RFC 8200 section 3).
func forward(p *packet.Packet, n *topology.Network, out *topology.Port, mac wire.MAC, r *pipeline.Replies) pipeline.Reason {
	if out == nil || out.OFPort == 0 || p.IPv6.HopLimit() <= 1 {
		return reason.NotOurs
	}
	frame := []byte(p.Ethernet)
	var b []byte
	if out.Filter != nil {
		b = r.Into(n.Key, len(frame)) // through the rules of the port's groups
	} else {
		b = r.To(out.OFPort, out.VLAN, len(frame))
	}
	copy(b, frame)
	copy(b, mac[:])
	copy(b[len(mac):], n.Router.MAC[:])
	floating.Carry(p, n, b)
	b[hopLimit]--
	return reason.Forwarded
}

// portOf finds a port of a network by its name.
func portOf(n *topology.Network, name string) *topology.Port {
	i := slices.IndexFunc(n.Ports, func(p *topology.Port) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return n.Ports[i]
}
