package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// maxName is the longest name of an object in octets.
const maxName = 64

// maxList is how many subnets a network may have, and how many entries other
// lists within one object.
const maxList = 256

// Validate gives everything that makes a Spec impossible, by place.
func Validate(s *Spec) []Problem {
	c := &checker{spec: s, networks: make(map[string]*networkFacts), routed: make(map[string]bool)}
	for i := range s.Routers {
		for j := range s.Routers[i].Networks {
			c.routed[s.Routers[i].Networks[j].Network] = true
		}
	}
	c.limits("limits", s.Limits)
	c.maxLeases("", s.MaxLeases)
	c.maxAddresses("", s.MaxAddresses)
	for object, n := range map[string]int{"networks": len(s.Networks), "ports": len(s.Ports), "security_groups": len(s.Groups)} {
		if n > punt.MaxKey {
			c.add(object, "", "the list has %d entries: one bridge serves %d", n, punt.MaxKey)
		}
	}
	for i := range s.Networks {
		c.network(i)
	}
	routers := make(map[string]bool)
	for i := range s.Routers {
		c.router(i, routers)
	}
	c.ownIdentities()
	for i := range s.Networks {
		c.leases(i)
	}
	c.delegatedOnce()
	c.groups()
	ports := make(map[string]bool)
	c.portMACs = make(map[portMAC]string)
	for i := range s.Ports {
		c.portMACs[portMAC{s.Ports[i].Network, s.Ports[i].MAC}] = s.Ports[i].Name
	}
	c.parents = parentsOf(s)
	c.tags = make(map[tag]string)
	of := make(map[string]int)
	for i := range s.Ports {
		c.port(i, ports)
		if of[s.Ports[i].Network]++; of[s.Ports[i].Network] == MaxBound+1 {
			c.add(fmt.Sprintf("ports[%d].network", i), "", "network %s has more than %d ports from here on, as many as one flood reaches: put them on another", s.Ports[i].Network, MaxBound)
		}
	}
	c.floatings()
	c.derived()
	slices.SortStableFunc(c.problems, compareProblems)
	return c.problems
}

// checker collects problems and what later checks need of earlier objects.
type checker struct {
	spec     *Spec
	problems []Problem
	networks map[string]*networkFacts // by name; the first of a name
	routed   map[string]bool          // names of networks that some router stands on
	// stateless has every security group by name.
	stateless map[string]bool
	portMACs  map[portMAC]string // who has a configured MAC
	// parents has the parent of every port by name, "" of a port without one; tags who has a
	// VLAN of a trunk port.
	parents map[string]string
	tags    map[tag]string
	// shared counts the routes with several next hops.
	shared int
}

// portMAC is a MAC on a network.
type portMAC struct {
	network string
	mac     wire.MAC
}

// networkFacts are what the routers and ports of a network are checked against.
type networkFacts struct {
	spec   *NetworkSpec
	router string // the router on it, "" none
	macs   map[[6]byte]string
	addrs  map[netip.Addr]string
}

// add notes a problem; rfc is "" for rules of our own.
func (c *checker) add(object, rfc, format string, args ...any) {
	c.problems = append(c.problems, Problem{Object: object, RFC: rfc, Message: fmt.Sprintf(format, args...)})
}

// checkName says what is wrong with a name; "" if nothing.
func checkName(name string) string {
	switch {
	case name == "":
		return "is empty: give it one"
	case len(name) > maxName:
		return fmt.Sprintf("is %d octets long: %d are allowed", len(name), maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return fmt.Sprintf("is %q: blanks and control characters are not allowed", name)
	}
	return ""
}

// name checks an object's name and that it is the first of that name.
func (c *checker) name(object, kind, name string, taken bool) bool {
	if fault := checkName(name); fault != "" {
		c.add(object+".name", "", "the name %s", fault)
		return false
	}
	if taken {
		c.add(object+".name", "", "there is another %s %s: names are unique, choose another", kind, name)
		return false
	}
	return true
}

func (c *checker) limits(object string, limits Limits) {
	for class, l := range limits {
		if l.Rate > 0 && l.Burst == 0 {
			c.add(object+"."+class.String(), "", "a burst of 0 lets nothing pass at a rate of %d: give at least 1", l.Rate)
		}
	}
}

// maxLeases checks a number of leases; object is "" for that of all ports.
func (c *checker) maxLeases(object string, n *int) {
	if n != nil && (*n < 0 || *n > UnlimitedLeases) {
		c.add(strings.TrimPrefix(object+".limits.leases", "."), "", "%d is no number of leases: give 0 to %d, or none", *n, UnlimitedLeases-1)
	}
}

// maxAddresses checks a number of learned addresses; object is "" for that of all ports.
func (c *checker) maxAddresses(object string, n *int) {
	if n != nil && *n < 0 && *n != UnlimitedAddresses {
		c.add(strings.TrimPrefix(object+".limits.addresses", "."), "RFC 6620 section 4.1", "%d is no number of addresses: give 0 or more, or none", *n)
	}
}

// few checks that a list is not longer than anybody needs, which bounds what
// compares its entries with each other.
func (c *checker) few(object string, n int) bool {
	if n > maxList {
		c.add(object, "", "the list has %d entries: %d are allowed", n, maxList)
	}
	return n <= maxList
}

// duration checks a whole number of units from least to most.
func (c *checker) duration(object, rfc string, d, unit, least, most time.Duration) {
	switch {
	case d < least || d > most:
		c.add(object, rfc, "%s is out of range: give %s to %s", d, least, most)
	case d%unit != 0:
		c.add(object, rfc, "%s is no whole number of %s: the field counts in that unit", d, unit)
	}
}

// prefix checks what every prefix must be, and reports whether it is usable.
func (c *checker) prefix(object, rfc string, p netip.Prefix) bool {
	a := p.Addr()
	switch {
	case !p.IsValid() || !a.Is6() || a.Is4In6():
		c.add(object, rfc, "is no IPv6 prefix: write one such as fd00:b1::/64")
	case p != p.Masked():
		c.add(object, rfc, "%s has bits behind its length: write %s", p, p.Masked())
	case a.IsMulticast():
		c.add(object, rfc, "%s is multicast: give a unicast prefix", p)
	default:
		return true
	}
	return false
}

// reserved refuses a prefix for guests that has addresses no interface may have, and
// reports whether it did.
func (c *checker) reserved(object string, p netip.Prefix) bool {
	for _, never := range []struct {
		prefix    string
		rfc, name string
	}{
		{"::/127", "RFC 4291 section 2.4", "the unspecified and the loopback address"},
		{"::ffff:0:0/96", "RFC 4291 section 2.5.5.2", "the IPv4-mapped addresses"},
		{"fe80::/10", "RFC 4291 section 2.5.6", "the link-local addresses"},
		{"ff00::/8", "RFC 4291 section 2.7", "the multicast addresses"},
	} {
		if p.Overlaps(netip.MustParsePrefix(never.prefix)) {
			c.add(object, never.rfc, "%s overlaps %s, %s: give another prefix", p, never.prefix, never.name)
			return true
		}
	}
	return false
}

// unicast checks that a node can have the address, and reports whether it can.
func (c *checker) unicast(object string, a netip.Addr) bool {
	switch {
	case !a.IsValid() || !a.Is6() || a.Is4In6() || a.Zone() != "":
		c.add(object, "", "is no IPv6 address: write one such as fd00:b1::11, without a zone")
	case a.IsUnspecified():
		c.add(object, "RFC 4291 section 2.5.2", "the unspecified address is nobody's: give a unicast address")
	case a.IsLoopback():
		c.add(object, "RFC 4291 section 2.5.3", "the loopback address never leaves a node: give another")
	case a.IsMulticast():
		c.add(object, "RFC 4291 section 2.7", "%s is multicast: give a unicast address", a)
	default:
		return true
	}
	return false
}

// claim notes who has an address on a network, or that two would.
func (c *checker) claim(n *networkFacts, object string, a netip.Addr, who string) {
	if other, taken := n.addrs[a]; taken {
		rfc := "RFC 4862 section 5.4"
		if a.Is4() {
			rfc = "RFC 5227 section 1"
		}
		c.add(object, rfc, "%s is already %s's on network %s: give each its own address", a, other, n.spec.Name)
		return
	}
	n.addrs[a] = who
}

// claimMAC is claim for MACs.
func (c *checker) claimMAC(n *networkFacts, object string, mac [6]byte, who, text string) {
	if other, taken := n.macs[mac]; taken {
		c.add(object, "RFC 4862 section 5.4.5", "%s is already %s's on network %s: give each its own MAC", text, other, n.spec.Name)
		return
	}
	n.macs[mac] = who
}

// domain checks a DNS name in letters, digits, hyphens and underscores.
func (c *checker) domain(object, name string) {
	const rfc = "RFC 1035 section 2.3.4"
	d := canonicalDomain(name)
	if d == "" {
		c.add(object, rfc, "%q is no domain name: write one such as example.test", name)
		return
	}
	// Every label has a length octet, and the root one more.
	if len(d)+2 > 255 {
		c.add(object, rfc, "the name takes %d octets: 255 are allowed", len(d)+2)
	}
	for label := range strings.SplitSeq(d, ".") {
		switch {
		case label == "":
			c.add(object, rfc, "%q has an empty label: write one such as example.test", name)
			return
		case len(label) > 63:
			c.add(object, rfc, "label %q has %d octets: 63 are allowed", label, len(label))
		case strings.ContainsFunc(label, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}):
			c.add(object, "RFC 1035 section 2.3.1", "label %q has other characters than letters, digits and hyphens: write international names as xn--", label)
		}
	}
}
