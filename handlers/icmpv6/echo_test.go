package icmpv6

import (
	"net/netip"
	"testing"

	"damselfly/internal/topology"
)

func TestSourceFor(t *testing.T) {
	t.Parallel()
	router := &topology.RouterInterface{
		LinkLocal: netip.MustParseAddr("fe80::1"),
		Addresses: []netip.Prefix{
			netip.MustParsePrefix("2001:db8:1::1/64"),
			netip.MustParsePrefix("2001:db8:1::2/48"),
			netip.MustParsePrefix("2001:db8:2::3/48"),
			netip.MustParsePrefix("2001:db8:2::4/64"),
		},
	}
	for asker, want := range map[string]string{
		"fe80::5":          "fe80::1",
		"2001:db8:1::5":    "2001:db8:1::1",
		"2001:db8:1:2::5":  "2001:db8:1::2",
		"2001:db8:2::5":    "2001:db8:2::4",
		"2001:db8:2:ff::5": "2001:db8:2::3",
		"2001:db8:ffff::5": "fe80::1",
		"fd00::5":          "fe80::1",
	} {
		if got := sourceFor(router, netip.MustParseAddr(asker)); got.String() != want {
			t.Errorf("asked from %s: got %v, want %s", asker, got, want)
		}
	}
}
