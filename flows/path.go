package flows

import (
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// signatures is how a network deals with signatures, and whether its router has a
// certificate to show.
func signatures(n *topology.Network) (mode topology.SendMode, path bool) {
	if n == nil || n.Send == nil {
		return topology.SendNone, false
	}
	return n.Send.Mode, n.Signs() && n.Router != nil && n.Send.Identity.Chain != nil
}

// networkPathFlows end the messages by which hosts get certificates of routers (RFC
// 3971 section 6.4) where Damselfly's has one: guests may ask for it, and show
// none.
func (b *builder) networkPathFlows(n *topology.Network) {
	if _, path := signatures(n); !path {
		return
	}
	for _, typ := range []uint8{wire.TypePathSolicit, wire.TypePathAdvert} {
		b.add(TableServices, serviceDrop, RoleDropPath, Match{}.ICMPv6(typ).On(n.Key))
	}
}

// portPathFlows let a port ask for the router's certificate.
func (b *builder) portPathFlows(p *topology.Port, path bool) {
	if path && !p.Uplink {
		b.gate(p, wire.TypePathSolicit, punt.SEND, ToGroup{b.group(groupPunt)})
	}
}
