package topology

import (
	"fmt"
	"net/netip"
)

// security checks what a port may send from beside its own addresses.
func (c *checker) security(object string, p *PortSpec, n *networkFacts) {
	secured := or(p.PortSecurity, !p.Unknown)
	switch {
	case secured && p.Unknown:
		c.add(object+".port_security", "",
			"true binds the port to its own addresses, and `unknown: true` says that any may be behind it: leave one of them out")
	case !secured && len(p.Pairs) > 0:
		c.add(object+".allowed_address_pairs", "",
			"the port is not secured, so it may send from any address already: leave the pairs out, or secure it")
	}
	if !c.few(object+".allowed_address_pairs", len(p.Pairs)) {
		return
	}
	for i, pair := range p.Pairs {
		o := fmt.Sprintf("%s.allowed_address_pairs[%d]", object, i)
		c.pairAddress(o+".address", p.Network, n, pair)
		c.pairMAC(o+".mac", p, n, pair)
	}
}

// pairAddress checks the addresses of a pair.
func (c *checker) pairAddress(object, network string, n *networkFacts, pair AddressPair) {
	x := pair.Prefix
	switch {
	case !x.IsValid():
		c.add(object, "", "is no address or prefix: write one such as fd00:b1::50 or fd00:b1:0:0:f::/80")
	case x != x.Masked():
		c.add(object, "", "%s has bits behind its length: write %s", x, x.Masked())
	case x.IsSingleIP() && n.addrs[x.Addr()] == metadataHolder:
		c.add(object, "", "%s is the metadata service's on network %s, for which no guest can stand in: give another", x.Addr(), network)
	case x.Addr().Is4() && x.IsSingleIP():
		c.unicast4(object, x.Addr())
	case x.Addr().Is4() && x.Addr().IsMulticast():
		c.add(object, "RFC 1122 section 3.2.1.3", "%s is multicast, from which nobody sends: give unicast addresses", x)
	case x.Addr().Is4():
	case x.Addr().Is4In6():
		c.add(object, "RFC 4291 section 2.5.5.2", "%s are IPv4-mapped addresses, which do not leave a node: write IPv4 ones as such", x)
	case x.IsSingleIP():
		if !c.unicast(object, x.Addr()) {
			return
		}
		if n.router != "" && n.addrs[x.Addr()] == "router "+n.router || n.router == "" && n.addrs[x.Addr()] != "" {
			c.add(object, "RFC 4862 section 5.4", "%s is %s's on network %s, which no guest can stand in for: give another", x.Addr(), n.addrs[x.Addr()], network)
		}
	case x.Addr().IsMulticast():
		c.add(object, "RFC 4291 section 2.7", "%s is multicast, from which nobody sends: give unicast addresses", x)
	}
}

// pairMAC checks the MAC of a pair: several ports may have it by pairs, but
// nobody as its own.
func (c *checker) pairMAC(object string, p *PortSpec, n *networkFacts, pair AddressPair) {
	if pair.MAC.IsZero() {
		return
	}
	if pair.MAC.IsMulticast() {
		c.add(object, "RFC 2464 section 7", "%s is a multicast MAC: the first octet must be even", pair.MAC)
		return
	}
	other := ""
	if name, ok := c.portMACs[portMAC{p.Network, pair.MAC}]; ok && name != p.Name {
		other = "port " + name
	} else if who := n.macs[pair.MAC]; who != "" && who != "port "+p.Name {
		other = who
	}
	if other != "" {
		c.add(object, "RFC 9568 section 7.3", "%s is %s's own on network %s: give the pair a MAC that is nobody's, or the port's own", pair.MAC, other, p.Network)
	}
}

// unicast4 checks that a host can have an IPv4 address, and reports whether it can.
func (c *checker) unicast4(object string, a netip.Addr) bool {
	const rfc = "RFC 1122 section 3.2.1.3"
	switch b := a.As4(); {
	case b[0] == 0:
		c.add(object, rfc, "%s names this host before it has an address: give a unicast address", a)
	case b[0] == 127:
		c.add(object, rfc, "%s is a loopback address, which never leaves a node: give another", a)
	case b[0] >= 224:
		c.add(object, rfc, "%s is multicast, broadcast or reserved: give a unicast address", a)
	default:
		return true
	}
	return false
}
