package flows

import (
	"hash/fnv"
	"net/netip"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// NeighborID is the object of the flows that lead to a neighbour that nobody
// configured: by their counters it shows whether it is used. Of two with one id
// both count as used.
func NeighborID(network uint16, a netip.Addr) uint32 {
	h := fnv.New32a()
	octets := a.As16()
	_, _ = h.Write([]byte{byte(network >> 8), byte(network)})
	_, _ = h.Write(octets[:]) // never fails (hash.Hash)
	return h.Sum32()
}

// foundNeighborFlows lead to the neighbours that were found on a network, and
// hand over what is for others there.
func (b *builder) foundNeighborFlows(n *topology.Network) {
	via := neighborAt(n.Key)
	own := b.object
	for _, f := range n.Neighbors {
		if f.Addr.IsLinkLocalUnicast() {
			continue
		}
		b.object = NeighborID(n.Key, f.Addr)
		b.add(TableNeighbor, neighborOwn, RoleNeighbor, via.Dst(f.Addr), Load(EthDst, MAC(f.MAC)),
			Load(regOut, U32(uint32(f.Port))), Resubmit{TableLength})
	}
	b.object = own
	for _, p := range n.AskedPrefixes() {
		m := via
		if p.Bits() > 0 {
			m = via.DstIn(p)
		}
		b.add(TableNeighbor, routeAsk, RoleTrouble, m, trouble(punt.Unresolved)...)
	}
	if n.Resolves() {
		b.add(TableNeighbor, routeAsk, RoleTrouble, via, trouble(punt.Unresolved)...)
	}
}

// askFlows hand over what a port sends to next hops that are not found yet,
// through its meter.
func (b *builder) askFlows(p *topology.Port) {
	if actions, ok := b.throughMeter(p, punt.Unknown); ok {
		actions = append(actions, Load(regClass, U32(uint32(punt.Unknown))), ToGroup{b.group(groupPunt)})
		b.add(TableTrouble, routeOn+1, RoleTrouble, Match{}.IPv6().From(p.Key).With(regTrouble, U32(uint32(punt.Unresolved))), actions...)
	}
}

// uplinkFlows keep what routers say of a link on its side of an uplink: nobody
// beyond is to take a guest or the router here for his, and guests have one
// router (RFC 6105 section 1). What Damselfly listens to is handed over.
func (b *builder) uplinkFlows(p *topology.Port) {
	if p.AcceptRA {
		b.gate(p, wire.TypeRouterAdvert, punt.RS, ToGroup{b.group(groupPunt)})
	}
	for _, typ := range []uint8{wire.TypeRouterAdvert, wire.TypeRedirect, wire.TypeRouterSolicit} {
		b.add(TableServices, serviceUplink, RoleDropUplink, Match{}.ICMPv6(typ).From(p.Key))
		b.add(TableOutput, outputUplink, RoleDropUplink, Match{}.ICMPv6(typ).With(regOut, U32(uint32(p.Key))))
	}
}
