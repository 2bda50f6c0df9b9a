package explain

import (
	"fmt"

	"damselfly/flows"
)

// byRules tells the rules of security groups that a frame matched on its way,
// and where they stand.
func (e *Explainer) byRules(w *way) (said []string, out []Line) {
	seen := map[uint32]bool{}
	for _, s := range w.steps {
		id := flows.Cookie(s.Cookie).Object()
		if s.role != flows.RoleRule || seen[id] {
			continue
		}
		seen[id] = true
		r, ok := e.o.Snapshot.Rule(id)
		if !ok {
			continue // of an earlier configuration
		}
		said = append(said, fmt.Sprintf("Security group %s has a rule for it: %s.", r.Group.Name, r.RuleSpec.String()))
		if line, ok := e.lines.rule(r.Group.Name, r.RuleSpec.String()); ok {
			out = append(out, line)
		}
	}
	return said, out
}

// rule returns the line of a rule; ok is false for one that nobody configured,
// such as those of the group that is there by itself.
func (l *lines) rule(group, text string) (Line, bool) {
	for i := range l.spec.Groups {
		if l.spec.Groups[i].Name != group {
			continue
		}
		for j := range l.spec.Groups[i].Rules {
			if l.spec.Groups[i].Rules[j].String() == text {
				return Line{
					What:  fmt.Sprintf("security group %s, rules[%d]", group, j),
					Place: l.places.Of(fmt.Sprintf("security_groups[%d].rules[%d]", i, j)),
				}, true
			}
		}
	}
	return Line{}, false
}
