package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"damselfly/internal/punt"
)

// Builder makes one Snapshot after the other. The zero Builder is ready; it
// is for one goroutine. The Snapshots it returned are for all.
type Builder struct {
	spec *Spec // valid
	last *Snapshot
	nets map[string]*builtNetwork
	// groups are those of spec.
	groups groupSet
	// presences are the routers of spec by network.
	presences map[string]presence
}

// builtNetwork is a network with what it was made from.
type builtNetwork struct {
	in  networkInput
	net *Network
	// options are those of the ports that have none of their own.
	options  *OptionSet
	problems []Problem
}

// Build makes the next Snapshot: networks and ports that did not change keep
// their pointers, and where nothing changed at all it is the last Snapshot
// itself. With an impossible Spec the Snapshot is nil, the Problems are all of
// Validate's, and the last Snapshot stays the base of the next. Otherwise
// Problems name what was isolated: single ports, which are then unbound or
// left out, or networks without a key.
func (b *Builder) Build(in Input) (*Snapshot, []Problem) {
	if in.Spec == nil {
		in.Spec = &Spec{}
	}
	if in.Spec != b.spec {
		if p := Validate(in.Spec); len(p) > 0 {
			return nil, p
		}
	}
	if in.Spec != b.spec {
		b.groups, b.presences = buildGroups(in.Spec, b.groups), presencesOf(in.Spec)
	}
	inputs, problems := gather(in, b.groups, b.presences)
	nets := make(map[string]*builtNetwork, len(inputs))
	for i := range inputs {
		ni := &inputs[i]
		old := b.nets[ni.spec.Name]
		if old != nil && old.in.equal(ni, in.Spec == b.spec) {
			// The old input would keep the old Spec alive.
			old.in = *ni
			nets[ni.spec.Name] = old
		} else {
			nets[ni.spec.Name] = buildNetwork(*ni, old)
		}
		problems = append(problems, nets[ni.spec.Name].problems...)
	}
	b.spec, b.nets = in.Spec, nets
	b.last = assemble(b.last, nets, b.groups, in)
	slices.SortFunc(problems, compareProblems)
	return b.last, problems
}

// compareProblems orders by place, then by text.
func compareProblems(a, b Problem) int {
	return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Message, b.Message))
}

// assemble makes the Snapshot of these networks, or gives last back if they are its own.
func assemble(last *Snapshot, nets map[string]*builtNetwork, groups groupSet, in Input) *Snapshot {
	s := &Snapshot{Rev: 1, Groups: groups}
	var remotes *Remotes
	var routers []*Router
	if last != nil {
		remotes, routers = last.Remotes, last.Routers
		s.Rev = last.Rev + 1
	}
	for _, n := range nets {
		s.Networks = append(s.Networks, n.net)
		s.Ports = append(s.Ports, n.net.Ports...)
		s.networks = put(s.networks, n.net.Key, n.net)
	}
	slices.SortFunc(s.Networks, func(a, b *Network) int { return strings.Compare(a.Name, b.Name) })
	s.Routers = routersOf(in.Spec, nets, routers)
	s.listening = listeningOf(in.Listening, nets)
	if last != nil && slices.Equal(last.listening, s.listening) && slices.Equal(last.Networks, s.Networks) && slices.Equal(last.Groups, s.Groups) && slices.Equal(last.Routers, s.Routers) {
		return last
	}
	s.routers = make(map[uint32]*Router, len(s.Routers))
	for _, r := range s.Routers {
		s.routers[r.ID] = r
	}
	for _, p := range s.Ports {
		s.ports = put(s.ports, p.Key, p)
	}
	slices.SortFunc(s.Ports, func(a, b *Port) int { return strings.Compare(a.Name, b.Name) })
	s.Remotes = remotesOf(groups, s, remotes)
	s.rules = rulesOf(groups)
	return s
}

// put sets list[key], growing the list as needed.
func put[T any](list []*T, key uint16, v *T) []*T {
	if n := int(key) + 1 - len(list); n > 0 {
		list = append(list, make([]*T, n)...)
	}
	list[key] = v
	return list
}

// keyring hands out the keys of one kind and reports those that cannot be used.
type keyring struct {
	kind string
	keys map[string]uint16
	used map[uint16]string
}

// take gives the key of name; ok is false, and the Problem says why, if it
// has none, or one that is out of range or taken.
func (k *keyring) take(name string) (key uint16, p Problem, ok bool) {
	key = k.keys[name]
	object := k.kind + " " + name
	switch other, taken := k.used[key]; {
	case key == 0:
		return 0, Problem{Object: object, Message: "has no key, so it is not served: its store has no room or was not asked"}, false
	case key > punt.MaxKey:
		return 0, Problem{Object: object, Message: fmt.Sprintf("has key %d, so it is not served: keys end at %d", key, punt.MaxKey)}, false
	case taken:
		return 0, Problem{Object: object, Message: fmt.Sprintf("has key %d of %s %s, so it is not served", key, k.kind, other)}, false
	}
	k.used[key] = name
	return key, Problem{}, true
}
