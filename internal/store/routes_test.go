package store

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAdvertisedRoutes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	route := func(network, p string) AdvertisedRoute {
		return AdvertisedRoute{Network: network, Prefix: netip.MustParsePrefix(p), Lifetime: time.Hour}
	}
	told, gone, other := route("blue", "fd00:b1::/64"), route("blue", "fd00:b2::/48"), route("blue2", "fd00:b1::/64")
	if err := s.RecordRoutes([]AdvertisedRoute{other, told, gone, route("blue", "fd00:b3::/64")}, nil); err != nil {
		t.Fatal(err)
	}
	gone.WithdrawnUntil = NewDeadline(clockAt(0), time.Minute)
	if err := s.RecordRoutes([]AdvertisedRoute{gone}, []AdvertisedRoute{route("blue", "fd00:b3::/64"), route("nobody", "fd00::/64")}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []AdvertisedRoute{{Network: "x"}, route("x", "10.0.0.0/8"), route("x", "fd00::1/64"), route("", "fd00::/64")} {
		if s.RecordRoutes([]AdvertisedRoute{bad}, nil) == nil {
			t.Errorf("recorded %+v", bad)
		}
	}
	_ = s.Close()
	s, _ = mustOpen(t, dir)
	got, err := s.AdvertisedRoutes()
	if diff := cmp.Diff([]AdvertisedRoute{told, gone, other}, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
