package multicast

import (
	"net/netip"
	"slices"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// sourcesPerGroup is how many sources the port's listeners may name, for each group
// that they may listen to: one that names more gets the group from all, which is
// more than it wants and never less.
const sourcesPerGroup = 4

// mayLearn reports whether a port may listen to another group that is not configured.
func (p *port) mayLearn() bool {
	return p.conf.Most == topology.UnlimitedGroups || p.learned < p.conf.Most
}

// adds is at most how many sources more are named after a change; m is nil before the first.
func (m *member) adds(c Change) (n int) {
	switch {
	case m == nil:
		return len(c.Sources)
	case m.replaced(c):
		return len(c.Sources) - len(m.sources)
	case c.Type == wire.BlockOldSources && !m.exclude:
		return 0
	}
	for _, s := range c.Sources {
		if _, there := m.sources[s]; !there {
			n++
		}
	}
	return n
}

// replaced reports whether a change's sources take the place of all others.
func (m *member) replaced(c Change) bool {
	switch c.Type {
	case wire.ModeIsExclude, wire.ChangeToExclude:
		return true
	case wire.ModeIsInclude, wire.ChangeToInclude:
		return m.exclude && m.port.conf.FastLeave // see mirror
	}
	return false
}

// distinct is a list with each address once.
func distinct(list []netip.Addr) []netip.Addr {
	list = slices.Clone(list)
	sortAddrs(list)
	return slices.Compact(list)
}

// room reports whether a port may name more sources.
func (p *port) room(more int) bool {
	return p.conf.Most == topology.UnlimitedGroups || p.sources+more <= sourcesPerGroup*p.conf.Most
}

// slots are the numbers of groups: lowest first, so that few ids of a bridge are
// ever used.
type slots struct {
	used []uint64 // a bit each
	from int      // no word below has a free bit
}

// take gives a free number.
func (s *slots) take() (uint16, bool) {
	for ; s.from < topology.MaxGroupSlots/64; s.from++ {
		if s.from == len(s.used) {
			s.used = append(s.used, 0)
		}
		for bit := range 64 {
			if s.used[s.from]&(1<<bit) == 0 {
				s.used[s.from] |= 1 << bit
				return uint16(s.from*64 + bit), true
			}
		}
	}
	return 0, false
}

// claim takes one number; false if it is taken.
func (s *slots) claim(n uint16) bool {
	word, bit := int(n/64), n%64
	for len(s.used) <= word {
		s.used = append(s.used, 0)
	}
	if s.used[word]&(1<<bit) != 0 {
		return false
	}
	s.used[word] |= 1 << bit
	return true
}

// give gives a number back.
func (s *slots) give(n uint16) {
	word := int(n / 64)
	s.used[word] &^= 1 << (n % 64)
	s.from = min(s.from, word)
}
