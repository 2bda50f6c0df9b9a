package loadgen

import (
	"net/netip"
	"time"

	"damselfly/internal/wire"
)

// Guest is one who asks, from a packet socket of its own.
type Guest struct {
	// Interface is the index of its interface.
	Interface int
	// Within calls f in the guest's network namespace; nil is the caller's own.
	Within func(f func() error) error
	MAC    wire.MAC
	// Addresses are what others ask for; the first is the source of its echoes.
	Addresses []netip.Addr
}

// Router is what right answers say of the router.
type Router struct {
	MAC       wire.MAC
	LinkLocal netip.Addr
	Gateway   netip.Addr // that echoes go to
	// Lifetime is that of its Router Advertisements, Prefix one for addresses that
	// they have; the zero Prefix is any or none.
	Lifetime time.Duration
	Prefix   netip.Prefix
}

// Site is who asks, and what is right there.
type Site struct {
	Guests []Guest
	// Neighbors are asked for besides the guests' addresses, by all of them.
	Neighbors []Neighbor
	Router    Router
	// Answerer is what all Neighbor Advertisements give as link-layer address, the
	// zero MAC that each gives its owner's.
	Answerer wire.MAC
	// AnyClass takes answers of any traffic class and flow label, which are a
	// sender's own (RFC 8200 sections 6 and 7); else both must be 0.
	AnyClass bool
	// Leases is where addresses by DHCPv6 must lie, and DNS the servers that
	// INFORMATION-REQUEST is told of.
	Leases netip.Prefix
	DNS    []netip.Addr
	// Seed is part of the identifiers of new clients, so that those of two loads
	// differ.
	Seed uint8
}

// Neighbor is an address and its link-layer address.
type Neighbor struct {
	Address netip.Addr
	MAC     wire.MAC
}

// neighbors are what guest g asks for, the guests after it taking turns.
func (s *Site) neighbors(g int) (list []Neighbor) {
	for n := 0; ; n++ {
		before := len(list)
		for i := 1; i < len(s.Guests); i++ {
			if other := &s.Guests[(g+i)%len(s.Guests)]; n < len(other.Addresses) {
				list = append(list, Neighbor{other.Addresses[n], other.MAC})
			}
		}
		if len(list) == before {
			return append(list, s.Neighbors...)
		}
	}
}
