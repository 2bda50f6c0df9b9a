package flows

import (
	"math/bits"

	"damselfly/internal/topology"
)

// Priorities of the dropped table.
const (
	droppedCounted  = 200
	droppedUnsorted = 100
)

// Roles is a set of roles.
type Roles [2]uint64

// A role more than Roles has bits does not compile.
const _ = uint(64*len(Roles{}) - int(roles))

// RolesOf returns the set of these roles.
func RolesOf(list ...Role) (s Roles) {
	for _, r := range list {
		s[r/64] |= 1 << (r % 64)
	}
	return s
}

// Has reports whether r is in the set.
func (s Roles) Has(r Role) bool { return s[r/64]&(1<<(r%64)) != 0 }

// And returns the roles that are in one set or the other.
func (s Roles) And(more Roles) Roles {
	for i := range s {
		s[i] |= more[i]
	}
	return s
}

// Each yields the roles of the set in their order.
func (s Roles) Each(yield func(Role) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(Role(64*i + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}

// counted are the actions of a drop in a table that all ports share: the role
// and whose frame it was go to the table that counts by port.
func counted(table uint8, role Role) []Action {
	whose := regPort
	if table >= TableIngress && table <= TableIngressVerdict {
		whose = regOut
	}
	return []Action{Load(regDrop, U32(uint32(role))), Move{whose, regDropPort}, Resubmit{TableDropped}}
}

// ofOnePort reports whether all frames that m matches count for one port: that
// which sent them, or that which they would go to.
func (m Match) ofOnePort() bool {
	from, sent := m.Get(regPort)
	to, got := m.Get(regOut)
	return sent && from.Exact() || got && to.Exact()
}

// baseDroppedFlows count what came from no port that is served.
func (b *builder) baseDroppedFlows() {
	b.add(TableDropped, 0, RoleDropUnsorted, nil)
}

// portDroppedFlows count the drops of a port: one flow for all of them, and one
// for each kind that the port has had and is to be told apart. So the number of
// flows grows with the ports and with what they do wrong, never with all that a
// port might.
func (b *builder) portDroppedFlows(p *topology.Port, apart Roles) {
	of := Match{}.With(regDropPort, U32(uint32(p.Key)))
	b.add(TableDropped, droppedUnsorted, RoleDropUnsorted, of)
	for role := range apart.Each {
		b.add(TableDropped, droppedCounted, role, of.With(regDrop, U32(uint32(role))))
	}
}

// CountApart gives drops of a port a counter each from the next Update on, and
// reports whether one of them had none.
func (c *Compiler) CountApart(port uint16, drops Roles) bool {
	before := c.counted[port]
	c.counted[port] = before.And(drops)
	return c.counted[port] != before
}

// AdoptCounters lets the counters live that a switch holds: what was told apart
// before this process began still is. It reports whether there are any that the
// Compiler did not know.
func (c *Compiler) AdoptCounters(held *Set) (found bool) {
	for _, f := range held.Flows {
		role, port := f.Cookie.Role(), f.Cookie.Object()
		if f.Table == TableDropped && f.Priority == droppedCounted && role.Drop() && port == uint32(uint16(port)) &&
			c.CountApart(uint16(port), RolesOf(role)) {
			found = true
		}
	}
	return found
}
