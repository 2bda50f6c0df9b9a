package flows

import (
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Priorities of the verdict and reject tables.
const (
	verdictMarks   = 500
	verdictRejects = 400
	verdictBegins  = 300
	verdictAllows  = 200

	rejectSilent = 200
	rejectPort   = 100
)

// verdictFlows do what the rules came to: reject goes before allow, and what
// nothing allows is dropped. A connection that begins is remembered, within the
// limit of who sends. What is to
// be told of is told last, since a meter that is empty ends what comes after it.
func (b *builder) verdictFlows(s *side) {
	for _, log := range []bool{true, false} {
		var tell, tellRejected []Action
		priority, bits := uint16(0), uint32(0)
		if log {
			tell = []Action{ToGroup{b.group(groupLog)}}
			tellRejected = []Action{LoadBits(regRule, ruleRejected, ruleRejected), tell[0]}
			priority, bits = 10, verdictLog
		}
		on := func(v uint32) Match { return Match{}.WithMask(regVerdict, U32(v|bits), U32(v|bits)) }
		b.add(s.verdict, verdictRejects+priority, RoleReject, on(verdictReject), append([]Action{ToGroup{b.group(groupReject)}}, tellRejected...)...)
		for _, et := range []uint16{ethTypeIPv6, ethTypeIPv4} {
			b.add(s.verdict, verdictBegins+priority, RoleVerdict, on(verdictAllow).State(ctTrk|ctNew, 0).With(EthType, U16(et)),
				append([]Action{Resubmit{TableConnections}, Track{Zone: s.port, Commit: true}, Resubmit{s.next}}, tell...)...)
		}
		b.add(s.verdict, verdictAllows+priority, RoleVerdict, on(verdictAllow), append([]Action{Resubmit{s.next}}, tell...)...)
	}
	// What goes on but may not takes its replies with it, until it may again.
	for _, et := range []uint16{ethTypeIPv6, ethTypeIPv4} {
		of := Match{}.With(EthType, U16(et)).State(ctTrk|ctEst, ctRpl)
		again := []Action{LoadBits(regVerdict, verdictCut, verdictCut), Resubmit{s.verdict}}
		mark := func(m uint32) []Action {
			return append([]Action{Track{Zone: s.port, Commit: true, Marks: true, Mark: m}}, again...)
		}
		for _, ends := range []Match{
			of.WithMask(regVerdict, Value{}, U32(verdictAllow|verdictReject|verdictCut)),
			of.WithMask(regVerdict, U32(verdictReject), U32(verdictReject|verdictCut)),
		} {
			b.add(s.verdict, verdictMarks, RoleVerdict, ends.With(CTMark, Value{}), mark(ctCut)...)
		}
		b.add(s.verdict, verdictMarks, RoleVerdict,
			of.WithMask(regVerdict, U32(verdictAllow), U32(verdictAllow|verdictReject|verdictCut)).With(CTMark, U32(ctCut)), mark(0)...)
	}
	b.add(s.verdict, 0, RoleDropDenied, nil)
}

// baseRejectFlows end rejected packets that no error may answer: those to a
// group (RFC 4443 section 2.4 (e.3)), and those of IPv4, which Damselfly answers
// nothing of. Both tables are behind a recirculation, so that an empty meter
// ends the one copy that it is for.
func (b *builder) baseRejectFlows() {
	b.groups = append(b.groups, recirculation(b.group(groupReject), TableReject), recirculation(b.group(groupLog), TableLog))
	b.add(TableReject, rejectSilent, RoleDropDenied, Match{}.WithMask(EthDst, MAC(groupBit), MAC(groupBit)))
	b.add(TableReject, rejectSilent, RoleDropDenied, Match{}.With(EthType, U16(ethTypeIPv4)))
	b.add(TableReject, 0, RoleDropDenied, nil)
	b.add(TableLog, 0, RoleDropDefault, nil)
	b.add(TableConnections, 0, RoleVerdict, nil, Load(regClass, U32(uint32(punt.Opens))))
}

// portConnectionFlows limit what the switch has to remember of a port's packets,
// in its own zone and in those of who receives them: who floods would fill what
// there is for all. The table only notes that and returns to the flow that asked it.
func (b *builder) portConnectionFlows(p *topology.Port, tracks bool) {
	if !tracks {
		return
	}
	if actions, ok := b.throughMeter(p, punt.Opens); ok && len(actions) > 0 {
		b.add(TableConnections, rejectPort, RoleVerdict, Match{}.From(p.Key), actions...)
	}
}

// portVerdictFlows hand over what a rule rejects of what a port sent, its own
// rule or the receiver's, and what is to be told of, each through the meter of
// the sender: who floods spends its own budget.
func (b *builder) portVerdictFlows(p *topology.Port, rejects, logs bool) {
	toUs := ToGroup{b.group(groupPunt)}
	if rejects {
		if actions, ok := b.throughMeter(p, punt.Error); ok {
			actions = append(actions, Load(regClass, U32(uint32(punt.Error))), toUs)
			b.add(TableReject, rejectPort, RoleReject, Match{}.From(p.Key), actions...)
		}
	}
	if logs {
		if actions, ok := b.throughMeter(p, punt.Log); ok {
			actions = append(actions, Load(regClass, U32(uint32(punt.Log))), toUs)
			b.add(TableLog, rejectPort, RoleVerdict, Match{}.From(p.Key), actions...)
		}
	}
}
