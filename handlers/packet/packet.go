// Package packet holds what every protocol's handler gets to see of one punted
// frame, and the rules about a sender that all of them share.
package packet

import (
	"net/netip"
	"slices"
	"time"

	"damselfly/handlers/reason"
	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Packet is one punted frame, cut into views, with its place in the topology.
// It borrows the frame's octets and the snapshot for one call: handlers keep
// nothing of it.
type Packet struct {
	wire.Packet
	// Frame is what the switch said of the frame. Network is never 0 here: where
	// the switch did not say, it is the port's.
	Frame pipeline.Frame
	// Port is where the frame came in, Network the network it belongs to; neither is nil.
	Port    *topology.Port
	Network *topology.Network
	// Router is the router that Network is on, nil for none.
	Router *topology.Router
	// Routed says that the frame is as the router made it for another of its
	// networks: its link-layer addresses are of that one.
	Routed bool
	// Signing is what is known of it as a message of Secure Neighbor Discovery, nil
	// where there is none.
	Signing *Signing
	// Now is the time that the whole batch is handled at.
	Now time.Time
}

// Signing is what is known of a message of Neighbor Discovery where signatures are
// verified or made (RFC 3971).
type Signing struct {
	// Verified says that the message is signed, and that the signature is its
	// sender's (RFC 3971 section 5.2.2).
	Verified bool
	// Stale says that it is signed, but not known to be said now: it may be answered or
	// go on, and nobody is made known by it (RFC 3971 section 5.3.4.2).
	Stale bool
	// MaySign says that there is time for a signature. Nonce is the option that an
	// answer has to repeat, empty for none (RFC 3971 section 5.3.3).
	MaySign bool
	Nonce   []byte
	// Adverts are the frames of the router's advertisements where they are signed for
	// all, nil where they are not.
	Adverts [][]byte
	// Peers are who signs.
	Peers *send.Peers
}

// Verified reports whether the message is signed, and rightly.
func (p *Packet) Verified() bool { return p.Signing != nil && p.Signing.Verified }

// Stale reports whether the message may have been said long ago.
func (p *Packet) Stale() bool { return p.Signing != nil && p.Signing.Stale }

// Signs reports whether an answer in the name of the network's router is to be signed
// now.
func (p *Packet) Signs() bool { return p.Signing != nil && p.Signing.MaySign && p.Network.Signs() }

// Honest checks that the sender is who it says: the Ethernet source and a
// link-layer address option, if linked, are the port's MAC or that of one of
// its pairs, and the IPv6 source is the port's. It returns 0 or the reason to
// drop the packet. What hosts learn from Neighbor Discovery is only as true as
// this check, since the protocol has none (RFC 3756 section 4.1). It follows
// the rules of the flows of the source tables, which stand before it.
//
// A source that nobody is known to hold is reason.Learning where guests make
// addresses of their own (RFC 8981, RFC 7217): it has to be learned first.
// Behind a port that is not secured any MAC may live, and any source but those
// that the snapshot knows to be someone else's.
func (p *Packet) Honest(option wire.MAC, linked bool) pipeline.Reason {
	if p.Port.Secured && !p.Routed {
		if !p.Port.HasMAC(p.Ethernet.Source()) {
			return reason.ForgedMAC
		}
		if linked && !p.Port.HasMAC(option) {
			return reason.ForgedLinkLayer
		}
	}
	if p.IPv6.SourceUnspecified() {
		return 0
	}
	// A port has few addresses, and most guests use one of them: finding it
	// here costs a fraction of the network's map.
	source := p.IPv6.Source()
	if slices.Contains(p.Port.Addresses, source) {
		return 0
	}
	switch p.Claim(source) {
	case Own:
		return 0
	case Unheld:
		if p.Port.Secured {
			return reason.Learning
		}
		return 0
	}
	return reason.ForgedSource
}

// Owns reports whether owner is the port that the packet came in by.
func (p *Packet) Owns(owner topology.Owner) bool {
	return owner.Port != nil && owner.Port.Key == p.Port.Key
}

// OwnsAddress reports whether the port that the packet came in by holds an address.
func (p *Packet) OwnsAddress(a netip.Addr) bool {
	owner, ok := p.Network.Owner(a)
	return ok && p.Owns(owner)
}

// Secured reports whether somebody signs for an address (RFC 3971 section 8).
func (p *Packet) Secured(a netip.Addr) bool {
	if p.Signing == nil {
		return false
	}
	_, ok := p.Signing.Peers.Port(send.Peer{Network: p.Network.Name, Addr: a})
	return ok
}

// Relay re-sends the frame as it came, padding included, to whom its
// destination names among the other ports of the network.
func (p *Packet) Relay(r *pipeline.Replies) pipeline.Reason {
	copy(r.Onward(&p.Frame, len(p.Ethernet)), p.Ethernet)
	return reason.Relayed
}
