package topology

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// portInput is all that one port is made from, beside its network.
type portInput struct {
	key     uint16
	spec    *PortSpec
	binding Binding
	filter  *Filter
	trunk   bool // some port names it as its parent
	// floating are the floating addresses that the guest has itself.
	floating []netip.Addr
}

func (a portInput) equal(b portInput) bool {
	return a.key == b.key && a.binding == b.binding && a.trunk == b.trunk && slices.Equal(a.floating, b.floating) && a.filter.equal(b.filter) && (a.spec == b.spec || a.spec.equal(b.spec))
}

func (a *PortSpec) equal(b *PortSpec) bool {
	return a.Name == b.Name && a.Network == b.Network && a.MAC == b.MAC && a.Parent == b.Parent && a.VLAN == b.VLAN && a.Router == b.Router && a.Unknown == b.Unknown &&
		a.DHCPv6Relay == b.DHCPv6Relay && slices.Equal(a.Addresses, b.Addresses) && maps.Equal(a.Limits, b.Limits) &&
		reflect.DeepEqual(a.MaxLeases, b.MaxLeases) && reflect.DeepEqual(a.Options, b.Options) &&
		reflect.DeepEqual(a.PortSecurity, b.PortSecurity) && slices.Equal(a.Pairs, b.Pairs) && reflect.DeepEqual(a.MaxAddresses, b.MaxAddresses) &&
		reflect.DeepEqual(a.MaxNeighbors, b.MaxNeighbors) && reflect.DeepEqual(a.Uplink, b.Uplink) &&
		reflect.DeepEqual(a.MaxGroups, b.MaxGroups) && reflect.DeepEqual(a.Multicast, b.Multicast) &&
		a.Project == b.Project && reflect.DeepEqual(a.MaxConnections, b.MaxConnections) && reflect.DeepEqual(a.Instance, b.Instance)
}

// equal reports whether two ports have the same content.
func (p *Port) equal(q *Port) bool {
	return p.Key == q.Key && p.Name == q.Name && *p.Network == *q.Network && p.MAC == q.MAC && slices.Equal(p.Addresses, q.Addresses) &&
		p.Held == q.Held && slices.Equal(p.Learned, q.Learned) &&
		p.Router == q.Router && p.Unknown == q.Unknown && p.OFPort == q.OFPort && p.Parent == q.Parent && p.VLAN == q.VLAN && p.Trunk == q.Trunk && p.Limits == q.Limits &&
		slices.Equal(p.Fixed, q.Fixed) && p.Options.equal(q.Options) && p.DHCPv6Relay == q.DHCPv6Relay && p.MaxLeases == q.MaxLeases &&
		p.Secured == q.Secured && slices.Equal(p.IPv4, q.IPv4) && slices.Equal(p.Pairs, q.Pairs) && p.MaxAddresses == q.MaxAddresses &&
		p.Filter.equal(q.Filter) && p.Uplink == q.Uplink && p.AcceptRA == q.AcceptRA && p.MaxNeighbors == q.MaxNeighbors && p.Multicast.equal(q.Multicast) &&
		p.Instance.equal(q.Instance) && p.MaxConnections == q.MaxConnections
}

// buildPorts makes the ports of a network, sorted as in is. A port whose
// Interface brings what cannot be is unbound and reported.
func buildPorts(in *networkInput, n *Network) ([]*Port, []Problem) {
	var problems []Problem
	ref := &NetworkRef{Key: n.Key, Name: n.Name}
	macs, claimed := macClaims(in, n)
	ports := make([]*Port, 0, len(in.ports))
	for i := range in.ports {
		pi := &in.ports[i]
		p := &Port{
			Key: pi.key, Name: pi.spec.Name, Network: ref, MAC: pi.spec.MAC,
			Router: pi.spec.Router, Unknown: pi.spec.Unknown, OFPort: pi.binding.OFPort,
			Parent: pi.spec.Parent, VLAN: uint16(pi.spec.VLAN), Trunk: pi.trunk,
			Limits:      limitsOf(in.global, in.spec.Limits, pi.spec.Limits),
			DHCPv6Relay: pi.spec.DHCPv6Relay, MaxLeases: or(pi.spec.MaxLeases, or(in.spec.MaxLeases, in.maxLeases)),
			Filter: pi.filter, Instance: instanceOf(pi.spec),
			MaxConnections: or(pi.spec.MaxConnections, or(in.spec.MaxConnections, or(in.maxConnections, DefaultMaxConnections))),
			Secured:        or(pi.spec.PortSecurity, !pi.spec.Unknown), MaxAddresses: or(pi.spec.MaxAddresses, or(in.spec.MaxAddresses, in.maxAddresses)),
		}
		if p.MAC.IsZero() && pi.binding.Interface != "" {
			if message := attachedFault(pi, macs, claimed); message != "" {
				problems = append(problems, Problem{Object: "port " + p.Name, Message: message})
				p.OFPort = 0
			} else {
				p.MAC = pi.binding.MAC
			}
		}
		otherwise := or(in.maxNeighbors, DefaultMaxNeighbors)
		if u := pi.spec.Uplink; u != nil {
			p.Uplink, p.AcceptRA, otherwise = true, u.AcceptRA, MaxUplinkNeighbors
		}
		p.MaxNeighbors = or(pi.spec.MaxNeighbors, or(in.spec.MaxNeighbors, otherwise))
		p.Fixed, p.IPv4 = families(pi.spec.Addresses)
		p.Multicast = portMulticastOf(in, pi.spec, n)
		ports = append(ports, p)
	}
	problems = append(problems, pairPorts(in, n, ports)...)
	return ports, append(problems, addressPorts(in, n, ports)...)
}

// macClaims maps each configured MAC of the network to who has it, and counts
// the ports that would take each attached-mac.
func macClaims(in *networkInput, n *Network) (macs map[wire.MAC]string, attached map[wire.MAC][]string) {
	macs, attached = make(map[wire.MAC]string), make(map[wire.MAC][]string)
	if n.Router != nil {
		macs[n.Router.MAC] = "the router"
	}
	for i := range in.ports {
		p := &in.ports[i]
		if !p.spec.MAC.IsZero() {
			macs[p.spec.MAC] = "port " + p.spec.Name
		} else if !p.binding.MAC.IsZero() {
			attached[p.binding.MAC] = append(attached[p.binding.MAC], p.spec.Name)
		}
	}
	return macs, attached
}

// attachedFault says why a port cannot have its Interface's attached-mac; ""
// if it can. A configured MAC wins over an attached one; of two attached ones
// neither, since which came first must not matter.
func attachedFault(p *portInput, macs map[wire.MAC]string, attached map[wire.MAC][]string) string {
	mac, from := p.binding.MAC, "interface "+p.binding.Interface
	switch {
	case mac.IsZero() && p.spec.Unknown:
		return "" // any MAC may be behind it
	case mac.IsZero():
		return fmt.Sprintf("has no MAC, so it is not served: configure mac, or set external_ids:attached-mac of %s", from)
	case mac.IsMulticast():
		return fmt.Sprintf("attached-mac %s of %s is a multicast address, so it is not served: set the guest's own", mac, from)
	case macs[mac] != "":
		return fmt.Sprintf("attached-mac %s of %s is that of %s on the same network, so it is not served: give it another", mac, from, macs[mac])
	case len(attached[mac]) > 1:
		return fmt.Sprintf("attached-mac %s is that of the ports %s on one network, so none is served: give each its own",
			mac, strings.Join(attached[mac], " and "))
	}
	return ""
}

// derived are the addresses a host makes of its MAC: link-local and one on
// each autonomous /64 (RFC 4862 sections 5.3 and 5.5.3).
func derived(mac wire.MAC, subnets []Subnet) []netip.Addr {
	if mac.IsZero() {
		return nil
	}
	list := []netip.Addr{wire.LinkLocal(mac)}
	for i := range subnets {
		if subnets[i].Autonomous && subnets[i].Prefix.Bits() == 64 {
			list = append(list, wire.EUI64(subnets[i].Prefix, mac))
		}
	}
	return list
}

// limitsOf resolves a port's budgets from the widest scope to its own.
func limitsOf(scopes ...Limits) (resolved [punt.Classes]Limit) {
	for class, l := range DefaultLimits() {
		resolved[class] = l
	}
	for _, scope := range scopes {
		for class, l := range scope {
			resolved[class] = l
		}
	}
	return resolved
}
