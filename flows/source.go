package flows

import (
	"net/netip"
	"slices"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Priorities of the source tables. What is the port's own by name counts before
// what somebody else is known to hold, and that before prefixes: a pair of a
// whole prefix gives nobody an address that another has, nor one of a prefix that
// was delegated to another.
const (
	sourceDiffers   = 700
	sourceIs        = 650
	sourceOwn       = 600
	sourceOpen      = 550
	sourceTaken     = 500
	sourceDelegated = 470
	sourceForeign   = 460
	sourcePair      = 450
	sourceReserved  = 430
	sourceJudged    = 300
	sourceRefused   = 250
	sourceSays      = 240
	sourceLearn     = 200
	sourceOther     = 100
	sourceMiss      = 50
	sourceRest      = 1
)

// vrrp is where VRRP's advertisements go (RFC 9568 section 5.1.2.2).
var vrrp = netip.MustParseAddr("ff02::12")

const protoVRRP = 112

var (
	toServices = Resubmit{TableServices}
	toSpoofed  = Resubmit{TableSpoofed}
)

// baseSourceFlows are the parts of the source tables that all ports share. A
// host without an address yet asks for routers and their certificates, probes and
// reports groups (RFC 4861 section 6.3.7, RFC 3971 section 6.4.1, RFC 4862 section
// 5.4.2, RFC 9777 section 5.2.14): whether it may is judged behind.
func (b *builder) baseSourceFlows() {
	t := uint8(TableSourceAddress)
	nobody := Match{}.Src(netip.IPv6Unspecified())
	for _, typ := range judgedND {
		b.add(t, sourceJudged, RoleSource, nobody.ICMPv6(typ), toServices)
	}
	for _, typ := range []uint8{wire.TypeMLDDone, wire.TypeMLDv2Report} {
		b.add(t, sourceJudged, RoleSource, nobody.ICMPv6(typ).DstIn(linkLocalMulticast), toServices)
	}
	// A report of version 1 goes to the group that it is about (RFC 2710 section 8), from
	// "::" while there is no link-local address (RFC 3590 section 4).
	b.add(t, sourceJudged, RoleSource, nobody.ICMPv6(wire.TypeMLDv1Report).DstIn(multicast), toServices)
	b.add(t, sourceJudged, RoleSource, nobody.ICMPv6(wire.TypePathSolicit).DstIn(linkLocalMulticast), toServices)
	b.add(t, sourceRefused, RoleSource, nobody.IPv6(), toSpoofed)
	b.add(t, sourceOther, RoleSource, Match{}.With(EthType, U16(ethTypeIPv4)), toServices)
	b.add(t, sourceOther, RoleSource, Match{}.With(EthType, U16(ethTypeARP)), toServices)
	b.add(TableSource, sourceRest, RoleSource, nil, Resubmit{TableOwnMAC})
	for _, t := range []uint8{TableSourceAddress, TableLearn, TableHolder} {
		b.add(t, sourceRest, RoleSource, nil, toSpoofed)
	}
	b.ownMACFlows()
	for _, t := range []uint8{TableOwnMAC, TableSource, TableSourceAddress, TableLearn, TableHolder} {
		b.add(t, 0, RoleDropDefault, nil)
	}
	b.add(TableSpoofed, 0, RoleDropSpoofed, nil)
}

// ownMACFlows compare the source with the one MAC that it may be, and what ARP
// says it is with the same.
func (b *builder) ownMACFlows() {
	t := uint8(TableOwnMAC)
	passed := append(noMAC(), Resubmit{TableSourceAddress})
	arp := Match{}.With(EthType, U16(ethTypeARP))
	b.macDiffersFlows(t, sourceDiffers, RoleSource, nil, EthSrc, toSpoofed)
	for _, et := range []uint16{ethTypeIPv6, ethTypeIPv4} {
		b.add(t, sourceIs, RoleSource, Match{}.With(EthType, U16(et)), passed...)
	}
	b.macDiffersFlows(t, sourceSays, RoleSource, arp, ARPSHA, toSpoofed)
	b.add(t, sourceOther, RoleSource, arp, passed...)
}

// judgedND are the messages of Neighbor Discovery whose source, where nobody is
// known to hold it, is Damselfly's to judge: they are how hosts tell of it (RFC
// 6620 section 3.2.3).
var judgedND = []uint8{wire.TypeRouterSolicit, wire.TypeNeighborSolicit, wire.TypeNeighborAdvert}

// networkSourceFlows keep from everybody what is the router's, let in what may
// be learned, and let requesting routers send from what was delegated to them.
func (b *builder) networkSourceFlows(n *topology.Network) {
	if n.Router != nil {
		for _, a := range n.Router.All() {
			b.taken(n.Key, a)
		}
	}
	for _, a := range n.FloatingAddresses() {
		b.taken(n.Key, a)
	}
	for _, a := range n.SharedAddresses() {
		b.taken(n.Key, a)
	}
	t := uint8(TableSourceAddress)
	for _, p := range n.ReservedPrefixes() {
		b.add(t, sourceReserved, RoleSource, Match{}.On(n.Key).IPv6().SrcIn(p), toSpoofed)
	}
	for _, p := range n.Learnable {
		for _, typ := range judgedND {
			b.add(t, sourceJudged, RoleSource, within(Match{}.On(n.Key).ICMPv6(typ), p), toServices)
		}
		b.add(t, sourceLearn, RoleSource, within(Match{}.On(n.Key).IPv6(), p), Resubmit{TableLearn})
	}
	ports := make(map[uint16]*topology.Port, len(n.Ports))
	for _, p := range n.Ports {
		ports[p.Key] = p
	}
	for _, d := range n.Delegated {
		b.add(t, sourceForeign, RoleSource, Match{}.On(n.Key).IPv6().SrcIn(d.Prefix), toSpoofed)
		p := ports[d.Port]
		if p == nil || !p.Secured || p.OFPort == 0 {
			continue
		}
		for _, m := range macsOf(p) {
			if m == p.MAC || pairOfAll(p, m, d.Prefix) {
				b.add(t, sourceDelegated, RoleSource, Match{}.From(p.Key).EthSrc(m).IPv6().SrcIn(d.Prefix), toServices)
			}
		}
	}
}

// pairOfAll reports whether a pair of the port lets it send from all of a prefix
// with mac.
func pairOfAll(p *topology.Port, mac wire.MAC, prefix netip.Prefix) bool {
	return slices.ContainsFunc(p.Pairs, func(pair topology.AddressPair) bool {
		return pair.MAC == mac && pair.Prefix.Bits() <= prefix.Bits() && pair.Prefix.Contains(prefix.Addr())
	})
}

// within matches sources of a prefix; that of all addresses needs no match.
func within(m Match, p netip.Prefix) Match {
	if p.Bits() == 0 {
		return m
	}
	return m.SrcIn(p)
}

// taken keeps an address from all ports of a network that have no flow of their
// own for it.
func (b *builder) taken(network uint16, a netip.Addr) {
	m := Match{}.On(network)
	if a.Is4() {
		b.add(TableSourceAddress, sourceTaken, RoleSource, m.Src4In(netip.PrefixFrom(a, 32)), toSpoofed)
		b.add(TableSourceAddress, sourceTaken, RoleSource, m.With(EthType, U16(ethTypeARP)).With(ARPSPA, Addr(a)), toSpoofed)
		return
	}
	b.add(TableSourceAddress, sourceTaken, RoleSource, m.IPv6().Src(a), toSpoofed)
}

// portSourceFlows let a port send from what is its own. Behind a port with
// Unknown nothing is known to be; what another unsecured port sends is let pass,
// with its own addresses marked for the flows of Neighbor Discovery.
func (b *builder) portSourceFlows(p *topology.Port) {
	if p.Unknown {
		b.add(TableSource, sourceOwn, RoleSource, Match{}.From(p.Key), toServices)
		return
	}
	own := ownMAC(p)
	for _, a := range p.IPv4 {
		b.taken(p.Network.Key, a)
	}
	if !p.Secured {
		for _, a := range p.Addresses {
			b.add(TableSourceAddress, sourceOwn, RoleSource, own.IPv6().Src(a), LoadBits(regND, ndOwnSource, ndOwnSource), toServices)
			b.taken(p.Network.Key, a)
		}
		b.add(TableSpoofed, sourceOwn, RoleSource, Match{}.From(p.Key), append(noMAC(), LoadBits(regND, ndForeign, ndForeign), Resubmit{TableSourceAddress})...)
		b.add(TableSourceAddress, sourceOpen, RoleSource, Match{}.From(p.Key), toServices)
		return
	}
	holder := Load(regOut, U32(uint32(p.Key)))
	for _, a := range p.Addresses {
		b.add(TableSourceAddress, sourceTaken, RoleSource, Match{}.On(p.Network.Key).IPv6().Src(a), holder, Resubmit{TableHolder})
	}
	if len(p.Addresses) > 0 {
		b.add(TableHolder, sourceOwn, RoleSource, own.With(regOut, holder.Value), Load(regOut, Value{}), LoadBits(regND, ndOwnSource, ndOwnSource), toServices)
	}
	if len(macsOf(p)) > 1 {
		b.sourceTree(p)
	}
	b.pairFlows(p)
	b.ipv4Flows(p)
	if actions, ok := b.throughMeter(p, punt.Source); ok {
		actions = append(actions, Load(regClass, U32(uint32(punt.Source))), ToGroup{b.group(groupPunt)})
		b.add(TableLearn, sourceOwn, RoleLearn, Match{}.From(p.Key), actions...)
	}
}

// sourceTree finds which of several MACs of a port a source may be.
func (b *builder) sourceTree(p *topology.Port) {
	var leaves []macLeaf
	for _, m := range macsOf(p) {
		leaves = append(leaves, macLeaf{mac: m, object: b.object})
	}
	b.macTreeFlows(macTree{table: TableSource, compare: TableOwnMAC, scope: Match{}.From(p.Key), field: EthSrc, role: RoleSource}, leaves)
	b.add(TableSource, sourceMiss, RoleSource, Match{}.From(p.Key), toSpoofed)
}

// ownMAC matches what a port sends with its own MAC, where it has several or may
// send with any; of others all that came so far is.
func ownMAC(p *topology.Port) Match {
	m := Match{}.From(p.Key)
	switch {
	case len(macsOf(p)) > 1:
		return m.EthSrc(p.MAC)
	case !p.Secured:
		return m.WithMask(regND, Value{}, U32(ndForeign))
	}
	return m
}

// macsOf are the MACs that a secured port may send with, its own first.
func macsOf(p *topology.Port) []wire.MAC {
	list := []wire.MAC{p.MAC}
	seen := map[wire.MAC]bool{p.MAC: true}
	for _, pair := range p.Pairs {
		if !seen[pair.MAC] {
			list = append(list, pair.MAC)
			seen[pair.MAC] = true
		}
	}
	return list
}

// vrrpAdvert matches the advertisements of VRRP (RFC 9568 section 7.1).
func vrrpAdvert() Match {
	return Match{}.Proto(protoVRRP).Dst(vrrp).With(IPTTL, U8(255)).With(IPFrag, U8(fragNo))
}

// pairFlows let a port send from the IPv6 addresses of its pairs, each with the
// pair's MAC, and tell the others of a pair that it has it: by VRRP, from a
// link-local address of its own with the MAC of the pair (RFC 9568 section 7.3).
func (b *builder) pairFlows(p *topology.Port) {
	own := make(map[netip.Addr]bool, len(p.Addresses))
	for _, a := range p.Addresses {
		own[a] = true
	}
	for _, pair := range p.Pairs {
		a := pair.Prefix.Addr()
		if a.Is4() || pair.MAC == p.MAC && pair.Single() && own[a] {
			continue
		}
		priority := uint16(sourcePair)
		if pair.Single() {
			priority = sourceOwn
		}
		b.add(TableSourceAddress, priority, RoleSource, within(Match{}.From(p.Key).EthSrc(pair.MAC).IPv6(), pair.Prefix), toServices)
	}
	if len(p.Pairs) == 0 {
		return
	}
	advert := vrrpAdvert().From(p.Key)
	b.add(TableServices, serviceGate, RoleGate, advert, onward)
	for _, m := range macsOf(p)[1:] {
		for _, a := range p.Addresses {
			if a.IsLinkLocalUnicast() {
				b.add(TableSourceAddress, sourceOwn, RoleSource, advert.EthSrc(m).Src(a), toServices)
			}
		}
	}
}

// ipv4Flows bind IPv4 and ARP: where the port has IPv4 addresses to these and
// its pairs, else to its MAC.
func (b *builder) ipv4Flows(p *topology.Port) {
	t := uint8(TableSourceAddress)
	from := Match{}.From(p.Key)
	ip, arp, own := from.With(EthType, U16(ethTypeIPv4)), from.With(EthType, U16(ethTypeARP)), ownMAC(p)
	for _, a := range p.IPv4 {
		b.pair4Flows(p, topology.AddressPair{Prefix: netip.PrefixFrom(a, 32), MAC: p.MAC})
	}
	for _, pair := range p.Pairs {
		a := pair.Prefix.Addr()
		if a.Is4() && !(pair.Single() && pair.MAC == p.MAC && slices.Contains(p.IPv4, a)) {
			b.pair4Flows(p, pair)
		}
	}
	switch {
	case len(p.IPv4) > 0:
		b.add(t, sourceOwn, RoleSource, own.Src4In(netip.PrefixFrom(netip.IPv4Unspecified(), 32)).With(IPProto, U8(protoUDP)).
			With(UDPSrc, U16(dhcpv4Client)).With(UDPDst, U16(dhcpv4Server)), toServices)
		b.add(t, sourceRefused, RoleSource, ip, toSpoofed)
		b.add(t, sourceRefused, RoleSource, arp, toSpoofed)
	case len(macsOf(p)) > 1:
		for _, m := range []Match{ip, arp} {
			b.add(t, sourceJudged, RoleSource, m.EthSrc(p.MAC), toServices)
			b.add(t, sourceRefused, RoleSource, m, toSpoofed)
		}
	}
}

// pair4Flows let a port send from IPv4 addresses, and tell and probe by ARP that
// they are its (RFC 5227 section 2.1.1).
func (b *builder) pair4Flows(p *topology.Port, pair topology.AddressPair) {
	priority := uint16(sourcePair)
	if pair.Single() {
		priority = sourceOwn
	}
	t := uint8(TableSourceAddress)
	own := Match{}.From(p.Key)
	if len(macsOf(p)) > 1 {
		own = own.EthSrc(pair.MAC)
	}
	arp := own.With(EthType, U16(ethTypeARP))
	mask, value := prefixMask(pair.Prefix.Bits()), Addr(pair.Prefix.Addr())
	if pair.Prefix.Bits() == 0 {
		b.add(t, priority, RoleSource, own.With(EthType, U16(ethTypeIPv4)), toServices)
		b.add(t, priority, RoleSource, arp, toServices)
		return
	}
	b.add(t, priority, RoleSource, own.Src4In(pair.Prefix), toServices)
	b.add(t, priority, RoleSource, arp.WithMask(ARPSPA, value, mask), toServices)
	b.add(t, priority, RoleSource, arp.With(ARPSPA, Value{}).WithMask(ARPTPA, value, mask), toServices)
}
