package packet

import (
	"net/netip"

	"damselfly/internal/topology"
)

// Claim is what an address is to the port that a packet came in by.
type Claim uint8

// The claims.
const (
	// Own is the port's to use: held by it, in one of its pairs, or delegated to it.
	Own Claim = iota
	// Unheld is nobody's, and may be the port's once it is learned.
	Unheld
	// Foreign is somebody else's, or nobody's to use.
	Foreign
)

// Claim says what an address is to the sending port. A pair that is the address
// itself counts before what others hold, a pair of a prefix gives way to it and
// to what was delegated to others.
func (p *Packet) Claim(a netip.Addr) Claim {
	has, single := p.Port.HasPair(a)
	if single {
		return Own
	}
	if owner, ok := p.Network.Owner(a); ok {
		switch {
		case p.Owns(owner):
			return Own
		// Its holder is away, and nothing but its having been first made it so.
		case owner.Learned && owner.Port.OFPort == 0 && p.Port.Secured:
			return Unheld
		// Who is not bound to its addresses may have had it before it was leased or
		// learned, and must be able to say so.
		case owner.Held && !p.Port.Secured:
			return Unheld
		}
		return Foreign
	}
	if _, ok := p.Network.Shared(a); ok {
		return Foreign
	}
	own, others := p.Network.Delegation(p.Port.Key, a)
	switch {
	case own:
		return Own
	case others && p.Port.Secured:
		return Foreign
	case has:
		return Own
	case p.Port.Secured && p.Network.Reserved(a):
		return Foreign
	}
	if !p.Port.Secured || p.Network.CanLearn(a) {
		return Unheld
	}
	return Foreign
}

// Holder is who answers for an address that one node has: its owner or, where
// several ports may have it by a pair, the first of these.
func (p *Packet) Holder(a netip.Addr) (o topology.Owner, several, ok bool) {
	if o, ok = p.Network.Owner(a); ok {
		return o, false, true
	}
	o, ok = p.Network.Shared(a)
	return o, ok, ok
}
