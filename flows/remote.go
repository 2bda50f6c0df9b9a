package flows

import "damselfly/internal/topology"

// Priorities of the remote tables; a prefix's is remotePrefix and its length, so
// that the longest wins.
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
// direction, on the network where it is the member's.
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
			m := Match{}.On(e.Network).family(family)
			if bits := e.Prefix.Bits(); bits > 0 {
				m = m.WithMask(far, Addr(e.Prefix.Addr()), prefixMask(bits))
			}
			b.add(s.remote, remotePrefix+uint16(e.Prefix.Bits()), RoleRemote, m, Load(regRemote, U32(e.Class)))
		}
	}
}
