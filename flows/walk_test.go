package flows

import (
	"fmt"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// way is what is known of a frame by the way it took to a table.
type way struct {
	table uint8
	// metered: through the meter of its port and class, or the port has no
	// limit for the class.
	metered bool
	// recirculated: behind a select group, so that what is matched from here on
	// is in megaflows of its own.
	recirculated bool
	// proven: the link-layer option is there and the frame is just as long as
	// the message with it.
	proven bool
	// advert: the message's type was made Neighbor Advertisement.
	advert bool
}

// findings are what a walk over all ways through the tables objects to.
type findings struct{ punts, early, unproven []string }

// walker goes every way from table 0 through resubmits and groups once. It
// does not follow values: a way stands for any frame.
type walker struct {
	*compilation
	tables map[uint8][]Flow
	byID   map[uint32]Group
	seen   map[way]bool
	findings
}

func (c *compilation) walk() findings {
	w := &walker{compilation: c, tables: map[uint8][]Flow{}, byID: map[uint32]Group{}, seen: map[way]bool{}}
	for _, f := range c.flows {
		w.tables[f.Table] = append(w.tables[f.Table], f)
	}
	for _, g := range c.groups {
		w.byID[g.ID] = g
	}
	w.visit(way{table: TableClassify})
	return w.findings
}

func (w *walker) visit(at way) {
	if w.seen[at] {
		return
	}
	w.seen[at] = true
	for _, f := range w.tables[at.table] {
		next := at
		if provesOption(f.Match) {
			next.proven = true
		}
		if matchesNDField(f.Match) && !(at.metered && at.recirculated) {
			w.early = append(w.early, "an ND field before meter and recirculation: "+f.String())
		}
		if w.unlimited(&f) {
			next.metered = true
		}
		w.run(f.String(), f.Match, f.Actions, next)
	}
}

// run follows an action list. What a resubmit did is not counted for what
// follows it, only for where it went.
func (w *walker) run(where string, m Match, actions []Action, at way) {
	for _, a := range actions {
		switch a := a.(type) {
		case ThroughMeter:
			at.metered = true
		case Resubmit:
			to := at
			to.table = a.Table
			w.visit(to)
		case ToGroup:
			g := w.byID[a.ID]
			inside := at
			inside.recirculated = at.recirculated || g.Type == Select
			for _, b := range g.Buckets {
				w.run(fmt.Sprintf("%s (from %s)", &g, where), m, b.Actions, inside)
			}
		case Punt:
			if !at.metered {
				w.punts = append(w.punts, "punts without a meter: "+where)
			}
		case Output:
			if w.env.PuntPort && a.Port == w.env.PulsePort && !at.metered {
				w.punts = append(w.punts, "punts by the port without a meter: "+where)
			}
		case SetField:
			w.rewrite(where, m, a.Field, at)
			if a == Load(ICMPv6Type, U8(wire.TypeNeighborAdvert)) {
				at.advert = true
			}
		case Move:
			w.rewrite(where, m, a.Dst, at)
		}
	}
}

// rewrite checks one write to a field of ICMPv6 or Neighbor Discovery.
func (w *walker) rewrite(where string, m Match, f Field, at way) {
	if f != ICMPv6Type && f != ICMPv6Code && !isNDField(f) {
		return
	}
	if !at.metered || !at.recirculated {
		w.early = append(w.early, fmt.Sprintf("rewrites %s before meter and recirculation: %s", f, where))
	}
	typ, _ := m.Get(ICMPv6Type)
	if isNDField(f) && (!at.proven || !at.advert || typ.Value[0] != wire.TypeNeighborAdvert) {
		w.unproven = append(w.unproven, fmt.Sprintf("rewrites %s of a message that may not have it whole: %s", f, where))
	}
}

// provesOption reports whether a match asks for the marks that the option of
// the sender's own is there and that the frame ends behind it.
func provesOption(m Match) bool {
	const want, mask = ndOwnOption | ndFull, ndOwnOption | ndFull | ndLonger
	e, ok := m.Get(regND)
	return ok && e.Mask.Uint(4)&mask == mask && e.Value.Uint(4)&mask == want
}

// unlimited reports whether a flow stands for a port and class whose limit is
// `none`.
func (w *walker) unlimited(f *Flow) bool {
	from, ok := f.Match.Get(regPort)
	if !ok {
		return false
	}
	p := w.snapshot.Port(uint16(from.Value.Uint(4)))
	for _, a := range f.Actions {
		if s, ok := a.(SetField); ok && s.Field == regClass && p != nil {
			return p.Limits[punt.Class(s.Value.Uint(4))] == topology.Unlimited
		}
	}
	return false
}
