package explain

import (
	"fmt"
	"slices"
	"strings"

	"damselfly/flows"
	"damselfly/internal/punt"
	"damselfly/internal/replay"
	"damselfly/internal/topology"
)

// mostNames is how many ports a sentence names.
const mostNames = 8

// bySwitch tells the verdict of a way. Where it ends at Damselfly, its code has
// the last word; a flood has several ends.
func (e *Explainer) bySwitch(x *Explanation, w *way, f facts, p *topology.Port, frame replay.Frame) {
	var said []string
	if names := e.receivers(w); len(names) > 0 {
		text := "The switch delivers it to " + names + "."
		if w.shared {
			text = "The switch delivers it to one of " + names + ": a hash of its addresses and ports decides, so a connection keeps to it."
		}
		said = append(said, text)
		x.Outcome = "delivered"
		if first, _ := w.ended(delivered); first.step >= 0 {
			x.Reason = w.steps[first.step].Role
		}
		x.Configuration = append(e.receiverLines(w), e.byRoute(w, f, p.Network.Name)...)
	}
	if at, ok := w.ended(answered); ok {
		s := w.deciding(at)
		x.Outcome, x.Reason, x.RFC = "answered", s.Role, s.RFC
		said = append(said, fmt.Sprintf("The switch answers it by itself: in %s it %s.", s.where(), s.Does))
		x.Configuration = e.behind(behindRole[s.role], f, p)
	}
	for i, at := range w.ends {
		if at.how != dropped || at.step < 0 || slices.ContainsFunc(w.ends[:i], func(b end) bool { return b.how == dropped && b.step == at.step }) {
			continue
		}
		s := &w.steps[at.step]
		said = append(said, fmt.Sprintf("The switch drops %s in %s (%s): %s.", it(x.Outcome), s.where(), s.Role, strings.TrimPrefix(s.Does, "is dropped: ")))
		if x.Outcome == "" {
			x.Outcome, x.Reason, x.RFC = "dropped", s.Role, s.RFC
			x.Configuration = e.behind(behindRole[s.role], f, p)
			x.Configuration = append(x.Configuration, e.objectLines(s, p)...)
			if line, ok := e.lines.of(s.Object, "security_groups"); ok && s.role == flows.RoleDropDenied {
				x.Configuration = []Line{line}
			}
		}
	}
	rules, lines := e.byRules(w)
	said, x.Configuration = append(said, rules...), append(x.Configuration, lines...)
	floats, at := e.byFloating(w, f, p)
	said, lines = append(said, floats...), append(lines, at...)
	x.Configuration = append(x.Configuration, at...)
	for _, at := range w.ends {
		switch {
		case at.how != handed:
		case at.class == punt.Log:
			said = append(said, "A rule has it told to Damselfly, for the log.")
		default:
			said = append(said, "The switch hands it to Damselfly.")
			e.byCode(x, f, p, at, frame)
			said = append(said, x.Verdict)
			x.Configuration = append(x.Configuration, lines...)
		}
	}
	if x.Outcome == "" {
		x.Outcome = "lost"
		said = append(said, "It goes nowhere: no table sends it on.")
	}
	x.Verdict = strings.Join(said, " ")
}

// it is the frame, or what is left of it once some of its copies have an end.
func it(outcome string) string {
	if outcome == "" {
		return "it"
	}
	return "a copy of it"
}

// deciding is the step that decided an end: the last that has more to say than
// where the frame leaves.
func (w *way) deciding(at end) *Step {
	for i := at.step; i >= 0; i-- {
		if s := &w.steps[i]; s.RFC != "" {
			return s
		}
	}
	return &w.steps[max(at.step, 0)]
}

// where names the table and the flow's object.
func (s *Step) where() string {
	text := fmt.Sprintf("table %d, %s", s.Table, s.Name)
	if s.Object != "" {
		text += ", by a flow of " + s.Object
	}
	return text
}

// receivers names the ports that a frame is delivered to.
func (e *Explainer) receivers(w *way) string {
	var names []string
	for _, at := range w.ends {
		if at.how == delivered {
			names = append(names, e.receiver(w, at))
		}
	}
	if n := len(names); n > mostNames {
		names = append(names[:mostNames], fmt.Sprintf("%d more", n-mostNames))
	}
	return strings.Join(names, ", ")
}

// receiverLines are where the ports stand that it is delivered to, as long as
// they are few.
func (e *Explainer) receiverLines(w *way) (out []Line) {
	for _, at := range w.ends {
		if at.how != delivered || len(out) >= mostNames {
			continue
		}
		if line, ok := e.lines.of(e.receiver(w, at), ""); ok {
			out = append(out, line)
		}
	}
	return out
}

// objectLines are where the object stands that a flow was made for, where that is
// not the sender.
func (e *Explainer) objectLines(s *Step, p *topology.Port) []Line {
	if line, ok := e.lines.of(s.Object, ""); ok && s.Object != "port "+p.Name {
		return []Line{line}
	}
	return nil
}

// receiver names the port of an end. Several live behind a trunk port: which one
// it is, the flow that delivers says.
func (e *Explainer) receiver(w *way, at end) string {
	if at.step >= 0 && w.steps[at.step].Table == flows.TableOutput && w.steps[at.step].Object != "" {
		return w.steps[at.step].Object
	}
	return e.portName(at.port)
}

// portName is a port of the switch as the topology calls it.
func (e *Explainer) portName(number uint32) string {
	for _, p := range e.o.Snapshot.Ports {
		if p.OFPort == number && p.VLAN == 0 {
			return "port " + p.Name
		}
	}
	if number == e.o.Env.MetadataPort && number != 0 {
		return "the metadata service"
	}
	return fmt.Sprintf("port %d of the switch, which is none of the configuration's", number)
}

// byCode tells what Damselfly's own code makes of a frame.
func (e *Explainer) byCode(x *Explanation, f facts, p *topology.Port, at end, frame replay.Frame) {
	v, replies := e.bench.Judge(p, at.class, at.trouble, frame)
	x.Reason, x.RFC = v.Reason, v.RFC
	if f.dhcpv6 {
		x.note("DHCPv6 is judged as if nobody had a lease yet")
	}
	x.Configuration = e.behind(behindReason[v.Reason], f, p)
	switch {
	case v.Reason == "relayed", v.Reason == "translated":
		x.Outcome = "relayed"
	case v.Reason == "dhcpv6-forwarded", v.Reason == "resolving":
		x.Outcome = "waits"
	case len(replies) > 0:
		x.Outcome = "answered"
	default:
		x.Outcome = "dropped"
		x.Verdict = fmt.Sprintf("Damselfly drops it (%s): %s.", v.Reason, v.Explanation)
		return
	}
	x.Verdict = fmt.Sprintf("Damselfly's verdict is %s: %s.", v.Reason, v.Explanation)
	if v.Reason == v.Explanation { // plainly answered
		x.Verdict = "Damselfly answers it."
	}
	for i, r := range replies {
		if i == mostNames {
			x.Verdict += fmt.Sprintf(" It sends %d frames more.", len(replies)-i)
			break
		}
		x.Verdict += fmt.Sprintf(" It sends %s.", look(r.Data).text)
	}
}
