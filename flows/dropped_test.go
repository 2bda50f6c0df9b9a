package flows

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCountApart: a drop told apart is one flow of its port more and changes
// nothing of the others, and a process that finds it on the switch keeps it.
func TestCountApart(t *testing.T) {
	t.Parallel()
	s := build(l2Spec(), nil)
	c := NewCompiler(Env{})
	before := c.Update(s)
	if !c.CountApart(1, RolesOf(RoleDropGuestRA, RoleDropTagged)) || c.CountApart(1, RolesOf(RoleDropTagged)) {
		t.Error("what is told apart the first time is new, and only that")
	}
	after := c.Update(s)
	d := DiffPieces(before, after)
	var got []string
	for i := range d.AddFlows {
		got = append(got, d.AddFlows[i].String())
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"cookie=0xdf1e010d00000001, table=80, priority=200,reg8=0xd,reg9=0x1 actions=drop",
		"cookie=0xdf1e011300000001, table=80, priority=200,reg8=0x13,reg9=0x1 actions=drop",
	}, got); diff != "" || d.FlowMods() != 2 {
		t.Errorf("%d changes (-want +got):\n%s", d.FlowMods(), diff)
	}
	next := NewCompiler(Env{})
	next.Update(s)
	if !next.AdoptCounters(after.Set()) || next.AdoptCounters(after.Set()) {
		t.Error("what is adopted the first time is new, and only that")
	}
	if d := DiffPieces(after, next.Update(s)); d.Mods() != 0 {
		t.Errorf("the next process changes %q", d.Lines())
	}
}

// TestRoles holds the set against a plain map.
func TestRoles(t *testing.T) {
	t.Parallel()
	want := []Role{RoleOther, RoleDropTagged, roles - 1}
	s := RolesOf(want...)
	if got := slices.Collect(s.Each); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for r := range roles {
		if s.Has(r) != slices.Contains(want, r) {
			t.Errorf("%s: %v", r, s.Has(r))
		}
	}
	for range s.Each {
		break // stops when it is told to
	}
}
