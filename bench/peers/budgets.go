package main

import (
	"fmt"

	"damselfly/bench/loadgen"
)

// verdict is what a ratio is wanted to be, and what it was.
type verdict struct {
	What, Who string
	// Most is whether Want is the most that it may be, else the least.
	Most      bool
	Want, Got float64 // Got is 0 where it was not measured
	// Bare is what a bare responder came to by the same transport, 0 where there is
	// none: who looks at what it answers does not get below.
	Bare float64
}

// String says whether it holds, or by how much it is missed.
func (v verdict) String() string {
	sign := ">="
	if v.Most {
		sign = "<="
	}
	said := "holds"
	switch missed := v.Got/v.Want - 1; {
	case v.Got == 0:
		return fmt.Sprintf("%-64s %-21s %s %.2f   not measured", v.What, v.Who, sign, v.Want)
	case v.Most && missed > 0, !v.Most && missed < 0:
		said = fmt.Sprintf("short by %.1f %%", 100*max(missed, -missed))
	}
	if v.Bare > 0 {
		said += fmt.Sprintf(" (a bare responder: %.2f)", v.Bare)
	}
	return fmt.Sprintf("%-64s %-21s %s %.2f   got %.2f: %s", v.What, v.Who, sign, v.Want, v.Got, said)
}

// verdicts hold the budgets against what was measured.
func (r *report) verdicts() (list []verdict) {
	add := func(what, who string, most bool, want, got float64, bare ...float64) {
		v := verdict{What: what, Who: who, Most: most, Want: want, Got: got}
		if len(bare) > 0 {
			v.Bare = bare[0]
		}
		list = append(list, v)
	}
	for _, b := range []struct {
		kind            loadgen.Kind
		port, packetIns float64
	}{{loadgen.NS, 0.45, 0.65}, {loadgen.RS, 0.3, 0.4}, {loadgen.Solicit, 0.5, 0.75}} {
		what, theirs := fmt.Sprintf("%s: processor time an answer, of OVN's", b.kind), r.cell(ovn, b.kind)
		add(what, oursPort, true, b.port, ratio(r.cell(oursPort, b.kind), theirs, turn.cpu), ratio(r.cell(barePort, b.kind), theirs, turn.cpu))
		add(what, oursPacketIn, true, b.packetIns, ratio(r.cell(oursPacketIn, b.kind), theirs, turn.cpu), ratio(r.cell(barePacketIn, b.kind), theirs, turn.cpu))
	}
	rate := func(t turn) float64 { return t.rate }
	for _, kind := range []loadgen.Kind{loadgen.NS, loadgen.RS, loadgen.Solicit} {
		what := fmt.Sprintf("%s: answers a second, of the bare responder's", kind)
		add(what, oursPacketIn, false, 0.9, ratio(r.cell(oursPacketIn, kind), r.cell(barePacketIn, kind), rate))
		add(what, oursPort, false, 0.9, ratio(r.cell(oursPort, kind), r.cell(barePort, kind), rate))
	}
	theirs := r.best(kea)
	add("request: four-way exchanges a second, of Kea's", oursPort, false, 2.5, ratio(r.best(oursPort), theirs, rate))
	add("request: four-way exchanges a second, of Kea's", oursPacketIn, false, 1.5, ratio(r.best(oursPacketIn), theirs, rate))
	add("request: of those of a responder that stores nothing", oursPort, false, 0.8, ratio(r.best(oursPort), r.best(barePort), rate))
	for _, who := range [][2]string{{oursPort, barePort}, {oursPacketIn, barePacketIn}} {
		ours, bare := r.best(who[0]), r.best(who[1])
		add("request: processor time with ovs-vswitchd, of Kea's alone", who[0], true, 0.5, mixed(ours, theirs), mixed(bare, theirs))
		add("request: processor time with ovs-vswitchd, of Kea's with it", who[0], true, 0.5, ratio(ours, theirs, turn.cpu), ratio(bare, theirs, turn.cpu))
	}
	return list
}

// ratio is 0 where either was not measured.
func ratio(c, other *cell, of func(turn) float64) float64 {
	if c == nil || other == nil {
		return 0
	}
	return c.ratio(other, of)
}

// mixed is all processor time of c over other's own.
func mixed(c, other *cell) float64 {
	if c == nil || other == nil {
		return 0
	}
	return c.median(turn.cpu) / other.median(func(t turn) float64 { return t.own })
}

// cell is the first of a contender and a kind, nil if there is none.
func (r *report) cell(who string, kind loadgen.Kind) *cell {
	for _, c := range r.cells {
		if c.who.name == who && c.kind == kind {
			return c
		}
	}
	return nil
}

// best is the four-way exchanges of a contender with as many outstanding as suit it
// best, losing less than one in a thousand; nil if there are none.
func (r *report) best(who string) (best *cell) {
	rate := func(t turn) float64 { return t.rate }
	for _, c := range r.cells {
		if c.who.name != who || c.kind != loadgen.Request || c.median(func(t turn) float64 { return t.lost }) > 0.001 {
			continue
		}
		if best == nil || c.median(rate) > best.median(rate) {
			best = c
		}
	}
	return best
}
