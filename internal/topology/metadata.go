package topology

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// MetadataPort is the TCP port of the metadata service.
const MetadataPort = 80

// MetadataAddresses are where guests reach the metadata service on every network
// that has it: the link-local address that OpenStack uses, which needs no other,
// the one that Amazon's EC2 has, and that of IPv4.
var MetadataAddresses = []netip.Addr{
	netip.MustParseAddr("fe80::a9fe:a9fe"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("169.254.169.254"),
}

// MetadataRouted is the one of them that is on no link of the guests: they send
// what is for it to a router.
var MetadataRouted = MetadataAddresses[1]

// DefaultMaxConnections is how many connections to the metadata service a port may
// have where nothing is said. UnlimitedConnections is no bound.
const (
	DefaultMaxConnections = 64
	UnlimitedConnections  = -1
)

// MetadataSpec is the metadata service of a network. The zero value answers from
// the configuration.
type MetadataSpec struct {
	// Upstream is where requests go instead, as a URL: http, https, or unix with
	// the path of a socket; "" for nowhere.
	Upstream string
	// Secret is what it knows the signature of the instance's id by.
	Secret string
	// CA holds the certificates by one of which it must be signed, as PEM; empty
	// for those that the host trusts. Certificate and Key are shown to it.
	CA, Certificate, Key string
	// Timeout is how long it may take to begin its answer, nil for DefaultMetadataTimeout.
	Timeout *time.Duration
}

// DefaultMetadataTimeout is how long an upstream may take to begin its answer.
const DefaultMetadataTimeout = 30 * time.Second

// InstanceSpec is what the metadata service tells a port's guest of itself.
type InstanceSpec struct {
	// ID is the instance's, Hostname its name; "" is the port's name.
	ID, Hostname string
	// Keys are the lines of its user's authorized_keys.
	Keys []string
	// UserData and VendorData are what the guest gets to configure itself by.
	UserData, VendorData string
}

// Metadata is the metadata service of a network, ready to be served.
type Metadata struct {
	*MetadataSpec
	// MAC answers for its addresses.
	MAC wire.MAC
	// Callers are the prefixes of 64 bits that guests may call from, sorted.
	Callers []CallerPrefix
}

// CallerPrefix is a prefix of 64 bits and what stands for it while a packet is on
// its way to the metadata service. It depends on the prefix alone, so that what
// comes or goes beside it changes no connection.
type CallerPrefix struct {
	Prefix netip.Prefix
	ID     uint32
}

// Instance is what the metadata service tells a port's guest, defaults applied.
type Instance struct {
	InstanceSpec
	// Project is who the instance belongs to, "" for nobody.
	Project string
}

// callerMagic are the first 16 bits of a caller's address as the metadata service
// sees it:
//
//	 0        15 16        31 32            63 64           127
//	+-----------+------------+----------------+----------------+
//	| fdda      | port's key | CallerPrefix.ID | interface id  |
//	+-----------+------------+----------------+----------------+
//
// The switch makes it of what it knows, whatever the guest says it is, and keeps
// the interface identifier; so nothing has to be remembered to find the way back.
const callerMagic = 0xfdda

// The parts of a caller's address, as prefixes of it: with the port's key, and
// with the prefix's id too.
const (
	CallerPortBits   = 32
	CallerPrefixBits = 64
)

// CallerPort is what the addresses of a port's callers begin with.
func CallerPort(port uint16) netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint16(a[0:], callerMagic)
	binary.BigEndian.PutUint16(a[2:], port)
	return netip.AddrFrom16(a)
}

// CallerFrom is what the address of a caller from a prefix with this id has around
// the port's key.
func CallerFrom(id uint32) netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint16(a[0:], callerMagic)
	binary.BigEndian.PutUint32(a[4:], id)
	return netip.AddrFrom16(a)
}

// IPv4 callers are 10, then the port's key and the index of the address among the
// port's, of which so many can be told apart.
const (
	callerMagic4   = 10
	callerIndexLen = 10
	maxCallers4    = 1 << callerIndexLen
)

// The highest key must fit in front of the index.
const _ = uint(1<<(24-callerIndexLen) - 1 - punt.MaxKey)

// CallerIPv4 is an IPv4 caller's address as the metadata service sees it.
func CallerIPv4(port uint16, index int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], callerMagic4<<24|uint32(port)<<callerIndexLen|uint32(index))
	return netip.AddrFrom4(a)
}

// IPv4Callers are the addresses of the port that it can call from by IPv4.
func (p *Port) IPv4Callers() []netip.Addr { return p.IPv4[:min(len(p.IPv4), maxCallers4)] }

// CallerKey is the key of the port in an address that the metadata service sees,
// of either family; ok is false for another address.
func CallerKey(a netip.Addr) (port uint16, ok bool) {
	a = a.Unmap()
	if a.Is4() {
		u := binary.BigEndian.Uint32(a.AsSlice())
		return uint16(u >> callerIndexLen & (1<<(24-callerIndexLen) - 1)), u>>24 == callerMagic4
	}
	b := a.As16()
	return binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[0:]) == callerMagic
}

// Caller says whose an address is that the metadata service sees: the port and
// the address that its guest sent from. The port is nil if the address is none
// that the switch makes now.
func (s *Snapshot) Caller(a netip.Addr) (p *Port, from netip.Addr) {
	key, ok := CallerKey(a)
	p = s.Port(key)
	if !ok || p == nil {
		return nil, netip.Addr{}
	}
	n := s.Network(p.Network.Key)
	if n == nil || n.Metadata == nil {
		return nil, netip.Addr{}
	}
	if a = a.Unmap(); a.Is4() {
		index := int(binary.BigEndian.Uint32(a.AsSlice()) & (maxCallers4 - 1))
		if index >= len(p.IPv4Callers()) {
			return nil, netip.Addr{}
		}
		return p, p.IPv4[index]
	}
	b := a.As16()
	id := binary.BigEndian.Uint32(b[4:])
	for _, c := range n.Metadata.Callers {
		if c.ID == id {
			prefix := c.Prefix.Addr().As16()
			copy(b[:8], prefix[:])
			return p, netip.AddrFrom16(b)
		}
	}
	return nil, netip.Addr{}
}

// HasMetadata reports whether some network has the metadata service.
func (s *Snapshot) HasMetadata() bool {
	return slices.ContainsFunc(s.Networks, func(n *Network) bool { return n.Metadata != nil })
}

// OfMetadata reports whether a is one of the metadata service's addresses on the
// network.
func (n *Network) OfMetadata(a netip.Addr) bool {
	return n.Metadata != nil && slices.Contains(MetadataAddresses, a)
}

// metadataOf is Network.Metadata of a network that has its ports.
func metadataOf(spec *MetadataSpec, n *Network) *Metadata {
	if spec == nil {
		return nil
	}
	_, mac := n.Asker()
	return &Metadata{MetadataSpec: spec, MAC: mac, Callers: callersOf(n)}
}

// callersOf are the prefixes of 64 bits that guests of a network have addresses
// on: the link-local one, those of its subnets and those of single addresses.
func callersOf(n *Network) []CallerPrefix {
	const subnetBits = 64 // RFC 4291 section 2.5.1
	prefixes := map[netip.Prefix]bool{netip.MustParsePrefix("fe80::/64"): true}
	add := func(a netip.Addr) { prefixes[netip.PrefixFrom(a, subnetBits).Masked()] = true }
	for i := range n.Subnets {
		if n.Subnets[i].Prefix.Bits() >= subnetBits {
			add(n.Subnets[i].Prefix.Addr())
		}
	}
	for _, p := range n.Ports {
		for _, a := range p.Addresses {
			add(a)
		}
		for _, pair := range p.Pairs {
			if pair.Single() && pair.Prefix.Addr().Is6() {
				add(pair.Prefix.Addr())
			}
		}
	}
	list := make([]CallerPrefix, 0, len(prefixes))
	for p := range prefixes {
		list = append(list, CallerPrefix{p, callerID(p)})
	}
	// Of two with one id, once in a billion, the second has no service.
	slices.SortFunc(list, func(a, b CallerPrefix) int { return cmp.Or(cmp.Compare(a.ID, b.ID), a.Prefix.Compare(b.Prefix)) })
	list = slices.CompactFunc(list, func(a, b CallerPrefix) bool { return a.ID == b.ID })
	slices.SortFunc(list, func(a, b CallerPrefix) int { return a.Prefix.Compare(b.Prefix) })
	return list
}

func callerID(p netip.Prefix) uint32 {
	h := fnv.New32a()
	octets := p.Addr().As16()
	_, _ = h.Write(octets[:8]) // never fails (hash.Hash)
	return h.Sum32()
}

// instanceOf is Port.Instance of a port.
func instanceOf(p *PortSpec) *Instance {
	if p.Instance == nil {
		return nil
	}
	i := &Instance{InstanceSpec: *p.Instance, Project: p.Project}
	i.ID, i.Hostname = cmp.Or(i.ID, p.Name), cmp.Or(i.Hostname, p.Name)
	return i
}

func (i *Instance) equal(o *Instance) bool { return i == o || reflect.DeepEqual(i, o) }
