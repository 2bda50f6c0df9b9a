package topology

import (
	"net/netip"
	"slices"
	"strings"

	"damselfly/internal/wire"
)

// UplinkSpec is where a network is one with a physical one.
type UplinkSpec struct {
	// Interface is the name of the bridge's Interface that leads there.
	Interface string
	// VLAN is the one that the network is there, 0 for what has no tag. Networks
	// may share an Interface, each with another.
	VLAN int
	// AcceptRA has default routers learned from Router Advertisements (RFC 4861
	// section 6.3.4).
	AcceptRA bool
}

// DefaultMaxNeighbors is how many unconfigured neighbours are known behind a
// port, MaxUplinkNeighbors behind an uplink, where nothing else is said.
// UnlimitedNeighbors is no bound.
const (
	DefaultMaxNeighbors = 64
	MaxUplinkNeighbors  = 4096
	UnlimitedNeighbors  = -1
)

// UplinkName is the name of the port that a network's uplink is. No configured
// port has it: names have no blanks.
func UplinkName(network string) string { return "uplink of " + network }

// uplinkPort makes the port of a network's uplink. Nobody is bound to anything
// there, and routers are there.
func uplinkPort(n *NetworkSpec) *PortSpec {
	return &PortSpec{Name: UplinkName(n.Name), Network: n.Name, VLAN: n.Uplink.VLAN, Unknown: true, Router: true, Uplink: n.Uplink}
}

// bindUplinks gives the port of each uplink with its Interface, and the bindings
// that are left: an uplink is nobody's access port, whatever its external_ids say.
func bindUplinks(in Input) (ports []portInput, rest []Binding) {
	claimed, tagged := map[string]bool{}, map[string]bool{}
	for i := range in.Spec.Networks {
		n := &in.Spec.Networks[i]
		if n.Uplink == nil {
			continue
		}
		p := portInput{spec: uplinkPort(n)}
		claimed[n.Uplink.Interface] = true
		tagged[n.Uplink.Interface] = tagged[n.Uplink.Interface] || n.Uplink.VLAN != 0
		for _, b := range in.Bindings {
			if b.Interface == n.Uplink.Interface {
				p.binding = Binding{Interface: b.Interface, OFPort: b.OFPort}
			}
		}
		ports = append(ports, p)
	}
	if len(ports) == 0 {
		return nil, in.Bindings
	}
	for i := range ports {
		ports[i].trunk = ports[i].spec.VLAN == 0 && tagged[ports[i].spec.Uplink.Interface]
	}
	return ports, slices.DeleteFunc(slices.Clone(in.Bindings), func(b Binding) bool { return claimed[b.Interface] })
}

// Neighbor is one that nobody configured and that was found behind a port.
type Neighbor struct {
	Addr netip.Addr
	// Port is the key of the port it is behind.
	Port uint16
	MAC  wire.MAC
}

// sortedNeighbors is a list in the one order that makes two with the same content equal.
func sortedNeighbors(list []Neighbor) []Neighbor {
	byAddress := func(a, b Neighbor) int { return a.Addr.Compare(b.Addr) }
	if !slices.IsSortedFunc(list, byAddress) {
		list = slices.Clone(list)
		slices.SortFunc(list, byAddress)
	}
	return list
}

// Upstream is a default router that was learned behind an uplink (RFC 4861
// section 6.3.4).
type Upstream struct {
	// Router is its link-local address.
	Router netip.Addr
	// Preference is as it advertises (RFC 4191 section 2.2).
	Preference Preference
}

// Uplink is the port of the network's uplink, nil for none.
func (n *Network) Uplink() *Port {
	i := slices.IndexFunc(n.Ports, func(p *Port) bool { return p.Uplink })
	if i < 0 {
		return nil
	}
	return n.Ports[i]
}

// Resolves reports whether anybody may be on the network whom the topology does
// not know: behind an uplink or a port that is not secured. The network's router
// asks for them.
func (n *Network) Resolves() bool {
	return n.RouterID() != 0 && slices.ContainsFunc(n.Ports, func(p *Port) bool { return !p.Secured && p.OFPort != 0 })
}

// Asks reports whether somebody on the network may have an address that nobody is
// known to have, so that the network's router asks for it (RFC 4861 section 7.2):
// whoever is unknown, or a guest that makes addresses of its own.
func (n *Network) Asks(a netip.Addr) bool {
	return n.Resolves() || n.RouterID() != 0 && n.CanLearn(a)
}

// AskedPrefixes are those whose addresses the network's router asks its guests
// for; none where it asks for all that is on the network.
func (n *Network) AskedPrefixes() []netip.Prefix {
	if n.RouterID() == 0 || n.Resolves() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(n.Learnable), func(p netip.Prefix) bool { return p == linkLocal })
}

// Resolved finds a neighbour that nobody configured.
func (n *Network) Resolved(a netip.Addr) (Neighbor, bool) {
	i, ok := slices.BinarySearchFunc(n.Neighbors, a, func(b Neighbor, a netip.Addr) int { return b.Addr.Compare(a) })
	if !ok {
		return Neighbor{}, false
	}
	return n.Neighbors[i], true
}

// learnedDefault is the default route by a router that was learned behind an
// uplink: one that is known to be there before others, then by preference (RFC
// 4861 section 6.3.6, RFC 4191 section 3.2). ok is false where there is none.
func (r *Router) learnedDefault() (best Route, ok bool) {
	var preference Preference
	for _, n := range r.Networks {
		for _, u := range n.Upstream {
			c := Route{Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Origin: LearnedRoute, Hop: n.hop(u.Router)}
			there, better := c.Port != 0, best.Port != 0
			if !ok || there && !better || there == better && u.Preference > preference {
				best, preference, ok = c, u.Preference, true
			}
		}
	}
	return best, ok
}

// NextHops are the next hops of the router's routes that have to be asked for, by
// network.
func (r *Router) NextHops(found func(network string, a netip.Addr)) {
	for i := range r.Routes {
		if r.Routes[i].Type != Unicast {
			continue
		}
		for _, h := range r.Routes[i].Hops() {
			if !h.Asked {
				continue
			}
			n := r.on(h.Network)
			if _, known := n.Owner(h.NextHop); !known {
				found(n.Name, h.NextHop)
			}
		}
	}
}

// neighborsOf are those that may be used: what the topology itself says of an
// address, or of the port, counts more.
func neighborsOf(in *networkInput, n *Network) (list []Neighbor) {
	for _, b := range in.neighbors {
		_, known := n.Owner(b.Addr)
		if known || !slices.ContainsFunc(n.Ports, func(p *Port) bool { return p.Key == b.Port && !p.Secured }) {
			continue
		}
		list = append(list, b)
	}
	return list
}

// uplink checks a network's uplink.
func (c *checker) uplink(object string, n *NetworkSpec) {
	if n.Uplink == nil {
		return
	}
	name := n.Uplink.Interface
	if fault := checkName(name); fault != "" {
		c.add(object+".uplink.interface", "", "the name %s", fault)
		return
	}
	if v := n.Uplink.VLAN; v < 0 || v > MaxVLAN {
		c.add(object+".uplink.vlan", "IEEE 802.1Q section 9.6", "%d is no VLAN: give 1 to %d, or leave it out for frames without a tag", v, MaxVLAN)
	}
	for i := range c.spec.Networks {
		other := &c.spec.Networks[i]
		if other.Uplink == nil || other.Uplink.Interface != name || other.Uplink.VLAN != n.Uplink.VLAN || strings.Compare(other.Name, n.Name) >= 0 {
			continue
		}
		if n.Uplink.VLAN != 0 {
			c.add(object+".uplink.vlan", "", "VLAN %d of %s is the uplink of network %s already: give each its own", n.Uplink.VLAN, name, other.Name)
		} else {
			c.add(object+".uplink.interface", "", "%s is the uplink of network %s already: give each an interface or a vlan of its own", name, other.Name)
		}
	}
}

// uplinkIdentity checks the router of a network with an uplink: others on the
// physical link may have what is the same by default on every host.
func (c *checker) uplinkIdentity(object string, n *NetworkSpec, p *PresenceSpec) {
	if n.Uplink == nil {
		return
	}
	if p.MAC.IsZero() {
		c.add(object+".mac", "", "is missing: behind the uplink of network %s it must be the router's own, such as 02:00:00:00:0a:01", n.Name)
	}
	if !p.LinkLocal.IsValid() {
		c.add(object+".link_local", "RFC 4862 section 5.4", "is missing: behind the uplink of network %s it must be the router's own, such as fe80::a", n.Name)
	}
}
