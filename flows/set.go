package flows

import (
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

// Pieces is a Set still in the parts it was compiled in, so that two of them
// can be compared part by part.
type Pieces struct{ list map[PieceID]*piece }

// PieceID names the part of the topology a piece stands for.
type PieceID struct {
	kind byte // 0 for the base, n for a network, p for a port
	key  uint16
}

// String is the part's kind and key, as cookies carry it.
func (id PieceID) String() string {
	switch id.kind {
	case 'n':
		return fmt.Sprintf("network with key %d", id.key)
	case 'p':
		return fmt.Sprintf("port with key %d", id.key)
	}
	return "all ports"
}

// Set returns the pieces as one Set.
func (p *Pieces) Set() *Set {
	s := NewSet()
	for _, k := range p.list {
		s.addPiece(k)
	}
	return s
}

// Flows returns the number of flows.
func (p *Pieces) Flows() (n int) {
	for _, k := range p.list {
		n += len(k.flows)
	}
	return n
}

// Each yields the pieces as Sets, that of all ports and networks first, then
// networks, which ports refer to.
func (p *Pieces) Each(yield func(PieceID, *Set) bool) {
	ids := slices.SortedFunc(maps.Keys(p.list), func(a, b PieceID) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key))
	})
	for _, id := range ids {
		s := NewSet()
		s.addPiece(p.list[id])
		if !yield(id, s) {
			return
		}
	}
}

// Without returns the pieces but for some.
func (p *Pieces) Without(ids []PieceID) *Pieces {
	list := maps.Clone(p.list)
	for _, id := range ids {
		delete(list, id)
	}
	return &Pieces{list: list}
}

func (s *Set) addPiece(p *piece) {
	for i := range p.flows {
		s.Flows[p.flows[i].Key()] = &p.flows[i]
	}
	for i := range p.groups {
		s.Groups[p.groups[i].ID] = &p.groups[i]
	}
	for _, m := range p.meters {
		s.Meters[m.ID] = m
	}
}

// Sorted returns the flows by table, falling priority and match.
func (s *Set) Sorted() []*Flow {
	out := slices.Collect(maps.Values(s.Flows))
	slices.SortFunc(out, compareFlows)
	return out
}

func compareFlows(a, b *Flow) int {
	if a.Table != b.Table {
		return int(a.Table) - int(b.Table)
	}
	if a.Priority != b.Priority {
		return int(b.Priority) - int(a.Priority)
	}
	return strings.Compare(a.Match.String(), b.Match.String())
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
