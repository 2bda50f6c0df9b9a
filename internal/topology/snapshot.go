package topology

import (
	"net/netip"
	"time"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// Snapshot is the whole topology at one moment. It never changes once a Builder
// has returned it: readers load a pointer and need no lock. A change makes a
// new Snapshot that shares the parts it did not touch, so pointers of networks
// and ports that are equal in two snapshots hold equal content.
type Snapshot struct {
	// Rev counts the snapshots of this process.
	Rev uint64
	// Networks and Ports are sorted by name. Ports holds configured ports and
	// those known from their Interface alone.
	Networks []*Network
	Ports    []*Port
	// Groups are the security groups, sorted by name; Remotes are the members of
	// those that rules name.
	Groups  []*SecurityGroup
	Remotes *Remotes
	// Routers are sorted by name.
	Routers []*Router

	rules     map[uint32]RuleOf  // by id
	listening []*Listening       // by network key
	routers   map[uint32]*Router // by id
	networks  []*Network         // by key
	ports     []*Port            // by key
}

// Port returns the port with this key, nil if there is none.
func (s *Snapshot) Port(key uint16) *Port {
	if int(key) >= len(s.ports) {
		return nil
	}
	return s.ports[key]
}

// Network returns the network with this key, nil if there is none.
func (s *Snapshot) Network(key uint16) *Network {
	if int(key) >= len(s.networks) {
		return nil
	}
	return s.networks[key]
}

// Network is one virtual link: what its guests share.
type Network struct {
	// Key is the network's stable number, 1 to punt.MaxKey.
	Key  uint16
	Name string
	// MTU is the link's, in octets; 0 if the configuration does not say.
	MTU     int
	Subnets []Subnet
	// Router is the router's presence on the network; nil without one. A
	// network with a subnet but no router still has one, which advertises
	// prefixes with router lifetime 0.
	Router *RouterInterface
	// DHCPv6 is nil where no subnet has a DHCPv6 mode and nothing is delegated.
	DHCPv6 *DHCPv6
	// Learnable are where guests make addresses of their own, so that who used one
	// first holds it (RFC 6620 section 3.1): fe80::/10 and every prefix that is
	// or was announced with A=1, or whose addresses another server gives; on a
	// network without subnets all there is.
	Learnable []netip.Prefix
	// Delegated are the prefixes routed to ports of the network, sorted.
	Delegated []DelegatedPrefix
	// Neighbors were found behind ports with Unknown, sorted by address.
	Neighbors []Neighbor
	// Upstream are default routers that were learned behind the uplink, sorted by address.
	Upstream []Upstream
	// Multicast is nil where multicast is carried as broadcast is.
	Multicast *Multicast
	// Floating is what floats on the network and stands for somebody on another,
	// sorted.
	Floating []Floating
	// Ports are the network's, sorted by name.
	Ports []*Port
	// Adverts are the compiled Router Advertisements, sent one after the other:
	// more than one only where they do not fit the link (RFC 4861 section
	// 6.2.3). Empty if the network is not advertised.
	Adverts []Advert
	// Routes are what the advertisements say that the router reaches, sorted.
	Routes []AdvertisedRoute
	// InverseND says that Inverse Neighbor Discovery is answered (RFC 3122).
	InverseND bool
	// Send is nil where there is no Secure Neighbor Discovery (RFC 3971).
	Send *NetworkSend
	// Advertising holds the timing of unsolicited advertisements.
	Advertising Advertising
	// Former are identities that advertised the network and no longer do.
	Former []Former
	// Metadata is nil where there is no metadata service.
	Metadata *Metadata

	owners map[netip.Addr]Owner
	shared map[netip.Addr]Owner
	// reserved are ReservedPrefixes.
	reserved []netip.Prefix
	final    []Advert
	inverse  map[wire.MAC][]netip.Addr
}

// Subnet is one IPv6 prefix of a network.
type Subnet struct {
	Prefix netip.Prefix
	Mode   Mode
	// Gateway is the router's address on the prefix, invalid without a router.
	Gateway netip.Addr
	// Preferred and Valid are the lifetimes given to guests.
	Preferred, Valid time.Duration
	// OnLink, Autonomous and PDPreferred are the flags L, A (RFC 4861 section
	// 4.6.2) and P (RFC 9762 section 4) of its Prefix Information option.
	OnLink, Autonomous, PDPreferred bool
	DNS                             []netip.Addr
	Search                          []string
	// Pools are where DHCPv6 addresses come from that nobody fixed.
	Pools []AddrRange
	// RapidCommit allows the two-message exchange (RFC 9915 section 18.3.1).
	RapidCommit bool
	// RelayTo is the server that answers for this subnet instead, invalid for none.
	RelayTo netip.Addr
}

// Mode is how guests get their addresses on a subnet.
type Mode uint8

// The modes, in Neutron's words.
const (
	SLAAC Mode = iota
	DHCPv6Stateless
	DHCPv6Stateful
)

// String returns the mode as the configuration writes it.
func (m Mode) String() string {
	return [...]string{"slaac", "dhcpv6-stateless", "dhcpv6-stateful"}[m]
}

// RouterInterface is the router's presence on a network.
type RouterInterface struct {
	// Router is the router's name, "" where only prefixes are advertised; ID is
	// its number, 0 then: nothing is routed.
	Router string
	ID     uint32
	// Narrow says that the router has a network from which packets can come that
	// are longer than this one's MTU.
	Narrow    bool
	MAC       wire.MAC
	LinkLocal netip.Addr
	// Addresses are its global addresses with their prefixes' lengths.
	Addresses []netip.Prefix
}

// Port is one guest's place on a network.
type Port struct {
	// Key is the port's stable number, 1 to punt.MaxKey.
	Key     uint16
	Name    string
	Network *NetworkRef
	MAC     wire.MAC
	// Addresses are all IPv6 addresses known to be the guest's: configured ones,
	// fe80:: with the MAC's interface identifier and, on each autonomous
	// prefix, the address made of that identifier (RFC 4291 appendix A), then
	// those leased to it by DHCPv6 and those learned from it.
	Addresses []netip.Addr
	// Held is how many of Addresses, the last ones, are leased or learned.
	Held int
	// Learned are those of Addresses that the port holds because it was the first
	// to use them, sorted; whoever probes for one may come to hold it.
	Learned []netip.Addr
	// Fixed are the IPv6 addresses the configuration gives the port: DHCPv6 hands
	// these out before any other. They are a part of Addresses, but for those
	// that others share with it by a pair: see Pairs.
	Fixed []netip.Addr
	// Options are the DHCPv6 options of the port's clients; nil for none.
	Options *OptionSet
	// DHCPv6Relay marks a port that may send RELAY-FORW messages.
	DHCPv6Relay bool
	// MaxLeases is how many DHCPv6 leases, addresses and prefixes together, the
	// port's clients may hold; UnlimitedLeases for no bound.
	MaxLeases int
	// Secured says that the port may send only from addresses of its own:
	// Addresses, IPv4, Pairs and prefixes delegated to it, each with its MAC.
	Secured bool
	// IPv4 are its configured IPv4 addresses. Where there is none, its IPv4 and
	// ARP are bound to its MAC alone.
	IPv4 []netip.Addr
	// Pairs are what it may send from beside its own, MACs resolved, sorted. An
	// address of its own that is a pair of another port too is here and not in
	// Addresses: who has it at a moment, only its holders know.
	Pairs []AddressPair
	// MaxAddresses is how many learned addresses it may hold; UnlimitedAddresses for no bound.
	MaxAddresses int
	// Filter is what its security groups come to; nil where nothing filters it.
	Filter *Filter
	// Router marks a guest that is a router: the R flag of its addresses is set.
	Router bool
	// Unknown marks a port behind which any MAC may live: it gets unknown unicast.
	Unknown bool
	// Uplink marks the port that leads to the physical network, AcceptRA that
	// default routers are learned there.
	Uplink, AcceptRA bool
	// MaxNeighbors is how many unconfigured neighbours may be known behind it;
	// UnlimitedNeighbors for no bound.
	MaxNeighbors int
	// Multicast is nil where the network's is.
	Multicast *PortMulticast
	// OFPort is the switch's number of the port, 0 while it is not bound to an
	// Interface that the switch has. A sub-port has its parent's.
	OFPort uint32
	// Parent is the trunk port whose Interface carries this one's frames, tagged
	// with VLAN, 1 to 4094; "" and 0 for a port with an Interface of its own.
	Parent string
	VLAN   uint16
	// Trunk marks a port that others are sub-ports of: its own frames are the
	// untagged ones.
	Trunk bool
	// Limits are the port's punt budgets by class.
	Limits [punt.Classes]Limit
	// MaxConnections is how many connections to the metadata service it may have;
	// UnlimitedConnections for no bound.
	MaxConnections int
	// Instance is what the metadata service tells of it, nil for nothing.
	Instance *Instance
}

// NetworkRef is the identity of the network a port belongs to. It is not the
// Network itself, so that a port need not be copied when its network changes.
type NetworkRef struct {
	Key  uint16
	Name string
}

// Limit is a token bucket: frames a second, and frames at once. The zero Limit
// lets nothing pass; Unlimited has no bound.
type Limit struct {
	Rate, Burst uint32
}

// Unlimited is the Limit that `none` configures.
var Unlimited = Limit{Rate: ^uint32(0), Burst: ^uint32(0)}

// Owner says whose an address is on a network: a port's, or the router's own
// (Port nil).
type Owner struct {
	Port *Port
	// MAC answers for the address.
	MAC wire.MAC
	// Router is the R flag of advertisements for it (RFC 4861 section 4.4).
	Router bool
	// Held says that the address was leased to the port or learned from it,
	// Learned that it is one of Port.Learned.
	Held, Learned bool
	// Floating is what the router has the address for, nil for its own addresses.
	Floating *Floating
}

// Owner returns who holds an address on the network.
func (n *Network) Owner(a netip.Addr) (Owner, bool) {
	o, ok := n.owners[a]
	return o, ok
}

// Configured is Owner but for addresses that ports hold by a lease: what DHCPv6
// may give to nobody else. Who holds a lease, it knows by itself and sooner.
func (n *Network) Configured(a netip.Addr) (Owner, bool) {
	o, ok := n.owners[a]
	if o.Held && !o.Learned {
		return Owner{}, false
	}
	return o, ok
}

// Advert is one compiled Router Advertisement: the ICMPv6 message with its
// checksum field zero, ready for the headers.
type Advert struct {
	Body []byte
	// Sum is wire's partial checksum of Body, so that only the
	// pseudo-header and the countdowns are added per frame.
	Sum wire.Sum
	// Countdowns are lifetimes in Body that fall with time: those of prefixes
	// that are no longer configured (RFC 9096 section 3.5).
	Countdowns []Countdown
}

// Former is a router identity whose end hosts must be told: its advertisements
// carry router lifetime 0 and go out with its link-local address and MAC, at
// most three times (RFC 4861 sections 6.2.5 and 6.2.8).
type Former struct {
	MAC       wire.MAC
	LinkLocal netip.Addr
	Adverts   []Advert
}

// Countdown is a lifetime field that reaches 0 at Until.
type Countdown struct {
	// Offset is where the field of 4 octets, in seconds, stands in the body.
	Offset int
	Until  time.Time
}

// Advertising is when unsolicited Router Advertisements are sent (RFC 4861
// section 6.2.1); the zero value sends none.
type Advertising struct {
	MinInterval, MaxInterval time.Duration
}
