package topology

import "net/netip"

// All returns every address of the router on the network, the link-local first.
func (r *RouterInterface) All() []netip.Addr {
	all := make([]netip.Addr, 0, 1+len(r.Addresses))
	all = append(all, r.LinkLocal)
	for _, p := range r.Addresses {
		all = append(all, p.Addr())
	}
	return all
}
