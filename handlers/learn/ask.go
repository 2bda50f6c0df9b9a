package learn

import (
	"net/netip"
	"time"

	"damselfly/handlers/secure"

	"damselfly/internal/binding"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Send adds what an event says to guests, if anything. What it names need not
// be there any more. Where the network's router signs, signs does; nil does not.
func Send(s *topology.Snapshot, e binding.Event, signs *secure.Shared, r *pipeline.Replies) {
	n, p := s.NetworkNamed(e.Network), s.PortNamed(e.Port)
	if n == nil || p == nil || p.Network.Key != n.Key || p.OFPort == 0 {
		return
	}
	switch e.Kind {
	case binding.AskOthers:
		askOthers(n, p, e.Addr, r)
	case binding.AskHolder:
		askHolder(n, p, e.Addr, signs, r)
	case binding.Defend:
		if holder := s.PortNamed(e.Other); holder != nil && !signs.Holds(n, e.Addr) {
			defend(p, holder, e.Addr, r)
		}
	}
}

// askOthers asks all ports but p for an address by a duplicate address probe, as
// p's guest would have before it used it (RFC 6620 section 3.2.2, RFC 4862
// section 5.4.2). Nobody who has the address lets that pass.
func askOthers(n *topology.Network, p *topology.Port, a netip.Addr, r *pipeline.Replies) {
	_, mac := n.Asker()
	group := wire.SolicitedNode(a)
	h := wire.Headers{SourceMAC: mac, DestinationMAC: wire.MulticastMAC(group), Destination: group, HopLimit: wire.MaxHopLimit}
	from := pipeline.Frame{InPort: p.OFPort, Port: p.Key, Network: n.Key}
	wire.PutNeighborSolicit(r.Onward(&from, wire.NeighborSolicitFrameLen-wire.LinkLayerOptionLen), &h, a)
}

// askHolder asks p's guest whether an address is still in use there (RFC 4861
// section 7.3.1). The answer comes to Damselfly.
func askHolder(n *topology.Network, p *topology.Port, a netip.Addr, signs *secure.Shared, r *pipeline.Replies) {
	source, mac := n.Asker()
	h := wire.Headers{SourceMAC: mac, DestinationMAC: p.MAC, Source: source, Destination: a, HopLimit: wire.MaxHopLimit}
	// "Neighbor Solicitations for the purpose of Neighbor Unreachability Detection (NUD)
	// MUST be sent to that neighbor's solicited-nodes multicast address if the entry is not
	// secured with SEND" (RFC 3971 section 8).
	if n.Signs() && !signs.Holds(n, a) {
		h.Destination = wire.SolicitedNode(a)
		h.DestinationMAC = wire.MulticastMAC(h.Destination)
	}
	signs.Ask(n, &h, a, time.Now(), func(size int) []byte { return r.To(p.OFPort, p.VLAN, size) })
}

// defend tells the guest at a port that its tentative address is
// the holder's (RFC 4862 section 5.4.4, RFC 4861 section 7.2.4).
func defend(p, holder *topology.Port, a netip.Addr, r *pipeline.Replies) {
	h := wire.Headers{
		SourceMAC: holder.MAC, DestinationMAC: wire.AllNodesMAC,
		Source: a, Destination: wire.AllNodes, HopLimit: wire.MaxHopLimit,
	}
	flags := uint8(wire.FlagOverride)
	if holder.Router {
		flags |= wire.FlagRouter
	}
	wire.PutNeighborAdvert(r.To(p.OFPort, p.VLAN, wire.NeighborAdvertFrameLen), &h, a, holder.MAC, flags)
}
