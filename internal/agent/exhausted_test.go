package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

// TestExhausted: an alarm for each pool that has nothing left for a client, which
// ends when there is room again, however that came.
func TestExhausted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.leases.boot = d.leases.now().Boot
	d.now = d.leases.now() // what tick goes by
	d.asks(t, snapshotOf(t, "vm1", "vm2"))
	network := func() *topology.Network { return d.a.snapshot.Load().Networks[0] }
	step := func(changes func(*told)) {
		t.Helper()
		if err := d.group(changes); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, want ...string) {
		t.Helper()
		d.told.exhausted.looked = -time.Hour
		d.tickLeases(d.now)
		var got []string
		for _, p := range d.told.exhausted.of("blue") {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	ask := func(c *told) {
		a := lease.Ask{Network: network(), Port: network().Ports[1], DUID: []byte("late")}
		if _, err := c.Choose(a, &network().Subnets[0], netip.Addr{}); !errors.Is(err, lease.ErrNoAddress) {
			t.Errorf("address: %v", err)
		}
		if _, _, err := c.ChoosePrefix(a, netip.Prefix{}); !errors.Is(err, lease.ErrNoPrefix) {
			t.Errorf("prefix: %v", err)
		}
	}
	prefix := grant
	prefix.Kind, prefix.Prefix = lease.Prefix, netip.MustParsePrefix("2001:db8::/56")
	take := func(c *told) {
		for _, g := range []lease.Grant{grant, prefix} {
			g.Preferred, g.Valid = time.Hour, time.Hour
			if err := c.Bind(g); err != nil {
				t.Error(err)
			}
		}
	}
	release := func(g lease.Grant) {
		step(func(c *told) { c.Release(g.Port, g.DUID, g.Kind, g.IAID, g.Prefix) })
	}

	step(take)
	want("all is taken, and nobody wants more")
	for range 3 {
		step(ask)
	}
	want("asked", "address in fd00::/64", "prefix")
	metrics := func(want ...string) {
		t.Helper()
		d.a.leases = d.leases
		var got []string
		collector{d.a}.exhausted(func(_ *prometheus.Desc, v float64, labels ...string) {
			got = append(got, fmt.Sprint(labels, v))
		}, d.a.snapshot.Load())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	metrics("[blue address] 1", "[blue prefix] 1")
	d.says(t, "there is room", 0)
	release(grant)
	want("an address is released", "prefix")
	metrics("[blue address] 0", "[blue prefix] 1")
	release(prefix)
	want("all is released")
	d.says(t, "there is room in a pool again", 2)

	step(take)
	step(ask)
	want("asked again", "address in fd00::/64", "prefix")
	larger := snapshotOf(t, "vm1", "vm2")
	larger.Networks[0].Subnets[0].Pools[0].Last = netip.MustParseAddr("fd00::12")
	larger.Networks[0].DHCPv6.Delegations = nil
	d.a.snapshot.Store(larger)
	want("one pool is larger, and one gone")
	d.a.snapshot.Store(snapshotOf(t, "vm1", "vm2"))
	step(ask)
	want("as before", "address in fd00::/64", "prefix")
	d.a.snapshot.Store(&topology.Snapshot{})
	want("the network is gone")
}

// TestNothingToGive: what no pool was configured for is no exhausted pool.
func TestNothingToGive(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	snap := snapshotOf(t, "vm1")
	n := snap.Networks[0]
	n.Subnets[0].Pools, n.DHCPv6.Delegations = nil, nil
	if err := d.group(func(c *told) {
		a := lease.Ask{Network: n, Port: n.Ports[0], DUID: []byte("a")}
		_, err := c.Choose(a, &n.Subnets[0], netip.Addr{})
		_, _, err2 := c.ChoosePrefix(a, netip.Prefix{})
		if !errors.Is(err, lease.ErrNoPool) || !errors.Is(err2, lease.ErrNoPool) {
			t.Errorf("%v, %v", err, err2)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if list := d.told.exhausted.of("blue"); len(list) > 0 {
		t.Errorf("%v", list)
	}
}
