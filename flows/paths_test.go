package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// TestPaths: of several next hops those that are there share what is routed; when
// none is, the sender is told, or they are asked for.
func TestPaths(t *testing.T) {
	t.Parallel()
	s := buildPaths()
	r := s.Routers[0]
	for _, tt := range []struct {
		to      string
		buckets []uint32 // output ports
		way     punt.Trouble
		mtu     int
	}{
		{"2001:db8:7::1", []uint32{2, 3}, 0, 1400},
		{"2001:db8:8::1", []uint32{2, 3}, 0, 1400},
		{"2001:db8:9::1", nil, punt.Unreachable, 1500},
		{"2001:db8:a::1", []uint32{5}, 0, 0},
		{"2001:db8:b::1", nil, punt.Unresolved, 0},
	} {
		set := Compile(s, envs["plain"])
		sw := &fakeSwitch{Set: set}
		in := sized(ip6(1, guest1, gateway(1), "fd00:b1::ff:fe00:11", tt.to, 17).set(IPTTL, U8(64)), 100)
		trace := sw.run(in)
		way := r.To(netip.MustParseAddr(tt.to))
		if way.Trouble != tt.way || sw.trouble != tt.way || way.MTU != tt.mtu {
			t.Errorf("to %s: %+v, trouble %d by flows (%s); want trouble %d, MTU %d", tt.to, way, sw.trouble, trace, tt.way, tt.mtu)
		}
		var ports []uint32
		for _, f := range set.Flows {
			dst, ok := f.Match.Get(IPv6Dst)
			if !ok || f.Table != TableRoute || dst.Value != Addr(netip.MustParseAddr(tt.to[:len(tt.to)-1])) {
				continue
			}
			for _, a := range f.Actions {
				if g, ok := a.(ToGroup); ok {
					for _, b := range set.Groups[g.ID].Buckets {
						ports = append(ports, b.WatchPort)
					}
				}
			}
		}
		if !slices.Equal(ports, tt.buckets) {
			t.Errorf("to %s: by ports %v, want %v", tt.to, ports, tt.buckets)
		}
	}
}

// TestPathsSource: a source may come from every network by which it is reached.
func TestPathsSource(t *testing.T) {
	t.Parallel()
	sw := &fakeSwitch{Set: Compile(buildPaths(), envs["plain"])}
	for _, tt := range []struct {
		in, by uint32
		from   string
		want   string
	}{
		{2, 2, "2001:db8:7::1", "out 1"}, {3, 3, "2001:db8:7::1", "out 1"}, {5, 4, "2001:db8:7::1", "drop-reverse-path"},
		{2, 2, "2001:db8:9::1", "out 1"}, {3, 3, "2001:db8:9::1", "drop-reverse-path"},
	} {
		in := sized(ip6(tt.in, mac(0x10+byte(tt.in)), gateway(byte(tt.by)), tt.from, "fd00:b1::ff:fe00:11", 17).set(IPTTL, U8(64)), 100)
		in = in.set(IPv6Src, at(tt.from))
		sw.trouble = 0
		if got := sw.routed(in, tt.in, uint64(tt.by), buildPaths().Routers[0].ID); got != tt.want {
			t.Errorf("from %s by %d: %s, want %s", tt.from, tt.in, got, tt.want)
		}
	}
}

// routed runs a packet that has come past the checks of its sender.
func (s *fakeSwitch) routed(p packet, port uint32, network uint64, router uint32) string {
	s.trace, s.left, s.depth = nil, nil, 0
	p = p.set(Metadata, U64(network)).set(regPort, U32(port)).set(regRouter, U32(router))
	s.table(TableRouteSource, &p)
	return strings.Join(s.trace, ", ")
}

// TestPathsComeAndGo: a next hop that comes or goes changes one group, however
// many routes lead by it, and its number is the same after a restart.
func TestPathsComeAndGo(t *testing.T) {
	t.Parallel()
	spec := pathsSpec()
	for i := range 1000 {
		spec.Routers[0].Routes = append(spec.Routers[0].Routes, topology.StaticRouteSpec{
			Destination: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: 2, 4: byte(i >> 8), 5: byte(i)}), 48),
			NextHops:    []netip.Addr{netip.MustParseAddr("fd00:1ef::12"), netip.MustParseAddr("fd00:1ef::14")},
		})
	}
	c := NewCompiler(envs["plain"])
	have := c.Update(buildPathsOf(spec, map[string]uint32{"vm4": 0}))
	next := c.Update(buildPathsOf(spec, nil))
	delta := DiffPieces(have, next)
	routes := 0
	for _, f := range slices.Concat(delta.AddFlows, delta.DelFlows) {
		if f.Table == TableRoute || f.Table == TableRouteSource {
			routes++
		}
	}
	// 2001:db8:9::/48 had nobody and gets its group.
	if len(delta.ModGroups) != 2 || len(delta.AddGroups) != 1 || routes != 1 {
		t.Errorf("%d groups changed, %d added, %d flows of routes", len(delta.ModGroups), len(delta.AddGroups), routes)
	}
	if d := Diff(have.Set(), Compile(buildPathsOf(spec, map[string]uint32{"vm4": 0}), envs["plain"])); !d.Empty() {
		t.Errorf("after a restart: %d changes", d.Mods())
	}
}

// TestPathsOfManyRouters: paths of other routers are other groups.
func TestPathsOfManyRouters(t *testing.T) {
	t.Parallel()
	spec := &topology.Spec{}
	for i := range 20 {
		name := fmt.Sprintf("net%d", i)
		at := netip.MustParsePrefix(fmt.Sprintf("fd00:%x::/64", i+1))
		spec.Networks = append(spec.Networks, topology.NetworkSpec{Name: name, Subnets: []topology.SubnetSpec{{Prefix: at}}})
		var hops []netip.Addr
		for j := range 2 {
			p := topology.PortSpec{Name: fmt.Sprintf("vm%d-%d", i, j), Network: name, MAC: mac(byte(j + 1))}
			a := at.Addr().As16()
			a[15] = byte(0x10 + j)
			p.Addresses = []netip.Addr{netip.AddrFrom16(a)}
			hops = append(hops, p.Addresses[0])
			spec.Ports = append(spec.Ports, p)
		}
		spec.Routers = append(spec.Routers, topology.RouterSpec{
			Name: "r" + name, Networks: []topology.PresenceSpec{{Network: name}},
			Routes: []topology.StaticRouteSpec{{Destination: netip.MustParsePrefix("2001:db8::/32"), NextHops: hops}},
		})
	}
	groups := 0
	for id, g := range Compile(build(spec, nil), envs["plain"]).Groups {
		if id >= envs["plain"].FirstGroup+groupPaths {
			if groups++; len(g.Buckets) != 2 {
				t.Errorf("group %d has %d buckets", id, len(g.Buckets))
			}
		}
	}
	if groups != 20 {
		t.Errorf("%d groups, want 20", groups)
	}
}
