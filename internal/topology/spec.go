package topology

import (
	"net/netip"
	"time"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// Spec is a wanted topology. Once a Builder has seen it, it must not be
// changed: make a new one.
type Spec struct {
	// Limits are the punt budgets of every port, over DefaultLimits.
	Limits Limits
	// MaxLeases bounds the DHCPv6 leases of each port; nil is DefaultMaxLeases.
	MaxLeases *int
	// MaxAddresses bounds the learned addresses of each port; nil is DefaultMaxAddresses.
	MaxAddresses *int
	// MaxNeighbors bounds the unconfigured neighbours behind each port but uplinks;
	// nil is DefaultMaxNeighbors.
	MaxNeighbors *int
	// MaxGroups bounds the multicast groups listened to behind each port but uplinks; nil
	// is DefaultMaxGroups.
	MaxGroups *int
	// MaxConnections bounds the connections of each port to the metadata service;
	// nil is DefaultMaxConnections.
	MaxConnections *int
	Networks       []NetworkSpec
	Routers        []RouterSpec
	Ports          []PortSpec
	// Groups are the security groups; the one named DefaultGroup is there
	// although nobody configures it.
	Groups []SecurityGroupSpec
	// Floating are the addresses that float on one network to guests on others.
	Floating []FloatingSpec
}

// Limits are punt budgets by class; a class that is not in it has the budget
// of the next wider scope: port, network, Spec, DefaultLimits.
type Limits map[punt.Class]Limit

// DefaultLimits are the budgets of a port where nothing else is said. A class
// without one lets nothing pass: no flow punts it.
func DefaultLimits() Limits {
	return Limits{
		// Each target is a megaflow that lives ten seconds: a port can make some
		// 1,200 of a class.
		punt.NS:      {Rate: 100, Burst: 200},
		punt.NA:      {Rate: 100, Burst: 200},
		punt.RS:      {Rate: 20, Burst: 40},
		punt.DHCPv6:  {Rate: 50, Burst: 100},
		punt.MLD:     {Rate: 20, Burst: 40},
		punt.Echo:    {Rate: 100, Burst: 200},
		punt.Error:   {Rate: 20, Burst: 40},
		punt.Unknown: {Rate: 20, Burst: 40},
		punt.Source:  {Rate: 20, Burst: 40},
		// It tells who is on the network, a MAC a question.
		punt.Inverse: {Rate: 5, Burst: 10},
		// A signature is a millisecond or two.
		punt.SEND: {Rate: 10, Burst: 20},
		punt.Log:  {Rate: 5, Burst: 10},
		// A datagram that nobody answers is remembered for a minute, and Open
		// vSwitch remembers three million: a port can take a twelfth of that.
		punt.Opens: {Rate: 4000, Burst: 8000},
		// A guest that boots asks some dozens of times, most in a connection each.
		punt.Metadata: {Rate: 50, Burst: 100},
	}
}

// NetworkSpec is one wanted network.
type NetworkSpec struct {
	Name string
	// MTU is the link's in octets, 0 if nothing is known of it.
	MTU    int
	Limits Limits
	// MaxLeases and MaxAddresses are those of each port, nil for the Spec's.
	MaxLeases, MaxAddresses *int
	RouterAdvertisement     AdvertSpec
	Subnets                 []SubnetSpec
	// Options are the DHCPv6 options of all clients.
	Options     []OptionSpec
	Delegations []DelegationSpec
	// InverseND is as in Network.
	InverseND bool
	// Send is nil where there is no Secure Neighbor Discovery.
	Send *SendSpec
	// Uplink is nil where the network is this bridge's alone.
	Uplink *UplinkSpec
	// MaxNeighbors is how many unconfigured neighbours are known behind each port; nil for the Spec's.
	MaxNeighbors *int
	// MaxGroups is how many multicast groups are listened to behind each port; nil for the Spec's.
	MaxGroups *int
	// Multicast is nil where nothing is done about it.
	Multicast *MulticastSpec
	// Metadata is nil where there is no metadata service.
	Metadata *MetadataSpec
	// MaxConnections is how many connections to it each port may have; nil for the Spec's.
	MaxConnections *int
}

// SubnetSpec is one prefix of a network. A nil pointer is the default.
type SubnetSpec struct {
	Prefix netip.Prefix
	Mode   Mode
	// Gateway is the router's address on the prefix; invalid means the first
	// one (prefix::1). It counts only where a router is on the network.
	Gateway netip.Addr
	DNS     []netip.Addr
	Search  []string
	// Autonomous departs from what Mode says of the A flag.
	Autonomous *bool
	// OnLink is the L flag, by default set.
	OnLink      *bool
	PDPreferred bool
	// Preferred and Valid default to DefaultPreferred and DefaultValid; where
	// only one is given, the other's default gives way to it.
	Preferred, Valid *time.Duration
	// Options are the DHCPv6 options of clients on the subnet. Where DNS or
	// Search are given and their options are not, those are made of them.
	Options []OptionSpec
	// RapidCommit, Pools, Reservations and RelayTo are as in Subnet.
	RapidCommit  bool
	Pools        []AddrRange
	Reservations []Reservation
	RelayTo      netip.Addr
}

// AdvertSpec is what a network's Router Advertisements say beyond its
// subnets. A nil pointer is the default, which the constants name.
type AdvertSpec struct {
	// Interval and MinInterval bound the time between unsolicited
	// advertisements; see DefaultInterval.
	Interval, MinInterval *time.Duration
	// Lifetime is how long the router is a default router: DefaultLifetime
	// with a router on the network, 0 without.
	Lifetime *time.Duration
	// Preference is the router's against others (RFC 4191 section 2.2).
	Preference Preference
	// HopLimit is what hosts send with, DefaultHopLimit if nil.
	HopLimit *int
	// ReachableTime and RetransTimer tune hosts' neighbour detection; 0 leaves it to them.
	ReachableTime, RetransTimer time.Duration
	// PREF64 is the NAT64 prefix (RFC 8781), invalid for none.
	PREF64 netip.Prefix
	// CaptivePortal is the API's URI (RFC 8910), "" for none.
	CaptivePortal string
	Routes        []RouteSpec
	EncryptedDNS  []EncryptedDNSSpec
}

// Preference ranks default routers and routes (RFC 4191 section 2.1).
type Preference int8

// The preferences; medium is the zero value.
const (
	Low    Preference = -1
	Medium Preference = 0
	High   Preference = 1
)

// RouteSpec is a more specific route through the router (RFC 4191 section 2.3).
type RouteSpec struct {
	Destination netip.Prefix
	Preference  Preference
}

// EncryptedDNSSpec is a resolver spoken to through TLS (RFC 9463).
type EncryptedDNSSpec struct {
	// Name is what its certificate says.
	Name      string
	Addresses []netip.Addr
	// ALPN are its protocols, such as dot, h2 or doq; dot if empty.
	ALPN []string
}

// RouterSpec is a router and the networks it stands on.
type RouterSpec struct {
	Name     string
	Networks []PresenceSpec
	Routes   []StaticRouteSpec
	// Multicast is nil where it carries none between its networks.
	Multicast *RouterMulticastSpec
}

// StaticRouteSpec is a wanted route of a router beside those that its networks
// and what is delegated on them make.
type StaticRouteSpec struct {
	Destination netip.Prefix
	Type        RouteType
	// NextHops has the neighbour that takes the packets; empty but for Unicast.
	NextHops []netip.Addr
	// Network is where a link-local next hop is, "" for a global one.
	Network string
}

// PresenceSpec is a router on one network.
type PresenceSpec struct {
	Network string
	// LinkLocal defaults to DefaultLinkLocal, MAC to RouterMAC of the network's name.
	LinkLocal netip.Addr
	MAC       wire.MAC
	// Addresses are held beside the gateways of the network's subnets.
	Addresses []netip.Prefix
}

// PortSpec is one wanted port.
type PortSpec struct {
	Name, Network string
	// MAC may be zero: its Interface's attached-mac counts then.
	MAC wire.MAC
	// Parent is as in Port, and VLAN with it.
	Parent string
	VLAN   int
	// Addresses, of both families, need not hold those made by SLAAC.
	Addresses       []netip.Addr
	Router, Unknown bool
	Limits          Limits
	// MaxLeases is nil for the network's.
	MaxLeases *int
	// Options are the DHCPv6 options of its clients.
	Options []OptionSpec
	// DHCPv6Relay is as in Port.
	DHCPv6Relay bool
	// PortSecurity is as in Port.Secured; nil is on, but for a port with Unknown.
	PortSecurity *bool
	// Pairs are the addresses it may use beside its own (Neutron's allowed
	// address pairs); a zero MAC is the port's.
	Pairs []AddressPair
	// MaxAddresses is how many learned addresses it may hold, nil for the network's.
	MaxAddresses *int
	// MaxNeighbors is how many unconfigured neighbours are known behind it, nil for the network's.
	MaxNeighbors *int
	// MaxGroups is how many multicast groups are listened to behind it, nil for the network's.
	MaxGroups *int
	// Multicast is nil where nothing is known of its listeners.
	Multicast *PortMulticastSpec
	// Uplink is nil but for the port that a network's uplink is.
	Uplink *UplinkSpec
	// SecurityGroups names the groups whose rules filter it. Nil filters
	// nothing, an empty list lets nothing in.
	SecurityGroups []string
	// MaxConnections is how many connections to the metadata service it may have, nil for the network's.
	MaxConnections *int
	// Project is who its instance belongs to.
	Project string
	// Instance is what the metadata service tells of it, nil for nothing.
	Instance *InstanceSpec
}

// Defaults of what a Spec may leave out.
const (
	// DefaultPreferred is how long a prefix's addresses are preferred.
	DefaultPreferred = 4 * time.Hour
	// DefaultValid is how long a prefix's addresses are valid.
	DefaultValid = 24 * time.Hour
	// DefaultInterval is MaxRtrAdvInterval (RFC 4861 section 6.2.1).
	// MinRtrAdvInterval is 0.33 of it, 0.75 of it under 9 s.
	DefaultInterval = 600 * time.Second
	// DefaultLifetime is AdvDefaultLifetime with a router; three intervals
	// where the interval is longer than it (RFC 4861 section 6.2.1).
	DefaultLifetime = 1800 * time.Second
	// DefaultHopLimit is AdvCurHopLimit (RFC 4861 section 6.2.1).
	DefaultHopLimit = 64
)

// DefaultLinkLocal is a router's link-local address where none is given,
// fe80::1 on every network and host: the gateway survives a migration.
var DefaultLinkLocal = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: 1})
