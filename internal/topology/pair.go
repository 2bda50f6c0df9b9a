package topology

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"damselfly/internal/wire"
)

// Single reports whether the pair is one address, not a prefix of several. A
// single one counts before what others are known to hold, a prefix gives way to it.
func (p AddressPair) Single() bool { return p.Prefix.IsSingleIP() }

func comparePairs(a, b AddressPair) int {
	return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(string(a.MAC[:]), string(b.MAC[:])))
}

// addPair adds a pair that is not there yet.
func (p *Port) addPair(pair AddressPair) {
	if !slices.Contains(p.Pairs, pair) {
		p.Pairs = append(p.Pairs, pair)
	}
}

// HasMAC reports whether the port may send with mac: its own or that of a pair.
func (p *Port) HasMAC(mac wire.MAC) bool {
	return mac == p.MAC || slices.ContainsFunc(p.Pairs, func(pair AddressPair) bool { return pair.MAC == mac })
}

// HasPair reports whether a lies in one of the port's pairs; single, whether it
// is one by itself.
func (p *Port) HasPair(a netip.Addr) (has, single bool) {
	for _, pair := range p.Pairs {
		if pair.Prefix.Contains(a) {
			has, single = true, single || pair.Single()
		}
	}
	return has, single
}

// pairPorts resolves the pairs of the ports of a network. One whose MAC turns
// out to be another port's or the router's is left out and reported.
func pairPorts(in *networkInput, n *Network, ports []*Port) []Problem {
	var problems []Problem
	macs := make(map[wire.MAC]*Port, len(ports))
	for _, p := range ports {
		macs[p.MAC] = p
	}
	for i, p := range ports {
		if !p.Secured {
			continue
		}
		for _, pair := range in.ports[i].spec.Pairs {
			if pair.MAC.IsZero() {
				pair.MAC = p.MAC
			}
			other := ""
			if q := macs[pair.MAC]; q != nil && q != p {
				other = "port " + q.Name
			}
			if n.Router != nil && pair.MAC == n.Router.MAC {
				other = "the router"
			}
			if other != "" {
				problems = append(problems, Problem{Object: "port " + p.Name, Message: fmt.Sprintf(
					"its allowed address pair %s has the MAC %s of %s, so the pair is left out: give it a MAC of its own", pair.Prefix, pair.MAC, other)})
				continue
			}
			if !pair.MAC.IsZero() {
				p.addPair(pair)
			}
		}
	}
	return problems
}

// severalOf are the single IPv6 addresses that some port has as a pair.
func severalOf(ports []*Port) map[netip.Addr]bool {
	several := make(map[netip.Addr]bool)
	for _, p := range ports {
		for _, pair := range p.Pairs {
			if a := pair.Prefix.Addr(); pair.Single() && a.Is6() {
				several[a] = true
			}
		}
	}
	return several
}

// sharedOf indexes the single IPv6 pairs of a network by their address; the
// first port that has one stands for all of them.
func sharedOf(ports []*Port) map[netip.Addr]Owner {
	shared := make(map[netip.Addr]Owner)
	for _, p := range ports {
		for _, pair := range p.Pairs {
			a := pair.Prefix.Addr()
			if _, ok := shared[a]; !ok && pair.Single() && a.Is6() {
				shared[a] = Owner{Port: p, MAC: pair.MAC, Router: p.Router}
			}
		}
	}
	return shared
}

// Shared returns one of the ports that have a as an allowed address pair, with
// the pair's MAC. Such an address is nobody's by Owner, and no other port's to
// take either.
func (n *Network) Shared(a netip.Addr) (Owner, bool) {
	o, ok := n.shared[a]
	return o, ok
}

// SharedAddresses are the addresses of Shared, sorted.
func (n *Network) SharedAddresses() []netip.Addr {
	return slices.SortedFunc(maps.Keys(n.shared), netip.Addr.Compare)
}

// Reserved reports whether a lies in one of ReservedPrefixes.
func (n *Network) Reserved(a netip.Addr) bool {
	return slices.ContainsFunc(n.reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ReservedPrefixes are the shares of subnets that the configuration gives ports
// as pairs, prefixes of more than 64 bits, sorted: nobody else makes addresses of
// these. On a whole subnet guests make addresses whoever has it as a pair.
func (n *Network) ReservedPrefixes() []netip.Prefix { return n.reserved }

// reservedOf is Network.ReservedPrefixes.
func reservedOf(ports []*Port) []netip.Prefix {
	const subnetBits = 64 // RFC 4291 section 2.5.1
	var list []netip.Prefix
	for _, p := range ports {
		for _, pair := range p.Pairs {
			if pair.Prefix.Addr().Is6() && pair.Prefix.Bits() > subnetBits && !pair.Single() {
				list = append(list, pair.Prefix)
			}
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}

// PairMACs are the MACs of pairs that are no port's own, each with the ports
// that have it, in the order of Ports.
func (n *Network) PairMACs() []PairMAC {
	var list []PairMAC
	for _, p := range n.Ports {
		for _, pair := range p.Pairs {
			if pair.MAC == p.MAC {
				continue
			}
			i := slices.IndexFunc(list, func(m PairMAC) bool { return m.MAC == pair.MAC })
			if i < 0 {
				i = len(list)
				list = append(list, PairMAC{MAC: pair.MAC})
			}
			if !slices.Contains(list[i].Ports, p) {
				list[i].Ports = append(list[i].Ports, p)
			}
		}
	}
	return list
}

// PairMAC is a MAC that several ports may have, such as VRRP's, and who may.
type PairMAC struct {
	MAC   wire.MAC
	Ports []*Port
}
