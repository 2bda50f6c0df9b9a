package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
)

// told is what guests are told of routes, "prefix for lifetime" each, and how many
// octets the longest advertisement has.
func told(t testing.TB, n *Network) (list []string, longest int) {
	t.Helper()
	for _, a := range n.Adverts {
		longest = max(longest, len(a.Body))
		for _, o := range parse(t, a).Options {
			if r, ok := o.(*ndp.RouteInformation); ok {
				list = append(list, fmt.Sprintf("%s/%d %s", r.Prefix, r.PrefixLength, r.RouteLifetime))
			}
		}
	}
	return list, longest
}

// crossroads is a router on three networks with routes of each kind.
func crossroads() *Spec {
	static := func(p string, hop string) StaticRouteSpec {
		return StaticRouteSpec{Destination: prefix(p), NextHops: []netip.Addr{addr(hop)}}
	}
	return &Spec{
		Networks: []NetworkSpec{
			{Name: "blue", RouterAdvertisement: AdvertSpec{Lifetime: ptr(time.Duration(0))}, Subnets: []SubnetSpec{{Prefix: prefix("fd00:b1::/64")}},
				Delegations: []DelegationSpec{{Pool: prefix("2001:db8:8000::/40"), Length: 56}}},
			{Name: "red", Subnets: []SubnetSpec{{Prefix: prefix("fd00:ed::/64")}}},
			{Name: "tiny", RouterAdvertisement: AdvertSpec{Preference: Low}, Subnets: []SubnetSpec{{Prefix: prefix("fd00:71::/64")}}},
		},
		Routers: []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue"}, {Network: "red", Addresses: []netip.Prefix{prefix("fd00:ee::1/48")}}, {Network: "tiny"}},
			Routes: []StaticRouteSpec{
				static("::/0", "fd00:ed::99"), static("2001:db8:7::/48", "fd00:ed::99"), static("2001:db8:7:1::/64", "fd00:b1::99"),
				{Destination: prefix("2001:db8:b::/48"), Type: Blackhole}, {Destination: prefix("2001:db8:c::/48"), Type: RejectRoute},
			}}},
	}
}

// TestRoutesWhereTheyHelp: guests whose router is no default router, or gives way to
// another, are told what it reaches (RFC 4191 section 2.3), and nobody else.
func TestRoutesWhereTheyHelp(t *testing.T) {
	t.Parallel()
	routes := func(spec *Spec, withdrawn map[string][]netip.Prefix) map[string]string {
		in := Input{Spec: spec, Withdrawn: withdrawn}
		in.Keys = keysFor(in)
		s, problems := new(Builder).Build(in)
		if len(problems) > 0 {
			t.Fatalf("problems: %v", problems)
		}
		m := map[string]string{}
		for _, n := range s.Networks {
			list, _ := told(t, n)
			m[n.Name] = strings.Join(list, ", ")
		}
		return m
	}
	check := func(what string, got map[string]string, want ...string) {
		t.Helper()
		for i, name := range []string{"blue", "red", "tiny"} {
			if got[name] != want[i] {
				t.Errorf("%s: %s is told of\n%s, want\n%s", what, name, got[name], want[i])
			}
		}
	}
	const blue = "2001:db8:8000::/40 30m0s, 2001:db8:7::/48 30m0s, fd00:ee::/48 30m0s, fd00:71::/64 30m0s, fd00:ed::/64 30m0s"
	const tiny = "2001:db8:8000::/40 30m0s, 2001:db8:7::/48 30m0s, fd00:ee::/48 30m0s, fd00:b1::/64 30m0s, fd00:ed::/64 30m0s"
	check("no default router, and of low preference", routes(crossroads(), nil), blue, "", tiny)

	spec := crossroads()
	spec.Ports = []PortSpec{{Name: "vm1", Network: "red", Router: true}}
	spec.Networks[0].RouterAdvertisement = AdvertSpec{}
	spec.Networks[2].RouterAdvertisement = AdvertSpec{}
	check("a guest is a router", routes(spec, nil), "",
		"2001:db8:8000::/40 30m0s, 2001:db8:7::/48 30m0s, fd00:71::/64 30m0s, fd00:b1::/64 30m0s", "")

	spec = crossroads()
	spec.Networks[0].RouterAdvertisement.Routes = []RouteSpec{{prefix("fd00:ed::/64"), High}}
	spec.Networks[2].RouterAdvertisement = AdvertSpec{}
	check("configured ones count more, and ended ones are withdrawn",
		routes(spec, map[string][]netip.Prefix{"blue": {prefix("2001:db8:7::/48"), prefix("2001:db8:9::/48")}, "tiny": {prefix("fd00:ed::/64")}}),
		"fd00:ed::/64 30m0s, 2001:db8:8000::/40 30m0s, 2001:db8:7::/48 30m0s, fd00:ee::/48 30m0s, fd00:71::/64 30m0s, 2001:db8:9::/48 0s", "", "fd00:ed::/64 0s")

	without := crossroads()
	without.Routers = nil
	without.Networks[0].Delegations = nil
	without.Networks[2].RouterAdvertisement = AdvertSpec{}
	check("nobody routes", routes(without, nil), "", "", "")
}

// TestFewRoutes: "Routers SHOULD NOT send more than 17 Route Information Options in
// Router Advertisements per link" (RFC 4191 section 4), the widest here, and no
// advertisement is longer than the link takes.
func TestFewRoutes(t *testing.T) {
	t.Parallel()
	spec := crossroads()
	for i := range 40 {
		spec.Networks[0].Subnets = append(spec.Networks[0].Subnets, SubnetSpec{Prefix: prefix(fmt.Sprintf("fd00:b1:0:%x::/64", i+1))})
		spec.Routers[0].Routes = append(spec.Routers[0].Routes, StaticRouteSpec{Destination: prefix(fmt.Sprintf("2001:db9:%x::/%d", i*16, 40+i/4)), NextHops: []netip.Addr{addr("fd00:ed::99")}})
	}
	for i := range spec.Routers[0].Routes {
		s := &spec.Routers[0].Routes[i]
		s.Destination = s.Destination.Masked()
	}
	spec.Networks[0].Metadata = &MetadataSpec{}
	spec.Networks[0].RouterAdvertisement.Routes = []RouteSpec{{prefix("fd00:9::/64"), Low}, {prefix("fd00:8::/64"), Low}}
	spec.Routers[0].Routes = slices.CompactFunc(spec.Routers[0].Routes, func(a, b StaticRouteSpec) bool { return a.Destination == b.Destination })
	var withdrawn []netip.Prefix
	for i := range 30 {
		withdrawn = append(withdrawn, prefix(fmt.Sprintf("2001:dba:%x::/48", i)))
	}
	n := build(t, Input{Spec: spec, Withdrawn: map[string][]netip.Prefix{"blue": withdrawn}})
	list, longest := told(t, n)
	if longest > minLink-40 || len(n.Adverts) < 2 {
		t.Errorf("%d advertisements of up to %d octets", len(n.Adverts), longest)
	}
	lasting := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.HasSuffix(s, " 0s") })
	if len(lasting) != maxRoutes || len(list) != 2*maxRoutes {
		t.Errorf("%d routes, %d withdrawn: %q", len(lasting), len(list)-len(lasting), list)
	}
	for _, r := range []string{"fd00:9::/64 30m0s", "fd00:8::/64 30m0s", "fd00:ec2::254/128 30m0s", "2001:db8:8000::/40 30m0s"} {
		if !slices.Contains(lasting, r) {
			t.Errorf("nobody is told of %s: %q", r, lasting)
		}
	}
}
