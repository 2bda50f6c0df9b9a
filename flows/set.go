package flows

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set is what a switch holds or should hold: flows, groups and meters, each by
// what identifies it.
type Set struct {
	Flows  map[Key]*Flow
	Groups map[uint32]*Group
	Meters map[uint32]Meter
}

// NewSet returns an empty Set.
func NewSet() *Set {
	return &Set{Flows: map[Key]*Flow{}, Groups: map[uint32]*Group{}, Meters: map[uint32]Meter{}}
}

// Sorted returns the flows by table, falling priority and the text of the
// match, for people.
func (s *Set) Sorted() []*Flow {
	text := make(map[*Flow]string, len(s.Flows))
	for _, f := range s.Flows {
		text[f] = f.Match.String()
	}
	out := slices.Collect(maps.Values(s.Flows))
	slices.SortFunc(out, func(a, b *Flow) int {
		return cmp.Or(compareRank(a, b), cmp.Compare(text[a], text[b]))
	})
	return out
}

// compareFlows orders flows by table, falling priority and the octets of the
// match: the same every time and cheap.
func compareFlows(a, b *Flow) int {
	if c := compareRank(a, b); c != 0 {
		return c
	}
	return slices.CompareFunc(a.Match, b.Match, compareFields)
}

func compareRank(a, b *Flow) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority))
}

func compareFields(a, b FieldMatch) int {
	if a.Field != b.Field {
		return cmp.Compare(a.Field, b.Field)
	}
	if a.Value != b.Value {
		return bytes.Compare(a.Value[:], b.Value[:])
	}
	return bytes.Compare(a.Mask[:], b.Mask[:])
}

// String renders the whole set, meters and groups first, a line each.
func (s *Set) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.Meters)) {
		fmt.Fprintln(&b, s.Meters[id])
	}
	for _, id := range slices.Sorted(maps.Keys(s.Groups)) {
		fmt.Fprintln(&b, s.Groups[id])
	}
	for _, f := range s.Sorted() {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}
