package explain

import (
	"fmt"

	"damselfly/flows"
	"damselfly/internal/topology"
)

// byFloating tells the floating address that a frame of a port goes to, and the
// one that its source is seen under, and where these stand.
func (e *Explainer) byFloating(w *way, f facts, p *topology.Port) (said []string, out []Line) {
	n := e.o.Snapshot.Network(p.Network.Key)
	r := e.o.Snapshot.Router(n.RouterID())
	if r == nil || !f.destination.IsValid() {
		return nil, nil
	}
	left := false
	for _, s := range w.steps {
		left = left || s.Table == flows.TableOutward && s.role == flows.RoleTranslate
	}
	for i := range r.Floating {
		x := &r.Floating[i]
		switch inner, ok := x.In(f.destination); {
		case ok:
			said = append(said, fmt.Sprintf("%s floats on network %s (%s) and stands for %s%s.", f.destination, x.External.Name, x.Form, inner, e.guest(x)))
		case x.Outer.Contains(f.destination) && x.Translates():
			said = append(said, fmt.Sprintf("%s lies in %s, which floats on network %s, and has no mapping.", f.destination, x.Outer, x.External.Name))
		case x.Outer.Contains(f.destination):
			said = append(said, fmt.Sprintf("%s floats on network %s (%s)%s.", f.destination, x.External.Name, x.Form, e.guest(x)))
		default:
			outer, ok := x.Out(f.source)
			if !ok || !left {
				continue
			}
			said = append(said, fmt.Sprintf("Its source %s is seen on network %s as %s (%s).", f.source, x.External.Name, outer, x.Form))
		}
		if line, ok := e.lines.floating(x); ok {
			out = append(out, line)
		}
	}
	return said, out
}

// guest names the port that a floating address stands for.
func (e *Explainer) guest(x *topology.Floating) string {
	if p := e.o.Snapshot.Port(x.Port); p != nil {
		return " of port " + p.Name
	}
	return ""
}

// floating is the line of what floats.
func (l *lines) floating(x *topology.Floating) (Line, bool) {
	for i := range l.spec.Floating {
		s := &l.spec.Floating[i]
		if s.Form == x.Form && s.Network == x.External.Name && (s.Address == x.Outer.Addr() || s.Form == topology.NPTv6Form && s.Prefix.Masked().Addr() == x.Outer.Addr()) {
			return Line{What: "floating " + x.Outer.Addr().String(), Place: l.places.Of(fmt.Sprintf("floating[%d]", i))}, true
		}
	}
	return Line{}, false
}
