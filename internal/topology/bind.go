package topology

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// MaxBound is how many ports of one network a bridge serves: a flood is one
// group, and a group is one OpenFlow message of 64 KiB at most.
const MaxBound = 1000

// gather sorts an Input by network: each with all that it is made from, ports
// by name. Interfaces and objects that cannot be placed are Problems.
func gather(in Input, groups groupSet, presences map[string]presence) ([]networkInput, []Problem) {
	var problems []Problem
	keys := keyring{kind: "network", keys: in.Keys.Networks, used: make(map[uint16]string)}
	index := make(map[string]int, len(in.Spec.Networks))
	known := make(map[string]bool, len(in.Spec.Networks))
	var nets []networkInput
	for i := range in.Spec.Networks {
		n := &in.Spec.Networks[i]
		known[n.Name] = true
		key, p, ok := keys.take(n.Name)
		if !ok {
			problems = append(problems, p)
			continue
		}
		index[n.Name] = len(nets)
		nets = append(nets, networkInput{
			key: key, spec: n, global: in.Spec.Limits, maxLeases: or(in.Spec.MaxLeases, DefaultMaxLeases),
			maxAddresses: or(in.Spec.MaxAddresses, DefaultMaxAddresses), presence: presences[n.Name],
			deprecated: in.Deprecated[n.Name], former: in.FormerRouters[n.Name], delegated: in.Delegated[n.Name], withdrawn: in.Withdrawn[n.Name],
			leased: sortedHeld(in.Leased[n.Name]), learned: sortedHeld(in.Learned[n.Name]),
			neighbors: sortedNeighbors(in.Neighbors[n.Name]), upstream: in.Upstream[n.Name], modifier: in.Modifiers[n.Name], maxNeighbors: in.Spec.MaxNeighbors, maxGroups: in.Spec.MaxGroups,
			maxConnections: in.Spec.MaxConnections,
		})
	}
	ports, faults := bind(in, known)
	problems = append(problems, faults...)
	portKeys := keyring{kind: "port", keys: in.Keys.Ports, used: make(map[uint16]string)}
	bound := make([]int, len(nets))
	for _, p := range ports {
		i, ok := index[p.spec.Network]
		if !ok {
			continue // its network is isolated, and reported
		}
		key, problem, ok := portKeys.take(p.spec.Name)
		if !ok {
			problems = append(problems, problem)
			continue
		}
		p.key = key
		p.filter = groups.filter(p.spec.SecurityGroups)
		if p.binding.OFPort != 0 {
			if bound[i]++; bound[i] > MaxBound {
				problems = append(problems, Problem{Object: "port " + p.spec.Name, Message: fmt.Sprintf(
					"is not served: network %s has %d ports on this bridge already, as many as one flood reaches", p.spec.Network, MaxBound)})
				p.binding.OFPort = 0
			}
		}
		nets[i].ports = append(nets[i].ports, p)
	}
	giveFloating(in.Spec, nets)
	return nets, problems
}

// presencesOf maps a network's name to the router on it.
func presencesOf(spec *Spec) map[string]presence {
	m := make(map[string]presence)
	mtus := make(map[string]int, len(spec.Networks))
	for i := range spec.Networks {
		mtus[spec.Networks[i].Name] = or(nonZero(spec.Networks[i].MTU), math.MaxInt)
	}
	ids := routerIDs(spec)
	for i := range spec.Routers {
		r := &spec.Routers[i]
		widest := 0
		for j := range r.Networks {
			widest = max(widest, mtus[r.Networks[j].Network])
		}
		for j := range r.Networks {
			name := r.Networks[j].Network
			m[name] = presence{router: r.Name, id: ids["router "+r.Name], narrow: mtus[name] < widest, spec: &r.Networks[j]}
		}
	}
	giveRoutes(spec, m)
	return m
}

// bind gives every port, configured or known from its Interface alone, sorted
// by name, with the one Interface that claims it.
func bind(in Input, networks map[string]bool) ([]portInput, []Problem) {
	var problems []Problem
	ports, bindings := bindUplinks(in)
	uplinks := len(ports)
	configured := make(map[string]bool, len(in.Spec.Ports))
	for i := range in.Spec.Ports {
		ports = append(ports, portInput{spec: &in.Spec.Ports[i]})
		configured[in.Spec.Ports[i].Name] = true
	}
	claims := claims(bindings, configured)
	for i := uplinks; i < len(ports); i++ {
		name := ports[i].spec.Name
		switch c := claims[name]; len(c) {
		case 0:
		case 1:
			ports[i].binding = c[0]
		default:
			problems = append(problems, rivals(name, c))
		}
		delete(claims, name)
	}
	problems = append(problems, bindSubPorts(ports)...)
	for name, c := range claims {
		if len(c) > 1 {
			problems = append(problems, rivals(name, c))
			continue
		}
		object := "interface " + c[0].Interface
		switch {
		case checkName(name) != "":
			problems = append(problems, Problem{Object: object, Message: "claims a port whose name " + checkName(name)})
		case !networks[c[0].Network]:
			problems = append(problems, Problem{Object: object, Message: fmt.Sprintf(
				"external_ids:damselfly-network names %q, which is no network: configure it, or correct the name", c[0].Network)})
		default:
			ports = append(ports, portInput{spec: &PortSpec{Name: name, Network: c[0].Network}, binding: c[0]})
		}
	}
	slices.SortFunc(ports, func(a, b portInput) int { return strings.Compare(a.spec.Name, b.spec.Name) })
	return ports, problems
}

// claims maps a port's name to the Interfaces that want to be it. An Interface
// claims one port: the configured one its iface-id names, else the configured
// one it is named like, unless another has that as its iface-id; else, if it
// names a network, a new one.
func claims(bindings []Binding, configured map[string]bool) map[string][]Binding {
	byID := make(map[string]bool)
	for _, b := range bindings {
		byID[b.ID] = true
	}
	claims := make(map[string][]Binding, len(bindings))
	for _, b := range bindings {
		name := ""
		switch {
		case b.ID != "" && configured[b.ID]:
			name = b.ID
		case configured[b.Interface] && (b.ID == b.Interface || !byID[b.Interface]):
			name = b.Interface
		case b.Network == "":
			continue
		case b.ID != "":
			name = b.ID
		case byID[b.Interface]:
			continue // another's iface-id
		default:
			name = b.Interface
		}
		claims[name] = append(claims[name], b)
	}
	return claims
}

// rivals is the Problem of a port that several Interfaces claim.
func rivals(port string, c []Binding) Problem {
	var names []string
	for _, b := range c {
		names = append(names, b.Interface)
	}
	slices.Sort(names)
	return Problem{Object: "port " + port, Message: fmt.Sprintf(
		"is claimed by the interfaces %s, so none is served: give each an external_ids:iface-id of its own", strings.Join(names, " and "))}
}
