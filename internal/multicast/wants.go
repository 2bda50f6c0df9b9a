package multicast

import (
	"net/netip"
	"slices"
)

// wants is what a member is to get, to see whether it changed.
type wants struct {
	exclude bool
	sources []netip.Addr
	any     bool
}

// wants returns what is to be carried to the port: no source in exclude mode is
// everything.
func (m *member) wants() (w wants) {
	w.exclude = m.exclude
	for s, timer := range m.sources {
		if !m.exclude || timer == 0 {
			w.sources = append(w.sources, s)
		}
	}
	sortAddrs(w.sources)
	w.any = w.exclude || len(w.sources) > 0
	return w
}

// merge is what two want together.
func merge(a, b wants) wants {
	if !a.exclude && b.exclude {
		a, b = b, a
	}
	out := wants{exclude: a.exclude, any: true}
	switch {
	case a.exclude && b.exclude: // what neither wants
		out.sources = without(a.sources, without(a.sources, b.sources))
	case a.exclude:
		out.sources = without(a.sources, b.sources)
	default:
		out.sources = append(slices.Clone(a.sources), without(b.sources, a.sources)...)
		sortAddrs(out.sources)
	}
	return out
}

// has reports whether a sorted list has an address.
func has(list []netip.Addr, a netip.Addr) bool {
	_, there := slices.BinarySearchFunc(list, a, netip.Addr.Compare)
	return there
}

// without is what of a sorted list is not in another.
func without(list, other []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool { return has(other, a) })
}

func sortAddrs(list []netip.Addr) { slices.SortFunc(list, netip.Addr.Compare) }
