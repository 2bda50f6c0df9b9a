package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// multicastSpec is the network of routerGuestSpec with a filtered guest vm4, a nested
// bridge vm5 and an uplink, on which groups go to listeners alone.
func multicastSpec() *topology.Spec {
	s := routerGuestSpec()
	n := &s.Networks[0]
	n.Uplink = &topology.UplinkSpec{Interface: "eth1"}
	n.Multicast = &topology.MulticastSpec{Snooping: true, Querier: true, RouterDiscovery: true}
	s.Groups = []topology.SecurityGroupSpec{{Name: "all", Stateless: true, Rules: []topology.RuleSpec{{Direction: topology.Ingress, Protocol: topology.AnyProtocol}}}}
	s.Routers[0].Networks[0].LinkLocal = netip.MustParseAddr("fe80::a")
	s.Ports = append(s.Ports,
		topology.PortSpec{Name: "vm4", Network: "blue", MAC: mac(0x14), SecurityGroups: []string{"all"}},
		topology.PortSpec{Name: "vm5", Network: "blue", Unknown: true, Limits: topology.Limits{punt.MLD: {}}})
	return s
}

// buildMulticast has vm1 listen to all of ff15::1, vm2 to one source, vm4 to all but one,
// vm3 and the uplink route; nobody but the router vm3 listens to ff15::2.
func buildMulticast() *topology.Snapshot {
	in := input(multicastSpec(), nil)
	in.Keys.Ports[topology.UplinkName("blue")] = 6
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 6})
	addr := netip.MustParseAddr
	source := []netip.Addr{addr("fd00:b1::ff:fe00:11")}
	in.Listening = map[string]*topology.Listening{"blue": {
		Ready: true, Routers: []uint16{3, 6},
		Groups: []topology.ListenedGroup{
			{Group: addr("ff02::fb"), Slot: 0, Ports: []topology.Listener{{Port: 2, Exclude: true}}},
			{Group: addr("ff15::1"), Slot: 1, Ports: []topology.Listener{
				{Port: 1, Exclude: true}, {Port: 2, Sources: source}, {Port: 3, Exclude: true}, {Port: 4, Exclude: true, Sources: source}, {Port: 77, Exclude: true},
			}},
			{Group: addr("ff15::2"), Slot: 2, Ports: []topology.Listener{{Port: 3, Exclude: true}}},
		},
	}}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// toGroup is a datagram from guest 1 to a group.
func toGroup(group string) packet {
	return ip6(1, guest1, wire.MulticastMAC(netip.MustParseAddr(group)), "fd00:b1::ff:fe00:11", group, 17)
}

// fromFar is a datagram from behind the uplink.
func fromFar(group string) packet {
	return ip6(6, mac(0x99), wire.MulticastMAC(netip.MustParseAddr(group)), "2001:db8::9", group, 17)
}

// says is a message about multicast from a port.
func says(in uint32, from wire.MAC, source, to string, typ uint8) packet {
	return icmp6(in, from, wire.MulticastMAC(netip.MustParseAddr(to)), source, to, typ).set(IPTTL, U8(1))
}

// TestMulticastBehaviour: who gets what, by what Open vSwitch would do.
func TestMulticastBehaviour(t *testing.T) {
	t.Parallel()
	const all = "out 2, out 3, out 4, out 5, out 6"
	vm1, vm3 := "fe80::ff:fe00:11", "fe80::ff:fe00:13"
	for _, c := range []struct {
		name       string
		in         packet
		want, away string
	}{
		{name: "all nodes", in: toGroup("ff02::1"), want: all},
		{name: "all routers", in: toGroup("ff02::2"), want: all},
		{name: "all snoopers", in: toGroup("ff02::6a"), want: all},
		{name: "solicited-node", in: toGroup("ff02::1:ff00:12"), want: all},
		{name: "no scope", in: toGroup("ff01::5"), want: all},
		{name: "no scope, transient", in: toGroup("ff10::5"), want: all},
		{name: "of the link, nobody listens", in: toGroup("ff02::12"), want: all},
		{name: "of the link, somebody listens", in: toGroup("ff02::fb"), want: "out 2, out 3, out 6"},
		{name: "nobody listens", in: toGroup("ff15::99"), want: "out 3, out 6"},
		{name: "a router alone listens", in: toGroup("ff15::2"), want: "out 3, out 6"},
		{name: "of the source that one wants and one does not", in: toGroup("ff15::1"), want: "drop-unwanted, out 2, out 3, out 6"},
		{name: "of another source", in: fromFar("ff15::1"), want: "drop-unwanted, out 1, out 3, out 4"},
		{name: "broadcast of IPv4", in: frame(1, guest1, wire.MAC{1, 0, 0x5e, 0, 0, 1}, 0x0800), want: all},
		{name: "unicast in a group's frame", in: ip6(1, guest1, wire.MAC{0x33, 0x33, 0, 0, 0, 9}, "fd00:b1::ff:fe00:11", "fd00:b1::9", 17), want: all},
		{name: "a group in a unicast frame", in: ip6(1, guest1, guest2, "fd00:b1::ff:fe00:11", "ff15::1", 17), want: "out 2"},

		{name: "report", in: says(1, guest1, vm1, "ff02::16", 143), want: "punt mld lane 1", away: "out 3, out 6"},
		{name: "report of version 1", in: says(1, guest1, vm1, "ff15::1", 131), want: "punt mld lane 1", away: "out 3, out 6"},
		{name: "report from ::", in: says(1, guest1, "::", "ff02::16", 143), want: "punt mld lane 1", away: "out 3, out 6"},
		{name: "done", in: says(1, guest1, vm1, "ff02::2", 132), want: "punt mld lane 1", away: "out 3, out 6"},
		{name: "solicitation", in: says(1, guest1, vm1, "ff02::2", 152), want: "punt mld lane 1", away: "out 3, out 6"},
		{name: "solicitation as Open vSwitch reads it", in: says(1, guest1, vm1, "ff02::2", 0), want: "punt mld lane 1", away: "out 3, out 6"},
		{name: "termination as Open vSwitch reads it", in: says(6, mac(0x99), "fe80::9", "ff02::6a", 0), want: "punt mld lane 2", away: "out 3"},
		{name: "what is cut, to another group", in: says(1, guest1, vm1, "ff02::16", 0), want: "drop-header-chain"},
		{name: "what is cut, in fragments", in: says(1, guest1, vm1, "ff02::2", 0).set(IPFrag, U8(1)), want: "drop-header-chain"},
		{name: "report with hop limit 2", in: says(1, guest1, vm1, "ff02::16", 143).set(IPTTL, U8(2)), want: "drop-mld-invalid"},
		{name: "report as a first fragment", in: says(1, guest1, vm1, "ff02::16", 143).set(IPFrag, U8(1)), want: "drop-mld-invalid"},
		{name: "report of another", in: says(1, guest1, "fe80::ff:fe00:12", "ff02::16", 143), want: "drop-spoofed"},
		{name: "report from an open port without a limit", in: says(5, mac(0x55), "fe80::5", "ff02::16", 143), want: "drop-mld-invalid"},
		{name: "query of a guest", in: says(1, guest1, vm1, "ff02::1", 130), want: "drop-mld-query"},
		{name: "advertisement of a guest", in: says(1, guest1, vm1, "ff02::6a", 151), want: "drop-mld-query"},
		{name: "termination of a guest", in: says(1, guest1, vm1, "ff02::6a", 153), want: "drop-mld-query"},
		{name: "query of a guest that is a router", in: says(3, guest3, vm3, "ff02::1", 130), want: "punt mld lane 3", away: "out 1, out 2, out 4, out 5, out 6"},
		{name: "query of a router about a group", in: says(3, guest3, vm3, "ff15::1", 130), want: "punt mld lane 3", away: "out 1, out 2, out 4, out 5, out 6"},
		{name: "query from the uplink", in: says(6, mac(0x99), "fe80::9", "ff02::1", 130), want: "punt mld lane 2", away: "out 1, out 2, out 3, out 4, out 5"},
		{name: "advertisement from the uplink", in: says(6, mac(0x99), "fe80::9", "ff02::6a", 151), want: "punt mld lane 2", away: "out 1, out 2, out 3, out 4, out 5"},
	} {
		for name, pulse := range map[string]bool{"": false, " away": true} {
			t.Run(c.name+name, func(t *testing.T) {
				s := &fakeSwitch{Set: Compile(buildMulticast(), envs["ndext-pulse"]), dead: map[uint32]bool{envs["ndext-pulse"].PulsePort: pulse}}
				want := c.want
				if pulse && c.away != "" {
					want = c.away
				}
				got := strings.Split(s.run(c.in), ", ")
				slices.Sort(got)
				if got := strings.Join(got, ", "); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestNotReady: before anybody has been asked, all get all.
func TestNotReady(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*topology.Spec, *topology.Listening){
		"not asked yet": func(_ *topology.Spec, l *topology.Listening) { l.Ready = false },
		"no snooping":   func(s *topology.Spec, _ *topology.Listening) { s.Networks[0].Multicast.Snooping = false },
	} {
		spec, l := multicastSpec(), *buildMulticast().Listening(1)
		change(spec, &l)
		in := input(spec, nil)
		in.Keys.Ports[topology.UplinkName("blue")] = 6
		in.Listening = map[string]*topology.Listening{"blue": &l}
		snap, _ := new(topology.Builder).Build(in)
		s := &fakeSwitch{Set: Compile(snap, envs["plain"])}
		if got, want := s.run(toGroup("ff15::1")), "out 2, out 3, out 4, out 5"; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if got, want := s.run(says(1, guest1, "fe80::ff:fe00:11", "ff02::16", 143)), "punt mld lane 1"; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestUnregistered: where groups that nobody is known to listen to are carried to all, those that
// somebody listens to still are not (RFC 4541 section 2.1.2 (3)).
func TestUnregistered(t *testing.T) {
	t.Parallel()
	spec, l := multicastSpec(), *buildMulticast().Listening(1)
	spec.Networks[0].Multicast.FloodUnregistered = true
	in := input(spec, nil)
	in.Keys.Ports[topology.UplinkName("blue")] = 6
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 6})
	in.Listening = map[string]*topology.Listening{"blue": &l}
	snap, _ := new(topology.Builder).Build(in)
	for group, want := range map[string]string{
		"ff15::99": "out 2, out 3, out 4, out 5, out 6",
		"ff02::12": "out 2, out 3, out 4, out 5, out 6",
		"ff02::fb": "out 2, out 3, out 6",
		"ff15::1":  "drop-unwanted, out 2, out 3, out 6",
		"ff15::2":  "out 3, out 6",
	} {
		s := &fakeSwitch{Set: Compile(snap, envs["plain"])}
		got := strings.Split(s.run(toGroup(group)), ", ")
		slices.Sort(got)
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: got %q, want %q", group, got, want)
		}
	}
}

// TestListeningIsReadBack: a switch tells who listens, so that a restart changes no
// flow.
func TestListeningIsReadBack(t *testing.T) {
	t.Parallel()
	snap := buildMulticast()
	set := Compile(snap, envs["ndext-pulse"])
	got := set.Listening(envs["ndext-pulse"].FirstGroup)
	want := *snap.Listening(1)
	want.Groups = slices.Clone(want.Groups)
	// Who gets it as a router, or is not on the switch, does not show.
	want.Groups[1].Ports = slices.DeleteFunc(slices.Clone(want.Groups[1].Ports), func(l topology.Listener) bool { return l.Port == 3 || l.Port == 77 })
	want.Groups = want.Groups[:2]
	if diff := cmp.Diff(map[uint16]*topology.Listening{1: &want}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got := Compile(build(routerSpec(), nil), envs["plain"]).Listening(0); len(got) > 0 {
		t.Errorf("without any: %v", got)
	}
}

// TestListenersCost: one more listener is a bucket, one source more a flow: no number
// is multiplied by another.
func TestListenersCost(t *testing.T) {
	t.Parallel()
	spec := routerSpec()
	spec.Networks[0].Multicast = &topology.MulticastSpec{Snooping: true, Querier: true}
	for i := range 200 {
		spec.Ports = append(spec.Ports, topology.PortSpec{Name: fmt.Sprint("p", i), Network: "blue", MAC: wire.MAC{2, 1, 0, 0, byte(i >> 8), byte(i)}})
	}
	mods := func(before, after *topology.Listening) int {
		c := NewCompiler(envs["ndext"])
		var b topology.Builder
		in := input(spec, nil)
		pieces := func(l *topology.Listening) *Pieces {
			in.Listening = map[string]*topology.Listening{"blue": l}
			s, _ := b.Build(in)
			return c.Update(s)
		}
		old := pieces(before)
		d := DiffPieces(old, pieces(after))
		return d.Mods()
	}
	listening := func(n int, sources ...netip.Addr) *topology.Listening {
		g := topology.ListenedGroup{Group: netip.MustParseAddr("ff15::1")}
		for i := range n {
			g.Ports = append(g.Ports, topology.Listener{Port: uint16(i + 3), Exclude: true})
		}
		g.Ports[0].Sources = sources
		return &topology.Listening{Ready: true, Groups: []topology.ListenedGroup{g}}
	}
	if n := mods(listening(199), listening(200)); n != 1 {
		t.Errorf("one more listener: %d changes", n)
	}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if n := mods(listening(200, a), listening(200, a, b)); n != 1 {
		t.Errorf("one more source: %d changes", n)
	}
}

// lintListeners: groups are kept from nobody but where it is known who listens, and
// what every node needs is kept from nobody at all. What is said of it is handed over
// through the port's meter, never to the switch table as anything else is.
func lintListeners(c *compilation) (faults []string) {
	for _, n := range c.snapshot.Networks {
		l := c.snapshot.Listening(n.Key)
		known := n.Multicast != nil && n.Multicast.Snooping && l != nil && l.Ready
		taken, always := false, map[string]uint16{}
		highest := uint16(0)
		for _, f := range c.flows {
			on, ok := f.Match.Get(Metadata)
			if !ok || uint16(on.Value.Uint(8)) != n.Key {
				continue
			}
			if f.Table == TableSwitch && slices.Contains(f.Actions, Action(Resubmit{TableGroups})) {
				taken = true
			}
			to, named := f.Match.Get(IPv6Dst)
			if f.Table != TableGroups || !named {
				continue
			}
			bits, _ := maskBits(to.Mask)
			if slices.ContainsFunc(f.Actions, func(a Action) bool { return a == ToGroup{c.env.FirstGroup + groupFlood + uint32(n.Key)} }) {
				always[fmt.Sprintf("%s/%d", netip.AddrFrom16([16]byte(to.Value[:16])), bits)] = f.Priority
			} else {
				highest = max(highest, f.Priority)
			}
		}
		if taken != known {
			faults = append(faults, fmt.Sprintf("network %s: groups kept from some: %t, known who listens: %t", n.Name, taken, known))
		}
		for _, to := range []string{"ff02::1/128", "ff02::2/128", "ff02::6a/128", "ff02::1:ff00:0/104"} {
			if known && always[to] <= highest {
				faults = append(faults, fmt.Sprintf("network %s: %s may be kept from somebody", n.Name, to))
			}
		}
	}
	return append(faults, lintMLD(c)...)
}

// lintMLD: on a network where it is heard, Multicast Listener Discovery is taken out
// before the rules of groups, and elsewhere only a router's queries pass.
func lintMLD(c *compilation) (faults []string) {
	for _, f := range c.flows {
		typ, ok := f.Match.Get(ICMPv6Type)
		if f.Table != TableServices || !ok || !slices.Contains([]uint8{0, 130, 131, 132, 143, 151, 152, 153}, typ.Value[0]) {
			continue
		}
		p := c.port(&f)
		for _, a := range f.Actions {
			if typ.Value[0] == 0 && a != (Resubmit{TableMLD}) {
				faults = append(faults, "lets on what may be cut: "+f.String())
			}
			if a == (Resubmit{TableEgress}) && (p == nil || !p.Router || p.Multicast != nil) {
				faults = append(faults, "lets listener discovery pass unheard: "+f.String())
			}
		}
	}
	for _, n := range c.snapshot.Networks {
		if n.Multicast == nil {
			continue
		}
		for _, typ := range []uint8{131, 132, 143, 152} {
			if !slices.ContainsFunc(c.flows, func(f Flow) bool {
				on, _ := f.Match.Get(Metadata)
				of, ok := f.Match.Get(ICMPv6Type)
				_, anyHops := f.Match.Get(IPTTL)
				return f.Table == TableServices && ok && of.Value[0] == typ && uint16(on.Value.Uint(8)) == n.Key && len(f.Actions) == 0 && !anyHops
			}) {
				faults = append(faults, fmt.Sprintf("network %s: no drop of type %d below its gate", n.Name, typ))
			}
		}
	}
	return faults
}

// isShortMRD reports whether a flow lets on what Open vSwitch cannot tell from a cut
// message, on a network where Damselfly judges it: lintMLD holds that it goes there.
func isShortMRD(f *Flow) bool {
	to, named := f.Match.Get(IPv6Dst)
	on, ok := f.Match.Get(Metadata)
	if !named || !ok || !slices.Equal(f.Actions, []Action{Resubmit{TableSource}}) {
		return false
	}
	a := netip.AddrFrom16([16]byte(to.Value[:16]))
	return (a == wire.AllRouters || a == wire.AllSnoopers) && f.Match.Equal(Match{}.On(uint16(on.Value.Uint(8))).shortMRD(a))
}

// mroutedSpec is a router that carries multicast between blue, where vm1 is, red, where vm2 is,
// and ext with an uplink, which groups of a site do not pass.
func mroutedSpec() *topology.Spec {
	prefix := netip.MustParsePrefix
	asks := &topology.MulticastSpec{Snooping: true, Querier: true}
	return &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}, Multicast: asks},
			{Name: "red", MTU: 1400, Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:ed::/64")}}, Multicast: asks},
			{Name: "ext", Uplink: &topology.UplinkSpec{Interface: "eth1"}, Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64")}},
				Multicast: &topology.MulticastSpec{Snooping: true}},
		},
		Routers: []topology.RouterSpec{{Name: "r1", Multicast: &topology.RouterMulticastSpec{Upstream: "ext", Boundary: 5}, Networks: []topology.PresenceSpec{
			{Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}}, {Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0xa, 2}},
			{Network: "ext", MAC: wire.MAC{2, 0, 0, 0, 0xa, 3}, LinkLocal: netip.MustParseAddr("fe80::a")},
		}}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11)}, {Name: "vm2", Network: "red", MAC: mac(0x12)}, {Name: "vm3", Network: "ext", MAC: mac(0x13)},
			{Name: "vm4", Network: "blue", MAC: mac(0x14)},
		},
	}
}

// buildMrouted has vm2 listen to ff15::1, of its site, and vm1, vm4 and vm2 to ff1e::1, of all; behind
// the uplink is a router.
func buildMrouted() *topology.Snapshot {
	in := input(mroutedSpec(), nil)
	in.Keys.Ports[topology.UplinkName("ext")] = 9
	in.Bindings = append(in.Bindings, topology.Binding{Interface: "eth1", OFPort: 9})
	group := func(a string, slot uint16, ports ...uint16) topology.ListenedGroup {
		g := topology.ListenedGroup{Group: netip.MustParseAddr(a), Slot: slot}
		for _, p := range ports {
			g.Ports = append(g.Ports, topology.Listener{Port: p, Exclude: true})
		}
		return g
	}
	in.Listening = map[string]*topology.Listening{
		"blue": {Ready: true, Querying: true, Groups: []topology.ListenedGroup{group("ff02::fb", 0, 1), group("ff1e::1", 1, 1, 4)}},
		"red":  {Ready: true, Querying: true, Groups: []topology.ListenedGroup{group("ff15::1", 2, 2), group("ff1e::1", 3, 2)}},
		"ext":  {Ready: true, Routers: []uint16{9}},
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		panic(fmt.Sprintf("a topology of the tests is wrong: %v", problems))
	}
	return s
}

// TestMulticastRouting: groups go on to networks where somebody listens and to the
// upstream one, once, with one hop less, and never back.
func TestMulticastRouting(t *testing.T) {
	t.Parallel()
	far := func(p packet) packet { return p.set(IPv6Src, at("2001:db8:99::9")) }
	for _, c := range []struct {
		name string
		in   packet
		want string
		hops uint8
	}{
		{name: "to a listener on another network", in: toGroup("ff15::1"), want: "out 2", hops: 254},
		{name: "beyond the boundary too", in: toGroup("ff1e::1"), want: "out 2, out 4, out 9", hops: 254},
		{name: "nobody listens", in: toGroup("ff1e::2"), want: "out 9", hops: 254},
		{name: "nobody listens within the boundary", in: toGroup("ff15::2"), want: ""},
		{name: "of the link", in: toGroup("ff02::fb"), want: ""},
		{name: "with a hop limit of 1", in: toGroup("ff15::1").set(IPTTL, U8(1)), want: ""},
		{name: "with a hop limit of 2", in: toGroup("ff15::1").set(IPTTL, U8(2)), want: "out 2", hops: 1},
		{name: "from a link-local address", in: toGroup("ff15::1").set(IPv6Src, at("fe80::ff:fe00:11")), want: "drop-scope"},
		{name: "from far", in: far(fromFar("ff1e::1")).set(InPort, U32(9)), want: "out 1, out 2, out 4", hops: 254},
		{name: "from far, within the boundary", in: far(fromFar("ff15::1")).set(InPort, U32(9)), want: ""},
		{name: "from far with an address of a guest", in: fromFar("ff1e::1").set(InPort, U32(9)).set(IPv6Src, at("fd00:b1::77")), want: "drop-reverse-path"},
		{name: "longer than the next link", in: sized(toGroup("ff15::1"), 1500), want: "drop-too-big"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fakeSwitch{Set: Compile(buildMrouted(), envs["plain"])}
			words := strings.Split(s.run(c.in), ", ")
			slices.Sort(words)
			if got := strings.Join(words, ", "); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for _, p := range s.left {
				if p.fields[EthSrc] == MAC(guest1) {
					continue // on the link itself
				}
				if p.fields[IPTTL].Uint(1) != uint64(c.hops) || p.fields[EthSrc].Uint(6)>>8 != 0x020000000a {
					t.Errorf("left with hop limit %d from %x", p.fields[IPTTL].Uint(1), p.fields[EthSrc].Uint(6))
				}
			}
		})
	}
}
