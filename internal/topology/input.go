package topology

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"damselfly/internal/send"
	"damselfly/internal/wire"
)

// Input is all a Snapshot is made of.
type Input struct {
	// Spec is compared by pointer first: handing over the same one again skips
	// its validation.
	Spec *Spec
	Keys Keys
	// Bindings has one entry an Interface of the bridge, in any order.
	Bindings []Binding
	// Deprecated holds, by network, prefixes once advertised and no longer
	// configured whose valid lifetime has not ended.
	Deprecated map[string][]Deprecated
	// Withdrawn holds, by network, destinations that guests were told they reach by
	// the router, and that they no longer are, sorted.
	Withdrawn map[string][]netip.Prefix
	// FormerRouters holds, by network, identities that advertised and no longer
	// do; hosts must be told (RFC 4861 section 6.2.8).
	FormerRouters map[string][]FormerRouter
	// Delegated holds, by network, the prefixes delegated to its ports, in any order.
	Delegated map[string][]DelegatedPrefix
	// Leased and Learned hold, by network, the addresses that DHCPv6 gave to
	// its ports and those learned from them, in any order.
	Leased, Learned map[string][]HeldAddress
	// Neighbors holds, by network, who was found behind its ports with Unknown,
	// Upstream the default routers that were learned, in any order.
	Neighbors map[string][]Neighbor
	Upstream  map[string][]Upstream
	// Listening holds, by network, what is known of who listens to multicast groups.
	Listening map[string]*Listening
	// Modifiers holds, by network, what its router's address is made of beside its
	// key (RFC 3972 section 3); without one it is made of zeros.
	Modifiers map[string]send.Modifier
}

// Keys are the stable numbers of objects by name, each 1 to punt.MaxKey and
// given once among networks and once among ports. An object without one is
// isolated and reported.
type Keys struct {
	Networks, Ports map[string]uint16
}

// Binding is what an Interface of the bridge says of itself.
type Binding struct {
	// Interface is its name; ID its external_ids:iface-id, "" if it has none.
	Interface, ID string
	// OFPort is the switch's number for it, 0 if it has none.
	OFPort uint32
	// MAC is external_ids:attached-mac, zero if it has none.
	MAC wire.MAC
	// Network is external_ids:damselfly-network, "" if it has none.
	Network string
}

// Deprecated is a prefix that hosts are told to stop using (RFC 9096 section 3.5).
type Deprecated struct {
	Prefix             netip.Prefix
	OnLink, Autonomous bool
	// ValidUntil is when the lifetime last advertised ends.
	ValidUntil time.Time
}

// FormerRouter is the identity under which a network was advertised.
type FormerRouter struct {
	MAC       wire.MAC
	LinkLocal netip.Addr
}

// Problem is one thing wrong. Its Object is a path in the Spec, such as
// networks[2].subnets[0].prefix, with indexes into the Spec's lists; a Problem
// found while binding names `interface NAME` or `port NAME` instead.
type Problem struct {
	Object string
	// Message says what is wrong and what would be right.
	Message string
	// RFC is the clause that forbids it, "" if it is our own rule.
	RFC string
}

// String is the Problem in one line.
func (p Problem) String() string {
	if p.RFC == "" {
		return fmt.Sprintf("%s: %s", p.Object, p.Message)
	}
	return fmt.Sprintf("%s: %s (%s)", p.Object, p.Message, p.RFC)
}

// RouterMAC is the MAC of the router on the network of that name where none
// is given: locally administered, made of the name alone, so that it is the
// same on every host and after every migration.
func RouterMAC(network string) wire.MAC {
	h := sha256.Sum256([]byte("damselfly router\x00" + network))
	return wire.MAC{0xda, 0xf1, h[0], h[1], h[2], h[3]}
}

// DefaultGateway is the router's address on a prefix where none is given: the
// first one that is not the subnet-router anycast address (RFC 4291 section
// 2.6.1), so prefix::1, and the address itself of a /128.
func DefaultGateway(p netip.Prefix) netip.Addr {
	first := p.Masked().Addr()
	if p.Bits() == first.BitLen() {
		return first
	}
	return first.Next()
}
