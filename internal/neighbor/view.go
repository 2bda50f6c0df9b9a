package neighbor

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
)

// View is what is known, for any goroutine to read.
type View struct{ list atomic.Pointer[[]Neighbor] }

// Known returns the neighbours that have a MAC, by network and address. It is
// not to be changed.
func (v *View) Known() []Neighbor {
	if list := v.list.Load(); list != nil {
		return *list
	}
	return nil
}

// View returns what Show showed last.
func (t *Table) View() *View { return &t.view }

// Show shows what is known to the View. It reports whether any neighbour's
// place came, went or changed since; how fresh each is, is as of that moment.
func (t *Table) Show() (changed bool) {
	if t.shown {
		return false
	}
	t.shown = true
	list := slices.DeleteFunc(t.List(), func(n Neighbor) bool { return n.MAC.IsZero() })
	t.view.list.Store(&list)
	return true
}

// List returns all entries as they are, by network and address.
func (t *Table) List() []Neighbor {
	list := make([]Neighbor, 0, len(t.entries))
	for _, e := range t.entries {
		list = append(list, e.neighbor())
	}
	slices.SortFunc(list, func(a, b Neighbor) int {
		return cmp.Or(strings.Compare(a.Network, b.Network), a.Addr.Compare(b.Addr))
	})
	return list
}

// Counts counts the neighbours of each network by state.
func (t *Table) Counts() map[string][States]int {
	counts := map[string][States]int{}
	for _, e := range t.entries {
		c := counts[e.Network]
		c[e.state]++
		counts[e.Network] = c
	}
	return counts
}

func (e *entry) neighbor() Neighbor {
	return Neighbor{Place: e.Place, Port: e.port, MAC: e.mac, State: e.state, Router: e.router, Pinned: e.pinned}
}
