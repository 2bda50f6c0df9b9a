package flows

import (
	"net/netip"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// The metadata service is reached by a port of the bridge behind which it sees
// callers as topology.Caller has them: the source of what goes there is made of
// the port's key and its prefix's id, with the interface identifier kept. So two
// flows of each prefix and two of each port find the way there and back, nothing
// is learned of a connection, and no guest can come as another.

// Priorities of the metadata service's tables, and of its part of the services
// table: below the gates of Neighbor Discovery, above what carries packets on.
const (
	serviceMetadataNot = 220
	serviceImpostor    = 95
	serviceMetadata    = 90
	serviceMetadata4   = 15
	ndKept             = 150

	metadataOpen   = 200
	metadataCaller = 100
)

// Flags of TCP (RFC 9293 section 3.1).
const (
	tcpSYN = 0x002
	tcpACK = 0x010
)

// tcpFlagNames are what ovs-ofctl calls the flags, in the order of their values.
var tcpFlagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"}

// metadataPackets is how many packets a port may send to the metadata service
// for each connection that it may begin.
const metadataPackets = 40

// baseMetadataFlows are the parts of the metadata tables that all share.
func (b *builder) baseMetadataFlows() {
	b.groups = append(b.groups, recirculation(b.group(groupMetadata), TableMetadataReply))
	b.add(TableMetadata, 0, RoleDropMetadataCaller, nil)
	for _, t := range []uint8{TableMetadataGate, TableMetadataReply, TableMetadataBack} {
		b.add(t, 0, RoleDropMetadata, nil)
	}
	if b.env.MetadataPort != 0 {
		b.add(TableClassify, classifyPort, RoleMetadata, Match{}.With(InPort, U32(b.env.MetadataPort)), Resubmit{TableMetadataReply})
	}
}

// toMetadata are the packets to an address of the metadata service.
func toMetadata(network uint16, a netip.Addr) Match {
	if a.Is4() {
		return Match{}.On(network).With(EthType, U16(ethTypeIPv4)).With(IPv4Dst, Addr(a))
	}
	return Match{}.On(network).IPv6().Dst(a)
}

// networkMetadataFlows take out what goes to the metadata service, whatever
// neighbour it was sent by, and answer for the service's addresses: nothing of
// either leaves the host.
func (b *builder) networkMetadataFlows(n *topology.Network) {
	m := n.Metadata
	if m == nil {
		return
	}
	arp := Match{}.On(n.Key).With(EthType, U16(ethTypeARP))
	for _, a := range topology.MetadataAddresses {
		b.taken(n.Key, a)
		if a.Is4() {
			b.add(TableServices, serviceMetadata4, RoleMetadata, toMetadata(n.Key, a), Resubmit{TableMetadata})
			// Also from a port that is not secured. (The services table is looked up by
			// IPv4 destinations, not by sources.)
			b.add(TableSourceAddress, sourceOpen+1, RoleDropMetadata, Match{}.On(n.Key).Src4In(netip.PrefixFrom(a, 32)))
			b.add(TableServices, serviceMetadata4, RoleMetadata, arp.With(ARPTPA, Addr(a)), Resubmit{TableMetadataGate})
			b.add(TableServices, serviceImpostor, RoleDropMetadata, arp.With(ARPSPA, Addr(a)))
			b.add(TableMetadataReply, metadataCaller, RoleMetadata, arp.With(ARPOp, U16(arpRequest)), arpAnswer(a, m.MAC)...)
			b.add(TableMetadataBack, metadataCaller, RoleMetadata, Match{}.On(n.Key).With(EthType, U16(ethTypeIPv4)),
				Load(EthSrc, MAC(m.MAC)), Resubmit{TableOutput})
			continue
		}
		b.add(TableServices, serviceMetadata, RoleMetadata, toMetadata(n.Key, a), Resubmit{TableMetadata})
		b.add(TableServices, serviceImpostor, RoleDropMetadata, Match{}.On(n.Key).IPv6().Src(a))
		b.metadataNeighborFlows(n, a)
	}
	for _, c := range m.Callers {
		id := Addr(topology.CallerFrom(c.ID))
		b.add(TableMetadata, metadataCaller, RoleMetadata, Match{}.On(n.Key).IPv6().SrcIn(c.Prefix),
			SetField{IPv6Src, id, callerIDMask}, Resubmit{TableMetadataGate})
		b.add(TableMetadataBack, metadataCaller, RoleMetadata, Match{}.On(n.Key).IPv6().WithMask(IPv6Dst, id, callerIDMask),
			SetField{IPv6Dst, Addr(c.Prefix.Addr()), prefixMask(topology.CallerPrefixBits)}, Load(EthSrc, MAC(m.MAC)), Resubmit{TableOutput})
	}
}

// callerIDMask are the bits of topology.CallerFrom. (A mask that begins with zeros
// ovs-ofctl prints, but does not read.)
var callerIDMask = Value{0: 0xff, 1: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff}

// metadataNeighborFlows answer Neighbor Solicitations and Echo Requests for an
// address of the metadata service. What is not of the form that a flow answers
// goes to Damselfly, marked so that nobody else is asked while that is away.
func (b *builder) metadataNeighborFlows(n *topology.Network, a netip.Addr) {
	if b.env.NDExt {
		b.answerFlow(n.Key, a, topology.Owner{MAC: n.Metadata.MAC}, false)
	}
	b.add(TableNDTarget, ndKept, RolePunt, Match{}.ND(wire.TypeNeighborSolicit).On(n.Key).With(NDTarget, Addr(a)),
		LoadBits(regND, 0, ndFull), ToGroup{b.group(groupPunt)})
	b.add(TableServices, serviceEcho, RoleEcho, echoRequest().On(n.Key).Dst(a), append(candidate(n.Metadata.MAC, stageEcho), Resubmit{TableDestination})...)
	b.add(TableEchoReply, echoAnswer, RoleEchoAnswer, echoRequest().On(n.Key).Dst(a),
		append(answerHeaders(a, n.Metadata.MAC, wire.DefaultHopLimit),
			Load(ICMPv6Type, U8(wire.TypeEchoReply)), Resubmit{TableReturn})...)
}

// Operations of ARP (RFC 826).
const (
	arpRequest = 1
	arpReply   = 2
)

// arpAnswer turns a request for a into the reply of who has mac (RFC 826), for a
// probe too (RFC 5227 section 2.1.1). It is made in the slow path of the switch,
// behind the port's meter and a recirculation.
func arpAnswer(a netip.Addr, mac wire.MAC) []Action {
	return []Action{
		Move{EthSrc, EthDst}, Load(EthSrc, MAC(mac)),
		Load(ARPOp, U16(arpReply)),
		Move{ARPSHA, ARPTHA}, Load(ARPSHA, MAC(mac)),
		Move{ARPSPA, ARPTPA}, Load(ARPSPA, Addr(a)),
		Resubmit{TableReturn},
	}
}

// portMetadataFlows let a port call the metadata service, through two meters: one
// of the connections that it begins, one of all that it sends there. Behind a
// port that is not bound to its MAC, only the guest with that is answered;
// behind an uplink nobody.
func (b *builder) portMetadataFlows(p *topology.Port) {
	if p.Unknown {
		// Its sources are nobody's to judge, but for the one of IPv4 that
		// networkMetadataFlows drops; IPv6's the services table does.
		b.add(TableSource, sourceOwn+1, RoleSource, Match{}.From(p.Key).With(EthType, U16(ethTypeIPv4)), Resubmit{TableSourceAddress})
		b.add(TableSourceAddress, sourceOpen, RoleSource, Match{}.From(p.Key).With(EthType, U16(ethTypeIPv4)), toServices)
	}
	if p.Uplink {
		for _, a := range topology.MetadataAddresses {
			b.add(TableServices, serviceMetadataNot, RoleDropMetadata, toMetadata(p.Network.Key, a).From(p.Key))
		}
		b.add(TableServices, serviceMetadataNot, RoleDropMetadata, Match{}.From(p.Key).With(EthType, U16(ethTypeARP)).
			With(ARPTPA, Addr(topology.MetadataAddresses[2])))
		return
	}
	opens, ok := b.throughMeter(p, punt.Metadata)
	if p.MAC.IsZero() || !ok {
		return
	}
	from := Match{}.From(p.Key)
	if !p.Secured {
		from = from.EthSrc(p.MAC)
	}
	arp := from.With(EthType, U16(ethTypeARP)).With(ARPOp, U16(arpRequest))
	b.add(TableMetadataGate, metadataOpen, RoleMetadata, arp, append(opens[:len(opens):len(opens)], ToGroup{b.group(groupMetadata)})...)
	if b.env.MetadataPort == 0 {
		return
	}
	rest := b.throughPacketMeter(p)
	own := SetField{IPv6Src, Addr(topology.CallerPort(p.Key)), prefixMask(topology.CallerPortBits)}
	out := Output{b.env.MetadataPort}
	b.metadataGate(from.Proto(protoTCP), opens, rest, own, out)
	back := []Action{Load(Metadata, U64(uint64(p.Network.Key))), Load(EthDst, MAC(p.MAC)), Load(regOut, U32(uint32(p.Key))), Resubmit{TableMetadataBack}}
	to := netip.PrefixFrom(topology.CallerPort(p.Key), topology.CallerPortBits)
	b.add(TableMetadataReply, metadataCaller, RoleMetadata, Match{}.Proto(protoTCP).DstIn(to), back...)

	callers := p.IPv4Callers()
	for i, a := range callers {
		c := topology.CallerIPv4(p.Key, i)
		b.add(TableMetadata, metadataCaller, RoleMetadata, Match{}.From(p.Key).Src4In(netip.PrefixFrom(a, 32)),
			Load(IPv4Src, Addr(c)), Resubmit{TableMetadataGate})
		b.add(TableMetadataReply, metadataCaller, RoleMetadata,
			Match{}.With(EthType, U16(ethTypeIPv4)).With(IPProto, U8(protoTCP)).With(IPv4Dst, Addr(c)),
			append([]Action{Load(IPv4Dst, Addr(a))}, back...)...)
	}
	if len(callers) > 0 {
		b.metadataGate(from.With(EthType, U16(ethTypeIPv4)).With(IPProto, U8(protoTCP)), opens, rest, out)
	}
}

// metadataGate lets a port's TCP through: what begins a connection by one meter,
// the rest by another. What answers a beginning no client sends.
func (b *builder) metadataGate(tcp Match, opens, rest []Action, then ...Action) {
	tcp = tcp.With(TCPDst, U16(topology.MetadataPort)).With(IPFrag, U8(fragNo))
	b.add(TableMetadataGate, metadataOpen, RoleMetadata, tcp.WithMask(TCPFlags, U16(tcpSYN), U16(tcpSYN|tcpACK)), append(opens[:len(opens):len(opens)], then...)...)
	b.add(TableMetadataGate, metadataOpen, RoleMetadata, tcp.WithMask(TCPFlags, U16(0), U16(tcpSYN)), append(rest[:len(rest):len(rest)], then...)...)
}

// throughPacketMeter returns the actions that pass what a port sends to the
// metadata service through the meter of that, in the slot that no class has.
func (b *builder) throughPacketMeter(p *topology.Port) []Action {
	l := p.Limits[punt.Metadata]
	if l == topology.Unlimited {
		return nil
	}
	const most = 1 << 31 / metadataPackets
	m := Meter{ID: b.meterID(p.Key, punt.None), Rate: metadataPackets * min(l.Rate, most), Burst: metadataPackets * min(l.Burst, most)}
	b.meters = append(b.meters, m)
	return []Action{ThroughMeter{m.ID}}
}
