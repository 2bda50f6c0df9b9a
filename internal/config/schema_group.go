package config

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"damselfly/internal/topology"
)

func securityGroup(g *topology.SecurityGroupSpec) reader {
	return func(v value) {
		v.fields(keys{
			"name":      text(&g.Name),
			"stateless": boolean(&g.Stateless),
			"rules":     many(&g.Rules, rule),
		})
	}
}

func rule(r *topology.RuleSpec) reader {
	return func(v value) {
		r.Protocol = topology.AnyProtocol
		directed := false
		directions := []topology.Direction{topology.Ingress, topology.Egress}
		v.fields(keys{
			"direction": func(v value) {
				directed = true
				choice(&r.Direction, []string{"ingress", "egress"}, directions)(v)
			},
			"ethertype":     choice(&r.Family, []string{"ipv6", "ipv4"}, []topology.Family{topology.IPv6, topology.IPv4}),
			"protocol":      protocol(&r.Protocol),
			"ports":         ports(&r.Ports),
			"icmp":          icmp(&r.ICMP),
			"remote_prefix": anyPrefix(&r.RemotePrefix),
			"remote_group":  text(&r.RemoteGroup),
			"action":        choice(&r.Reject, []string{"allow", "reject"}, []bool{false, true}),
			"log":           boolean(&r.Log),
		})
		if _, ok := entriesOf(v.node); ok && !directed {
			v.wrong("has no direction; write ingress or egress")
		}
	}
}

// wordOf is the text of a value that may as well look like a number.
func wordOf(v value, example string) (string, bool) {
	if n, ok := v.node.(*ast.IntegerNode); ok {
		return n.GetToken().Value, true
	}
	return textOf(v, example)
}

// protocol reads a name or the number of the IP header.
func protocol(to *int) reader {
	return func(v value) {
		s, ok := wordOf(v, "tcp")
		if !ok {
			return
		}
		if n, known := topology.ProtocolNumber(s); known {
			*to = n
			return
		}
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil {
			v.wrong("%q is no protocol; write tcp, udp, sctp, icmp, icmpv6, esp, ah, gre, dccp or another by its number, 0 to 255", s)
			return
		}
		*to = int(n)
	}
}

// ports reads one port or a range.
func ports(to **topology.PortRange) reader {
	return func(v value) {
		s, ok := wordOf(v, `"80-443"`)
		if !ok {
			return
		}
		first, last, ranged := strings.Cut(s, "-")
		if !ranged {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil {
			v.wrong(`%q are no ports; write one such as 80 or a range such as "80-443"`, s)
			return
		}
		*to = &topology.PortRange{First: uint16(a), Last: uint16(b)}
	}
}

// icmp reads a type, or a type and a code.
func icmp(to **topology.ICMPMatch) reader {
	return func(v value) {
		s, ok := wordOf(v, "128/0")
		if !ok {
			return
		}
		typ, code, coded := strings.Cut(s, "/")
		if !coded {
			code = "0"
		}
		a, err := strconv.ParseUint(typ, 10, 8)
		b, err2 := strconv.ParseUint(code, 10, 8)
		if err != nil || err2 != nil {
			v.wrong("%q is no type; write one such as 128, or type and code such as 128/0", s)
			return
		}
		*to = &topology.ICMPMatch{Type: uint8(a), Code: uint8(b), HasCode: coded}
	}
}

// anyPrefix reads a prefix of either family, or an address.
func anyPrefix(to *netip.Prefix) reader {
	return func(v value) {
		s, ok := textOf(v, "2001:db8::/32")
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if a, failed := netip.ParseAddr(s); failed == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			v.wrong("%q is no prefix; write one such as 2001:db8::/32 or 192.0.2.0/24", s)
			return
		}
		*to = p
	}
}

// groupNames reads a list that, when it is empty, is not as if it were not there.
func groupNames(to *[]string) reader {
	return func(v value) {
		*to = []string{}
		many(to, text)(v)
	}
}
