package secure

import (
	"time"

	"damselfly/handlers/packet"
	"damselfly/handlers/ra"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// advertLife is how long one signed advertisement is given to all who ask: what
// hosts think of its timestamp allows for twice TIMESTAMP_FUZZ, a second each (RFC
// 3971 section 5.3.4.2).
const advertLife = time.Second

// signedAdverts are a network's Router Advertisements to all nodes, signed at a time.
type signedAdverts struct {
	of     *topology.Network
	at     time.Time
	frames [][]byte
}

// advertsFor notes the signed advertisements for who asks without a signature, if
// there are fresh ones, or the message is wrong and its handler says how. One with a
// nonce is answered with that.
func (l *Lane) advertsFor(p *packet.Packet) bool {
	if p.ICMPv6().Type() != wire.TypeRouterSolicit {
		return false
	}
	rs, fault := wire.CheckRouterSolicit(&p.Packet)
	if fault != wire.FaultNone {
		return true
	}
	if p.IPv6.SourceUnspecified() && rs.Options().Find(wire.OptionNonce) != nil {
		return false
	}
	v, ok := l.adverts.Load(p.Network.Key)
	if !ok {
		return false
	}
	s := v.(*signedAdverts)
	if age := p.Now.Sub(s.at); s.of != p.Network || age < 0 || age >= advertLife {
		return false
	}
	p.Signing.Adverts = s.frames
	return true
}

// makeAdverts signs the advertisements for a message that asks for them and is not
// signed itself, and keeps them for the next.
func (l *Lane) makeAdverts(p *packet.Packet) {
	if p.ICMPv6().Type() != wire.TypeRouterSolicit || p.Signing.Verified || !needsSignature(p) || l.advertsFor(p) {
		return
	}
	n := p.Network
	h := wire.Headers{
		SourceMAC: n.Router.MAC, DestinationMAC: wire.AllNodesMAC,
		Source: n.Router.LinkLocal, Destination: wire.AllNodes, HopLimit: wire.MaxHopLimit,
	}
	s := &signedAdverts{of: n, at: p.Now}
	if !ra.Signed(n.Send.Identity, n.Adverts, &h, p.Now, nil, func(size int) []byte {
		s.frames = append(s.frames, make([]byte, size))
		return s.frames[len(s.frames)-1]
	}) {
		return
	}
	l.adverts.Store(n.Key, s)
	p.Signing.Adverts = s.frames
}
