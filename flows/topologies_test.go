package flows

import (
	"fmt"
	"net/netip"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/punt"
	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// envs are the switches the named topologies are compiled for.
var envs = map[string]Env{
	"ndext-pulse": {NDExt: true, PulsePort: 99, MetadataPort: 98, FirstGroup: 0xdf000000},
	"ndext":       {NDExt: true, FirstGroup: 0xdf000000},
	"pulse":       {PulsePort: 99, MetadataPort: 98, FirstGroup: 0xdf000000},
	"port":        {PulsePort: 99, PuntPort: true, FirstGroup: 0xdf000000},
	"plain":       {FirstGroup: 0xdf000000},
}

// named are small topologies, each for one thing that flows must get right.
var named = map[string]func() *topology.Snapshot{
	"router":       func() *topology.Snapshot { return build(routerSpec(), nil) },
	"l2":           func() *topology.Snapshot { return build(l2Spec(), nil) },
	"router-guest": func() *topology.Snapshot { return build(routerGuestSpec(), nil) },
	"unknown":      func() *topology.Snapshot { return build(unknownSpec(), nil) },
	"prefixes":     func() *topology.Snapshot { return build(prefixesSpec(), nil) },
	"local":        func() *topology.Snapshot { return build(l2Spec(), map[string]uint32{"vm2": Local}) },
	"unbound":      func() *topology.Snapshot { return build(routerSpec(), map[string]uint32{"vm2": 0}) },
	"dhcpv6":       func() *topology.Snapshot { return buildDHCPv6() },
	"stateless":    func() *topology.Snapshot { return build(statelessSpec(), nil) },
	"groups":       func() *topology.Snapshot { return build(groupsSpec(), nil) },
	"l2-groups":    func() *topology.Snapshot { return build(l2GroupsSpec(), nil) },
	"limits":       func() *topology.Snapshot { return build(limitsSpec(), nil) },
	"pairs":        func() *topology.Snapshot { return build(pairsSpec(), nil) },
	"routed":       func() *topology.Snapshot { return buildRouted() },
	"trunk":        func() *topology.Snapshot { return build(trunkSpec(), nil) },
	"uplink":       func() *topology.Snapshot { return buildUplink() },
	"send-observe": func() *topology.Snapshot { return build(sendSpec(topology.SendObserve), nil) },
	"send-require": func() *topology.Snapshot { return build(sendSpec(topology.SendRequire), nil) },
	"inverse":      func() *topology.Snapshot { return build(inverseSpec(), nil) },
	"mrouted":      func() *topology.Snapshot { return buildMrouted() },
	"multicast":    func() *topology.Snapshot { return buildMulticast() },
	"floating":     func() *topology.Snapshot { return buildFloating() },
	"metadata":     func() *topology.Snapshot { return buildMetadata() },
	"paths":        func() *topology.Snapshot { return buildPaths() },
	"vlans":        func() *topology.Snapshot { return buildVLANs() },
	"open":         func() *topology.Snapshot { return build(openSpec(), nil) },
}

// build makes a snapshot in which objects have the keys 1, 2, ... and ports the
// switch's numbers 1, 2, ... in the order of the spec, but for those in ofports.
func build(spec *topology.Spec, ofports map[string]uint32) *topology.Snapshot {
	var b topology.Builder
	s, problems := b.Build(input(spec, ofports))
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// input is the Input that build makes a snapshot of.
func input(spec *topology.Spec, ofports map[string]uint32) topology.Input {
	in := topology.Input{Spec: spec, Keys: topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}}
	for i, n := range spec.Networks {
		in.Keys.Networks[n.Name] = uint16(i + 1)
	}
	for i, p := range spec.Ports {
		in.Keys.Ports[p.Name] = uint16(i + 1)
		of, ok := ofports[p.Name]
		if p.Parent != "" {
			continue
		}
		if !ok {
			of = uint32(i + 1)
		}
		in.Bindings = append(in.Bindings, topology.Binding{Interface: p.Name, OFPort: of})
	}
	return in
}

func mac(last byte) wire.MAC { return wire.MAC{2, 0, 0, 0, 0, last} }

func routerSpec() *topology.Spec {
	return &topology.Spec{
		Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}}},
		Routers:  []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}}}}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11)},
			{Name: "vm2", Network: "blue", MAC: mac(0x12)},
		},
	}
}

// sendSpec has Secure Neighbor Discovery, and a router with a certificate.
func sendSpec(mode topology.SendMode) *topology.Spec {
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		panic(err)
	}
	chain, err := send.ParseChain(fixtures.RouterChain, key)
	if err != nil {
		panic(err)
	}
	s := routerSpec()
	s.Networks[0].Send = &topology.SendSpec{Mode: mode, Key: key, Chain: chain}
	return s
}

// inverseSpec has Inverse Neighbor Discovery.
func inverseSpec() *topology.Spec {
	s := routerSpec()
	s.Networks[0].InverseND = true
	return s
}

func l2Spec() *topology.Spec {
	return &topology.Spec{
		Networks: []topology.NetworkSpec{{Name: "wire"}, {Name: "other"}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "wire", MAC: mac(0x11)},
			{Name: "vm2", Network: "wire", MAC: mac(0x12)},
			{Name: "vm3", Network: "other", MAC: mac(0x11)},
		},
	}
}

func routerGuestSpec() *topology.Spec {
	s := routerSpec()
	s.Ports = append(s.Ports, topology.PortSpec{Name: "vm3", Network: "blue", MAC: mac(0x13), Router: true})
	return s
}

func unknownSpec() *topology.Spec {
	s := routerSpec()
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "nested1", Network: "blue", Unknown: true},
		topology.PortSpec{Name: "nested2", Network: "blue", Unknown: true})
	return s
}

func prefixesSpec() *topology.Spec {
	return &topology.Spec{
		Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{
			{Prefix: netip.MustParsePrefix("fd00:b1::/64")},
			{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Mode: topology.DHCPv6Stateful},
			{Prefix: netip.MustParsePrefix("2001:db8:2::/64"), Mode: topology.DHCPv6Stateless},
		}}},
		Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}}}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11), Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:1::11")}},
			{Name: "vm2", Network: "blue", MAC: mac(0x12)},
		},
	}
}

func limitsSpec() *topology.Spec {
	s := routerSpec()
	s.Ports[0].Limits = topology.Limits{punt.NS: topology.Unlimited, punt.Echo: {}, punt.RS: {Rate: 5, Burst: 7}}
	return s
}

// metadataSpec has a routed network with the metadata service and an uplink, a plain
// one with the same, and ports of each kind.
func metadataSpec() *topology.Spec {
	s := routerSpec()
	s.Networks[0].Metadata = &topology.MetadataSpec{}
	s.Networks[0].Uplink = &topology.UplinkSpec{Interface: "eth1"}
	s.Routers[0].Networks[0].LinkLocal = netip.MustParseAddr("fe80::a")
	s.Networks = append(s.Networks, topology.NetworkSpec{Name: "wire", Metadata: &topology.MetadataSpec{}})
	s.Ports[0].Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.111")}
	s.Ports[1].Limits = topology.Limits{punt.Metadata: topology.Unlimited}
	open := false
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "vm3", Network: "wire", MAC: mac(0x11), Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11")}},
		topology.PortSpec{Name: "vm4", Network: "wire", MAC: mac(0x14), PortSecurity: &open},
		topology.PortSpec{Name: "vm5", Network: "wire", Unknown: true},
		topology.PortSpec{Name: "vm6", Network: "wire", MAC: mac(0x16), Limits: topology.Limits{punt.Metadata: {}}})
	return s
}

// buildMetadata binds the uplink of metadataSpec.
func buildMetadata() *topology.Snapshot {
	in := input(metadataSpec(), nil)
	in.Keys.Ports[topology.UplinkName("blue")] = 9
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 9})
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// pairsSpec has two guests of a VRRP pair, one a proxy for a prefix, an IPv4
// guest with a pair of each kind and one with another's MAC alone.
func pairsSpec() *topology.Spec {
	s := routerSpec()
	virtual := topology.AddressPair{Prefix: netip.MustParsePrefix("fd00:b1::50/128"), MAC: virtualMAC}
	s.Ports[0].Pairs = []topology.AddressPair{virtual, {Prefix: netip.MustParsePrefix("fd00:b1:0:0:f::/80")}}
	s.Ports[1].Pairs = []topology.AddressPair{virtual}
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "vm3", Network: "blue", MAC: mac(0x13),
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.13"), netip.MustParseAddr("fd00:b1::13")},
			Pairs: []topology.AddressPair{{Prefix: netip.MustParsePrefix("198.51.100.0/24")}, {Prefix: netip.MustParsePrefix("fd00:b1::13/128")},
				{Prefix: netip.MustParsePrefix("192.0.2.50/32"), MAC: virtualMAC}}},
		topology.PortSpec{Name: "vm4", Network: "blue", MAC: mac(0x14)})
	return s
}

// virtualMAC is that of virtual router 1 (RFC 9568 section 7.3).
var virtualMAC = wire.MAC{0, 0, 0x5e, 0, 2, 1}

// trunkSpec has a trunk port vm1 with sub-ports: vm3 and vm4 on its own network, the one
// filtered, and vm5, behind which anybody may be, on another.
func trunkSpec() *topology.Spec {
	s := routerSpec()
	s.Networks = append(s.Networks, topology.NetworkSpec{Name: "other"})
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "vm3", Network: "blue", MAC: mac(0x13), Parent: "vm1", VLAN: 100, SecurityGroups: []string{"default"}},
		topology.PortSpec{Name: "vm4", Network: "blue", MAC: mac(0x14), Parent: "vm1", VLAN: 4094},
		topology.PortSpec{Name: "vm5", Network: "other", Unknown: true, Parent: "vm1", VLAN: 1},
		topology.PortSpec{Name: "vm6", Network: "other", MAC: mac(0x16)})
	return s
}

// openSpec is plain L2 with a guest that is not secured and one that is.
func openSpec() *topology.Spec {
	s := l2Spec()
	no := false
	s.Ports[0].PortSecurity = &no
	return s
}

// statelessSpec has a guest that may ask nothing.
func statelessSpec() *topology.Spec {
	s := routerSpec()
	s.Networks[0].Subnets[0].Mode = topology.DHCPv6Stateless
	s.Ports[1].Limits = topology.Limits{punt.DHCPv6: {}}
	return s
}

// dhcpv6Spec has a requesting router vm2, a relay vm3 and an unlimited vm4 with pairs
// of all there is.
func dhcpv6Spec() *topology.Spec {
	s := routerSpec()
	s.Networks[0].Subnets[0].Mode = topology.DHCPv6Stateful
	s.Networks[0].Delegations = []topology.DelegationSpec{{Pool: netip.MustParsePrefix("2001:db8:8000::/40"), Length: 56}}
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "vm3", Network: "blue", MAC: mac(0x13), DHCPv6Relay: true},
		topology.PortSpec{Name: "vm4", Network: "blue", MAC: mac(0x14), Limits: topology.Limits{punt.DHCPv6: topology.Unlimited},
			Pairs: []topology.AddressPair{{Prefix: netip.MustParsePrefix("2001:db8:8000::/40")}, {Prefix: netip.MustParsePrefix("::/0")},
				{Prefix: netip.MustParsePrefix("2001:db8:8000:102::9/128")}}})
	return s
}

// buildDHCPv6 delegates two prefixes, one within the other, to vm2 and vm3.
func buildDHCPv6() *topology.Snapshot {
	in := input(dhcpv6Spec(), nil)
	in.Leased = map[string][]topology.HeldAddress{"blue": {{Addr: netip.MustParseAddr("fd00:b1::ff:fe00:11"), Port: 1}}}
	in.Delegated = map[string][]topology.DelegatedPrefix{"blue": {
		{Prefix: netip.MustParsePrefix("2001:db8:8000:100::/56"), Port: 2, NextHop: netip.MustParseAddr("fe80::ff:fe00:12")},
		{Prefix: netip.MustParsePrefix("2001:db8:8000:180::/57"), Port: 3, NextHop: netip.MustParseAddr("fe80::99"), MAC: mac(0x99)},
	}}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// routedSpec is a router with three networks of different MTU, of which one has
// guests that share an address, and routes of every kind.
func routedSpec() *topology.Spec {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	presence := func(name string, last byte) topology.PresenceSpec {
		return topology.PresenceSpec{Network: name, MAC: wire.MAC{2, 0, 0, 0, 0xa, last}}
	}
	return &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", MTU: 1500, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}},
			{Name: "red", MTU: 1400, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:ed::/64")}},
				Delegations: []topology.DelegationSpec{{Pool: prefix("2001:db8:8000::/40"), Length: 56}}},
			{Name: "tiny", MTU: 1280, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:71::/64"), Mode: topology.DHCPv6Stateful}}},
			{Name: "apart", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}},
		},
		Routers: []topology.RouterSpec{
			{Name: "r1", Networks: []topology.PresenceSpec{presence("blue", 1), presence("red", 2), presence("tiny", 3)},
				Routes: []topology.StaticRouteSpec{
					{Destination: prefix("2001:db8:7::/48"), NextHops: []netip.Addr{addr("fe80::ff:fe00:13")}, Network: "red"},
					{Destination: prefix("2001:db8:7:1::/64"), NextHops: []netip.Addr{addr("fd00:b1::ff:fe00:12")}},
					{Destination: prefix("2001:db8:7:2::/64"), NextHops: []netip.Addr{addr("fd00:b1::77")}},
					{Destination: prefix("2001:db8:8::/48"), Type: topology.Blackhole},
					{Destination: prefix("2001:db8:9::/48"), Type: topology.RejectRoute},
					{Destination: prefix("2001:db8:a::/48"), Type: topology.ProhibitRoute},
				}},
			{Name: "r2", Networks: []topology.PresenceSpec{presence("apart", 4)}},
		},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11), SecurityGroups: []string{"default"}},
			{Name: "vm2", Network: "blue", MAC: mac(0x12)},
			{Name: "vm3", Network: "red", MAC: mac(0x13), SecurityGroups: []string{"default"}},
			{Name: "vm4", Network: "tiny", MAC: mac(0x14), Addresses: []netip.Addr{addr("fd00:71::14")},
				Pairs: []topology.AddressPair{{Prefix: prefix("fd00:71::50/128"), MAC: virtualMAC}}},
			{Name: "vm5", Network: "tiny", MAC: mac(0x15), Pairs: []topology.AddressPair{{Prefix: prefix("fd00:71::50/128"), MAC: virtualMAC}}},
			{Name: "vm6", Network: "apart", MAC: mac(0x16), SecurityGroups: []string{"default"}, PortSecurity: new(bool)},
		},
	}
}

// buildRouted delegates a prefix to vm3.
func buildRouted() *topology.Snapshot {
	in := input(routedSpec(), nil)
	in.Delegated = map[string][]topology.DelegatedPrefix{"red": {
		{Prefix: netip.MustParsePrefix("2001:db8:8000:100::/56"), Port: 3, NextHop: netip.MustParseAddr("fe80::ff:fe00:13")},
	}}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// bigSpec has n guests on networks of 50, each with a router, a stateful
// subnet and one configured address a guest.
func bigSpec(n int) *topology.Spec {
	s := &topology.Spec{}
	var router topology.RouterSpec
	for i := range n {
		net := i / 50
		name := fmt.Sprintf("net%d", net)
		at := netip.AddrFrom16([16]byte{0: 0xfd, 4: byte(net >> 8), 5: byte(net)})
		if i%50 == 0 {
			s.Networks = append(s.Networks, topology.NetworkSpec{Name: name, Subnets: []topology.SubnetSpec{
				{Prefix: netip.PrefixFrom(at, 64), Mode: topology.DHCPv6Stateful},
			}})
			router.Networks = append(router.Networks, topology.PresenceSpec{Network: name})
		}
		a := at.As16()
		a[15] = byte(i%50 + 16)
		s.Ports = append(s.Ports, topology.PortSpec{
			Name: fmt.Sprintf("vm%05d", i), Network: name,
			MAC:       wire.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)},
			Addresses: []netip.Addr{netip.AddrFrom16(a)},
		})
	}
	router.Name = "r1"
	s.Routers = []topology.RouterSpec{router}
	return s
}

// each runs f on every named topology compiled for every env.
func each(t *testing.T, f func(t *testing.T, s *topology.Snapshot, env Env)) {
	for name, make := range named {
		for envName, env := range envs {
			t.Run(name+"-"+envName, func(t *testing.T) {
				t.Parallel()
				f(t, make(), env)
			})
		}
	}
}

// l2GroupsSpec has a guest vm1 whose groups are none, and vm2, a router and DHCPv6
// server that nothing binds.
func l2GroupsSpec() *topology.Spec {
	s := l2Spec()
	s.Ports[0].SecurityGroups = []string{}
	s.Ports[1].Router, s.Ports[1].PortSecurity = true, new(bool)
	return s
}

// groupsSpec has a web server vm1, two clients in the default group, a guest vm4
// with no group, a stateless vm5 and an unfiltered vm6.
func groupsSpec() *topology.Spec {
	s := routerSpec()
	rule := func(direction topology.Direction, protocol int, more func(*topology.RuleSpec)) topology.RuleSpec {
		r := topology.RuleSpec{Direction: direction, Protocol: protocol}
		if more != nil {
			more(&r)
		}
		return r
	}
	ports := func(first, last uint16) func(*topology.RuleSpec) {
		return func(r *topology.RuleSpec) { r.Ports = &topology.PortRange{First: first, Last: last} }
	}
	s.Groups = []topology.SecurityGroupSpec{
		{Name: "web", Rules: []topology.RuleSpec{
			rule(topology.Ingress, 6, ports(80, 443)),
			rule(topology.Ingress, 58, func(r *topology.RuleSpec) {
				r.ICMP, r.RemoteGroup = &topology.ICMPMatch{Type: 128, HasCode: true}, "web"
			}),
			rule(topology.Ingress, 6, func(r *topology.RuleSpec) { ports(23, 23)(r); r.Reject, r.Log = true, true }),
			rule(topology.Ingress, 17, func(r *topology.RuleSpec) {
				ports(500, 600)(r)
				r.Family, r.RemotePrefix, r.Log = topology.IPv6, netip.MustParsePrefix("fd00:b1::/64"), true
			}),
			rule(topology.Ingress, 1, func(r *topology.RuleSpec) {
				r.Family, r.ICMP = topology.IPv4, &topology.ICMPMatch{Type: 8}
			}),
			rule(topology.Egress, 132, ports(0, 65535)),
			rule(topology.Egress, 17, func(r *topology.RuleSpec) { r.RemotePrefix = netip.MustParsePrefix("2001:db8::/32") }),
			rule(topology.Egress, 6, func(r *topology.RuleSpec) { r.RemoteGroup = "default" }),
			rule(topology.Egress, 17, func(r *topology.RuleSpec) { r.RemotePrefix = netip.MustParsePrefix("192.0.2.0/24") }),
		}},
		{Name: "bare", Stateless: true, Rules: []topology.RuleSpec{
			rule(topology.Ingress, 17, ports(53, 53)),
			rule(topology.Ingress, 58, func(r *topology.RuleSpec) { r.ICMP = &topology.ICMPMatch{Type: 128} }),
		}},
	}
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "vm3", Network: "blue", MAC: mac(0x13)},
		topology.PortSpec{Name: "vm4", Network: "blue", MAC: mac(0x14)},
		topology.PortSpec{Name: "vm5", Network: "blue", MAC: mac(0x15)},
		topology.PortSpec{Name: "vm6", Network: "blue", MAC: mac(0x16)})
	for i, groups := range [][]string{{"web", "default"}, {"default"}, {"default"}, {}, {"bare"}, nil} {
		s.Ports[i].SecurityGroups = groups
	}
	s.Ports[2].Router = true
	return s
}
