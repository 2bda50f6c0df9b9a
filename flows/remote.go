package flows

import "damselfly/internal/topology"

// Priorities of the remote tables; a prefix's is remotePrefix and two for each
// bit of its length, so that the longest wins, and of one length the network's
// before the router's.
const (
	remotePrefix = 1000
	remoteMiss   = 1
)

// remoteMissFlows say that an address is nobody's that rules name, and that no
// rule of a group matches. They go on with who asked.
func (b *builder) remoteMissFlows(s *side) {
	b.add(s.remote, remoteMiss, RoleRemote, nil, Load(regRemote, Value{}))
	b.add(s.remote, 0, RoleDropDefault, nil)
	b.add(s.rules, ruleMiss, RoleVerdict, nil, Load(regGroup, Value{}))
	b.add(s.rules, 0, RoleDropDefault, nil)
}

// remoteFlows tell the class of each member's address, one flow an address and
// direction, on the network where it is the member's, or all of its router.
func (b *builder) remoteFlows(r *topology.Remotes, asked map[topology.Direction]bool) {
	for _, s := range []*side{&egress, &ingress} {
		if !asked[s.direction] {
			continue
		}
		for _, e := range r.Entries {
			family, far := topology.FamilyOf(e.Prefix.Addr()), s.far6
			if family == topology.IPv4 {
				far = s.far4
			}
			m, priority := Match{}.On(e.Network).family(family), remotePrefix+2*uint16(e.Prefix.Bits())+1
			if e.Router != 0 {
				m, priority = Match{}.With(regRouter, U32(e.Router)).family(family), priority-1
			}
			if bits := e.Prefix.Bits(); bits > 0 {
				m = m.WithMask(far, Addr(e.Prefix.Addr()), prefixMask(bits))
			}
			b.add(s.remote, priority, RoleRemote, m, Load(regRemote, U32(e.Class)))
		}
	}
}
