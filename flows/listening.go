package flows

import (
	"net/netip"
	"slices"

	"damselfly/internal/topology"
)

// Listening reads back, by the key of each network, who listens as a switch holds it:
// what listenedFlows made of it. What nobody can have made is left out.
func (s *Set) Listening(firstGroup uint32) map[uint16]*topology.Listening {
	out := map[uint16]*topology.Listening{}
	for _, f := range s.Flows {
		if f.Table == TableSwitch && f.Priority == switchGroups && f.Cookie.Ours() && f.Cookie.Role() == RoleListen {
			key := uint16(f.Cookie.Object())
			l := &topology.Listening{Ready: true}
			if g := s.Groups[firstGroup+groupRouters+uint32(key)]; g != nil {
				for i := range g.Buckets {
					l.Routers = append(l.Routers, uint16(g.Buckets[i].ID))
				}
			}
			out[key] = l
		}
	}
	if len(out) == 0 {
		return out
	}
	sources := s.listenedSources()
	for _, f := range s.Flows {
		l := out[uint16(f.Cookie.Object())]
		if f.Table != TableGroups || f.Priority != groupsKnown || !f.Cookie.Ours() || l == nil {
			continue
		}
		to, _ := f.Match.Get(IPv6Dst)
		if g, ok := s.listenedGroup(f, firstGroup, netip.AddrFrom16([16]byte(to.Value[:16])), sources); ok {
			l.Groups = append(l.Groups, g)
		}
	}
	for _, l := range out {
		slices.SortFunc(l.Groups, func(a, b topology.ListenedGroup) int { return a.Group.Compare(b.Group) })
	}
	return out
}

// wanted is a port and a group.
type wanted struct {
	port  uint16
	group netip.Addr
}

// listenedSources reads back what ports want of groups.
func (s *Set) listenedSources() map[wanted]topology.Listener {
	out := map[wanted]topology.Listener{}
	for _, f := range s.Flows {
		if f.Table != TableSources || !f.Cookie.Ours() || f.Priority == 0 {
			continue
		}
		at, _ := f.Match.Get(regOut)
		to, _ := f.Match.Get(IPv6Dst)
		k := wanted{uint16(at.Value.Uint(4)), netip.AddrFrom16([16]byte(to.Value[:16]))}
		l := out[k]
		l.Port = k.port
		if from, named := f.Match.Get(IPv6Src); named {
			l.Sources = append(l.Sources, netip.AddrFrom16([16]byte(from.Value[:16])))
		} else {
			l.Exclude = len(f.Actions) > 0
		}
		out[k] = l
	}
	for k, l := range out {
		slices.SortFunc(l.Sources, netip.Addr.Compare)
		out[k] = l
	}
	return out
}

// listenedGroup reads back one group.
func (s *Set) listenedGroup(f *Flow, firstGroup uint32, group netip.Addr, sources map[wanted]topology.Listener) (g topology.ListenedGroup, ok bool) {
	if len(f.Actions) != 2 {
		return g, false
	}
	to, _ := f.Actions[0].(ToGroup)
	slot := to.ID - firstGroup - groupListeners
	buckets := s.Groups[to.ID]
	if slot >= topology.MaxGroupSlots || buckets == nil {
		return g, false
	}
	g = topology.ListenedGroup{Group: group, Slot: uint16(slot)}
	for i := range buckets.Buckets {
		key := uint16(buckets.Buckets[i].ID)
		l, named := sources[wanted{key, group}]
		if !named {
			l = topology.Listener{Port: key, Exclude: true}
		}
		g.Ports = append(g.Ports, l)
	}
	slices.SortFunc(g.Ports, func(a, b topology.Listener) int { return int(a.Port) - int(b.Port) })
	return g, true
}
