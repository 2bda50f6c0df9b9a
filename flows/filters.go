package flows

import (
	"fmt"

	"damselfly/internal/topology"
)

// filters are the pieces of security groups: one for each that a port has, and
// one for the members of all.
type filters struct {
	groups  map[uint32]compiled[groupSource]
	members compiled[memberSource]
	// rejects, logs: some rule of a group in use does.
	rejects, logs bool
	// tracks: some port's connections are tracked.
	tracks bool
}

// groupSource is all that the piece of a group depends on: the group, and the
// classes that have the groups it names, as text, so that it can be compared.
type groupSource struct {
	group   *topology.SecurityGroup
	classes string
}

// memberSource is all that the piece of the members depends on.
type memberSource struct {
	remotes         *topology.Remotes
	ingress, egress bool
}

// update compiles what differs from the snapshot before.
func (f *filters) update(env Env, s *topology.Snapshot) {
	used := map[*topology.SecurityGroup]bool{}
	f.tracks = false
	for _, p := range s.Ports {
		if p.Filter != nil {
			f.tracks = f.tracks || !p.Filter.Stateless
			for _, g := range p.Filter.Groups {
				used[g] = true
			}
		}
	}
	groups := make(map[uint32]compiled[groupSource], len(used))
	f.rejects, f.logs = false, false
	members := memberSource{remotes: s.Remotes}
	for g := range used {
		from := groupSource{g, ""}
		for i := range g.Rules {
			r := &g.Rules[i]
			f.rejects, f.logs = f.rejects || r.Reject, f.logs || r.Log
			if r.RemoteGroup == "" {
				continue
			}
			members.ingress = members.ingress || r.Direction == topology.Ingress
			members.egress = members.egress || r.Direction == topology.Egress
			for _, c := range s.Remotes.Containing(r.RemoteGroup) {
				from.classes += fmt.Sprintf("%d ", c)
			}
			from.classes += "\x00" + r.RemoteGroup + "\x00"
		}
		k, ok := f.groups[g.ID]
		if !ok || k.from != from {
			b := builder{env: env, Piece: &Piece{}}
			b.groupRules(g, s.Remotes.Containing)
			k = compiled[groupSource]{from, b.Piece}
		}
		groups[g.ID] = k
	}
	f.groups = groups
	if f.members.Piece == nil || f.members.from != members {
		b := builder{env: env, Piece: &Piece{}}
		b.remoteFlows(members.remotes, map[topology.Direction]bool{topology.Ingress: members.ingress, topology.Egress: members.egress})
		f.members = compiled[memberSource]{members, b.Piece}
	}
}

func (f *filters) pieces(out *Pieces) {
	for id, g := range f.groups {
		out.list[PieceID{'g', id}] = g.Piece
	}
	if f.members.Piece != nil && len(f.members.flows) > 0 {
		out.list[PieceID{'r', 0}] = f.members.Piece
	}
}
