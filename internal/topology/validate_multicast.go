package topology

import (
	"fmt"
	"slices"
	"time"
)

// Bounds of a querier's times: what the fields of its messages can say (RFC 9777
// sections 5.1.3 and 5.1.9).
const (
	maxQueryInterval    = 31744 * time.Second
	maxResponseInterval = 8387584 * time.Millisecond
)

// multicast checks what is to be done about multicast on a network.
func (c *checker) multicast(object string, n *NetworkSpec) {
	m := n.Multicast
	if m == nil {
		return
	}
	query, response := or(m.QueryInterval, DefaultQueryInterval), or(m.ResponseInterval, DefaultResponseInterval)
	if m.QueryInterval != nil {
		c.duration(object+".query_interval", "RFC 9777 section 5.1.9", query, time.Second, time.Second, maxQueryInterval)
	}
	if m.ResponseInterval != nil {
		c.duration(object+".response_interval", "RFC 9777 section 5.1.3", response, time.Millisecond, time.Millisecond, maxResponseInterval)
	}
	if m.LastListenerInterval != nil {
		c.duration(object+".last_listener_interval", "RFC 9777 section 5.1.3", *m.LastListenerInterval, time.Millisecond, time.Millisecond, maxResponseInterval)
	}
	if m.LastListenerInterval != nil && *m.LastListenerInterval >= query {
		c.add(object+".last_listener_interval", "RFC 9777 section 9.8", "%s is not shorter than the query_interval of %s: give less", *m.LastListenerInterval, query)
	}
	if m.FloodUnregistered && !m.Snooping {
		c.add(object+".unregistered", "RFC 4541 section 2.1.2", "all groups go to all where nobody looks who listens: set snooping as well, or leave it out")
	}
	switch {
	case response >= query:
		c.add(object+".response_interval", "RFC 9777 section 9.3", "%s is not shorter than the query_interval of %s: give less", response, query)
	case m.RouterDiscovery && !m.Querier:
		c.add(object+".router_discovery", "RFC 4286 section 2", "advertises a multicast router where none asks for listeners: set querier as well")
	}
	if m.Querier && len(n.Subnets) == 0 && !c.routed[n.Name] {
		c.add(object+".querier", "RFC 9777 section 5.1.14", "nobody is on network %s whom queries could come from: put a router on it, or give it a subnet", n.Name)
	}
}

// portMulticast checks what is known of a port's listeners.
func (c *checker) portMulticast(object string, p *PortSpec, n *networkFacts) {
	if p.Multicast == nil {
		return
	}
	if multicastOf(n.spec.Multicast) == nil {
		c.add(object, "", "network %s carries multicast to all: set its multicast.snooping, or leave this out", p.Network)
	}
	for i, g := range p.Multicast.Groups {
		switch at := fmt.Sprintf("%s.groups[%d]", object, i); {
		case !g.IsMulticast() || !g.Is6():
			c.add(at, "RFC 4291 section 2.7", "%s is no multicast group: give one such as ff15::1234", g)
		case !Tracked(g):
			c.add(at, "RFC 9777 section 6", "%s goes to all or leaves no node, whoever listens: leave it out", g)
		case slices.Contains(p.Multicast.Groups[:i], g):
			c.add(at, "", "%s is in the list already: name each once", g)
		}
	}
}

// routerMulticast checks how a router carries multicast.
func (c *checker) routerMulticast(object string, r *RouterSpec) {
	m := r.Multicast
	if m == nil {
		return
	}
	if m.Boundary != 0 && (m.Boundary < linkScope || m.Boundary > widestScope) {
		c.add(object+".boundary", "RFC 4291 section 2.7", "%d is no scope: give %d, of the link, to %d, of all", m.Boundary, linkScope, widestScope)
	}
	on := map[string]bool{}
	down := 0
	for i := range r.Networks {
		name := r.Networks[i].Network
		on[name] = true
		n := c.networks[name]
		if n == nil || n.spec.Multicast == nil {
			continue
		}
		if name != m.Upstream && n.spec.Multicast.Querier {
			down++
		}
	}
	switch n := c.networks[m.Upstream]; {
	case m.Upstream == "":
	case !on[m.Upstream]:
		c.add(object+".upstream", "", "the router is not on network %q: name one of its networks", m.Upstream)
	case n != nil && multicastOf(n.spec.Multicast) == nil:
		c.add(object+".upstream", "RFC 4605 section 4.1", "who asks for listeners on network %s is not heard: set its multicast.snooping", m.Upstream)
	}
	if down == 0 {
		c.add(object, "RFC 4605 section 4.2", "it asks for listeners on none of its networks: set multicast.querier of those that are to get streams")
	}
}
