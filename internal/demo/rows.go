package demo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"damselfly/internal/lab"
)

var prefix, linkLocal = netip.MustParsePrefix("fd00:b1::/64"), netip.MustParsePrefix("fe80::/10")

// rows are the checks of the table, in the order they are made. Sabotage comes
// as a flow of somebody else in front of Damselfly's, which it leaves alone.
var rows = []row{
	{name: "ra: address and default route", look: lookRA},
	{name: "ping: guests and router reach each other", look: lookPing},
	{
		name: "nd: neighbours resolve", look: lookND,
		sabotage: "cookie=0xbad,priority=40000,icmp6,icmp_type=135,icmp_code=0,dl_src=02:00:00:00:00:11,actions=drop",
	},
	{
		name: "dad: a taken address is refused", look: lookDAD,
		sabotage: "cookie=0xbad,priority=40000,icmp6,icmp_type=135,icmp_code=0,ipv6_src=::,actions=drop",
	},
}

// lookRA shows what both guests made of the Router Advertisement, and what
// rdisc6 reads in one.
func lookRA(ctx context.Context, s *scene) (string, error) {
	var seen []string
	for _, g := range []*lab.Guest{s.vm1, s.vm2} {
		a, err := address(ctx, g)
		if err != nil {
			return strings.Join(seen, "\n"), err
		}
		route, err := defaultRoute(ctx, g)
		if err != nil {
			return strings.Join(seen, "\n"), err
		}
		seen = append(seen, fmt.Sprintf("%s has %s/%d, %s", g.Name, a.Address, a.PrefixLen, route))
	}
	out, err := s.vm1.Run("rdisc6", "-1", "-r", "3", "-w", "2000", "eth0")
	if err != nil {
		return strings.Join(seen, "\n"), err
	}
	ra := fields(out)
	for _, want := range [][2]string{
		{"Prefix", "fd00:b1::/64"}, {"MTU", "1442 bytes (valid)"}, {"Router lifetime", "1800 (0x00000708) seconds"}, {"from", "fe80::1"},
	} {
		if got := ra[want[0]]; got != want[1] {
			return strings.Join(seen, "\n"), fmt.Errorf("rdisc6: %s is %q, want %q", want[0], got, want[1])
		}
	}
	return strings.Join(append(seen, "rdisc6: prefix "+ra["Prefix"]+", MTU "+ra["MTU"]+", from "+ra["from"]), "\n"), nil
}

// address waits for a guest's address on the advertised prefix.
func address(ctx context.Context, g *lab.Guest) (lab.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime/4)
	defer cancel()
	a, err := g.WaitAddr(ctx, prefix)
	if err != nil {
		return a, fmt.Errorf("%s has no address on %s", g.Name, prefix)
	}
	return a, nil
}

// defaultRoute waits for a guest's default route through the router's link-local.
func defaultRoute(ctx context.Context, g *lab.Guest) (seen string, err error) {
	err = lab.Eventually(ctx, func() error {
		routes, err := g.Routes()
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Destination == "default" {
				seen = fmt.Sprintf("default via %s", r.Gateway)
				if r.Gateway.String() != "fe80::1" {
					return errors.New(seen)
				}
				return nil
			}
		}
		return fmt.Errorf("%s has no default route", g.Name)
	})
	return seen, err
}

// lookPing pings between the guests and to the router. A guest may have the address that
// it made of an advertisement before it may use its link-local one.
func lookPing(ctx context.Context, s *scene) (string, error) {
	var target netip.Addr
	for _, g := range []*lab.Guest{s.vm1, s.vm2} {
		a, err := g.WaitAddr(ctx, linkLocal)
		if err != nil {
			return "", err
		}
		target = a.Address
	}
	var seen []string
	for _, t := range []struct{ name, address string }{
		{"vm2", target.String() + "%eth0"}, {"router", "fe80::1%eth0"},
	} {
		out, err := s.vm1.Run("ping", "-6", "-c", "3", "-i", "0.2", "-W", "2", t.address)
		summary := line(out, "packets transmitted")
		if err != nil || !strings.Contains(summary, " 0% packet loss") {
			return strings.Join(seen, "\n"), fmt.Errorf("%s does not answer vm1: %s", t.name, summary)
		}
		seen = append(seen, fmt.Sprintf("vm1 -> %s: %s", t.name, summary))
	}
	return strings.Join(seen, "\n"), nil
}

// lookND asks with ndisc6 for the other guest and for the router.
func lookND(ctx context.Context, s *scene) (string, error) {
	target, err := s.vm2.LinkLocal()
	if err != nil {
		return "", err
	}
	router, err := routerMAC(s)
	if err != nil {
		return "", err
	}
	var seen []string
	for _, t := range []struct{ name, address, mac string }{
		{"vm2", target.String(), s.vm2.MAC.String()}, {"router", "fe80::1", router},
	} {
		out, err := s.vm1.Run("ndisc6", "-1", "-r", "2", "-w", "1000", t.address, "eth0")
		if err != nil {
			return strings.Join(seen, "\n"), fmt.Errorf("ndisc6 got no answer for %s (%s)", t.address, t.name)
		}
		got := strings.ToLower(fields(out)["Target link-layer address"])
		if got != t.mac {
			return strings.Join(seen, "\n"), fmt.Errorf("ndisc6: %s is at %q, want %s", t.address, got, t.mac)
		}
		seen = append(seen, fmt.Sprintf("ndisc6: %s (%s) is at %s", t.address, t.name, got))
	}
	return strings.Join(seen, "\n"), nil
}

// routerMAC is what vm1's kernel knows the router by, from its advertisement.
func routerMAC(s *scene) (string, error) {
	neighbors, err := s.vm1.Neighbors()
	if err != nil {
		return "", err
	}
	for _, n := range neighbors {
		if n.Address.String() == "fe80::1" {
			return n.MAC, nil
		}
	}
	return "", errors.New("vm1 does not know the router")
}

// lookDAD gives vm2 an address of vm1 and shows that its kernel refuses it.
func lookDAD(ctx context.Context, s *scene) (string, error) {
	taken, err := s.vm1.LinkLocal()
	if err != nil {
		return "", err
	}
	if _, err := s.vm2.Run("ip", "-6", "addr", "add", taken.String()+"/64", "dev", "eth0"); err != nil {
		return "", err
	}
	// A mistake here costs nothing: the guest ends soon.
	defer s.vm2.Run("ip", "-6", "addr", "del", taken.String()+"/64", "dev", "eth0")
	seen := ""
	err = lab.Eventually(ctx, func() error {
		addrs, err := s.vm2.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if a.Address != taken {
				continue
			}
			if a.DADFailed {
				seen = fmt.Sprintf("vm2 with %s of vm1: dadfailed", taken)
				return nil
			}
			if !a.Tentative {
				seen = fmt.Sprintf("vm2 has %s of vm1:", taken)
				return nil
			}
			return fmt.Errorf("%s is still tentative on vm2", taken)
		}
		return fmt.Errorf("%s is not on vm2", taken)
	})
	if err == nil && !strings.HasSuffix(seen, "dadfailed") {
		err = errors.New("it was not refused")
	}
	return seen, err
}

var field = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z -]*?)\s*:\s*(.*?)\s*$`)

// fields reads what ndisc6 and rdisc6 print; "from" is who it came from.
func fields(out string) map[string]string {
	m := map[string]string{}
	for l := range strings.Lines(out) {
		if f := field.FindStringSubmatch(l); f != nil && m[f[1]] == "" {
			m[f[1]] = f[2]
		}
		if from, ok := strings.CutPrefix(strings.TrimSpace(l), "from "); ok {
			m["from"] = from
		}
	}
	return m
}

// line returns the first line of out that contains part.
func line(out, part string) string {
	for l := range strings.Lines(out) {
		if strings.Contains(l, part) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}
