package topology

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"damselfly/internal/send"
	"damselfly/internal/wire"
)

// networkInput is all that one network and its ports are made from.
type networkInput struct {
	key       uint16
	spec      *NetworkSpec
	global    Limits
	maxLeases int
	// maxAddresses bounds the learned addresses of each port.
	maxAddresses int
	presence     presence
	deprecated   []Deprecated
	former       []FormerRouter
	delegated    []DelegatedPrefix
	withdrawn    []netip.Prefix
	// leased and learned are sorted.
	leased, learned []HeldAddress
	// neighbors and upstream are sorted.
	neighbors []Neighbor
	upstream  []Upstream
	modifier  send.Modifier
	// maxNeighbors bounds the unconfigured neighbours behind each port.
	maxNeighbors *int
	// maxGroups bounds the multicast groups listened to behind each port.
	maxGroups *int
	// floating is sorted.
	floating []Floating
	// maxConnections bounds those of each port to the metadata service.
	maxConnections *int
	ports          []portInput
}

// presence is the router on a network; the zero presence is none.
type presence struct {
	router string
	id     uint32
	narrow bool
	spec   *PresenceSpec
	// routes are what guests of the network are told that they reach by it.
	routes []netip.Prefix
}

// equal reports whether a network made from b would be the same. With
// sameSpec both point into one Spec, whose content need not be compared.
func (a *networkInput) equal(b *networkInput, sameSpec bool) bool {
	return a.key == b.key && a.modifier == b.modifier && a.maxLeases == b.maxLeases && a.maxAddresses == b.maxAddresses &&
		(sameSpec || (maps.Equal(a.global, b.global) && equalNetworkSpec(a.spec, b.spec) && reflect.DeepEqual(a.presence, b.presence))) &&
		slices.EqualFunc(a.deprecated, b.deprecated, equalDeprecated) &&
		slices.Equal(a.former, b.former) && slices.Equal(a.withdrawn, b.withdrawn) && slices.Equal(a.delegated, b.delegated) &&
		slices.Equal(a.leased, b.leased) && slices.Equal(a.learned, b.learned) &&
		slices.Equal(a.neighbors, b.neighbors) && slices.Equal(a.upstream, b.upstream) && reflect.DeepEqual(a.maxNeighbors, b.maxNeighbors) &&
		reflect.DeepEqual(a.maxGroups, b.maxGroups) && slices.Equal(a.floating, b.floating) && reflect.DeepEqual(a.maxConnections, b.maxConnections) &&
		slices.EqualFunc(a.ports, b.ports, portInput.equal)
}

// equalNetworkSpec compares all but keys by what is in them.
func equalNetworkSpec(a, b *NetworkSpec) bool {
	x, y := *a, *b
	x.Send, y.Send = nil, nil
	return a.Send.equal(b.Send) && reflect.DeepEqual(x, y)
}

// equalDeprecated compares times as instants.
func equalDeprecated(a, b Deprecated) bool {
	return a.ValidUntil.Equal(b.ValidUntil) && a.Prefix == b.Prefix && a.OnLink == b.OnLink && a.Autonomous == b.Autonomous
}

// buildNetwork makes a network and its ports, taking over from old the ports
// that are just as they were.
func buildNetwork(in networkInput, old *builtNetwork) *builtNetwork {
	n := &Network{Key: in.key, Name: in.spec.Name, MTU: in.spec.MTU, InverseND: in.spec.InverseND, Floating: in.floating}
	for i := range in.spec.Subnets {
		n.Subnets = append(n.Subnets, subnetOf(&in.spec.Subnets[i], in.presence.spec != nil))
	}
	deprecated := stillDeprecated(in.deprecated, n.Subnets)
	n.Send = sendOf(&in)
	n.Router = routerOf(&in, len(n.Subnets)+len(deprecated) > 0)
	if n.Router != nil && n.Signs() {
		n.Router.LinkLocal = n.Send.Identity.Address
	}
	if n.Router != nil {
		a := newAdvertiser(&in, n)
		n.Advertising = a.timing
		n.Routes = a.advertised()
		n.Adverts = a.compile(deprecated, in.withdrawn)
		n.final = a.final(deprecated, in.withdrawn)
	}
	n.Former = formerOf(&in, n)
	n.Learnable = learnableOf(n.Subnets, deprecated)
	n.DHCPv6 = dhcpv6Of(in.spec, n.Subnets)
	n.Multicast = multicastOf(in.spec.Multicast)

	b := &builtNetwork{in: in, net: n}
	previous := make(map[string]*Port)
	if old != nil {
		for _, p := range old.net.Ports {
			previous[p.Name] = p
		}
		b.options = old.options
		if n.DHCPv6.equal(old.net.DHCPv6) {
			n.DHCPv6 = old.net.DHCPv6
		}
	}
	n.Ports, b.problems = buildPorts(&in, n)
	b.giveOptions()
	n.Delegated = delegatedOf(&in, n)
	for i, p := range n.Ports {
		if q := previous[p.Name]; q != nil && p.equal(q) {
			n.Ports[i] = q
		}
	}
	n.owners = ownersOf(n, in.spec.Metadata != nil)
	n.shared = sharedOf(n.Ports)
	n.reserved = reservedOf(n.Ports)
	n.Neighbors, n.Upstream = neighborsOf(&in, n), in.upstream
	n.inverse = inverseOf(n)
	n.Metadata = metadataOf(in.spec.Metadata, n)
	return b
}

// subnetOf applies the defaults of a subnet.
func subnetOf(s *SubnetSpec, router bool) Subnet {
	n := Subnet{
		Prefix: s.Prefix.Masked(), Mode: s.Mode,
		OnLink: or(s.OnLink, true), Autonomous: or(s.Autonomous, s.Mode != DHCPv6Stateful), PDPreferred: s.PDPreferred,
		DNS: s.DNS, Search: s.Search,
		Pools: s.Pools, RapidCommit: s.RapidCommit, RelayTo: s.RelayTo,
	}
	n.Preferred, n.Valid = lifetimesOf(s.Preferred, s.Valid)
	if router {
		n.Gateway = gatewayOf(s)
	}
	return n
}

// lifetimesOf applies the defaults of two lifetimes: where only one is given,
// the other's default gives way to it.
func lifetimesOf(preferred, valid *time.Duration) (time.Duration, time.Duration) {
	return or(preferred, min(DefaultPreferred, or(valid, DefaultPreferred))),
		or(valid, max(DefaultValid, or(preferred, DefaultValid)))
}

// gatewayOf is the router's address on a subnet.
func gatewayOf(s *SubnetSpec) netip.Addr {
	if s.Gateway.IsValid() {
		return s.Gateway
	}
	return DefaultGateway(s.Prefix)
}

// or is *v, or the default where v is nil.
func or[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}

// stillDeprecated drops the prefixes that are configured again and sorts the
// rest, so that the order they came in makes no difference.
func stillDeprecated(list []Deprecated, subnets []Subnet) []Deprecated {
	var kept []Deprecated
	for _, d := range list {
		if !slices.ContainsFunc(subnets, func(s Subnet) bool { return s.Prefix == d.Prefix.Masked() }) {
			kept = append(kept, d)
		}
	}
	slices.SortFunc(kept, func(a, b Deprecated) int {
		return strings.Compare(a.Prefix.String(), b.Prefix.String())
	})
	return kept
}

// routerOf is the presence that speaks on the network; nil where there is no
// router and nothing to advertise.
func routerOf(in *networkInput, prefixes bool) *RouterInterface {
	r := &RouterInterface{Router: in.presence.router, ID: in.presence.id, Narrow: in.presence.narrow, MAC: RouterMAC(in.spec.Name), LinkLocal: DefaultLinkLocal}
	p := in.presence.spec
	if p == nil {
		if !prefixes {
			return nil
		}
		return r
	}
	r.MAC, r.LinkLocal = identityOf(p)
	for i := range in.spec.Subnets {
		s := &in.spec.Subnets[i]
		r.Addresses = append(r.Addresses, netip.PrefixFrom(gatewayOf(s), s.Prefix.Bits()))
	}
	for _, a := range p.Addresses {
		if !slices.Contains(r.Addresses, a) {
			r.Addresses = append(r.Addresses, a)
		}
	}
	return r
}

// identityOf is the MAC and link-local address of a presence, defaults applied.
func identityOf(p *PresenceSpec) (wire.MAC, netip.Addr) {
	mac, linkLocal := p.MAC, p.LinkLocal
	if mac.IsZero() {
		mac = RouterMAC(p.Network)
	}
	if !linkLocal.IsValid() {
		linkLocal = DefaultLinkLocal
	}
	return mac, linkLocal
}

// ownersOf indexes all addresses of the network. A port without a MAC owns
// nothing: nothing could be answered for it. An address that two hold, which
// Validate refuses, would be the router's, then the first port's. metadata says
// that the network has the metadata service.
func ownersOf(n *Network, metadata bool) map[netip.Addr]Owner {
	owners := make(map[netip.Addr]Owner)
	if _, mac := n.Asker(); metadata {
		for _, a := range MetadataAddresses {
			owners[a] = Owner{MAC: mac}
		}
	}
	if r := n.Router; r != nil {
		// Whoever sends Router Advertisements is a router to its neighbours,
		// also with lifetime 0, which only says that it is no default router (RFC 4861
		// section 4.2).
		o := Owner{MAC: r.MAC, Router: true}
		owners[r.LinkLocal] = o
		for _, a := range r.Addresses {
			owners[a.Addr()] = o
		}
		for i := range n.Floating {
			if f := &n.Floating[i]; f.Outer.IsSingleIP() {
				owners[f.Outer.Addr()] = Owner{MAC: r.MAC, Router: true, Floating: f}
			}
		}
	}
	for _, p := range n.Ports {
		if p.MAC.IsZero() {
			continue
		}
		for i, a := range p.Addresses {
			if _, taken := owners[a]; !taken {
				owners[a] = Owner{
					Port: p, MAC: p.MAC, Router: p.Router,
					Held: i >= len(p.Addresses)-p.Held, Learned: slices.Contains(p.Learned, a),
				}
			}
		}
	}
	return owners
}

// seconds is a duration as a lifetime field has it.
func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }
