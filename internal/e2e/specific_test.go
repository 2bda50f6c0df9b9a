package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"damselfly/internal/lab"
)

const specific = `
networks:
  - name: blue
    router_advertisement: {lifetime: 0s, interval: 4s, min_interval: 3s}
    subnets: [{prefix: "fd00:b1::/64"}]
  - {name: red, subnets: [{prefix: "fd00:ed::/64"}]}
routers:
  - name: r1
    networks: [blue, red]
    routes:
      - {destination: "::/0", nexthop: ["fd00:ed::99"]}
      - {destination: "2001:db8:7::/48", nexthop: ["fe80::ff:fe00:12"], network: red}
      - {destination: "2001:db8:8::/48", type: blackhole}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: red, mac: "02:00:00:00:00:12"}
`

// TestMoreSpecificRoutes: a kernel whose router is no default router reaches what
// the router does, and nothing else; what ends while Damselfly is dead ends
// there too (RFC 4191 section 3.1).
func TestMoreSpecificRoutes(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, specific)
		d := serve(t, s)
		o := quick("vm1", mac1)
		// Linux takes none by default (Documentation/networking/ip-sysctl.rst).
		o.Sysctls["net.ipv6.conf.eth0.accept_ra_rt_info_max_plen"] = "128"
		vm1 := addGuest(t, s, o)
		vm2 := addGuest(t, s, quick("vm2", mac2))
		booted(t, netip.MustParsePrefix("fd00:b1::/64"), vm1)
		at := booted(t, netip.MustParsePrefix("fd00:ed::/64"), vm2)[0]
		has := func(what string, want ...string) {
			t.Helper()
			lab.WaitFor(t, patience, what, func() error {
				routes, err := vm1.Routes()
				if err != nil {
					return err
				}
				var by []string
				for _, r := range routes {
					if r.Gateway.IsValid() {
						by = append(by, r.Destination+" "+r.Gateway.String())
					}
				}
				if slices.Sort(by); !slices.Equal(by, want) {
					return fmt.Errorf("routes %q", by)
				}
				return nil
			})
		}
		has("the router's routes", "2001:db8:7::/48 fe80::1", "fd00:ed::/64 fe80::1")
		ping(t, vm1, at.String())
		if out, err := vm1.Run("ping", "-6", "-c", "1", "-W", "1", "2001:db8:ffff::1"); err == nil || !strings.Contains(err.Error(), "unreachable") {
			t.Errorf("where the router is no default router: %q, %v", out, err)
		}

		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Configure(strings.Replace(specific, `      - {destination: "2001:db8:7::/48", nexthop: ["fe80::ff:fe00:12"], network: red}`+"\n", "", 1)); err != nil {
			t.Fatal(err)
		}
		serve(t, s)
		has("one route less", "fd00:ed::/64 fe80::1")
		if err := s.Configure(strings.Replace(specific, "lifetime: 0s, ", "lifetime: 600s, ", 1)); err != nil {
			t.Fatal(err)
		}
		has("the default route alone", "default fe80::1")
		ping(t, vm1, at.String())
	})
}
