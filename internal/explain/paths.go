package explain

import (
	"fmt"
	"net/netip"

	"damselfly/flows"
	"damselfly/internal/topology"
)

// choices are the ways on from a group of which the switch takes one bucket: its
// trace names none, since a hash that the trace does not have decides.
func (r *reader) choices() (list []resume) {
	g := r.groups[r.group]
	if g == nil || g.Type != flows.Select {
		return nil
	}
	for _, b := range g.Buckets {
		next := resume{registers: r.copyRegisters(), addresses: r.addresses}
		for _, a := range b.Actions {
			if to, ok := a.(flows.Resubmit); ok {
				next.table = to.Table
				list = append(list, next)
				break
			}
			next.registers.set(a.String())
		}
	}
	return list
}

// routeKey is the key of the configured route that the router on a network takes
// to an address, "routes" where there is none.
func (l *lines) routeKey(network string, to netip.Addr) (object, key string, found bool) {
	for i := range l.spec.Routers {
		r := &l.spec.Routers[i]
		for j := range r.Networks {
			if r.Networks[j].Network == network {
				key, found = longest(r, to)
				return "router " + r.Name, key, found
			}
		}
	}
	return "", "", false
}

func longest(r *topology.RouterSpec, to netip.Addr) (key string, found bool) {
	key, bits := "routes", -1
	for k := range r.Routes {
		if d := r.Routes[k].Destination; d.Contains(to) && d.Bits() > bits {
			key, bits = fmt.Sprintf("routes[%d]", k), d.Bits()
		}
	}
	return key, bits >= 0
}

// byRoute is where the configured route stands that a frame took.
func (e *Explainer) byRoute(w *way, f facts, network string) []Line {
	for _, s := range w.steps {
		if s.Table != flows.TableRoute || s.role != flows.RoleRoute {
			continue
		}
		object, key, found := e.lines.routeKey(network, f.destination)
		// A flow of the router's own is one of its routes; others are of its networks.
		if found && s.Object == object {
			if line, ok := e.lines.of(object, key); ok {
				return []Line{line}
			}
		}
	}
	return nil
}
