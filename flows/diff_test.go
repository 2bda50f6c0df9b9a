package flows

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// held is what a switch holds, changed by messages with the effects and the
// refusals of Open vSwitch 3.1: adding what is there fails for groups and
// meters, a flow to a group or meter that is not there is refused, and a group
// or meter that goes takes its flows along.
type held struct{ *Set }

func (h held) apply(d Delta) error {
	for _, m := range d.AddMeters {
		if _, ok := h.Meters[m.ID]; ok {
			return fmt.Errorf("meter %d is there already", m.ID)
		}
		h.Meters[m.ID] = m
	}
	for _, m := range d.ModMeters {
		if _, ok := h.Meters[m.ID]; !ok {
			return fmt.Errorf("meter %d is not there", m.ID)
		}
		h.Meters[m.ID] = m
	}
	if err := h.applyGroups(d); err != nil {
		return err
	}
	for _, f := range d.AddFlows {
		if err := h.allowed(f.Actions); err != nil {
			return fmt.Errorf("%s: %w", &f, err)
		}
		h.Flows[f.Key()] = &f
	}
	for _, f := range d.DelFlows {
		if _, ok := h.Flows[f.Key()]; !ok {
			return fmt.Errorf("deleted, but not there: %s", &f)
		}
		delete(h.Flows, f.Key())
	}
	for _, id := range d.DelGroups {
		delete(h.Groups, id)
		h.forget(ToGroup{id})
	}
	for _, id := range d.DelMeters {
		delete(h.Meters, id)
		h.forget(ThroughMeter{id})
	}
	return nil
}

func (h held) applyGroups(d Delta) error {
	for _, g := range d.AddGroups {
		if h.Groups[g.ID] != nil {
			return fmt.Errorf("group %d is there already", g.ID)
		}
		h.Groups[g.ID] = clone(&g)
	}
	for _, b := range d.RemoveBuckets {
		g := h.Groups[b.Group]
		if g == nil {
			return fmt.Errorf("group %d is not there", b.Group)
		}
		n := len(g.Buckets)
		g.Buckets = slices.DeleteFunc(g.Buckets, func(x Bucket) bool { return x.ID == b.Bucket.ID })
		if len(g.Buckets) != n-1 {
			return fmt.Errorf("group %d has no bucket %d", b.Group, b.Bucket.ID)
		}
	}
	for _, b := range d.InsertBuckets {
		g := h.Groups[b.Group]
		if g == nil || slices.ContainsFunc(g.Buckets, func(x Bucket) bool { return x.ID == b.Bucket.ID }) {
			return fmt.Errorf("no room for bucket %d in group %d", b.Bucket.ID, b.Group)
		}
		g.Buckets = append(g.Buckets, b.Bucket)
	}
	for _, g := range d.ModGroups {
		if h.Groups[g.ID] == nil {
			return fmt.Errorf("group %d is not there", g.ID)
		}
		h.Groups[g.ID] = clone(&g)
	}
	return nil
}

func clone(g *Group) *Group {
	c := *g
	c.Buckets = slices.Clone(g.Buckets)
	return &c
}

// allowed reports whether the switch has what the actions name.
func (h held) allowed(actions []Action) error {
	for _, a := range actions {
		switch a := a.(type) {
		case ToGroup:
			if h.Groups[a.ID] == nil {
				return fmt.Errorf("group %d is not there", a.ID)
			}
		case ThroughMeter:
			if _, ok := h.Meters[a.ID]; !ok {
				return fmt.Errorf("meter %d is not there", a.ID)
			}
		}
	}
	return nil
}

// forget deletes the flows that have an action.
func (h held) forget(a Action) {
	maps.DeleteFunc(h.Flows, func(_ Key, f *Flow) bool { return slices.Contains(f.Actions, a) })
}

// text is the Set in words, without the order of buckets in flood groups, which
// means nothing.
func (h held) text() string {
	s := &Set{Flows: h.Flows, Meters: h.Meters, Groups: map[uint32]*Group{}}
	for id, g := range h.Groups {
		g = clone(g)
		if g.Type == All {
			slices.SortFunc(g.Buckets, func(a, b Bucket) int { return cmp.Compare(a.ID, b.ID) })
		}
		s.Groups[id] = g
	}
	return s.String()
}

// holding returns a switch that holds a set.
func holding(s *Set) held {
	h := held{NewSet()}
	maps.Copy(h.Flows, s.Flows)
	maps.Copy(h.Meters, s.Meters)
	for id, g := range s.Groups {
		h.Groups[id] = clone(g)
	}
	return h
}

// draw makes a small random topology. Names keep their keys from one to the
// next, so that ports come, go, move between networks, change MACs and swap
// addresses.
func draw(t *rapid.T) topology.Input {
	networks := []string{"n1", "n2", "n3"}
	in := topology.Input{Spec: &topology.Spec{}, Keys: topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}},
		Delegated: map[string][]topology.DelegatedPrefix{}}
	var router topology.RouterSpec
	var there []string
	subnets := map[string]netip.Prefix{}
	for i, name := range networks {
		in.Keys.Networks[name] = uint16(i + 1)
		if !rapid.Bool().Draw(t, name) {
			continue
		}
		there = append(there, name)
		spec := topology.NetworkSpec{Name: name}
		if rapid.Bool().Draw(t, name+" subnet") {
			subnets[name] = netip.MustParsePrefix(fmt.Sprintf("fd00:%d::/64", i))
			yes, mode := true, topology.Mode(rapid.IntRange(0, 2).Draw(t, name+" mode"))
			// Addresses stay whatever the mode, and with them the ports.
			spec.Subnets = []topology.SubnetSpec{{Prefix: subnets[name], Mode: mode, Autonomous: &yes}}
		}
		if to := rapid.IntRange(0, 6).Draw(t, name+" delegated to"); to > 0 {
			in.Delegated[name] = []topology.DelegatedPrefix{{Prefix: netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d::/48", to%3)), Port: uint16(to)}}
		}
		in.Spec.Networks = append(in.Spec.Networks, spec)
		if rapid.Bool().Draw(t, name+" router") {
			router.Networks = append(router.Networks, topology.PresenceSpec{Network: name})
		}
	}
	if len(router.Networks) > 0 {
		router.Name = "r1"
		in.Spec.Routers = []topology.RouterSpec{router}
	}
	if len(there) == 0 {
		return in
	}
	pool := rapid.Permutation([]byte{0x20, 0x21, 0x22, 0x23, 0x24, 0x25}).Draw(t, "addresses")
	ofports := rapid.Permutation([]uint32{1, 2, 3, 4, 5, 6}).Draw(t, "ofports")
	macs := rapid.Permutation([]byte{1, 2, 3, 4, 5, 6}).Draw(t, "macs")
	for i := range 6 {
		name := fmt.Sprintf("p%d", i)
		in.Keys.Ports[name] = uint16(i + 1)
		if !rapid.Bool().Draw(t, name) {
			continue
		}
		p := topology.PortSpec{
			Name: name, Network: rapid.SampledFrom(there).Draw(t, name+" network"), MAC: mac(macs[i]),
			Router: rapid.Bool().Draw(t, name+" router"), Unknown: rapid.IntRange(0, 4).Draw(t, name+" unknown") == 0,
			DHCPv6Relay: rapid.IntRange(0, 4).Draw(t, name+" relay") == 0,
			Limits:      rapid.SampledFrom([]topology.Limits{nil, {punt.NS: topology.Unlimited}, {punt.NA: {}}, {punt.DHCPv6: {}}, {punt.Echo: {Rate: 1, Burst: 1}}}).Draw(t, name+" limits"),
		}
		if subnet, ok := subnets[p.Network]; ok && rapid.Bool().Draw(t, name+" address") {
			a := subnet.Addr().As16()
			a[15] = pool[i]
			p.Addresses = []netip.Addr{netip.AddrFrom16(a)}
		}
		in.Spec.Ports = append(in.Spec.Ports, p)
		if rapid.IntRange(0, 4).Draw(t, name+" bound") > 0 {
			in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: ofports[i]})
		}
	}
	return in
}

// TestDeltaLeadsToWanted goes through random topologies: what the deltas made of
// the switch is what compiling the last one from scratch gives.
func TestDeltaLeadsToWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := envs[rapid.SampledFrom([]string{"ndext-pulse", "plain"}).Draw(t, "env")]
		var builder topology.Builder
		compiler := NewCompiler(env)
		last := &Pieces{}
		sw := held{NewSet()}
		for range rapid.IntRange(2, 4).Draw(t, "steps") {
			s, problems := builder.Build(draw(t))
			if s == nil {
				t.Fatalf("the drawn topology is impossible: %v", problems)
			}
			pieces := compiler.Update(s)
			fresh := Compile(s, env)
			if want, got := fresh.String(), pieces.Set().String(); got != want {
				t.Fatalf("compiled after others it is not what it is alone:\n%s", gocmp.Diff(want, got))
			}
			d := DiffPieces(last, pieces)
			whole := Diff(sw.Set, fresh)
			if d.Mods() != whole.Mods() {
				t.Fatalf("piece by piece %d messages, whole %d:\n%+v\n%+v", d.Mods(), whole.Mods(), d, whole)
			}
			wanted := holding(fresh).text()
			if same := sw.text() == wanted; whole.Empty() != same {
				t.Fatalf("empty delta: %v, same sets: %v", whole.Empty(), same)
			}
			halves, gone := Missing(sw.Set, fresh), Surplus(sw.Set, fresh)
			halves.DelFlows, halves.DelGroups, halves.DelMeters = gone.DelFlows, gone.DelGroups, gone.DelMeters
			if !reflect.DeepEqual(whole, halves) || gone.Mods() != len(gone.DelFlows)+len(gone.DelGroups)+len(gone.DelMeters) {
				t.Fatalf("what is missing and what is too much are not the whole:\n%s", gocmp.Diff(whole, halves))
			}
			if err := sw.apply(d); err != nil {
				t.Fatal(err)
			}
			if got := sw.text(); got != wanted {
				t.Fatalf("the delta leads elsewhere (-want +got):\n%s", gocmp.Diff(wanted, got))
			}
			if d := Diff(sw.Set, fresh); !d.Empty() {
				t.Fatalf("still something to do: %+v", d)
			}
			last = pieces
		}
	})
}

// TestMissingMeterSendsFlowsAgain: Open vSwitch ties a flow to its meter when
// the flow comes in, so one that stood without its meter comes again.
func TestMissingMeterSendsFlowsAgain(t *testing.T) {
	want := Compile(named["router"](), envs["plain"])
	have := holding(want)
	const id = 1*punt.MeterSlots + uint32(punt.NS)
	delete(have.Meters, id)
	d := Diff(have.Set, want)
	if len(d.AddMeters) != 1 || d.AddMeters[0].ID != id {
		t.Errorf("meters added: %v, want meter %d", d.AddMeters, id)
	}
	through := func(f Flow) bool { return slices.Contains(f.Actions, Action(ThroughMeter{id})) }
	var those int
	for _, f := range want.Flows {
		if through(*f) {
			those++
		}
	}
	if those == 0 || len(d.AddFlows) != those || !slices.ContainsFunc(d.AddFlows, through) || d.Mods() != 1+those {
		t.Errorf("want just the %d flows with that meter again, got %+v", those, d)
	}
}

// TestOnePortAmong5000 counts what a change of one port costs the switch. The
// budget is 25 flow-mods; beside them only the port's own meters and its bucket
// in its network's flood group may move.
func TestOnePortAmong5000(t *testing.T) {
	const n, port = 5000, 2525
	before := bigSpec(n)
	tests := []struct {
		name   string
		change func(*topology.Spec, map[string]uint32)
		meters int // own meters that come, go or change
		groups int // buckets removed and inserted
		flows  int
	}{
		{"nothing", func(*topology.Spec, map[string]uint32) {}, 0, 0, 0},
		{"unplugged", func(_ *topology.Spec, of map[string]uint32) { of[before.Ports[port].Name] = 0 }, 7, 1, 25},
		{"another number in the switch", func(_ *topology.Spec, of map[string]uint32) { of[before.Ports[port].Name] = 60000 }, 0, 0, 3},
		{"another address", func(s *topology.Spec, _ map[string]uint32) {
			a := s.Ports[port].Addresses[0].As16()
			a[15] = 0xee
			s.Ports[port].Addresses = []netip.Addr{netip.AddrFrom16(a)}
		}, 0, 0, 12},
		// With the MAC the link-local address changes too: two changes in one.
		{"another MAC", func(s *topology.Spec, _ map[string]uint32) { s.Ports[port].MAC = wire.MAC{2, 9, 9, 9, 9, 9} }, 0, 0, 21},
		{"another limit", func(s *topology.Spec, _ map[string]uint32) {
			s.Ports[port].Limits = topology.Limits{punt.NS: {Rate: 9, Burst: 9}}
		}, 1, 0, 0},
	}
	var builder topology.Builder
	base := input(before, nil)
	s, _ := builder.Build(base)
	compiler := NewCompiler(envs["ndext-pulse"])
	have := compiler.Update(s)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec, ofports := bigSpec(n), map[string]uint32{}
			tt.change(spec, ofports)
			s, problems := builder.Build(input(spec, ofports))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			d := DiffPieces(have, compiler.Update(s))
			// Back to what it was, so that the cases do not add up.
			s, _ = builder.Build(base)
			have = compiler.Update(s)

			meters := len(d.AddMeters) + len(d.ModMeters) + len(d.DelMeters)
			if meters != tt.meters || d.GroupMods() != tt.groups || d.FlowMods() > tt.flows {
				t.Errorf("%d meters, %d group-mods, %d flow-mods; want %d, %d, at most %d", meters, d.GroupMods(), d.FlowMods(), tt.meters, tt.groups, tt.flows)
			}
			if len(d.ModGroups)+len(d.AddGroups)+len(d.DelGroups) > 0 {
				t.Errorf("a group is sent whole")
			}
		})
	}
}
