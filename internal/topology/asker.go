package topology

import (
	"net/netip"

	"damselfly/internal/wire"
)

// Asker is who asks guests whether they are still there: the network's router,
// whose questions hosts know, or where there is none an address and MAC made of
// the network's name, which no guest may take.
func (n *Network) Asker() (netip.Addr, wire.MAC) {
	if n.Router != nil {
		return n.Router.LinkLocal, n.Router.MAC
	}
	mac := RouterMAC(n.Name)
	return wire.LinkLocal(mac), mac
}
