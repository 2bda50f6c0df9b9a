package topology

import (
	"math"
	"net/netip"
	"time"

	"damselfly/internal/wire"
)

// DHCPv6 is what a network's guests get by DHCPv6 (RFC 9915) beside what their
// subnets say. It is shared by snapshots as long as it does not change.
type DHCPv6 struct {
	// Reservations give clients addresses by their DUID, each DUID once.
	Reservations []Reservation
	// Delegations are what prefixes are delegated from, in the order of the
	// configuration.
	Delegations []Delegation

	// The indexes that a Builder makes of Reservations.
	byDUID map[string]int
	owners map[netip.Addr]int
}

// Reserved returns the addresses reserved for a DUID. It allocates nothing, and
// like Reserves knows only what a Builder made.
func (d *DHCPv6) Reserved(duid []byte) []netip.Addr {
	if i, ok := d.byDUID[string(duid)]; ok {
		return d.Reservations[i].Addresses
	}
	return nil
}

// Reserves reports whether an address is reserved for any DUID.
func (d *DHCPv6) Reserves(a netip.Addr) bool {
	_, ok := d.owners[a]
	return ok
}

// Reservation binds addresses to a DUID, opaque octets (RFC 9915 section 11).
type Reservation struct {
	DUID      string
	Addresses []netip.Addr
}

// AddrRange is a pool of addresses, both ends included.
type AddrRange struct{ First, Last netip.Addr }

// Contains reports whether a lies in the range.
func (r AddrRange) Contains(a netip.Addr) bool {
	return !a.Less(r.First) && !r.Last.Less(a)
}

// String is the range as the configuration writes it.
func (r AddrRange) String() string { return r.First.String() + "-" + r.Last.String() }

// Delegation is a pool that prefixes of one length are delegated from.
type Delegation struct {
	Pool   netip.Prefix
	Length int
	// Exclude is the part of each delegated prefix that the requesting router
	// may not use behind it, given as the subnet's number within it (RFC 6603
	// section 4.2); ExcludeLength 0 means there is none.
	ExcludeLength    int
	ExcludeSubnet    uint64
	Preferred, Valid time.Duration
}

// OptionSet is the DHCPv6 options that one port's clients can get, nearest scope
// first merged: port, subnet, network. Each Option is ready for the wire.
type OptionSet struct {
	// Options are sorted by code; one code may stand several times.
	Options []Option
}

// Option is one DHCPv6 option as it goes out: code, length and data.
type Option struct {
	Code uint16
	Wire []byte
}

// DelegatedPrefix is a prefix that a port's client has been delegated, and the
// way there: what goes to it goes to the requesting router.
type DelegatedPrefix struct {
	Prefix netip.Prefix
	// Port is the key of the requesting router's port. A prefix whose port is
	// not on the network is left out of the Snapshot.
	Port uint16
	// NextHop is the requesting router's link-local address, and MAC what it is
	// reached at; zero means the port's.
	NextHop netip.Addr
	MAC     wire.MAC
}

const (
	// DefaultMaxLeases is Port.MaxLeases where nothing is said.
	DefaultMaxLeases = 16
	// UnlimitedLeases is the number that `none` configures.
	UnlimitedLeases = math.MaxInt32
)

// Find returns the options of one code.
func (s *OptionSet) Find(code uint16) []Option {
	if s == nil {
		return nil
	}
	lo := 0
	for lo < len(s.Options) && s.Options[lo].Code < code {
		lo++
	}
	hi := lo
	for hi < len(s.Options) && s.Options[hi].Code == code {
		hi++
	}
	return s.Options[lo:hi]
}

// Delegation reports whether a lies in a prefix delegated to the port with this
// key, and whether in one delegated to another.
func (n *Network) Delegation(port uint16, a netip.Addr) (own, others bool) {
	return delegation(n.Delegated, port, a)
}

func delegation(list []DelegatedPrefix, port uint16, a netip.Addr) (own, others bool) {
	for i := range list {
		if list[i].Prefix.Contains(a) {
			own, others = own || list[i].Port == port, others || list[i].Port != port
		}
	}
	return own, others
}
