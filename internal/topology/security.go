package topology

import (
	"net/netip"

	"damselfly/internal/wire"
)

// DefaultMaxAddresses is how many learned addresses a port may hold where
// nothing is said (RFC 6620 section 4.1 asks for a bound).
const DefaultMaxAddresses = 32

// UnlimitedAddresses is the bound that `none` configures.
const UnlimitedAddresses = -1

// AddressPair is what a port may send from: addresses of either family, with
// the MAC they go with.
type AddressPair struct {
	Prefix netip.Prefix
	MAC    wire.MAC
}

// HeldAddress is an address that a port of the network holds beside those of
// the configuration: leased to it, or learned from it.
type HeldAddress struct {
	Addr netip.Addr
	// Port is the port's key.
	Port uint16
}
