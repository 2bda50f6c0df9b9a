package multicast

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/wire"
)

// answer is one to Queries about a group, and of no more than some sources if there are any.
type answer struct {
	at      time.Duration
	sources []netip.Addr
}

// mostAsked is how many sources are kept that groups were asked about; about more each is answered as
// if about all, so that who asks in vain cannot have them kept without end (RFC 9777 section 10.1).
const mostAsked = 1024

// answerGap is the time between two answers about all: who asks without end, and leaves no time to
// answer in, would have as many messages sent each time as there are groups.
const answerGap = time.Second

// asked plans the answer to a Query about a group, of some sources or all, or without a group about
// all (RFC 9777 section 6.2). Of each there is one pending, the earliest of those asked for.
func (p *proxy) asked(now time.Duration, group netip.Addr, sources []netip.Addr, response time.Duration, random func(time.Duration) time.Duration) {
	at := now + max(random(response), 1)
	if !group.IsMulticast() {
		at = max(at, p.answerFrom)
	}
	// "If there is a pending response to a previous General Query scheduled sooner than the
	// selected delay, no additional response needs to be scheduled."
	if p.answer != 0 && p.answer <= at {
		return
	}
	if !group.IsMulticast() {
		p.answer = at
		return
	}
	if _, told := p.told[group]; !told {
		return
	}
	a, pending := p.about[group]
	if !pending {
		a = &answer{at: at}
		p.about[group] = a
	}
	a.at = min(a.at, at)
	p.named -= len(a.sources)
	if pending && len(a.sources) == 0 || len(sources) == 0 || p.named+len(a.sources)+len(sources) > mostAsked {
		a.sources = nil
		return
	}
	a.sources = distinct(append(a.sources, sources...))
	p.named += len(a.sources)
}

// of adds the records of an answer about a group of which this is wanted (RFC 9777 section 6.3, Table
// 3): IS_IN (A*B) and IS_IN (B-A) where sources were asked for, and none if that is empty.
func (a *answer) of(list []wire.Record, g netip.Addr, w wants) []wire.Record {
	if len(a.sources) == 0 {
		return current(list, g, w)
	}
	wanted := without(a.sources, w.sources)
	if !w.exclude {
		wanted = without(a.sources, wanted)
	}
	if len(wanted) == 0 {
		return list
	}
	return record(list, wire.ModeIsInclude, g, wanted)
}

// answerDue gives the answers that are due.
func (t *Table) answerDue(now time.Duration, n *network) {
	p := n.proxy
	due := map[netip.Addr]*answer{}
	if p.answer != 0 && p.answer <= now {
		p.answer, p.answerFrom = 0, now+answerGap
		for g := range p.told {
			due[g] = &answer{}
		}
	}
	for g, a := range p.about {
		if a.at <= now {
			delete(p.about, g)
			p.named -= len(a.sources)
			if due[g] == nil {
				due[g] = a
			}
		}
	}
	var records []wire.Record
	for _, g := range slices.SortedFunc(maps.Keys(due), netip.Addr.Compare) {
		if w, still := p.told[g]; still {
			records = due[g].of(records, g, w)
		}
	}
	if len(records) > 0 {
		t.report(n, records)
	}
}
