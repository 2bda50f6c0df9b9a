package agent

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/config"
	"damselfly/internal/ovsdb"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestFirstKeys: what a plan without a store guesses is what a first start gives.
func TestFirstKeys(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{nil, {"a"}, {"a", "b", "c"}, {"vm1", "vm10", "vm2"}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir())
			now, err := store.ReadClock()
			if err != nil {
				t.Fatal(err)
			}
			given, err := s.AllocateKeys(now, store.PortKeys, names)
			if err != nil {
				t.Fatal(err)
			}
			got := firstKeys(nil, names)
			for _, name := range names {
				if got[name] != given[name] || got[name] == 0 {
					t.Errorf("%s: guessed %d, given %d", name, got[name], given[name])
				}
			}
		})
	}
	known := map[string]uint16{"old": 1, "older": 3}
	if diff := cmp.Diff(map[string]uint16{"old": 1, "older": 3, "a": 2, "b": 4}, firstKeys(known, []string{"a", "b", "old"})); diff != "" {
		t.Error(diff)
	}
	if len(known) != 2 {
		t.Error("the keys that a running damselfly told were changed")
	}
}

// TestKeyring: the store is asked only for other names, and what it gave
// outlives the process.
func TestKeyring(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	var k keyring
	networks, ports := []string{"blue"}, []string{"vm1", "vm2"}
	if err := k.update(s, networks, ports); err != nil {
		t.Fatal(err)
	}
	want := topology.Keys{Networks: map[string]uint16{"blue": 1}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}}
	if diff := cmp.Diff(want, k.keys); diff != "" {
		t.Fatal(diff)
	}
	if err := k.update(s, networks, []string{"vm0", "vm1", "vm2"}); err != nil {
		t.Fatal(err)
	}
	want.Ports = map[string]uint16{"vm0": 3, "vm1": 1, "vm2": 2}
	if diff := cmp.Diff(want, k.keys); diff != "" {
		t.Fatal(diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.update(s, networks, []string{"vm0", "vm1", "vm2"}); err != nil {
		t.Errorf("unchanged names went to the closed store: %v", err)
	}
	if err := k.update(s, networks, []string{"vm9"}); err == nil {
		t.Error("a new name got by without the store")
	}
	if diff := cmp.Diff(want, k.keys); diff != "" {
		t.Errorf("a failed update changed the keys:\n%s", diff)
	}
	var later keyring
	if err := later.update(openStore(t, dir), networks, []string{"vm0", "vm1", "vm2"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, later.keys); diff != "" {
		t.Errorf("another process gave other keys:\n%s", diff)
	}
}

func TestKeyNames(t *testing.T) {
	t.Parallel()
	spec := &topology.Spec{
		Networks: []topology.NetworkSpec{{Name: "red"}, {Name: "blue"}},
		Ports:    []topology.PortSpec{{Name: "vm1"}},
	}
	networks, ports := keyNames(spec, []topology.Binding{
		{Interface: "tap1", ID: "vm1"},
		{Interface: "tap2", ID: "by-id", Network: "blue"},
		{Interface: "tap3", Network: "blue"},
		{Interface: "eth0"},
	})
	if diff := cmp.Diff([][]string{{"blue", "red"}, {"by-id", "tap3", "vm1"}}, [][]string{networks, ports}); diff != "" {
		t.Error(diff)
	}
}

// TestBindings reads what the database says of each interface.
func TestBindings(t *testing.T) {
	t.Parallel()
	got, faults := bindings(ovsdb.View{Interfaces: []ovsdb.Interface{
		{Name: "br", OFPort: ovsdb.OFPortLocal},
		{Name: "dfp-br", OFPort: 9, Ours: true},
		{Name: "tap1", OFPort: 3, IfaceID: "vm1", Network: "blue", AttachedMAC: "02:00:00:00:00:11"},
		{Name: "tap2", AttachedMAC: "no MAC"},
	}}, "dfp-br")
	want := []topology.Binding{
		{Interface: "br", OFPort: flows.Local},
		{Interface: "tap1", ID: "vm1", OFPort: 3, Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}},
		{Interface: "tap2"},
	}
	if len(faults) != 1 || faults[0].subject != "interface tap2" {
		t.Errorf("faults %v", faults)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFixedChanges(t *testing.T) {
	t.Parallel()
	old := config.Config{Bridge: "br", State: "/s", API: "a:1", IDs: config.IDs{Groups: 1, Meters: 2}}
	for _, c := range []struct {
		change func(*config.Config)
		want   []string
	}{
		{func(c *config.Config) { c.Topology = &topology.Spec{} }, nil},
		{func(c *config.Config) { c.Bridge = "br1" }, []string{"bridge"}},
		{func(c *config.Config) { c.State = "/t" }, []string{"state"}},
		{func(c *config.Config) { c.API = "" }, []string{"api"}},
		{func(c *config.Config) { c.Punt, c.IDs.Meters = config.PuntPacketIn, 3 }, []string{"ids"}},
	} {
		next := old
		c.change(&next)
		if diff := cmp.Diff(c.want, fixedChanges(&old, &next)); diff != "" {
			t.Error(diff)
		}
	}
}
