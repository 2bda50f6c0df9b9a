package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Remotes says which addresses are members of the groups that some rule names
// as its remote group. It never changes, and equal content has the same pointer.
type Remotes struct {
	// Entries are sorted by network and prefix. Of several that hold an address
	// the longest counts: its class has the groups of the shorter ones too.
	Entries []RemoteEntry
	// Classes are sorted by id.
	Classes []RemoteClass

	byID map[uint32][]string
}

// RemoteEntry is one address, or one prefix of an allowed address pair.
type RemoteEntry struct {
	// Network is the key of the network on which it is a member's, or Router the
	// id of the router all of whose networks know the address as the same node's:
	// elsewhere it is somebody else's. The other is 0.
	Network uint16
	Router  uint32
	Prefix  netip.Prefix
	Class   uint32
}

// RemoteClass is a set of groups that some address is a member of.
type RemoteClass struct {
	// ID is the class's number in flows, 1 to 2^31-1, made of the names.
	ID uint32
	// Groups are sorted by name.
	Groups []string
}

// GroupsOf returns the groups, of those that some rule names, that an address is
// a member of, seen from a network and the router that it is on, 0 for none. The
// result must not be changed.
func (r *Remotes) GroupsOf(network uint16, router uint32, a netip.Addr) []string {
	if r == nil {
		return nil
	}
	for bits := a.BitLen(); bits >= 0; bits-- {
		p, err := a.Prefix(bits)
		if err != nil {
			return nil
		}
		for _, e := range []RemoteEntry{{Network: network, Prefix: p}, {Router: router, Prefix: p}} {
			if i, ok := slices.BinarySearchFunc(r.Entries, e, compareEntries); ok {
				return r.byID[r.Entries[i].Class]
			}
		}
	}
	return nil
}

// Containing returns the ids of the classes that have a group, sorted.
func (r *Remotes) Containing(group string) (ids []uint32) {
	for _, c := range r.Classes {
		if slices.Contains(c.Groups, group) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func compareEntries(a, b RemoteEntry) int {
	return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Router, b.Router), a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
}

// remotesOf finds the members of the groups that rules name, and gives old back
// if they are its own.
func remotesOf(groups groupSet, s *Snapshot, old *Remotes) *Remotes {
	named := make(map[string]bool)
	for _, g := range groups {
		for i := range g.Rules {
			if r := g.Rules[i].RemoteGroup; r != "" {
				named[r] = true
			}
		}
	}
	members := make(map[RemoteEntry][]string)
	for _, p := range s.Ports {
		if p.Filter == nil {
			continue
		}
		var of []string
		for _, g := range p.Filter.Groups {
			if named[g.Name] {
				of = append(of, g.Name)
			}
		}
		if len(of) == 0 {
			continue
		}
		for _, prefix := range p.prefixes() {
			for _, e := range s.known(p.Network.Key, prefix) {
				members[e] = append(members[e], of...)
			}
		}
	}
	r := classify(members)
	if old != nil && slices.Equal(r.Entries, old.Entries) && slices.EqualFunc(r.Classes, old.Classes, RemoteClass.equal) {
		return old
	}
	return r
}

// known is where a prefix of addresses of a port on a network is the port's: on
// the network, or on all of its router's. What is link-local never leaves its
// network, nor does IPv4.
func (s *Snapshot) known(network uint16, p netip.Prefix) []RemoteEntry {
	n := s.Network(network)
	if n == nil || n.RouterID() == 0 || p.Addr().Is4() || p.Addr().IsLinkLocalUnicast() {
		return []RemoteEntry{{Network: network, Prefix: p}}
	}
	list := []RemoteEntry{{Router: n.RouterID(), Prefix: p}}
	if p.Contains(linkLocal.Addr()) {
		list = append(list, RemoteEntry{Network: network, Prefix: linkLocal})
	}
	return list
}

// prefixes are all addresses that the port may send from.
func (p *Port) prefixes() (list []netip.Prefix) {
	for _, a := range slices.Concat(p.Addresses, p.IPv4) {
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, pair := range p.Pairs {
		list = append(list, pair.Prefix.Masked())
	}
	return list
}

// classify gives each entry the class of its groups and of those of the wider
// prefixes around it.
func classify(members map[RemoteEntry][]string) *Remotes {
	r := &Remotes{byID: make(map[uint32][]string)}
	var wide []RemoteEntry
	for e := range members {
		if !e.Prefix.IsSingleIP() {
			wide = append(wide, e)
		}
		r.Entries = append(r.Entries, e)
	}
	slices.SortFunc(r.Entries, compareEntries)
	names := make([]string, len(r.Entries))
	sets := make(map[string][]string)
	for i, e := range r.Entries {
		set := slices.Clone(members[e])
		for _, w := range wide {
			if w.Network == e.Network && w.Router == e.Router && w.Prefix.Bits() < e.Prefix.Bits() && w.Prefix.Contains(e.Prefix.Addr()) {
				set = append(set, members[w]...)
			}
		}
		slices.Sort(set)
		set = slices.Compact(set)
		names[i] = "class " + strings.Join(set, "\x00")
		sets[names[i]] = set
	}
	ids := idsOf(names)
	for i := range r.Entries {
		r.Entries[i].Class = ids[names[i]]
	}
	for name, set := range sets {
		r.Classes = append(r.Classes, RemoteClass{ID: ids[name], Groups: set})
		r.byID[ids[name]] = set
	}
	slices.SortFunc(r.Classes, func(a, b RemoteClass) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

func (c RemoteClass) equal(o RemoteClass) bool {
	return c.ID == o.ID && slices.Equal(c.Groups, o.Groups)
}

// Holds reports whether an address is known to be one of the port's.
func (p *Port) Holds(a netip.Addr) bool {
	return slices.ContainsFunc(p.prefixes(), func(x netip.Prefix) bool { return x.Contains(a) })
}
