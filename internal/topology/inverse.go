package topology

import (
	"net/netip"
	"slices"

	"damselfly/internal/wire"
)

// maxInverse bounds the addresses that are told of one MAC: behind an uplink one
// may have thousands, and each question would have them all sent.
const maxInverse = 512

// AddressesOf are the addresses that a MAC is known to have on the network, for
// Inverse Neighbor Discovery: the router's, those of a port on the switch with its
// pairs, those of a neighbour that was found. It is empty where InverseND is not
// set.
func (n *Network) AddressesOf(mac wire.MAC) []netip.Addr { return n.inverse[mac] }

// inverseOf makes what AddressesOf gives.
func inverseOf(n *Network) map[wire.MAC][]netip.Addr {
	if !n.InverseND {
		return nil
	}
	inverse := make(map[wire.MAC][]netip.Addr, len(n.Ports)+1)
	add := func(mac wire.MAC, a netip.Addr) {
		if list := inverse[mac]; len(list) < maxInverse && !slices.Contains(list, a) {
			inverse[mac] = append(list, a)
		}
	}
	if n.Router != nil {
		for _, a := range n.Router.All() {
			add(n.Router.MAC, a)
		}
	}
	for _, p := range n.Ports {
		if p.OFPort == 0 || p.MAC.IsZero() {
			continue
		}
		for _, a := range p.Addresses {
			add(p.MAC, a)
		}
		for _, pair := range p.Pairs {
			if a := pair.Prefix.Addr(); pair.Single() && a.Is6() {
				add(pair.MAC, a)
			}
		}
	}
	for _, b := range n.Neighbors {
		add(b.MAC, b.Addr)
	}
	return inverse
}
