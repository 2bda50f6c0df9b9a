package config

import (
	"math"
	"net/netip"

	"damselfly/internal/topology"
)

func network(n *topology.NetworkSpec) reader {
	return func(v value) {
		v.fields(keys{
			"name":                 text(&n.Name),
			"mtu":                  integer(&n.MTU, 1, math.MaxInt32),
			"limits":               limits(&n.Limits, bounds{&n.MaxLeases, &n.MaxAddresses, &n.MaxNeighbors, &n.MaxGroups, &n.MaxConnections}),
			"router_advertisement": advert(&n.RouterAdvertisement),
			"subnets":              many(&n.Subnets, subnet),
			"options":              many(&n.Options, option),
			"delegation":           many(&n.Delegations, delegation),
			"uplink":               optional(&n.Uplink, uplink),
			"inverse_nd":           boolean(&n.InverseND),
			"multicast":            optional(&n.Multicast, multicast),
			"metadata":             optional(&n.Metadata, metadata),
			"send":                 secure(&n.Send),
		})
	}
}

func uplink(u *topology.UplinkSpec) reader {
	return func(v value) {
		v.fields(keys{"interface": text(&u.Interface), "vlan": integer(&u.VLAN, 1, topology.MaxVLAN), "accept_ra": boolean(&u.AcceptRA)})
	}
}

func multicast(m *topology.MulticastSpec) reader {
	return func(v value) {
		v.fields(keys{
			"snooping":               boolean(&m.Snooping),
			"querier":                boolean(&m.Querier),
			"router_discovery":       boolean(&m.RouterDiscovery),
			"unregistered":           choice(&m.FloodUnregistered, []string{"routers", "flood"}, []bool{false, true}),
			"query_interval":         optional(&m.QueryInterval, duration),
			"response_interval":      optional(&m.ResponseInterval, duration),
			"robustness":             optional(&m.Robustness, func(to *int) reader { return integer(to, 1, 7) }),
			"last_listener_interval": optional(&m.LastListenerInterval, duration),
		})
	}
}

func advert(a *topology.AdvertSpec) reader {
	return func(v value) {
		v.fields(keys{
			"interval":       optional(&a.Interval, duration),
			"min_interval":   optional(&a.MinInterval, duration),
			"lifetime":       optional(&a.Lifetime, duration),
			"preference":     preference(&a.Preference),
			"hop_limit":      optional(&a.HopLimit, func(to *int) reader { return integer(to, 0, 255) }),
			"reachable_time": duration(&a.ReachableTime),
			"retrans_timer":  duration(&a.RetransTimer),
			"pref64":         prefix(&a.PREF64, "64:ff9b::/96"),
			"captive_portal": text(&a.CaptivePortal),
			"routes": many(&a.Routes, func(r *topology.RouteSpec) reader {
				return func(v value) {
					v.fields(keys{"destination": prefix(&r.Destination, "2001:db8:7::/48"), "preference": preference(&r.Preference)})
				}
			}),
			"encrypted_dns": many(&a.EncryptedDNS, encryptedDNS),
		})
	}
}

func encryptedDNS(e *topology.EncryptedDNSSpec) reader {
	return func(v value) {
		v.fields(keys{"name": text(&e.Name), "addresses": many(&e.Addresses, address), "alpn": many(&e.ALPN, text)})
	}
}

func preference(to *topology.Preference) reader {
	return choice(to, []string{"low", "medium", "high"}, []topology.Preference{topology.Low, topology.Medium, topology.High})
}

func subnet(s *topology.SubnetSpec) reader {
	modes := []topology.Mode{topology.SLAAC, topology.DHCPv6Stateless, topology.DHCPv6Stateful}
	return func(v value) {
		v.fields(keys{
			"prefix":       prefix(&s.Prefix, "fd00:b1::/64"),
			"mode":         choice(&s.Mode, []string{modes[0].String(), modes[1].String(), modes[2].String()}, modes),
			"gateway":      address(&s.Gateway),
			"dns":          many(&s.DNS, address),
			"search":       many(&s.Search, text),
			"autonomous":   optional(&s.Autonomous, boolean),
			"on_link":      optional(&s.OnLink, boolean),
			"pd_preferred": boolean(&s.PDPreferred),
			"preferred":    optional(&s.Preferred, duration),
			"valid":        optional(&s.Valid, duration),
			"options":      many(&s.Options, option),
			"rapid_commit": boolean(&s.RapidCommit),
			"relay_to":     address(&s.RelayTo),
			"reservations": many(&s.Reservations, reservation),
			"pools":        many(&s.Pools, pool),
		})
	}
}

func router(r *topology.RouterSpec) reader {
	return func(v value) {
		v.fields(keys{"name": text(&r.Name), "networks": many(&r.Networks, presence), "routes": many(&r.Routes, staticRoute), "multicast": optional(&r.Multicast, routerMulticast)})
	}
}

func routerMulticast(m *topology.RouterMulticastSpec) reader {
	return func(v value) {
		v.fields(keys{"upstream": text(&m.Upstream), "boundary": integer(&m.Boundary, 2, 14)})
	}
}

func staticRoute(r *topology.StaticRouteSpec) reader {
	types := []topology.RouteType{topology.Unicast, topology.Blackhole, topology.RejectRoute, topology.ProhibitRoute}
	return func(v value) {
		v.fields(keys{
			"destination": prefix(&r.Destination, "2001:db8:7::/48"),
			"type":        choice(&r.Type, topology.RouteTypes, types),
			"nexthop":     many(&r.NextHops, address),
			"network":     text(&r.Network),
		})
	}
}

// presence reads a network's name alone, or a map with more.
func presence(p *topology.PresenceSpec) reader {
	return func(v value) {
		if _, ok := entriesOf(v.node); !ok {
			text(&p.Network)(v)
			return
		}
		v.fields(keys{
			"name":       text(&p.Network),
			"link_local": address(&p.LinkLocal),
			"mac":        mac(&p.MAC),
			"addresses": many(&p.Addresses, func(to *netip.Prefix) reader {
				return prefix(to, "2001:db8:1::2/64")
			}),
		})
	}
}
