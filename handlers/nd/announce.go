package nd

import (
	"net/netip"
	"time"

	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Announce writes an unsolicited Neighbor Advertisement for an address of n to
// all its nodes but the address's owner, as the owner would whose link-layer
// address changed: "a node MAY send up to MAX_NEIGHBOR_ADVERTISEMENT unsolicited
// Neighbor Advertisement messages to the all-nodes multicast address" (RFC 4861
// section 7.2.6). The Override flag makes them take the new one at once, since
// the address is its owner's alone.
//
// An address for which its guest may sign is the guest's own to announce; that of a
// router which signs is announced signed: "Unsolicited advertisements sent by a SEND node
// MUST be secured" (RFC 3971 section 8).
func Announce(n *topology.Network, o topology.Owner, a netip.Addr, now time.Time, r *pipeline.Replies) {
	if n.Send != nil && o.Learned {
		return
	}
	h := wire.Headers{
		SourceMAC: o.MAC, DestinationMAC: wire.AllNodesMAC,
		Source: a, Destination: wire.AllNodes, HopLimit: wire.MaxHopLimit,
	}
	flags := uint8(wire.FlagOverride)
	if o.Router {
		flags |= wire.FlagRouter
	}
	from := pipeline.Frame{Network: n.Key}
	if o.Port != nil {
		from.InPort, from.Port = o.Port.OFPort, o.Port.Key
	}
	if id := signer(n, o, a); id != nil {
		b := r.Onward(&from, wire.NeighborAdvertFrameLen+id.Overhead(0))
		wire.PutNeighborAdvert(b, &h, a, o.MAC, flags)
		if id.Sign(b, wire.NeighborAdvertFrameLen, now, nil) == nil {
			return
		}
		r.Undo(len(r.List()) - 1)
	}
	wire.PutNeighborAdvert(r.Onward(&from, wire.NeighborAdvertFrameLen), &h, a, o.MAC, flags)
}

// signer is who signs for an address of n that o holds: its router for the one made of its
// key, else nil.
func signer(n *topology.Network, o topology.Owner, a netip.Addr) *send.Identity {
	if o.Port != nil || !n.Signs() || n.Router == nil || a != n.Router.LinkLocal {
		return nil
	}
	return n.Send.Identity
}
