package flows

import (
	"cmp"
	"maps"
	"slices"
)

// Delta is what turns one Set into another, in the order a switch has to be
// told: meters that come or change, then groups and flows in one transaction,
// then meters that go. Deleting a meter deletes the flows that use it, so it
// comes last.
type Delta struct {
	AddMeters, ModMeters []Meter
	AddGroups            []Group
	// Buckets that come and go in groups which stay. A changed bucket is in both.
	RemoveBuckets, InsertBuckets []BucketChange
	// ModGroups are groups whose buckets cannot be changed one by one.
	ModGroups []Group
	// AddFlows come or replace the flow of the same key; DelFlows go.
	AddFlows, DelFlows []Flow
	DelGroups          []uint32
	DelMeters          []uint32
}

// BucketChange is one bucket of one group.
type BucketChange struct {
	Group  uint32
	Type   GroupType
	Bucket Bucket
}

// Empty reports whether there is nothing to do.
func (d *Delta) Empty() bool { return d.Mods() == 0 }

// Mods returns the number of messages that change the switch.
func (d *Delta) Mods() int {
	return len(d.AddMeters) + len(d.ModMeters) + len(d.DelMeters) + d.GroupMods() + d.FlowMods()
}

// FlowMods returns the number of flow-mods.
func (d *Delta) FlowMods() int { return len(d.AddFlows) + len(d.DelFlows) }

// GroupMods returns the number of group-mods.
func (d *Delta) GroupMods() int {
	return len(d.AddGroups) + len(d.ModGroups) + len(d.DelGroups) + len(d.RemoveBuckets) + len(d.InsertBuckets)
}

// Diff returns the Delta from have to want.
//
// A flow or group that names a meter which was missing is sent again although
// it reads the same: Open vSwitch ties flows to meters when the flow comes in.
func Diff(have, want *Set) Delta {
	var d Delta
	d.missing(have, want)
	d.surplus(have, want)
	d.sort()
	return d
}

// Missing is the part of Diff that brings what want has: nothing goes but
// buckets of groups that change. It looks only at what want holds, so that a
// small part of a large have costs little.
func Missing(have, want *Set) Delta {
	var d Delta
	d.missing(have, want)
	d.sort()
	return d
}

// Surplus is the rest of Diff: what have holds and want does not goes.
func Surplus(have, want *Set) Delta {
	var d Delta
	d.surplus(have, want)
	d.sort()
	return d
}

func (d *Delta) missing(have, want *Set) {
	d.missingMeters(have.Meters, want.Meters)
	d.missingGroups(have.Groups, want.Groups)
	missing := map[uint32]bool{}
	for _, m := range d.AddMeters {
		missing[m.ID] = true
	}
	for key, w := range want.Flows {
		h, ok := have.Flows[key]
		if !ok || !h.Equal(w) || usesMeter(w, missing) {
			d.AddFlows = append(d.AddFlows, *w)
		}
	}
}

func (d *Delta) surplus(have, want *Set) {
	for id := range have.Meters {
		if _, ok := want.Meters[id]; !ok {
			d.DelMeters = append(d.DelMeters, id)
		}
	}
	for id := range have.Groups {
		if _, ok := want.Groups[id]; !ok {
			d.DelGroups = append(d.DelGroups, id)
		}
	}
	for key, h := range have.Flows {
		if _, ok := want.Flows[key]; !ok {
			d.DelFlows = append(d.DelFlows, *h)
		}
	}
}

// DiffPieces is Diff of two results of one Compiler: it looks only into pieces
// that were compiled anew.
func DiffPieces(have, want *Pieces) Delta {
	h, w := NewSet(), NewSet()
	for id, p := range want.list {
		if have.list[id] != p {
			w.addPiece(p)
			if old := have.list[id]; old != nil {
				h.addPiece(old)
			}
		}
	}
	for id, p := range have.list {
		if want.list[id] == nil {
			h.addPiece(p)
		}
	}
	return Diff(h, w)
}

func usesMeter(f *Flow, missing map[uint32]bool) bool {
	if len(missing) == 0 {
		return false
	}
	for _, a := range f.Actions {
		if m, ok := a.(ThroughMeter); ok && missing[m.ID] {
			return true
		}
	}
	return false
}

func (d *Delta) missingMeters(have, want map[uint32]Meter) {
	for id, w := range want {
		h, ok := have[id]
		switch {
		case !ok:
			d.AddMeters = append(d.AddMeters, w)
		case h != w:
			d.ModMeters = append(d.ModMeters, w)
		}
	}
}

func (d *Delta) missingGroups(have, want map[uint32]*Group) {
	for id, w := range want {
		h, ok := have[id]
		switch {
		case !ok:
			d.AddGroups = append(d.AddGroups, *w)
		case h.Equal(w):
		case h.Type != w.Type || w.Type != All:
			d.ModGroups = append(d.ModGroups, *w)
		default:
			d.buckets(h, w)
		}
	}
}

// buckets changes a flood group bucket by bucket: a network of a thousand ports
// must not be sent whole for one of them.
func (d *Delta) buckets(have, want *Group) {
	old := make(map[uint32]Bucket, len(have.Buckets))
	for _, b := range have.Buckets {
		old[b.ID] = b
	}
	for _, b := range want.Buckets {
		h, ok := old[b.ID]
		delete(old, b.ID)
		if ok && h.Equal(b) {
			continue
		}
		if ok {
			d.RemoveBuckets = append(d.RemoveBuckets, BucketChange{want.ID, want.Type, h})
		}
		d.InsertBuckets = append(d.InsertBuckets, BucketChange{want.ID, want.Type, b})
	}
	for _, id := range slices.Sorted(maps.Keys(old)) {
		d.RemoveBuckets = append(d.RemoveBuckets, BucketChange{want.ID, want.Type, old[id]})
	}
}

// sort makes the Delta the same every time.
func (d *Delta) sort() {
	byID := func(a, b Meter) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(d.AddMeters, byID)
	slices.SortFunc(d.ModMeters, byID)
	byGroup := func(a, b Group) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(d.AddGroups, byGroup)
	slices.SortFunc(d.ModGroups, byGroup)
	byBucket := func(a, b BucketChange) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Bucket.ID, b.Bucket.ID))
	}
	slices.SortFunc(d.RemoveBuckets, byBucket)
	slices.SortFunc(d.InsertBuckets, byBucket)
	slices.Sort(d.DelGroups)
	slices.Sort(d.DelMeters)
	byFlow := func(a, b Flow) int { return compareFlows(&a, &b) }
	slices.SortFunc(d.AddFlows, byFlow)
	slices.SortFunc(d.DelFlows, byFlow)
}
