package timers_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/internal/topology"
)

// reaching is one network whose router is no default router and reaches these
// prefixes behind a neighbour.
func reaching(destinations ...string) *topology.Spec {
	spec := bare(prefixA)
	spec.Networks[0].RouterAdvertisement.Lifetime = new(time.Duration)
	for _, d := range destinations {
		spec.Routers[0].Routes = append(spec.Routers[0].Routes, topology.StaticRouteSpec{
			Destination: netip.MustParsePrefix(d), NextHops: []netip.Addr{netip.MustParseAddr("fd00:a::99")}})
	}
	return spec
}

// withdrawn are the routes that guests of n1 are told the end of.
func (l *life) withdrawn() string {
	var list []string
	for _, p := range l.in.Withdrawn["n1"] {
		list = append(list, p.String())
	}
	return strings.Join(list, " ")
}

// TestRouteIsWithdrawn: as long as guests may believe in a route that is gone, they
// are told so, also by another process after a crash.
func TestRouteIsWithdrawn(t *testing.T) {
	lives(t, func(l *life) {
		want := func(what, list string) {
			t.Helper()
			if got := l.withdrawn(); got != list {
				t.Errorf("%s: withdrawn %q, want %q", what, got, list)
			}
		}
		// A route lasts three intervals of ten minutes.
		l.apply(reaching("fd00:1::/48", "fd00:2::/48"))
		want("told of", "")
		rest(5 * time.Hour)
		s := l.apply(reaching("fd00:2::/48"))
		want("removed", "fd00:1::/48")
		if again := l.apply(l.in.Spec); again != s {
			t.Error("a second Reconcile made another snapshot")
		}
		rest(10 * time.Minute)
		l.restart(10 * time.Minute)
		l.apply(reaching("fd00:3::/48"))
		want("one removed while nobody was there", "fd00:1::/48 fd00:2::/48")
		rest(11 * time.Minute)
		if l.ended.Load() != 1 {
			t.Errorf("told %d times that one ended", l.ended.Load())
		}
		l.apply(reaching("fd00:3::/48"))
		want("the first has lapsed", "fd00:2::/48")
		l.apply(reaching("fd00:2::/48", "fd00:3::/48"))
		want("the second is back", "")
		l.apply(bare(prefixA))
		want("the router is a default router", "fd00:2::/48 fd00:3::/48")
		rest(31 * time.Minute)
		l.apply(bare(prefixA))
		want("all have lapsed", "")
		if records, err := l.db.AdvertisedRoutes(); err != nil || len(records) != 0 {
			t.Errorf("records %v, %v", records, err)
		}
	})
}
