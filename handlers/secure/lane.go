package secure

import (
	"sync"
	"sync/atomic"
	"time"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/send"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// SlowLane takes copies of frames that have to be verified or answered signed.
type SlowLane interface {
	// Push reports whether there was a place for f, which came at a time.
	Push(f *pipeline.Frame, at time.Time) bool
}

// Shared is what all lanes have in common.
type Shared struct {
	// Peers are who has signed rightly. The lane that verifies alone changes them.
	Peers *send.Peers
	// Questions are Damselfly's own.
	Questions *send.Questions
	// Verified counts signatures that were good, Faults those that were not by why,
	// also where the network's mode lets them pass.
	Verified atomic.Uint64
	Faults   [send.Faults]atomic.Uint64

	adverts sync.Map // network key to *signedAdverts
}

// NewShared knows nobody.
func NewShared() *Shared { return &Shared{Peers: send.NewPeers(), Questions: send.NewQuestions()} }

// Lane is how one lane deals with signatures; nil does not. In a worker Slow is set,
// in the lane that verifies Verifies, in the one behind it neither. It is one
// goroutine's.
type Lane struct {
	*Shared
	Slow     SlowLane
	Verifies bool

	frame   pipeline.Frame // what is handed over, so that no packet has to outlive its call
	signing packet.Signing // of the packet that is looked at
	budgets []bucket       // by port key
}

// fixedLen is the length in octets of a message before its options, 0 for types that
// are none of SEND's.
func fixedLen(typ uint8) int {
	switch typ {
	case wire.TypeNeighborSolicit, wire.TypeNeighborAdvert:
		return wire.NeighborLen
	case wire.TypeRouterSolicit:
		return wire.RouterSolicitLen
	case wire.TypeRouterAdvert:
		return wire.RouterAdvertLen
	}
	return 0
}

// Take decides what a message of Neighbor Discovery on a network with Secure
// Neighbor Discovery needs. It returns how it ends, or 0 if it is to be handled now,
// with all that is known of it noted in p.
func (l *Lane) Take(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	if l == nil || p.Network.Send == nil || p.Routed {
		return 0
	}
	m := p.ICMPv6()
	fixed := fixedLen(m.Type())
	// What is wrong with the message itself, its handler says.
	if fixed == 0 || len(m) < fixed {
		return 0
	}
	l.signing = packet.Signing{Peers: l.Peers}
	p.Signing = &l.signing
	options := wire.Options(m[fixed:])
	if p.Frame.Note&punt.SecureSeen != 0 {
		p.Signing.MaySign, p.Signing.Verified = true, p.Frame.Note&punt.SecureVerified != 0
		p.Signing.Nonce = nonceOf(p, options)
		return 0
	}
	signed := send.Signed(options)
	if !signed {
		if why := l.unsigned(p, r); why != 0 {
			return why
		}
	}
	switch {
	case !signed && !needsSignature(p):
		return 0
	case l.Slow != nil:
		if !signed && l.advertsFor(p) {
			return 0
		}
		return l.handOver(p)
	case !l.Verifies:
		return 0
	case signed:
		if why := l.verify(p, fixed, r); why != 0 {
			return why
		}
	}
	p.Signing.MaySign = true
	p.Frame.Note |= punt.SecureSeen
	if p.Signing.Nonce = nonceOf(p, options); len(p.Signing.Nonce) == 0 {
		l.makeAdverts(p)
	}
	return 0
}

// nonceOf is the nonce that an answer has to repeat. "Advertisements sent in response
// to an unsecured solicitation MUST be secured as well, but MUST NOT contain the Nonce
// option" (RFC 3971 section 8); who has no address yet cannot sign, but can ask for
// routers with a nonce.
func nonceOf(p *packet.Packet, o wire.Options) []byte {
	nonce := o.Find(wire.OptionNonce)
	anonymous := p.IPv6.SourceUnspecified() && p.ICMPv6().Type() == wire.TypeRouterSolicit
	if len(nonce) > send.MaxNonce || !anonymous && !send.Signed(o) {
		return nil
	}
	return nonce
}

// handOver ends a message in a worker, within its port's budget.
func (l *Lane) handOver(p *packet.Packet) pipeline.Reason {
	if !l.afford(p) {
		return reason.SendOverLimit
	}
	l.frame = p.Frame
	if !l.Slow.Push(&l.frame, p.Now) {
		return reason.SlowLaneFull
	}
	return reason.HandedOver
}

// needsSignature reports whether the answer to a message is the router's to sign: "A
// SEND node MUST send a secured advertisement in response" (RFC 3971 section 8).
// What is asked of its other addresses, which are not made of the key, it answers as
// before.
func needsSignature(p *packet.Packet) bool {
	n := p.Network
	if !n.Signs() || n.Router == nil {
		return false
	}
	switch p.ICMPv6().Type() {
	case wire.TypeNeighborSolicit:
		return wire.NeighborSolicit(p.Payload).Target() == n.Router.LinkLocal
	case wire.TypeRouterSolicit:
		return len(n.Adverts) > 0
	}
	return false
}
