package multicast

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/wire"
)

// change is what is still to be told of how one group's wants changed, each as often as the
// Robustness Variable has it. What is told is what is wanted by then: a change that
// comes meanwhile "triggers the immediate transmission of a new State-Change Report",
// into which those before it are merged (RFC 9777 section 6.1).
type change struct {
	// mode is how often the filter mode is told, and all sources with it.
	mode int
	// sources are how often each is that is wanted now and was not, or is not any more.
	sources map[netip.Addr]int
	// again is when that is next.
	again time.Duration
}

// note notes how a group's wants changed, and reports whether that is to be told. "If the proxy device
// performs ... MLDv1 on the upstream interface, then when the membership records are created or deleted,
// the changes are reported ... All other changes are ignored" (RFC 4605 section 4.1).
func (p *proxy) note(g netip.Addr, before, after wants, times int, older bool) bool {
	if older && before.any == after.any {
		return false
	}
	var sources []netip.Addr
	mode := before.exclude != after.exclude
	if !mode {
		sources = append(without(before.sources, after.sources), without(after.sources, before.sources)...)
	}
	if !mode && len(sources) == 0 {
		return false
	}
	c := p.changes[g]
	if c == nil {
		c = &change{sources: map[netip.Addr]int{}}
		p.changes[g] = c
	}
	if mode {
		c.mode = times
		clear(c.sources)
	}
	for _, s := range sources {
		c.sources[s] = times
	}
	return true
}

// A router of version 1 is told of changesAtOnce within changeGap, and of more after it: there each
// group is a message, and a listener's one report may join or leave as many as it has records.
const (
	changesAtOnce = 32
	changeGap     = time.Second / 4
)

// manyTold reports whether a router of version 1 has to be spared more for now.
func (p *proxy) manyTold(now time.Duration) bool {
	return now < p.changeFrom && p.recent >= changesAtOnce
}

// putOff has groups' changes told as soon as they may be.
func (p *proxy) putOff(groups []netip.Addr) {
	for _, g := range groups {
		p.changes[g].again = p.changeFrom
	}
}

// tellChanges tells how groups changed, and plans when that is told again.
func (t *Table) tellChanges(now time.Duration, n *network, groups []netip.Addr) {
	if len(groups) == 0 {
		return
	}
	p := n.proxy
	var records []wire.Record
	again := now + max(t.random(unsolicitedInterval), 1)
	if now >= p.changeFrom {
		p.changeFrom, p.recent = now+changeGap, 0
	}
	p.recent += len(groups)
	for _, g := range groups {
		c := p.changes[g]
		records = c.tell(records, g, p.told[g], n.older > 0)
		if c.again = again; c.mode == 0 && len(c.sources) == 0 {
			delete(p.changes, g)
		}
	}
	t.report(n, records)
}

// tell adds the records of a change, w being what is wanted now. An old querier, which knows no
// sources, is told that anything is wanted or that nothing is any more (RFC 9777 section 8.2.1).
func (c *change) tell(list []wire.Record, g netip.Addr, w wants, old bool) []wire.Record {
	var more, less []netip.Addr
	for _, s := range slices.SortedFunc(maps.Keys(c.sources), netip.Addr.Compare) {
		if c.sources[s]--; c.sources[s] == 0 {
			delete(c.sources, s)
		}
		if has(w.sources, s) != w.exclude {
			more = append(more, s)
		} else {
			less = append(less, s)
		}
	}
	mode := c.mode > 0
	c.mode = max(c.mode-1, 0)
	switch {
	case old && w.any:
		return current(list, g, w)
	case mode && w.exclude:
		return record(list, wire.ChangeToExclude, g, w.sources)
	case mode, old:
		return record(list, wire.ChangeToInclude, g, w.sources)
	}
	if len(more) > 0 {
		list = record(list, wire.AllowNewSources, g, more)
	}
	if len(less) > 0 {
		list = record(list, wire.BlockOldSources, g, less)
	}
	return list
}
