package flows

import (
	"fmt"
	"net/netip"
	"testing"

	"damselfly/internal/topology"
)

// wideSpec has n networks on one router, each with a guest, and routes.
func wideSpec(n, routes int) *topology.Spec {
	s := &topology.Spec{Routers: []topology.RouterSpec{{Name: "r1"}}}
	for i := range n {
		name := fmt.Sprintf("net%04d", i)
		at := netip.AddrFrom16([16]byte{0: 0xfd, 4: byte(i >> 8), 5: byte(i)})
		s.Networks = append(s.Networks, topology.NetworkSpec{Name: name, Subnets: []topology.SubnetSpec{{Prefix: netip.PrefixFrom(at, 64)}}})
		s.Ports = append(s.Ports, topology.PortSpec{Name: "vm" + name, Network: name, MAC: mac(1)})
		s.Routers[0].Networks = append(s.Routers[0].Networks, topology.PresenceSpec{Network: name})
	}
	for i := range routes {
		to := netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 4: byte(i >> 8), 5: byte(i)})
		s.Routers[0].Routes = append(s.Routers[0].Routes, topology.StaticRouteSpec{
			Destination: netip.PrefixFrom(to, 48), NextHops: []netip.Addr{netip.MustParseAddr("fe80::ff:fe00:1")}, Network: "net0000",
		})
	}
	return s
}

// TestRoutesGrowLinearly: another network costs a router the same flows however
// many it has.
func TestRoutesGrowLinearly(t *testing.T) {
	t.Parallel()
	count := func(n int) int { return len(Compile(build(wideSpec(n, 0), nil), envs["plain"]).Flows) }
	ten, twenty, thousand := count(10), count(20), count(1000)
	if each := (twenty - ten) / 10; thousand != ten+990*each {
		t.Errorf("%d, %d and %d flows for 10, 20 and 1000 networks", ten, twenty, thousand)
	}
}

// TestOneRouteAmong10000: one that changes is all that is sent.
func TestOneRouteAmong10000(t *testing.T) {
	t.Parallel()
	var b topology.Builder
	c := NewCompiler(envs["plain"])
	update := func(spec *topology.Spec) *Pieces {
		s, problems := b.Build(input(spec, nil))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return c.Update(s)
	}
	have := update(wideSpec(2, 10000))
	for _, tt := range []struct {
		name   string
		most   int
		change func(*topology.StaticRouteSpec)
	}{
		{"another way", 4, func(r *topology.StaticRouteSpec) { r.Network = "net0001" }},
		{"a blackhole", 4, func(r *topology.StaticRouteSpec) {
			*r = topology.StaticRouteSpec{Destination: r.Destination, Type: topology.Blackhole}
		}},
		// One route less, one more.
		{"another prefix", 4, func(r *topology.StaticRouteSpec) { r.Destination = netip.MustParsePrefix("2001:db9::/32") }},
	} {
		spec := wideSpec(2, 10000)
		tt.change(&spec.Routers[0].Routes[5000])
		next := update(spec)
		delta := DiffPieces(have, next)
		if n := delta.FlowMods(); n == 0 || n > tt.most {
			t.Errorf("%s: %d flow-mods, at most %d are due", tt.name, n, tt.most)
		}
		have = update(wideSpec(2, 10000))
	}
}
