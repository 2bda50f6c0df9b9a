package multicast

import (
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"

	"damselfly/internal/topology"
)

// Shown is what is known of a network, for others to see. It never changes.
type Shown struct {
	// Ready says that somebody asks and has been answered; Querying that it is
	// Damselfly, else Querier is who, where that is known.
	Ready, Querying bool
	Querier         netip.Addr
	// Older says that one of version 1 asks, to which sources mean nothing (RFC 9777 section 8.3.1).
	Older bool
	// Routers are the ports where multicast routers are.
	Routers []string
	Groups  []ShownGroup
}

// Listening is what is shown by the keys of the network's ports.
func (s *Shown) Listening(keys topology.Keys) *topology.Listening {
	l := &topology.Listening{Ready: s.Ready, Querying: s.Querying}
	for _, name := range s.Routers {
		if key := keys.Ports[name]; key != 0 {
			l.Routers = append(l.Routers, key)
		}
	}
	for i := range s.Groups {
		g := topology.ListenedGroup{Group: s.Groups[i].Group, Slot: s.Groups[i].Slot}
		for _, p := range s.Groups[i].Ports {
			if key := keys.Ports[p.Port]; key != 0 {
				g.Ports = append(g.Ports, topology.Listener{Port: key, Exclude: p.Exclude, Sources: p.Sources})
			}
		}
		l.Groups = append(l.Groups, g)
	}
	return l
}

// ShownGroup is one group that somebody listens to.
type ShownGroup struct {
	Group netip.Addr
	Slot  uint16
	Ports []ShownPort
}

// ShownPort is one port that listens to a group.
type ShownPort struct {
	Port string
	// Exclude says that all sources but Sources are wanted, else these alone.
	Exclude bool
	Sources []netip.Addr
	Static  bool
}

// View is what is known, for any goroutine to read.
type View struct {
	networks atomic.Pointer[map[string]*Shown]
}

// Networks returns what is known by network. It is not to be changed; a network of
// which nothing changed keeps its pointer.
func (v *View) Networks() map[string]*Shown {
	if m := v.networks.Load(); m != nil {
		return *m
	}
	return nil
}

// View returns what Show showed last.
func (t *Table) View() *View { return &t.view }

// Show shows what is known to the View, and reports whether any of it changed.
func (t *Table) Show() bool {
	if !t.changed {
		return false
	}
	t.changed = false
	all := make(map[string]*Shown, len(t.networks))
	for name, n := range t.networks {
		if n.dirty {
			n.dirty, n.shown = false, n.show()
		}
		all[name] = n.shown
	}
	t.view.networks.Store(&all)
	return true
}

func (n *network) show() *Shown {
	s := &Shown{Ready: n.ready, Querying: n.querying, Querier: n.other, Older: n.older > 0}
	at := map[string]bool{}
	for r := range n.routers {
		at[r.port] = true
	}
	for name, p := range n.ports {
		if p.conf.Router {
			at[name] = true
		}
	}
	s.Routers = sortedKeys(at)
	if n.shown != nil {
		s.Groups = n.shown.Groups
	}
	if len(n.stale) > 0 {
		s.Groups = n.regrouped(s.Groups)
		n.stale = nil
	}
	return s
}

// regrouped are groups as they were shown, those that are stale anew.
func (n *network) regrouped(before []ShownGroup) []ShownGroup {
	after := make([]ShownGroup, 0, len(n.groups))
	for _, addr := range slices.SortedFunc(maps.Keys(n.stale), netip.Addr.Compare) {
		i, there := slices.BinarySearchFunc(before, addr, func(g ShownGroup, a netip.Addr) int { return g.Group.Compare(a) })
		after = append(after, before[:i]...)
		if before = before[i:]; there {
			before = before[1:]
		}
		if g := n.groups[addr]; g != nil {
			after = append(after, g.show())
		}
	}
	return append(after, before...)
}

func (g *group) show() ShownGroup {
	shown := ShownGroup{Group: g.addr, Slot: g.slot}
	for _, name := range sortedKeys(g.members) {
		m := g.members[name]
		w := m.wants()
		shown.Ports = append(shown.Ports, ShownPort{Port: name, Exclude: w.exclude, Sources: w.sources, Static: m.static})
	}
	return shown
}
