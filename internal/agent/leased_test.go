package agent

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/config"
	"damselfly/internal/topology"
)

// TestLeased: what is leased to a guest is its port's, what is leased to the
// clients of a relay neither binds that port nor wakes the reconciling.
func TestLeased(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	spec := &topology.Spec{Ports: []topology.PortSpec{{Name: "vm1", Network: "blue"}, {Name: "relay", Network: "blue", DHCPv6Relay: true}}}
	d.a.config = &config.Config{Topology: spec}
	keys := topology.Keys{Ports: map[string]uint16{"vm1": 1, "relay": 2, "known by its interface": 3}}
	bind := func(port, address string) {
		t.Helper()
		err := d.group(func(c *told) {
			g := grant
			g.Port, g.Prefix = port, netip.MustParsePrefix(address+"/128")
			if err := c.Bind(g); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	moved := func() bool { return d.a.direct(d.book.View().Moved()) }

	bind("relay", "fd00::21")
	if moved() {
		t.Error("a relay's client wakes the reconciling")
	}
	bind("vm1", "fd00::11")
	if !moved() {
		t.Error("a guest's lease does not wake the reconciling")
	}
	bind("vm1", "fd00::11")
	if moved() {
		t.Error("a renewal wakes the reconciling")
	}
	bind("known by its interface", "fd00::13")
	bind("gone", "fd00::14")
	want := map[string]map[netip.Addr]uint16{"blue": {netip.MustParseAddr("fd00::11"): 1, netip.MustParseAddr("fd00::13"): 3}}
	got := map[string]map[netip.Addr]uint16{}
	for network, list := range d.leased(keys, spec) {
		got[network] = map[netip.Addr]uint16{}
		for _, h := range list {
			got[network][h.Addr] = h.Port
		}
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("leased (-want +got):\n%s", diff)
	}
}
