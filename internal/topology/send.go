package topology

import (
	"damselfly/internal/send"
)

// SendMode is what becomes of guests' messages that are not, or not rightly, signed
// (RFC 3971 section 8).
type SendMode uint8

// The modes.
const (
	// SendNone: nothing is verified.
	SendNone SendMode = iota
	// SendObserve: what is signed is verified and counted, and all go on.
	SendObserve
	// SendPrefer: what is signed wrongly ends, and what is not signed never takes the
	// place of what was.
	SendPrefer
	// SendRequire: only what is signed rightly goes on.
	SendRequire
)

// SendModes are the modes' names as the configuration writes them.
var SendModes = []string{"none", "observe", "prefer", "require"}

// String returns the mode as the configuration writes it.
func (m SendMode) String() string { return SendModes[m] }

// SendSpec is a network's wanted Secure Neighbor Discovery.
type SendSpec struct {
	Mode SendMode
	// Key signs what the network's router says; nil signs nothing. Chain are the
	// certificates of it, nil for none.
	Key   *send.Key
	Chain *send.Chain
	// MinBits is the shortest key of guests that is trusted; 0 is
	// send.DefaultMinBits.
	MinBits int
	// Sec is what the router's address has to cost, 0 or 1; nil is 1.
	Sec *int
}

// DefaultSendSec is SendSpec.Sec where nothing is said.
const DefaultSendSec = send.MaxOwnSec

// equal reports whether two are the same. The key is compared as one.
func (a *SendSpec) equal(b *SendSpec) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && a.Mode == b.Mode && a.MinBits == b.MinBits && or(a.Sec, DefaultSendSec) == or(b.Sec, DefaultSendSec) &&
		a.Key.Equal(b.Key) && a.Chain.Equal(b.Chain)
}

// NetworkSend is a network's Secure Neighbor Discovery.
type NetworkSend struct {
	Mode SendMode
	// MinBits is the shortest key of guests that is trusted.
	MinBits int
	// Identity signs as the network's router, whose link-local address is its own;
	// nil signs nothing.
	Identity *send.Identity
}

// sendOf is Network.Send.
func sendOf(in *networkInput) *NetworkSend {
	s := in.spec.Send
	if s == nil || s.Mode == SendNone {
		return nil
	}
	n := &NetworkSend{Mode: s.Mode, MinBits: s.MinBits}
	if n.MinBits == 0 {
		n.MinBits = send.DefaultMinBits
	}
	if s.Key != nil {
		n.Identity = send.NewIdentity(s.Key, in.modifier, 0, s.Chain)
	}
	return n
}

// Signs reports whether the network's router signs what it says.
func (n *Network) Signs() bool { return n.Send != nil && n.Send.Identity != nil }

// sendReserve is the room that signing takes of an advertisement; a nonce of the
// longest kind included.
func sendReserve(n *Network) int {
	if !n.Signs() {
		return 0
	}
	return n.Send.Identity.Overhead(send.MaxNonce)
}

// send checks a network's Secure Neighbor Discovery.
func (c *checker) send(object string, n *NetworkSpec) {
	s := n.Send
	if s == nil || s.Mode == SendNone {
		return
	}
	object += ".send"
	if n.Uplink != nil {
		c.add(object, "", "is for networks of this bridge alone: what comes by the uplink of %s is not verified, so leave one of them out", n.Name)
	}
	if s.MinBits != 0 && (s.MinBits < send.DefaultMinBits || s.MinBits > send.MaxBits) {
		c.add(object+".min_bits", "RFC 3971 section 5.1.3", "%d is no length of a key to ask for: give %d to %d", s.MinBits, send.DefaultMinBits, send.MaxBits)
	}
	if s.Key == nil {
		return
	}
	for i := range c.spec.Routers {
		for _, p := range c.spec.Routers[i].Networks {
			if p.Network == n.Name && p.LinkLocal.IsValid() {
				c.add(object+".key", "RFC 3972 section 4", "makes the link-local address of the router on %s, which has link_local %s: leave that out", n.Name, p.LinkLocal)
			}
		}
	}
	for i := range n.Subnets {
		if p := n.Subnets[i].Prefix; p.IsValid() && s.Chain != nil && !s.Chain.Covers(p) {
			c.add(object+".certificate", "RFC 3971 section 7.3", "the router's certificate, or one above it, is not for %s, which the network advertises: leave it out, or have it issued for that", p)
		}
	}
	if r := &n.RouterAdvertisement; n.MTU == 0 || n.MTU >= minLink {
		room := largestOption - send.MaxOverhead(s.Key)
		for i := range r.EncryptedDNS {
			if size := len(encryptedDNSOption(&r.EncryptedDNS[i], 1, 0).bytes); size > room {
				c.add(object+".key", "RFC 3971 section 5.2", "leaves room for %d octets of an option beside the signature, and encrypted_dns[%d] would have %d: give fewer addresses", room, i, size)
			}
		}
	}
}
