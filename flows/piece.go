package flows

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"damselfly/internal/topology"
)

// Pieces is a Set still in the parts it was compiled in, so that two of them
// can be compared part by part.
type Pieces struct{ list map[PieceID]*Piece }

// Piece is what one part of the topology needs of the switch. It never changes:
// in results of one Compiler the same pointer means the same content.
type Piece struct {
	flows  []Flow
	groups []Group
	meters []Meter
}

// PieceID names the part of the topology a piece stands for.
type PieceID struct {
	kind byte // 0 for the base, n for a network, m for its listeners, M for a router of multicast, p for a port, g for a security group, r for the members of all, t for a router
	key  uint32
}

// Base reports whether it is the part that all networks and ports need.
func (id PieceID) Base() bool { return id.kind == 0 }

// In names the part as the snapshot it was compiled from does: "network blue".
func (id PieceID) In(s *topology.Snapshot) string {
	switch id.kind {
	case 'n':
		if n := s.Network(uint16(id.key)); n != nil {
			return "network " + n.Name
		}
		return fmt.Sprintf("the network with key %d", id.key)
	case 'p':
		if p := s.Port(uint16(id.key)); p != nil {
			return "port " + p.Name
		}
		return fmt.Sprintf("the port with key %d", id.key)
	case 'g':
		for _, g := range s.Groups {
			if g.ID == id.key {
				return "security group " + g.Name
			}
		}
		return fmt.Sprintf("the security group with id %d", id.key)
	case 'M':
		if id.key == 0 {
			return "multicast of all routers"
		}
		return "multicast of " + PieceID{'t', id.key}.In(s)
	case 'm':
		return "who listens on " + PieceID{'n', id.key}.In(s)
	case 't':
		if r := s.Router(id.key); r != nil {
			return "router " + r.Name
		}
		return fmt.Sprintf("the router with id %d", id.key)
	case 'r':
		return "the members of security groups"
	}
	return "what all networks and ports need"
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

// Each yields the pieces, that of all ports and networks first, then networks,
// then ports.
func (p *Pieces) Each(yield func(PieceID, *Piece) bool) {
	ids := slices.SortedFunc(maps.Keys(p.list), func(a, b PieceID) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key))
	})
	for _, id := range ids {
		if !yield(id, p.list[id]) {
			return
		}
	}
}

// Get returns the piece with this id, nil if there is none.
func (p *Pieces) Get(id PieceID) *Piece { return p.list[id] }

// Without returns the pieces but for those that leave says.
func (p *Pieces) Without(leave func(PieceID) bool) *Pieces {
	list := maps.Clone(p.list)
	maps.DeleteFunc(list, func(id PieceID, _ *Piece) bool { return leave(id) })
	return &Pieces{list: list}
}

// Set returns the piece as a Set.
func (k *Piece) Set() *Set {
	s := NewSet()
	s.addPiece(k)
	return s
}

func (s *Set) addPiece(p *Piece) {
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
