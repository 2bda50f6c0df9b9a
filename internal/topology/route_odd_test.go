package topology

import (
	"net/netip"
	"strings"
	"testing"
)

// TestOddRoutes: a route that could never be taken, or that leads to the router
// itself, is refused with what is wrong with it; one that is only unusual is not.
func TestOddRoutes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ destination, nexthop, network, want string }{
		{"2001:db8::/32", "fd00:b1::9", "", ""},
		{"::/0", "fd00:b1::9", "", ""},
		{"fd00:b1::9/128", "fd00:b1::9", "", ""},
		{"fd00:ed::/80", "fd00:b1::9", "", ""},
		{"::/0", "fd00:b1::1", "", "the router's own address on network blue"},
		{"::/0", "fe80::1", "red", "the router's own address on network red"},
		{"::/0", "fd00:b1::", "", "RFC 4291 section 2.6.1"},
		{"::/0", "fe80::9", "", "say on which network (RFC 4007 section 6)"},
		{"::/0", "fd00:99::1", "", "RFC 4861 section 5.2"},
		{"::/0", "fd00:b1::9", "red", "RFC 4861 section 5.2"},
		{"::/0", "ff02::1", "red", "RFC 4291 section 2.7"},
		{"::/0", "::", "", "RFC 4291 section 2.5.2"},
		{"::1/128", "fd00:b1::9", "", "RFC 4291 sections 2.5.2 and 2.5.3"},
		{"::/128", "fd00:b1::9", "", "RFC 4291 sections 2.5.2 and 2.5.3"},
		{"ff00::/8", "fd00:b1::9", "", "RFC 4291 section 2.3"},
		{"fe80::/64", "fd00:b1::9", "", "RFC 4291 section 2.5.6"},
		{"fd00:ed::1/128", "fd00:b1::9", "", "the router's own address on network red"},
		{"fd00:ed::/64", "fd00:b1::9", "", "is on network red itself"},
		{"2001:db8::1/32", "fd00:b1::9", "", "write 2001:db8::/32"},
	} {
		spec := joined().Spec
		spec.Routers[0].Routes = []StaticRouteSpec{{Destination: netip.MustParsePrefix(tt.destination), NextHops: []netip.Addr{netip.MustParseAddr(tt.nexthop)}, Network: tt.network}}
		problems := Validate(spec)
		switch {
		case tt.want == "" && len(problems) > 0:
			t.Errorf("%s by %s: %v", tt.destination, tt.nexthop, problems)
		case tt.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].String(), tt.want)):
			t.Errorf("%s by %s: %v, want %q", tt.destination, tt.nexthop, problems, tt.want)
		}
	}
}
