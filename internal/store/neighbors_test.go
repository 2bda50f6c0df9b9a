package store

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestNeighbors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	at := func(network, a string) Neighbor {
		return Neighbor{Network: network, Addr: netip.MustParseAddr(a), Port: "up", MAC: [6]byte{2, 0, 0, 0, 0, 1}}
	}
	by := func(network, a string, preference int8) Upstream {
		return Upstream{Network: network, Addr: netip.MustParseAddr(a), Preference: preference, Until: NewDeadline(clockAt(0), time.Hour)}
	}
	a, b, moved := at("ext", "2001:db8::a"), at("ext", "2001:db8::b"), at("ext2", "2001:db8::a")
	low, gone := by("ext", "fe80::1", -1), by("ext", "fe80::2", 1)
	if err := s.RecordNeighbors(NeighborChanges{Put: []Neighbor{a, b, moved}, PutUpstreams: []Upstream{low, gone}}); err != nil {
		t.Fatal(err)
	}
	moved.Port, moved.MAC, moved.Router = "vm3", [6]byte{2, 9}, true
	if err := s.RecordNeighbors(NeighborChanges{Put: []Neighbor{moved}, Forget: []Neighbor{b, at("nobody", "::1")}, ForgetUpstreams: []Upstream{gone}}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []Neighbor{at("", "2001:db8::a"), at("x", "192.0.2.1"), at("x", "::ffff:192.0.2.1"), at("x", "fe80::1%eth0"), {Network: "x"}} {
		if s.RecordNeighbors(NeighborChanges{Put: []Neighbor{bad}}) == nil {
			t.Errorf("recorded %+v", bad)
		}
	}
	if err := s.Update(func(tx *Tx) error {
		_ = tx.Put(BucketNeighbors, placeKey("x", a.Addr), []byte("short"))
		_ = tx.Put(BucketUpstreams, placeKey("x", low.Addr), low.encode()[1:])
		return tx.Put(BucketUpstreams, placeKey("x", a.Addr), low.encode()) // global
	}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s, _ = mustOpen(t, dir)
	neighbors, upstreams, err := s.Neighbors()
	same := cmpopts.EquateComparable(netip.Addr{})
	if diff := cmp.Diff([]Neighbor{a, moved}, neighbors, same); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]Upstream{low}, upstreams, same); diff != "" {
		t.Errorf("default routers (-want +got):\n%s", diff)
	}
}
