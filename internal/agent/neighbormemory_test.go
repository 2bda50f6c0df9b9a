package agent

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damselfly/internal/neighbor"
	"damselfly/internal/store"
	"damselfly/internal/wire"
)

// TestNeighborMemory: what was found is there after a restart, and who is there or
// goes on to be a router costs no write.
func TestNeighborMemory(t *testing.T) {
	t.Parallel()
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	now := store.Clock{Wall: time.Unix(1e9, 0), Boot: store.BootID{1}, Uptime: time.Hour}
	clock := func() store.Clock { return now }
	pass := func(d time.Duration) { now.Wall, now.Uptime = now.Wall.Add(d), now.Uptime+d }
	var db *store.Store
	var m *neighborMemory
	start := func() ([]neighbor.Neighbor, []neighbor.Router) {
		t.Helper()
		if db != nil {
			_ = db.Close()
		}
		var err error
		if db, err = store.Open(dir, quiet); err != nil {
			t.Fatal(err)
		}
		table, routers := neighbor.New(neighbor.DefaultBounds(), nil), &neighbor.Routers{}
		if m, err = openNeighborMemory(db, clock, quiet, table, routers); err != nil {
			t.Fatal(err)
		}
		return table.View().Known(), routers.List()
	}
	at := func(a, port string) neighbor.Neighbor {
		return neighbor.Neighbor{Place: neighbor.Place{Network: "ext", Addr: netip.MustParseAddr(a)}, Port: port, MAC: wire.MAC{2, 1}, State: neighbor.Stale}
	}
	router := func(left time.Duration) neighbor.Router {
		return neighbor.Router{Place: neighbor.Place{Network: "ext", Addr: netip.MustParseAddr("fe80::1")}, Preference: 1, Until: now.Uptime + left}
	}
	save := func(known []neighbor.Neighbor, routers ...neighbor.Router) (written bool) {
		t.Helper()
		before := m.upstreams
		m.upstreams = map[neighbor.Place]store.Upstream{}
		for k, v := range before {
			m.upstreams[k] = v
		}
		if err := m.save(known, routers); err != nil {
			t.Fatal(err)
		}
		return len(routers) > 0 && before[routers[0].Place] != m.upstreams[routers[0].Place]
	}
	if known, routers := start(); known != nil || len(routers) > 0 {
		t.Errorf("a first start knows %v and %v", known, routers)
	}
	save([]neighbor.Neighbor{at("2001:db8::a", "up"), at("2001:db8::b", "up"), at("fe80::1", "up")}, router(30*time.Minute))
	moved := at("2001:db8::b", "vm3")
	moved.Router = true
	save([]neighbor.Neighbor{moved, at("fe80::1", "up")}, router(30*time.Minute))
	same := cmpopts.EquateComparable(netip.Addr{})
	known, routers := start()
	if diff := cmp.Diff([]neighbor.Neighbor{moved, at("fe80::1", "up")}, known, same); diff != "" {
		t.Errorf("neighbours (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]neighbor.Router{router(30 * time.Minute)}, routers, same); diff != "" {
		t.Errorf("routers (-want +got):\n%s", diff)
	}
	pass(10 * time.Minute)
	if save(known, router(30*time.Minute)) {
		t.Error("two thirds of what is left are on disk, and it was written")
	}
	pass(10 * time.Minute)
	if !save(known, router(30*time.Minute)) {
		t.Error("a third of what is left is on disk, and it was not written")
	}
	if !save(known, router(time.Minute)) {
		t.Error("it says that it ends soon, and that was not written")
	}
	pass(2 * time.Minute)
	if _, routers := start(); len(routers) > 0 {
		t.Errorf("its lifetime is over: %v", routers)
	}
	save(nil)
	if known, routers := start(); known != nil || len(routers) > 0 {
		t.Errorf("after the end of all %v and %v are known", known, routers)
	}
}
