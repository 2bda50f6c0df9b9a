package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/openflow"
)

// counter is one flow's as the switch tells it. A cookie is owner, layout, role
// and object, as PIPELINE.md has it.
func counter(table uint8, role flows.Role, port uint16, packets uint64) openflow.FlowStat {
	return openflow.FlowStat{
		Table: table, Cookie: flows.Cookie(0xdf1e<<48 | 1<<40 | uint64(role)<<32 | uint64(port)),
		FlowCounters: openflow.FlowCounters{Packets: packets},
	}
}

func unsorted(port uint16, packets uint64) openflow.FlowStat {
	return counter(flows.TableDropped, flows.RoleDropUnsorted, port, packets)
}

func apart(port uint16, role flows.Role, packets uint64) openflow.FlowStat {
	return counter(flows.TableDropped, role, port, packets)
}

func shared(role flows.Role, packets uint64) openflow.FlowStat {
	return counter(flows.TableGuard, role, 0, packets)
}

// TestDrops goes through what the switch's counters say at moments in turn.
func TestDrops(t *testing.T) {
	t.Parallel()
	const ra, tagged, spoofed = flows.RoleDropGuestRA, flows.RoleDropTagged, flows.RoleDropSpoofed
	type told = map[uint16]map[string]uint64
	type moment struct {
		stats []openflow.FlowStat
		want  told
		apart map[uint16]flows.Roles
	}
	both := flows.RolesOf(ra, tagged)
	for _, tt := range []struct {
		name    string
		moments []moment
	}{
		{"nothing", []moment{{[]openflow.FlowStat{unsorted(1, 0), shared(ra, 0)}, told{}, map[uint16]flows.Roles{}}}},
		{"one port, two roles", []moment{{
			[]openflow.FlowStat{unsorted(1, 5), unsorted(2, 0), shared(ra, 2), shared(tagged, 3)},
			told{1: {"drop-guest-ra": 2, "drop-tagged": 3}}, map[uint16]flows.Roles{1: both},
		}}},
		{"two ports, one role", []moment{{
			[]openflow.FlowStat{unsorted(1, 5), unsorted(2, 2), shared(ra, 7)},
			told{1: {"drop-guest-ra": 5}, 2: {"drop-guest-ra": 2}}, map[uint16]flows.Roles{1: flows.RolesOf(ra), 2: flows.RolesOf(ra)},
		}}},
		{"two ports, two roles: told apart from then on", []moment{
			{
				[]openflow.FlowStat{unsorted(1, 1), unsorted(2, 1), shared(ra, 1), shared(tagged, 1)},
				told{1: {"drop-unsorted": 1}, 2: {"drop-unsorted": 1}}, map[uint16]flows.Roles{1: both, 2: both},
			},
			{
				[]openflow.FlowStat{unsorted(1, 1), unsorted(2, 1), shared(ra, 5), shared(tagged, 3), apart(1, ra, 4), apart(2, tagged, 2), apart(1, tagged, 0)},
				told{1: {"drop-unsorted": 1, "drop-guest-ra": 4}, 2: {"drop-unsorted": 1, "drop-tagged": 2}}, map[uint16]flows.Roles{},
			},
		}},
		{"counters read while they rise", []moment{
			{[]openflow.FlowStat{unsorted(1, 4), shared(ra, 3)}, told{1: {"drop-unsorted": 4}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
			{[]openflow.FlowStat{unsorted(1, 4), shared(ra, 4)}, told{1: {"drop-guest-ra": 4}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
		}},
		{"counters that never add up", []moment{
			{[]openflow.FlowStat{unsorted(1, 4), shared(ra, 3)}, told{1: {"drop-unsorted": 4}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
			{[]openflow.FlowStat{unsorted(1, 4), shared(ra, 3)}, told{1: {"drop-unsorted": 4}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
			{[]openflow.FlowStat{unsorted(1, 5), shared(ra, 4)}, told{1: {"drop-unsorted": 4, "drop-guest-ra": 1}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
		}},
		{"a port's own drops", []moment{
			{[]openflow.FlowStat{counter(flows.TableSource, spoofed, 1, 3), counter(flows.TableSource, spoofed, 1, 1)}, told{1: {"drop-spoofed": 4}}, map[uint16]flows.Roles{}},
			{[]openflow.FlowStat{counter(flows.TableSource, spoofed, 1, 3)}, told{1: {"drop-spoofed": 4}}, map[uint16]flows.Roles{}},
			{[]openflow.FlowStat{counter(flows.TableSource, spoofed, 1, 5)}, told{1: {"drop-spoofed": 6}}, map[uint16]flows.Roles{}},
		}},
		{"a switch that begins anew", []moment{
			{[]openflow.FlowStat{unsorted(1, 9), shared(ra, 9)}, told{1: {"drop-guest-ra": 9}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
			{[]openflow.FlowStat{unsorted(1, 0), shared(ra, 0)}, told{1: {"drop-guest-ra": 9}}, map[uint16]flows.Roles{}},
			{[]openflow.FlowStat{unsorted(1, 2), shared(ra, 2)}, told{1: {"drop-guest-ra": 11}}, map[uint16]flows.Roles{1: flows.RolesOf(ra)}},
		}},
		{"no drops", []moment{{[]openflow.FlowStat{counter(flows.TableOutput, flows.RoleOutput, 1, 7)}, told{}, map[uint16]flows.Roles{}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDrops()
			d.update(read(nil)) // the first look
			for i, m := range tt.moments {
				d.update(read(m.stats))
				if diff := cmp.Diff(m.want, d.byPort()); diff != "" {
					t.Errorf("moment %d (-want +got):\n%s", i, diff)
				}
				if diff := cmp.Diff(m.apart, d.take()); diff != "" {
					t.Errorf("moment %d: counters to be made (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestDropsOfBefore: what was dropped before the process began is told apart as
// far as it can be, and changes no flow until there is more of it.
func TestDropsOfBefore(t *testing.T) {
	t.Parallel()
	d := newDrops()
	if !d.risen(nil) {
		t.Error("the first look looks at nothing")
	}
	d.update(read([]openflow.FlowStat{unsorted(1, 3), shared(flows.RoleDropAway, 3)}))
	if got := d.take(); len(got) > 0 || d.risen([]openflow.FlowStat{unsorted(1, 3)}) {
		t.Errorf("counters to be made: %v", got)
	}
	if !d.risen([]openflow.FlowStat{unsorted(1, 4)}) {
		t.Error("one more is not seen")
	}
	d.update(read([]openflow.FlowStat{unsorted(1, 4), shared(flows.RoleDropAway, 4)}))
	if diff := cmp.Diff(map[uint16]flows.Roles{1: flows.RolesOf(flows.RoleDropAway)}, d.take()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[uint16]map[string]uint64{1: {"drop-away": 4}}, d.byPort()); diff != "" {
		t.Error(diff)
	}
}

// TestLimitDrops: what a meter drops is its port's and class's.
func TestLimitDrops(t *testing.T) {
	t.Parallel()
	d := newDrops()
	now := read(nil)
	now.addMeters([]openflow.MeterStat{{ID: 1000 + 2*16 + 1, Dropped: 7}, {ID: 1000 + 3*16 + 1}, {ID: 5, Dropped: 9}}, 1000)
	d.update(now)
	if diff := cmp.Diff(map[uint16]map[string]uint64{2: {"limit-ns": 7}}, d.byPort()); diff != "" {
		t.Error(diff)
	}
}

// TestMeanings: whatever can be a reason to drop means something.
func TestMeanings(t *testing.T) {
	t.Parallel()
	for why, want := range map[string]string{
		"limit-ns": "class ns", "drop-unsorted": "before there was a counter",
		"drop-guest-ra": "(RFC 6105 section 1)", "checksum": "wrong checksum",
	} {
		if got := meaning(why); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want one that says %q", why, got, want)
		}
	}
}
