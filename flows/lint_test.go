package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// compilation is a compiled set as lists, so that what is there twice shows.
type compilation struct {
	snapshot *topology.Snapshot
	env      Env
	flows    []Flow
	groups   []Group
	meters   []Meter
}

func compilationOf(s *topology.Snapshot, env Env) *compilation {
	c := &compilation{snapshot: s, env: env}
	for _, p := range NewCompiler(env).Update(s).list {
		c.flows = append(c.flows, p.flows...)
		c.groups = append(c.groups, p.groups...)
		c.meters = append(c.meters, p.meters...)
	}
	slices.SortFunc(c.flows, func(a, b Flow) int { return compareFlows(&a, &b) })
	for i := range c.flows {
		// What is only counted on its way out is dropped: lintDropped holds that
		// nothing leaves the table that counts.
		if f := &c.flows[i]; f.Table != TableDropped && slices.Equal(f.Actions, counted(f.Table, f.Cookie.Role())) {
			f.Actions = nil
		}
	}
	return c
}

// lints are what holds for every flow set. Each returns what breaks it.
var lints = map[string]func(*compilation) []string{
	"unique":         lintUnique,
	"references":     lintReferences,
	"last-rule":      lintLastRule,
	"cookies":        lintCookies,
	"classify":       lintClassify,
	"guard":          lintGuard,
	"next-header":    lintNextHeader,
	"vrrp":           lintVRRP,
	"nd-strict":      lintNDStrict,
	"nd-drops":       lintNDDrops,
	"dhcpv6-shield":  lintDHCPv6Shield,
	"dhcpv4-shield":  lintDHCPv4Shield,
	"source-first":   lintSourceFirst,
	"hop-limit":      lintHopLimit,
	"trouble":        lintTrouble,
	"reverse-path":   lintReversePath,
	"untracked":      lintUntracked,
	"essential":      lintEssential,
	"listeners":      lintListeners,
	"rejects":        lintRejects,
	"own-zone":       lintOwnZone,
	"outputs":        lintOutputs,
	"metadata":       lintMetadata,
	"dropped":        lintDropped,
	"tags":           lintTags,
	"whole-punt":     lintWholePunt,
	"punt-port":      lintPuntPort,
	"metered-punt":   func(c *compilation) []string { return c.walk().punts },
	"recirculated":   func(c *compilation) []string { return c.walk().early },
	"proven-rewrite": func(c *compilation) []string { return c.walk().unproven },
}

// TestLints holds every topology and environment against every lint.
func TestLints(t *testing.T) {
	each(t, func(t *testing.T, s *topology.Snapshot, env Env) {
		c := compilationOf(s, env)
		for name, lint := range lints {
			for _, fault := range lint(c) {
				t.Errorf("%s: %s", name, fault)
			}
		}
	})
}

// lintUnique: no two flows of one key, no two groups or meters of one id. Which
// of them a switch would keep is chance.
func lintUnique(c *compilation) (faults []string) {
	seen := map[string]string{}
	note := func(key, what string) {
		if other, ok := seen[key]; ok {
			faults = append(faults, fmt.Sprintf("%s is also %s", what, other))
		}
		seen[key] = what
	}
	for i := range c.flows {
		note("flow"+string(c.flows[i].Key()), c.flows[i].String())
	}
	for _, g := range c.groups {
		note(fmt.Sprint("group", g.ID), g.String())
	}
	for _, m := range c.meters {
		note(fmt.Sprint("meter", m.ID), m.String())
	}
	return faults
}

// lintReferences: every table, group and meter that an action names is there.
func lintReferences(c *compilation) (faults []string) {
	there := map[Action]bool{}
	for _, f := range c.flows {
		there[Resubmit{f.Table}] = true
	}
	for _, g := range c.groups {
		there[ToGroup{g.ID}] = true
	}
	for _, m := range c.meters {
		there[ThroughMeter{m.ID}] = true
	}
	check := func(where string, actions []Action) {
		for _, a := range actions {
			switch a.(type) {
			case Resubmit, ToGroup, ThroughMeter:
				if !there[a] {
					faults = append(faults, fmt.Sprintf("%s names %s, which is not there", where, a))
				}
			}
		}
	}
	for _, f := range c.flows {
		check(f.String(), f.Actions)
	}
	for _, g := range c.groups {
		for _, b := range g.Buckets {
			check(g.String(), b.Actions)
			if b.WatchGroup != NoGroup && !there[ToGroup{b.WatchGroup}] {
				faults = append(faults, fmt.Sprintf("%s watches group %d, which is not there", &g, b.WatchGroup))
			}
		}
	}
	return faults
}

// lintLastRule: the last rule of each table that is ours alone drops, by role.
func lintLastRule(c *compilation) (faults []string) {
	last := map[uint8]Flow{}
	for _, f := range c.flows {
		if l, ok := last[f.Table]; !ok || f.Priority <= l.Priority {
			last[f.Table] = f
		}
	}
	for t, f := range last {
		switch {
		case t == TableClassify, t == TableConnections: // who asks the latter goes on
		case !OwnTable(t):
			faults = append(faults, fmt.Sprintf("table %d has no name: %s", t, &f))
		case f.Priority != 0 || len(f.Match) > 0 || len(f.Actions) > 0:
			faults = append(faults, fmt.Sprintf("table %s does not end in a drop: %s", TableName(t), &f))
		}
	}
	return faults
}

// lintCookies: every cookie is ours and names a role; a flow drops exactly if
// its role says so, and its object is a key of the snapshot or none.
func lintCookies(c *compilation) (faults []string) {
	for _, f := range c.flows {
		role, object := f.Cookie.Role(), f.Cookie.Object()
		switch {
		case !f.Cookie.Ours():
			faults = append(faults, "the cookie is not ours: "+f.String())
		case role == RoleOther || role >= roles:
			faults = append(faults, "the cookie names no role: "+f.String())
		case role.Drop() != (len(f.Actions) == 0):
			faults = append(faults, fmt.Sprintf("role %s does not fit the actions: %s", role, &f))
		case role == RoleRule:
			if _, ok := c.snapshot.Rule(object); !ok {
				faults = append(faults, "the cookie names no rule: "+f.String())
			}
		case role == RoleNeighbor:
			if !slices.ContainsFunc(c.snapshot.Networks, func(n *topology.Network) bool {
				return slices.ContainsFunc(n.Neighbors, func(b topology.Neighbor) bool { return NeighborID(n.Key, b.Addr) == object })
			}) {
				faults = append(faults, "the cookie names no neighbour: "+f.String())
			}
		case object > punt.MaxKey || object != 0 && c.snapshot.Port(uint16(object)) == nil && c.snapshot.Network(uint16(object)) == nil:
			faults = append(faults, "the cookie's object is nobody's key: "+f.String())
		}
	}
	return faults
}

// lintClassify: table 0 holds only per-port rules in our range of priorities,
// frames pass only into the guard table, and that drops tagged ones first.
func lintClassify(c *compilation) (faults []string) {
	tagged, other := uint16(0), uint16(0)
	for _, f := range c.flows {
		if f.Table != TableClassify || c.fromPuntPort(&f) {
			continue
		}
		in, perPort := f.Match.Get(InPort)
		if f.Priority < ClassifyLow || f.Priority > ClassifyHigh || !perPort || !in.Exact() {
			faults = append(faults, "not a per-port rule in our range: "+f.String())
		}
		for _, a := range f.Actions {
			if r, ok := a.(Resubmit); ok && r.Table != TableGuard && !c.ofMetadataPort(&f) {
				faults = append(faults, "goes round the guard table: "+f.String())
			}
		}
	}
	present := U16(0x1000)
	for _, f := range c.flows {
		if f.Table != TableGuard {
			continue
		}
		tag, ok := f.Match.Get(VLANVID)
		if ok && len(f.Match) == 1 && len(f.Actions) == 0 && tag.Value == present && tag.Mask == present {
			tagged = f.Priority
		} else {
			other = max(other, f.Priority)
		}
	}
	if tagged <= other {
		faults = append(faults, "tagged frames are not dropped above everything in the guard table")
	}
	return faults
}

// lintGuard: what a flow reads wrongly drops above every allow. A first
// fragment cut in an extension header reads as unfragmented with next header 0,
// one cut in its transport header as one of ports 0; later fragments could complete hidden Neighbor Discovery.
func lintGuard(c *compilation) (faults []string) {
	ip6 := Match{}.With(EthType, U16(0x86dd))
	later := ip6.With(IPFrag, U8(3))
	cut := func(proto uint8, src, dst Field) Match {
		return ip6.With(IPProto, U8(proto)).With(IPFrag, U8(1)).With(src, Value{}).With(dst, Value{})
	}
	must := []Match{
		ip6.With(IPProto, U8(0)),
		ip6.With(IPProto, U8(58)).With(ICMPv6Type, U8(0)),
		ip6.With(IPTTL, U8(0)),
		cut(6, TCPSrc, TCPDst), cut(17, UDPSrc, UDPDst), cut(132, SCTPSrc, SCTPDst),
		later.WithMask(IPv6Dst, Value{0xff, 0x02}, prefixMask(16)),
		later.WithMask(IPv6Dst, Value{0xfe, 0x80}, prefixMask(10)),
	}
	allow := uint16(0)
	for _, f := range c.flows {
		if f.Table == TableGuard && len(f.Actions) > 0 && !isShortMRD(&f) {
			allow = max(allow, f.Priority)
		}
	}
	for _, m := range must {
		if !slices.ContainsFunc(c.flows, func(f Flow) bool {
			return f.Table == TableGuard && f.Priority > allow && len(f.Actions) == 0 && f.Match.Equal(m)
		}) {
			faults = append(faults, fmt.Sprintf("no drop of %s above every allow", m))
		}
	}
	return faults
}

// lintNextHeader: IPv6 passes the guard only as a later fragment or with a next
// header that is known, and the others end by name.
func lintNextHeader(c *compilation) (faults []string) {
	const tcp, udp, gre, esp, ah, icmp6, none, sctp = 6, 17, 47, 50, 51, 58, 59, 132
	known := []uint8{tcp, udp, gre, esp, ah, icmp6, none, sctp}
	named := false
	for _, f := range c.flows {
		if f.Table != TableGuard {
			continue
		}
		if f.Cookie.Role() == RoleDropNextHeader && f.Match.Equal(Match{}.With(EthType, U16(0x86dd))) && f.Priority > 0 {
			named = true
		}
		et, hasType := f.Match.Get(EthType)
		if len(f.Actions) == 0 || hasType && et.Value != U16(0x86dd) {
			continue
		}
		proto, ok := f.Match.Get(IPProto)
		frag, isFrag := f.Match.Get(IPFrag)
		if !(ok && slices.Contains(known, proto.Value[0])) && !(isFrag && frag.Value == U8(3)) && !isVRRP(f.Match) && !toRouterItself(&f) {
			faults = append(faults, "lets an unknown next header pass: "+f.String())
		}
	}
	if !named {
		faults = append(faults, "unknown next headers do not end by name")
	}
	return faults
}

// toRouterItself reports whether a flow of the guard table takes out what is for an
// address and the MAC of a router, which the services table then ends.
func toRouterItself(f *Flow) bool {
	dst, to := f.Match.Get(IPv6Dst)
	mac, by := f.Match.Get(EthDst)
	return f.Table == TableGuard && to && dst.Exact() && by && mac.Exact() && slices.Contains(f.Actions, Action(Load(regTrouble, U32(uint32(punt.Local)))))
}

// lintVRRP: VRRP passes the services by ports with a pair alone (RFC 9568
// section 9).
func lintVRRP(c *compilation) (faults []string) {
	ends := false
	for _, f := range c.flows {
		if f.Table != TableServices || !isVRRP(without(f.Match, regPort)) {
			continue
		}
		p := c.port(&f)
		switch {
		case len(f.Actions) == 0:
			ends = ends || p == nil && f.Priority > serviceOther
		case p == nil || len(p.Pairs) == 0:
			faults = append(faults, "lets VRRP pass without a pair: "+f.String())
		}
	}
	if !ends {
		faults = append(faults, "VRRP of others does not end")
	}
	return faults
}

// isVRRP reports whether a match is VRRP's advertisements, as a receiver must
// find them (RFC 9568 section 7.1).
func isVRRP(m Match) bool {
	want := Match{}.With(EthType, U16(0x86dd)).With(IPProto, U8(112)).With(IPTTL, U8(255)).With(IPFrag, U8(0)).
		With(IPv6Dst, Value{0: 0xff, 1: 2, 15: 0x12})
	return m.Equal(want)
}

// neighborDiscovery is the exact ICMPv6 type of a match if it is one of RFC
// 4861's.
func neighborDiscovery(m Match) (typ uint8, ok bool) {
	e, ok := m.Get(ICMPv6Type)
	return e.Value[0], ok && (e.Value[0] >= 133 && e.Value[0] <= 137 || e.Value[0] == wire.TypeInverseSolicit || e.Value[0] == wire.TypeInverseAdvert || e.Value[0] == wire.TypePathSolicit)
}

// lintNDStrict: every flow that matches a field of Neighbor Discovery, or
// answers, punts or forwards it, has code 0, hop limit 255 and no fragment.
// Without the code Open vSwitch leaves ND fields out of megaflows.
func lintNDStrict(c *compilation) (faults []string) {
	for _, f := range c.flows {
		_, isND := neighborDiscovery(f.Match)
		if !(isND && len(f.Actions) > 0) && !matchesNDField(f.Match) || f.Table == TableSourceAddress {
			continue // the source is judged first, and what is invalid ends behind by its own name
		}
		for field, want := range map[Field]uint8{ICMPv6Code: 0, IPTTL: 255, IPFrag: 0} {
			e, ok := f.Match.Get(field)
			if !ok || !e.Exact() || e.Value != U8(want) {
				faults = append(faults, fmt.Sprintf("%s is not %d: %s", field, want, &f))
			}
		}
	}
	return faults
}

func matchesNDField(m Match) bool {
	return slices.ContainsFunc(m, func(e FieldMatch) bool { return isNDField(e.Field) })
}

func isNDField(f Field) bool { return f >= NDTarget && f <= NDOptionsType }

// lintNDDrops: what drops Neighbor Discovery matches the type alone, each of the
// types is dropped before the switch table, and nothing below that drop
// could let it on.
func lintNDDrops(c *compilation) (faults []string) {
	dropped := map[uint8]Flow{}
	for _, f := range c.flows {
		typ, isND := neighborDiscovery(f.Match)
		// Those of an uplink only give what ends anyway a name of its own, and those of
		// certificates are for networks whose router has one.
		if !isND || len(f.Actions) > 0 || f.Cookie.Role() == RoleDropUplink || f.Cookie.Role() == RoleDropPath {
			continue
		}
		if len(f.Match) != 3 {
			faults = append(faults, "matches more than the type: "+f.String())
		}
		if f.Table < TableSwitch {
			dropped[typ] = f
		}
	}
	for _, typ := range []uint8{wire.TypeRouterSolicit, wire.TypeRouterAdvert, wire.TypeNeighborSolicit, wire.TypeNeighborAdvert, wire.TypeRedirect, wire.TypeInverseSolicit, wire.TypeInverseAdvert} {
		drop, ok := dropped[typ]
		if !ok {
			faults = append(faults, fmt.Sprintf("ICMPv6 type %d is not dropped above the switch table", typ))
			continue
		}
		for _, f := range c.flows {
			e, hasType := f.Match.Get(ICMPv6Type)
			if f.Table == drop.Table && !isVRRP(without(f.Match, regPort)) && f.Priority >= drop.Priority && slices.Contains(f.Actions, Action(Resubmit{TableEgress})) &&
				(!hasType || e.Value[0] == typ) {
				faults = append(faults, fmt.Sprintf("switched above the drop of type %d: %s", typ, &f))
			}
		}
	}
	return faults
}

// lintOutputs: frames leave by a port, by the port they came in by, or by LOCAL,
// never by what the switch might make of NORMAL or FLOOD.
func lintOutputs(c *compilation) (faults []string) {
	const lastRealPort = 0xffffff00 // OpenFlow 1.5 section 7.2.1
	for _, f := range c.flows {
		for _, a := range f.Actions {
			if o, ok := a.(Output); ok && o.Port >= lastRealPort && o.Port != Local && o.Port != ToInPort {
				faults = append(faults, "leaves by a reserved port: "+f.String())
			}
		}
	}
	return faults
}

// lintWholePunt: controller actions stand in the punt table alone, name one of
// our lanes and the version, and cut nothing off.
func lintWholePunt(c *compilation) (faults []string) {
	for _, f := range c.flows {
		for _, a := range f.Actions {
			p, ok := a.(Punt)
			if !ok {
				continue
			}
			if f.Table != TablePunt || p.ID < punt.ControllerID || p.ID >= punt.ControllerID+punt.Lanes ||
				p.Userdata != string([]byte{punt.Version}) || strings.Contains(p.String(), "max_len") {
				faults = append(faults, "no whole punt to a lane of ours: "+f.String())
			}
		}
	}
	return faults
}

// lintDropped: the table that counts drops ends every frame, by its port, and
// looks at nothing that a guest has in its hands: its megaflows would be as many.
// A drop outside of it either is of one port's frames, and its cookie says which,
// or has nobody's cookie.
func lintDropped(c *compilation) (faults []string) {
	for _, f := range c.flows {
		_, of := f.Match.Get(regDropPort)
		_, by := f.Match.Get(regDrop)
		switch role, object := f.Cookie.Role(), f.Cookie.Object(); {
		case f.Table == TableDropped && len(f.Actions) > 0:
			faults = append(faults, "leaves the table that counts drops: "+f.String())
		case f.Table == TableDropped && (!role.Drop() || of != (object != 0) || by != (role != RoleDropUnsorted) || len(f.Match) > 2):
			faults = append(faults, "does not count by port and role: "+f.String())
		case f.Table != TableDropped && role.Drop() && f.Match.ofOnePort() != (object != 0):
			faults = append(faults, "the port it counts for is not told: "+f.String())
		}
	}
	return faults
}
