package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"damselfly/internal/punt"
)

// place is a prefix that a router has on a network.
type place struct {
	network string
	prefix  netip.Prefix
}

// staticRoutes checks the configured routes of a router against what is on its networks.
func (c *checker) staticRoutes(object string, r *RouterSpec) {
	if len(r.Routes) > punt.MaxKey {
		c.add(object+".routes", "", "the list has %d entries: %d are allowed", len(r.Routes), punt.MaxKey)
		return
	}
	connected, own := c.places(r)
	seen := make(map[netip.Prefix]bool, len(r.Routes))
	for i := range r.Routes {
		s, o := &r.Routes[i], fmt.Sprintf("%s.routes[%d]", object, i)
		switch {
		case !c.prefix(o+".destination", "RFC 4291 section 2.3", s.Destination):
			continue
		case linkLocal.Overlaps(s.Destination) && s.Destination.Bits() >= linkLocal.Bits():
			c.add(o+".destination", "RFC 4291 section 2.5.6", "%s is link-local, and no router carries that on: leave the route out", s.Destination)
			continue
		case s.Destination.IsSingleIP() && (s.Destination.Addr().IsUnspecified() || s.Destination.Addr().IsLoopback()):
			c.add(o+".destination", "RFC 4291 sections 2.5.2 and 2.5.3", "%s is no router's to carry on: leave the route out", s.Destination)
			continue
		case s.Destination.IsSingleIP() && own[s.Destination.Addr()] != "":
			c.add(o+".destination", "", "%s is the router's own address on network %s: leave the route out", s.Destination.Addr(), own[s.Destination.Addr()])
			continue
		case seen[s.Destination]:
			c.add(o+".destination", "", "%s has a route already: keep one", s.Destination)
			continue
		}
		seen[s.Destination] = true
		if len(s.NextHops) > 1 {
			if c.shared++; c.shared == maxSharedRoutes+1 {
				c.add(o+".nexthop", "", "is one route too many with several next hops: %d of all routers are allowed", maxSharedRoutes)
			}
		}
		for _, p := range connected {
			if p.prefix == s.Destination {
				c.add(o+".destination", "", "%s is on network %s itself: leave the route out", s.Destination, p.network)
			}
		}
		c.nextHops(o, r, s, connected, own)
	}
}

// places are the router's prefixes on its networks and all of its addresses.
func (c *checker) places(r *RouterSpec) (connected []place, own map[netip.Addr]string) {
	own = make(map[netip.Addr]string)
	for i := range r.Networks {
		p := &r.Networks[i]
		n := c.networks[p.Network]
		if n == nil {
			continue
		}
		for j := range n.spec.Subnets {
			if s := &n.spec.Subnets[j]; s.Prefix.IsValid() {
				connected = append(connected, place{p.Network, s.Prefix.Masked()})
				own[gatewayOf(s)] = p.Network
			}
		}
		for _, a := range p.Addresses {
			if a.IsValid() {
				connected = append(connected, place{p.Network, a.Masked()})
				own[a.Addr()] = p.Network
			}
		}
	}
	return connected, own
}

// nextHops checks where a route leads: to a neighbour of the router (RFC 4861
// section 5.2), and not to itself.
func (c *checker) nextHops(o string, r *RouterSpec, s *StaticRouteSpec, connected []place, own map[netip.Addr]string) {
	switch {
	case s.Type != Unicast:
		if len(s.NextHops) > 0 || s.Network != "" {
			c.add(o, "", "a route of type %s leads nowhere: leave nexthop and network out", s.Type)
		}
		return
	case len(s.NextHops) == 0:
		c.add(o+".nexthop", "RFC 4861 section 5.2", "is missing: name the neighbour that takes the packets, or give a type (%s)", strings.Join(RouteTypes[1:], ", "))
		return
	case len(s.NextHops) > MaxPaths:
		c.add(o+".nexthop", "", "the list has %d entries: %d are allowed", len(s.NextHops), MaxPaths)
		return
	}
	for i, a := range s.NextHops {
		at := fmt.Sprintf("%s.nexthop[%d]", o, i)
		switch {
		case !c.unicast(at, a):
		case slices.Contains(s.NextHops[:i], a):
			c.add(at, "", "%s is in the list already: name each once", a)
		default:
			c.nextHop(o, at, a, r, s, connected, own)
		}
	}
}

// nextHop checks one neighbour that a route leads to.
func (c *checker) nextHop(o, at string, a netip.Addr, r *RouterSpec, s *StaticRouteSpec, connected []place, own map[netip.Addr]string) {
	presence := func(name string) *PresenceSpec {
		for i := range r.Networks {
			if r.Networks[i].Network == name {
				return &r.Networks[i]
			}
		}
		return nil
	}
	switch on := presence(s.Network); {
	case s.Network != "" && on == nil:
		c.add(o+".network", "", "router %s is not on a network %q: name one of its own", r.Name, s.Network)
	case a.IsLinkLocalUnicast() && s.Network == "":
		c.add(o+".network", "RFC 4007 section 6", "is missing: %s is link-local, say on which network", a)
	case a.IsLinkLocalUnicast():
		if _, self := identityOf(on); self == a {
			c.add(at, "", "%s is the router's own address on network %s: name another router's", a, s.Network)
		}
	case own[a] != "":
		c.add(at, "", "%s is the router's own address on network %s: name another router's", a, own[a])
	default:
		for _, p := range connected {
			if p.prefix.Contains(a) && (s.Network == "" || s.Network == p.network) {
				if isAnycast(a, p.prefix) {
					c.add(at, "RFC 4291 section 2.6.1", "%s is the subnet-router anycast address of %s, the router's own: name another router's", a, p.prefix)
				}
				return
			}
		}
		c.add(at, "RFC 4861 section 5.2", "%s is on no prefix of the router's networks, so it is no neighbour: name one, or its link-local address with its network", a)
	}
}
