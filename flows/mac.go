package flows

import (
	"bytes"
	"slices"

	"damselfly/internal/wire"
)

// A look-up of a whole MAC makes a megaflow of every MAC that is not found: Open
// vSwitch keeps all bits that it looked at. So a table that guests can send any
// MAC to finds it four bits at a time, from the front, in a tree of the MACs that
// it knows. What leaves the tree ends with the few bits that took it there. Where
// one MAC is left it goes into registers, and another table compares the rest
// bit by bit: what differs ends at its first bit that does. Of n known MACs that
// makes some 40 n megaflows at the very most, for a guest that knows the MACs and
// makes up what differs late, and a hundred or so for one that makes all up.

// macBits is how many bits of a MAC one step looks at.
const macBits = 4

// Values of macStage beyond the steps of the tree: what was found out about the
// MAC in the registers.
const (
	// stagePlain: if it is this one, it is a port's that no rules filter.
	stagePlain = 0x100 + iota
	// stageFiltered: if it is this one, it is a port's whose rules are asked.
	stageFiltered
	// stageSpecial: if it is this one, it is a router's, or of several ports.
	stageSpecial
	// stageEcho: if it is this one, an Echo Request to one of its addresses is Damselfly's to
	// answer.
	stageEcho

	// stageDiffers is added where it is another one.
	stageDiffers = 0x8000
)

// macTree finds MACs in a field of the frames in scope.
type macTree struct {
	table, compare uint8
	scope          Match
	field          Field
	role           Role
}

// macLeaf is one MAC of a tree: actions are between it and the comparison.
type macLeaf struct {
	mac     wire.MAC
	stage   uint32
	object  uint32
	actions []Action
}

// macTreeFlows are the steps of a tree. Of one MAC's leaves the first counts.
func (b *builder) macTreeFlows(t macTree, leaves []macLeaf) {
	sorted := slices.Clone(leaves)
	slices.SortStableFunc(sorted, func(x, y macLeaf) int { return bytes.Compare(x.mac[:], y.mac[:]) })
	sorted = slices.CompactFunc(sorted, func(x, y macLeaf) bool { return x.mac == y.mac })
	b.macSteps(t, sorted, 0)
}

// macSteps tells the leaves apart, which are alike up to a depth in steps.
func (b *builder) macSteps(t macTree, leaves []macLeaf, depth int) {
	mask := prefixMask((depth + 1) * macBits)
	same := func(x, y wire.MAC) bool { return nibble(x, depth) == nibble(y, depth) }
	for len(leaves) > 0 {
		first := leaves[0]
		n := slices.IndexFunc(leaves, func(l macLeaf) bool { return !same(l.mac, first.mac) })
		if n < 0 {
			n = len(leaves)
		}
		m := t.scope.WithMask(regMACLow, U32(uint32(depth)), U32(macStage)).WithMask(t.field, MAC(first.mac), mask)
		own := b.object
		if n == 1 {
			b.object = first.object
			b.add(t.table, switchKnown, t.role, m, append(candidate(first.mac, first.stage), append(first.actions, Resubmit{t.compare})...)...)
		} else {
			b.add(t.table, switchKnown, t.role, m, LoadBits(regMACLow, uint32(depth+1), macStage), Resubmit{t.table})
			b.macSteps(t, leaves[:n], depth+1)
		}
		b.object = own
		leaves = leaves[n:]
	}
}

// nibble is what a step looks at.
func nibble(m wire.MAC, depth int) byte { return m[depth/2] >> (4 * (1 - depth%2)) & 0xf }

// candidate are the actions that say which MAC it would have to be.
func candidate(m wire.MAC, stage uint32) []Action {
	return []Action{
		Load(regMACHigh, U32(uint32(MAC(m).Uint(4)))),
		Load(regMACLow, U32(uint32(m[4])<<24|uint32(m[5])<<16|stage)),
	}
}

// noMAC are the actions that leave nothing of a MAC that was looked for.
func noMAC() []Action { return []Action{Load(regMACHigh, Value{}), Load(regMACLow, Value{})} }

// macDiffersFlows do what is to be done where a field is not the MAC in the
// registers: one flow for each bit and value, in falling priority, so that the
// first bit that differs is the last that is looked at.
func (b *builder) macDiffersFlows(table uint8, priority uint16, role Role, scope Match, field Field, actions ...Action) {
	const bits = 8 * len(wire.MAC{})
	for i := range bits {
		reg, bit := regMACHigh, uint32(1)<<(31-i%32)
		if i >= 32 {
			reg = regMACLow
		}
		at := prefixMask(i + 1)
		for j, octet := range prefixMask(i) {
			at[j] &^= octet
		}
		b.add(table, priority-uint16(i), role, scope.WithMask(reg, U32(bit), U32(bit)).WithMask(field, Value{}, at), actions...)
		b.add(table, priority-uint16(i), role, scope.WithMask(reg, Value{}, U32(bit)).WithMask(field, at, at), actions...)
	}
}
