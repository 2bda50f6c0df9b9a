package flows

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// pick returns the first flow of a table and role.
func (c *compilation) pick(t *testing.T, table uint8, role Role) *Flow {
	t.Helper()
	i := slices.IndexFunc(c.flows, func(f Flow) bool { return f.Table == table && f.Cookie.Role() == role })
	if i < 0 {
		t.Fatalf("no flow of role %s in table %d", role, table)
	}
	return &c.flows[i]
}

// drop removes the flows for which f says so.
func (c *compilation) drop(f func(*Flow) bool) {
	c.flows = slices.DeleteFunc(c.flows, func(x Flow) bool { return f(&x) })
}

// unmetered returns the actions without their meter.
func unmetered(actions []Action) []Action {
	return slices.DeleteFunc(slices.Clone(actions), func(a Action) bool { _, ok := a.(ThroughMeter); return ok })
}

// recirculationless turns the select groups into groups that go on at once.
func recirculationless(c *compilation) {
	for i := range c.groups {
		if c.groups[i].Type == Select {
			c.groups[i].Type = Indirect
		}
	}
}

// TestLintsObject breaks a good flow set in every way a lint is there for and
// wants that lint to object.
func TestLintsObject(t *testing.T) {
	tests := []struct {
		name, lint string
		mutate     func(t *testing.T, c *compilation)
	}{
		{"a flow twice", "unique", func(_ *testing.T, c *compilation) { c.flows = append(c.flows, c.flows[0]) }},
		{"a group twice", "unique", func(_ *testing.T, c *compilation) { c.groups = append(c.groups, c.groups[0]) }},
		{"a meter twice", "unique", func(_ *testing.T, c *compilation) { c.meters = append(c.meters, c.meters[0]) }},
		{"a table gone", "references", func(_ *testing.T, c *compilation) { c.drop(func(f *Flow) bool { return f.Table == TableOutput }) }},
		{"a group gone", "references", func(_ *testing.T, c *compilation) { c.groups = c.groups[1:] }},
		{"a meter gone", "references", func(_ *testing.T, c *compilation) { c.meters = c.meters[1:] }},
		{"no last rule", "last-rule", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TableSwitch && f.Priority == 0 })
		}},
		{"a table without a name", "last-rule", func(_ *testing.T, c *compilation) { c.flows = append(c.flows, Flow{Table: 99}) }},
		{"a way out of the dropped table", "dropped", func(t *testing.T, c *compilation) {
			c.pick(t, TableDropped, RoleDropUnsorted).Actions = []Action{Resubmit{TableSwitch}}
		}},
		{"a guest's field in the dropped table", "dropped", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableDropped, RoleDropUnsorted)
			f.Match = f.Match.IPv6().Src(netip.IPv6Loopback())
		}},
		{"a drop for all that says it is a port's", "dropped", func(t *testing.T, c *compilation) {
			c.pick(t, TableSwitch, RoleDropUnknownMAC).Cookie = cookie(RoleDropUnknownMAC, 1)
		}},
		{"a foreign cookie", "cookies", func(_ *testing.T, c *compilation) { c.flows[0].Cookie = 1 }},
		{"no role", "cookies", func(_ *testing.T, c *compilation) { c.flows[0].Cookie = cookie(RoleOther, 0) }},
		{"an unknown role", "cookies", func(_ *testing.T, c *compilation) { c.flows[0].Cookie = cookie(roles, 0) }},
		{"a role that does not fit", "cookies", func(t *testing.T, c *compilation) {
			c.pick(t, TableSwitch, RoleSwitch).Cookie = cookie(RoleDropAway, 0)
		}},
		{"an object that is not there", "cookies", func(_ *testing.T, c *compilation) { c.flows[0].Cookie = cookie(RoleClassify, 77) }},
		{"priority out of range", "classify", func(t *testing.T, c *compilation) { c.pick(t, TableClassify, RoleClassify).Priority = 1 }},
		{"a default in table 0", "classify", func(_ *testing.T, c *compilation) { c.flows = append(c.flows, Flow{Priority: ClassifyLow}) }},
		{"tagged frames pass", "classify", func(t *testing.T, c *compilation) {
			c.pick(t, TableGuard, RoleDropTagged).Priority = 1
		}},
		{"round the guard", "classify", func(t *testing.T, c *compilation) {
			c.pick(t, TableClassify, RoleClassify).Actions = []Action{Resubmit{TableServices}}
		}},
		{"cut header chains pass", "guard", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Match.Equal(Match{}.Proto(0)) })
		}},
		{"a drop below an allow", "guard", func(t *testing.T, c *compilation) { c.pick(t, TableGuard, RoleGuard).Priority = guardDrop }},
		{"any next header passes", "next-header", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableGuard, RoleGuard)
			f.Match = without(f.Match, IPProto)
		}},
		{"next headers end without a name", "next-header", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Cookie.Role() == RoleDropNextHeader })
		}},
		{"cut transport headers pass", "guard", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { _, sctp := f.Match.Get(SCTPSrc); return sctp && len(f.Actions) == 0 })
		}},
		{"VRRP of anybody", "vrrp", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableServices, Priority: serviceGate, Match: vrrpAdvert().From(1), Actions: []Action{Resubmit{TableSwitch}}})
		}},
		{"VRRP does not end", "vrrp", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TableServices && isVRRP(f.Match) })
		}},
		{"a gate without code", "nd-strict", func(t *testing.T, c *compilation) {
			i := slices.IndexFunc(c.flows, func(f Flow) bool {
				_, nd := f.Match.Get(ICMPv6Code)
				return f.Table == TableServices && f.Cookie.Role() == RoleGate && nd
			})
			f := &c.flows[i]
			f.Match = without(f.Match, ICMPv6Code)
		}},
		{"a forward without hop limit", "nd-strict", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableNDTarget, RoleNDForward)
			f.Match = without(f.Match, IPTTL)
		}},
		{"an answer to fragments", "nd-strict", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableNDTarget, RoleNDAnswer)
			f.Match = without(f.Match, IPFrag)
		}},
		{"a narrow ND drop", "nd-drops", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableServices, RoleDropRedirect)
			f.Match = f.Match.With(ICMPv6Code, U8(0))
		}},
		{"an ND type switched", "nd-drops", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Cookie.Role() == RoleDropGuestRA })
		}},
		{"switched above the drops", "nd-drops", func(t *testing.T, c *compilation) {
			c.pick(t, TableServices, RoleSwitch).Priority = serviceDrop + 1
		}},
		{"round the source", "source-first", func(t *testing.T, c *compilation) {
			c.pick(t, TableGuard, RoleGuard).Actions = []Action{Resubmit{TableServices}}
		}},
		{"round the address", "source-first", func(t *testing.T, c *compilation) {
			c.pick(t, TableSource, RoleSource).Actions = []Action{Resubmit{TableServices}}
		}},
		{"any MAC", "source-first", func(t *testing.T, c *compilation) {
			c.pick(t, TableSource, RoleSource).Actions = []Action{Resubmit{TableSourceAddress}}
		}},
		{"another's MAC", "source-first", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableClassify, RoleClassify)
			f.Actions = append(slices.Clone(f.Actions), candidate(routerMAC, 0)...)
		}},
		{"any address", "source-first", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableSourceAddress, RoleSource)
			f.Match = without(f.Match, IPv6Src)
		}},
		{"switched at once", "source-first", func(t *testing.T, c *compilation) {
			c.pick(t, TableSourceAddress, RoleSource).Actions = []Action{Resubmit{TableSwitch}}
		}},
		{"back to the checks", "source-first", func(t *testing.T, c *compilation) {
			c.pick(t, TableServices, RoleSwitch).Actions = []Action{Resubmit{TableSourceAddress}}
		}},
		{"DHCPv6 to servers is carried", "dhcpv6-shield", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Cookie.Role() == RoleDropDHCPv6Refused && f.Table == TableServices })
		}},
		{"guests may be servers", "dhcpv6-shield", func(t *testing.T, c *compilation) {
			c.pick(t, TableServices, RoleDropDHCPv6Server).Priority = serviceOther
		}},
		{"guests may be DHCPv4 servers", "dhcpv4-shield", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool {
				_, dst := f.Match.Get(UDPDst)
				return f.Cookie.Role() == RoleDropDHCPv4Server && dst
			})
		}},
		{"DHCPv4 is switched above the drops", "dhcpv4-shield", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableServices, Priority: serviceGate4, Match: Match{}.With(EthType, U16(0x0800)), Actions: []Action{onward}})
		}},
		{"fragments of DHCPv6", "dhcpv6-shield", func(_ *testing.T, c *compilation) {
			for i, f := range c.flows {
				if slices.Contains(f.Actions, Action(Resubmit{TableDHCPv6})) {
					c.flows[i].Match = without(f.Match, IPFrag)
				}
			}
		}},
		{"an unmetered client", "metered-punt", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableDHCPv6, RoleGate)
			f.Actions = unmetered(f.Actions)
		}},
		{"a used-up hop limit", "hop-limit", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TableRoute && f.Match.Equal(Match{}.IPv6().With(IPTTL, U8(1))) })
		}},
		{"round the hop limit", "hop-limit", func(t *testing.T, c *compilation) {
			c.pick(t, TableRouteSource, RoleRoute).Actions = []Action{Resubmit{TableForward}}
		}},
		{"two hops at once", "hop-limit", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableForward, RoleRoute)
			f.Actions = append([]Action{DecTTL{}}, f.Actions...)
		}},
		{"trouble without a meter", "trouble", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableTrouble, RoleTrouble)
			f.Actions = unmetered(f.Actions)
		}},
		{"trouble that goes on", "trouble", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableRoute, RoleTrouble)
			f.Actions = append(f.Actions[:1:1], Resubmit{TableNeighbor})
		}},
		{"what is for the router is served otherwise", "trouble", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TableServices && f.Priority == serviceLocal })
		}},
		{"an unknown next header to anybody", "next-header", func(_ *testing.T, c *compilation) {
			for i, f := range c.flows {
				if toRouterItself(&f) {
					c.flows[i].Match = without(f.Match, IPv6Dst)
				}
			}
		}},
		{"trouble without a name", "trouble", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TableTrouble && f.Cookie.Role() == RoleDropTooBig })
		}},
		{"routed from anywhere", "reverse-path", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableReversePath, RoleRoute)
			f.Match = without(f.Match, Metadata)
		}},
		{"routed from another network", "reverse-path", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableReversePath, RoleRoute)
			f.Match = without(f.Match, regVia).With(regVia, U32(99))
		}},
		{"routed without a look at the source", "reverse-path", func(t *testing.T, c *compilation) {
			c.pick(t, TableRouteSource, RoleRoute).Actions = []Action{Resubmit{TableReversePath}}
		}},
		{"NORMAL", "outputs", func(t *testing.T, c *compilation) { c.pick(t, TableOutput, RoleOutput).Actions[0] = Output{0xfffffffa} }},
		{"FLOOD", "outputs", func(t *testing.T, c *compilation) { c.pick(t, TableOutput, RoleOutput).Actions[0] = Output{0xfffffffb} }},
		{"a controller that is not ours", "whole-punt", func(t *testing.T, c *compilation) {
			c.pick(t, TablePunt, RolePunt).Actions = []Action{Punt{ID: 0, Userdata: "\x01"}}
		}},
		{"a controller action elsewhere", "whole-punt", func(t *testing.T, c *compilation) { c.pick(t, TablePunt, RolePunt).Table = TableSwitch }},
		{"an unmetered router solicitation", "metered-punt", func(_ *testing.T, c *compilation) {
			for i, f := range c.flows {
				if e, ok := f.Match.Get(ICMPv6Type); ok && e.Value[0] == wire.TypeRouterSolicit && f.Cookie.Role() == RoleGate {
					c.flows[i].Actions = unmetered(f.Actions)
				}
			}
		}},
		{"an unmetered solicitation", "recirculated", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableServices, RoleGate)
			f.Actions = append(unmetered(f.Actions)[:1], ToGroup{c.env.FirstGroup + groupND})
		}},
		{"no recirculation", "recirculated", func(_ *testing.T, c *compilation) { recirculationless(c) }},
		{"an echo answered at once", "recirculated", func(t *testing.T, c *compilation) {
			c.pick(t, TableServices, RoleEcho).Actions = []Action{Resubmit{TableEchoReply}}
		}},
		{"length not proven", "proven-rewrite", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableNDTarget, RoleNDAnswer)
			f.Match = f.Match.WithMask(regND, U32(ndOwnOption), U32(ndOwnOption))
		}},
		{"fields of another type", "proven-rewrite", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableNDReply, RoleND)
			f.Match = without(f.Match, ICMPv6Type)
		}},
		{"solicitations are tracked", "untracked", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableEgressState, Priority: 999, Match: Match{}.ICMPv6(135), Actions: []Action{Track{Zone: regPort, Table: TableEgressState}}})
		}},
		{"DHCPv6 is tracked", "untracked", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { _, udp := f.Match.Get(UDPDst); return f.Table == TableIngressState && udp })
		}},
		{"tracked on the way", "untracked", func(t *testing.T, c *compilation) {
			c.pick(t, TableSwitch, RoleSwitch).Actions = []Action{Track{Zone: regPort, Table: TableEgressState}}
		}},
		{"a rule decides about reports", "essential", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool {
				e, ok := f.Match.Get(ICMPv6Type)
				return f.Table == TableEgress && ok && e.Value[0] == 143
			})
		}},
		{"the sender's connection", "own-zone", func(t *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TableIngress && f.Cookie.Object() == 1 })
			c.flows = append(c.flows, Flow{Table: TableIngress, Priority: 100, Match: Match{}.With(regOut, U32(1)), Actions: []Action{Resubmit{TableIngressState}}})
		}},
		{"a tag that stays on", "tags", func(t *testing.T, c *compilation) {
			c.pick(t, TableOutput, RoleOutput).Actions = []Action{PushVLAN{}, Load(VLANVID, U16(0x1064)), Output{1}, Output{2}}
		}},
		{"a tag taken off unseen", "tags", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableClassify, RoleClassify)
			f.Actions = append([]Action{PopVLAN{}}, f.Actions...)
		}},
		{"groups kept from who was not asked", "listeners", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableSwitch, Priority: switchGroups, Match: Match{}.On(1).IPv6().DstIn(multicast), Actions: []Action{Resubmit{TableGroups}}})
		}},
		{"reports that nobody hears", "listeners", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableServices, Priority: serviceGate, Match: Match{}.ICMPv6(143), Actions: []Action{onward}})
		}},
		{"a way round to the metadata service", "metadata", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableSwitch, Priority: 999, Match: Match{}.From(1), Actions: []Action{Output{c.env.MetadataPort}}})
		}},
		{"a call from a network without the service", "metadata", func(_ *testing.T, c *compilation) {
			own := SetField{IPv6Src, Addr(topology.CallerPort(1)), prefixMask(topology.CallerPortBits)}
			c.flows = append(c.flows, Flow{Table: TableMetadataGate, Priority: 200,
				Match:   Match{}.From(1).Proto(protoTCP).WithMask(TCPFlags, U16(0), U16(tcpSYN)).With(IPFrag, U8(fragNo)),
				Actions: []Action{ThroughMeter{16}, own, Output{c.env.MetadataPort}}})
		}},
		{"an answer to anywhere", "metadata", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableMetadataReply, Priority: 999, Actions: []Action{Resubmit{TableSwitch}}})
		}},
		{"an unmetered reject", "rejects", func(_ *testing.T, c *compilation) {
			c.flows = append(c.flows, Flow{Table: TableReject, Priority: 100, Match: Match{}.From(1), Actions: []Action{ToGroup{c.env.FirstGroup + groupPunt}}})
		}},
		{"a reject at once", "rejects", func(t *testing.T, c *compilation) {
			c.pick(t, TableIngressVerdict, RoleReject).Actions = []Action{Resubmit{TableReject}}
		}},
		{"another port's frames to the punt port", "punt-port", func(t *testing.T, c *compilation) {
			f := c.pick(t, TableOutput, RoleOutput)
			f.Actions = []Action{Output{c.env.PulsePort}}
		}},
		{"a class that has to be told", "punt-port", func(_ *testing.T, c *compilation) {
			for i := range c.flows {
				if f := &c.flows[i]; f.Table == TablePunt && f.Priority == puntByTag {
					f.Match = Match{}.With(regClass, U32(uint32(punt.Error)))
				}
			}
		}},
		{"a tag without the high bits", "punt-port", func(_ *testing.T, c *compilation) {
			for i := range c.flows {
				if f := &c.flows[i]; f.Table == TablePunt && f.Priority == puntByTag {
					f.Actions = slices.Delete(slices.Clone(f.Actions), 2, 3)
				}
			}
		}},
		{"keys without a tag by the port", "punt-port", func(_ *testing.T, c *compilation) {
			c.drop(func(f *Flow) bool { return f.Table == TablePunt && f.Priority == puntNoTag })
		}},
		{"a tag of a VLAN taken for a reply", "punt-port", func(_ *testing.T, c *compilation) {
			for i := range c.flows {
				if f := &c.flows[i]; c.fromPuntPort(f) && len(f.Actions) > 0 {
					f.Actions = []Action{Resubmit{TableOutput}}
				}
			}
		}},
		{"sent as another port", "punt-port", func(_ *testing.T, c *compilation) {
			for i := range c.flows {
				if f := &c.flows[i]; f.Table == TableSent && f.Priority == sentThrough {
					f.Match = Match{}.With(regOut, U32(sentThroughBit|77))
				}
			}
		}},
		{"an unmetered punt by the port", "metered-punt", func(_ *testing.T, c *compilation) {
			c.env = envs["port"]
			for _, f := range compilationOf(c.snapshot, c.env).flows {
				f.Actions = unmetered(f.Actions)
				c.flows = append(c.flows, f)
			}
		}},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.lint] = true
		t.Run(tt.lint+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			env := "ndext-pulse"
			if tt.lint == "punt-port" {
				env = "port"
			}
			c := compilationOf(buildDHCPv6(), envs[env])
			tt.mutate(t, c)
			if len(lints[tt.lint](c)) == 0 {
				t.Errorf("lint %s sees nothing wrong", tt.lint)
			}
		})
	}
	for name := range lints {
		if !covered[name] {
			t.Errorf("nothing shows that lint %s can object", name)
		}
	}
}

// TestFlowsPerPort counts what one guest with one configured address on a
// stateful subnet costs the switch; the budget is 24, and with what 5,000 add to their
// networks, each of 50, and to the router, 27.
func TestFlowsPerPort(t *testing.T) {
	s := build(bigSpec(50), nil)
	for name, env := range envs {
		c := NewCompiler(env)
		c.Update(s)
		for key, p := range c.ports {
			if n := len(p.flows); n > 24 {
				t.Errorf("%s: port %d has %d flows, more than 24", name, key, n)
			}
		}
	}
	for _, name := range []string{"ndext-pulse", "plain"} {
		few, many := len(Compile(s, envs[name]).Flows), len(Compile(build(bigSpec(5000), nil), envs[name]).Flows)
		each := float64(many-few) / 4950
		t.Logf("%s: %d flows for 5,000 ports, %.1f a port", name, many, each)
		if each > 27 {
			t.Errorf("%s: %.1f flows a port, more than 27", name, each)
		}
	}
}

// TestPrefixTables holds the list of tables that are looked up by prefix
// against what flows match: a table that is missing there makes a megaflow of
// every address.
func TestPrefixTables(t *testing.T) {
	got, want := PrefixTables(), map[uint8]bool{}
	for _, f := range slices.Concat(compilationOf(named["prefixes"](), envs["ndext-pulse"]).flows, compilationOf(named["groups"](), envs["plain"]).flows,
		compilationOf(buildMulticast(), envs["plain"]).flows, compilationOf(buildMrouted(), envs["plain"]).flows, compilationOf(named["floating"](), envs["plain"]).flows,
		compilationOf(named["metadata"](), envs["pulse"]).flows) {
		for _, e := range f.Match {
			switch e.Field {
			case IPv6Src, IPv6Dst, IPv4Src, IPv4Dst:
				want[f.Table] = true
				if name := e.Field.String(); !slices.Contains(got[f.Table], name) {
					t.Errorf("table %s matches %s: %v", TableName(f.Table), name, f)
				}
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("PrefixTables is of %v, flows match addresses in %v", got, want)
	}
}
