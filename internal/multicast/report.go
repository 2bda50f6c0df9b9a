package multicast

import (
	"net/netip"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Outcome is what became of a report.
type Outcome uint8

const (
	// Taken: all of it was taken in.
	Taken Outcome = iota
	// ManySources: its port names too many sources; it gets such groups from all.
	ManySources
	// ManyGroups: its port listens to too many groups; what was one too many is not known of.
	ManyGroups
)

// Change is one record of a report.
type Change struct {
	Type    wire.RecordType
	Group   netip.Addr
	Sources []netip.Addr
}

// Report takes one record of what a listener behind a port says, old says by MLDv1
// (RFC 9777 sections 7.4 and 8.3.2).
func (t *Table) Report(now time.Duration, network, at string, c Change, old bool) Outcome {
	n, p := t.find(network, at)
	if p == nil || !topology.Tracked(c.Group) {
		return Taken
	}
	m := p.members[c.Group]
	if m == nil && leaving(c) || m != nil && m.static {
		return Taken
	}
	outcome := Taken
	if !p.room(m.adds(c)) {
		c.Sources = distinct(c.Sources)
	}
	if !p.room(m.adds(c)) {
		switch c.Type {
		case wire.BlockOldSources:
			return ManySources
		case wire.ModeIsInclude, wire.ChangeToInclude, wire.AllowNewSources:
			c.Type = wire.ModeIsExclude
		}
		c.Sources, outcome = nil, ManySources
	}
	if m = t.join(n, p, c.Group); m == nil {
		return ManyGroups
	}
	switch {
	case old && c.Type == wire.ModeIsExclude:
		m.old = now + n.olderInterval()
	// "When Multicast Address Compatibility Mode is MLDv1, a router internally
	// translates ... MLDv2 BLOCK messages are ignored, as are source-lists in TO_EX()
	// messages", section 8.3.2.
	case m.old > now && c.Type == wire.BlockOldSources:
		return outcome
	case m.old > now && c.Type == wire.ChangeToExclude:
		c.Sources = nil
	}
	before := m.wants()
	if p.conf.FastLeave {
		m.mirror(now+n.listenerInterval(), c)
	} else {
		t.table(now, m, c)
	}
	t.settle(now, m, before)
	return outcome
}

// leaving reports whether a record asks for nothing.
func leaving(c Change) bool {
	switch c.Type {
	case wire.ModeIsInclude, wire.ChangeToInclude, wire.AllowNewSources:
		return len(c.Sources) == 0
	}
	return c.Type == wire.BlockOldSources
}

// mirror makes the state of a port that of its one listener, which knows best what it
// wants. Long lists of sources come in several records (RFC 9777 section 5.2.16), so that one
// of sources adds to those before.
func (m *member) mirror(until time.Duration, c Change) {
	switch c.Type {
	case wire.ModeIsInclude, wire.ChangeToInclude:
		if m.exclude || len(c.Sources) == 0 {
			m.include()
		}
		m.keep(c.Sources, until)
	case wire.ModeIsExclude, wire.ChangeToExclude:
		m.clear()
		m.exclude, m.filter = true, until
		m.keep(c.Sources, 0)
	case wire.AllowNewSources:
		if m.exclude {
			m.drop(c.Sources)
			return
		}
		m.keep(c.Sources, until)
	case wire.BlockOldSources:
		if m.exclude {
			m.keep(c.Sources, 0)
			return
		}
		m.drop(c.Sources)
	}
}

// include begins include mode, with no source yet.
func (m *member) include() {
	m.exclude, m.filter = false, 0
	m.clear()
}

// clear forgets all sources.
func (m *member) clear() {
	m.port.sources -= len(m.sources)
	clear(m.sources)
}

// keep sets until when sources are kept.
func (m *member) keep(list []netip.Addr, until time.Duration) {
	for _, s := range list {
		if _, there := m.sources[s]; !there {
			m.port.sources++
		}
		m.sources[s] = until
	}
}

// drop forgets sources.
func (m *member) drop(list []netip.Addr) {
	for _, s := range list {
		if _, there := m.sources[s]; there {
			delete(m.sources, s)
			m.port.sources--
		}
	}
}

// table applies a record where several may listen (RFC 9777 sections 7.4.1 and
// 7.4.2), whose tables' cases are named beside.
func (t *Table) table(now time.Duration, m *member, c Change) {
	life := m.network.listenerInterval()
	until := now + life
	switch c.Type {
	case wire.ModeIsInclude, wire.AllowNewSources: // INCLUDE (A+B); EXCLUDE (X+A,Y-A)
		m.keep(c.Sources, until)
	case wire.ModeIsExclude, wire.ChangeToExclude:
		t.toExclude(now, m, c)
	case wire.ChangeToInclude:
		m.keep(c.Sources, until)
		t.ask(now, m, m.exclude, m.wantedBut(c.Sources)) // Q(MA,A-B); Q(MA,X-A), Q(MA)
	case wire.BlockOldSources:
		var asked []netip.Addr
		for _, s := range c.Sources {
			timer, there := m.sources[s]
			switch {
			case m.exclude && !there: // X+(A-Y): (A-X-Y) = Filter Timer
				m.keep([]netip.Addr{s}, m.filter)
			case m.exclude && timer == 0, !m.exclude && !there:
				continue
			}
			asked = append(asked, s) // Q(MA,A-Y), Q(MA,A*B)
		}
		t.ask(now, m, false, asked)
	}
}

// toExclude applies IS_EX and TO_EX.
func (t *Table) toExclude(now time.Duration, m *member, c Change) {
	life := m.network.listenerInterval()
	// INCLUDE (A): IS_EX (B) makes EXCLUDE (A*B,B-A), of EXCLUDE (X,Y) the new sources
	// A-X-Y have the time of a listener, with TO_EX that of the filter.
	fresh := time.Duration(0)
	switch {
	case m.exclude && c.Type == wire.ModeIsExclude:
		fresh = now + life
	case m.exclude:
		fresh = m.filter
	}
	next := make(map[netip.Addr]time.Duration, len(c.Sources))
	var asked []netip.Addr
	for _, s := range c.Sources {
		timer, there := m.sources[s]
		if !there {
			timer = fresh
		}
		next[s] = timer
		if timer != 0 {
			asked = append(asked, s)
		}
	}
	m.port.sources += len(next) - len(m.sources)
	m.sources, m.exclude, m.filter = next, true, now+life
	if c.Type == wire.ChangeToExclude {
		t.ask(now, m, false, asked) // Q(MA,A*B), Q(MA,A-Y)
	}
}

// wantedBut are the sources with a time that are not in a list.
func (m *member) wantedBut(list []netip.Addr) (out []netip.Addr) {
	named := make(map[netip.Addr]bool, len(list))
	for _, s := range list {
		named[s] = true
	}
	for s, timer := range m.sources {
		if timer != 0 && !named[s] {
			out = append(out, s)
		}
	}
	sortAddrs(out)
	return out
}
