package binding

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
)

// changed notes that a place's record and what others see are out of date.
func (t *Table) changed(p place) {
	t.unsaved[p] = struct{}{}
	t.shown = false
}

// Commit makes what is bound durable and shows it to the View; it reports
// whether the View changed. It does so also on an error, after which the next
// Commit writes what this one could not: a guest that a full disk cut off would
// be worse off than one that has to be learned again.
func (t *Table) Commit() (changed bool, err error) {
	if len(t.unsaved) > 0 {
		list := make([]Change, 0, len(t.unsaved))
		for p := range t.unsaved {
			c := Change{Key: p.key()}
			if e := t.entries[p]; e != nil && e.state != tentative {
				c.Value = []byte(e.port)
			}
			list = append(list, c)
		}
		if err = t.storage.Apply(list); err != nil {
			err = fmt.Errorf("binding: %d learned addresses are not kept: %w", len(list), err)
		} else {
			clear(t.unsaved)
		}
	}
	if t.shown {
		return false, err
	}
	t.show()
	return true, err
}

// Unsaved is how many records are still to be written.
func (t *Table) Unsaved() int { return len(t.unsaved) }

// View is what is bound, for any goroutine.
type View struct{ list atomic.Pointer[[]Binding] }

// View returns what other goroutines may read.
func (t *Table) View() *View { return &t.view }

// Bound returns what is bound, ordered by network, port and address. It is not
// to be changed.
func (v *View) Bound() []Binding {
	if list := v.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (t *Table) show() {
	list := make([]Binding, 0, len(t.entries))
	for _, e := range t.entries {
		if e.state != tentative {
			list = append(list, Binding{e.network, e.port, e.addr})
		}
	}
	slices.SortFunc(list, func(a, b Binding) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Port, b.Port), a.Addr.Compare(b.Addr))
	})
	t.view.list.Store(&list)
	t.shown = true
}
