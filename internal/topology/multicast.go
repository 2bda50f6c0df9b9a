package topology

import (
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/wire"
)

// MulticastSpec is what is done about multicast on a network; nil where it is
// carried as broadcast is. A nil pointer in it is the default.
type MulticastSpec struct {
	// Snooping has groups carried to their listeners and multicast routers alone
	// (RFC 4541 section 3).
	Snooping bool
	// Querier has the network's router ask who listens (RFC 9777 section 7), RouterDiscovery has
	// it advertise itself as a multicast router (RFC 4286).
	Querier, RouterDiscovery bool
	// FloodUnregistered carries groups that nobody is known to listen to to all
	// ports, else to multicast routers (RFC 4541 section 2.1.2).
	FloodUnregistered bool
	// QueryInterval and ResponseInterval are the querier's, Robustness the losses
	// it stands less one, LastListenerInterval how long after a leave somebody else may object (RFC
	// 9777 section 9).
	QueryInterval, ResponseInterval, LastListenerInterval *time.Duration
	Robustness                                            *int
}

// Tracked reports whether it is known who listens to a group. Some are carried to all
// anyway: all nodes and what has no scope, of which listeners do not tell (RFC 9777
// section 6, RFC 4541 section 3), the groups by which neighbours are found, and those
// of routers and snoopers.
func Tracked(group netip.Addr) bool {
	switch {
	case group.As16()[0] != 0xff || group.As16()[1]&0xf < linkScope:
		return false
	case group == wire.AllNodes || group == wire.AllRouters || group == wire.AllSnoopers:
		return false
	}
	return wire.SolicitedNode(group) != group
}

// PortMulticastSpec is what is known of a port's listeners beforehand.
type PortMulticastSpec struct {
	// Groups are carried there whoever listens.
	Groups []netip.Addr
	// Router says that a multicast router is there, which gets all groups.
	Router bool
	// FastLeave believes who leaves a group at once; nil is where one guest is.
	FastLeave *bool
}

// RouterMulticastSpec is how a router carries multicast between its networks (RFC 4605).
type RouterMulticastSpec struct {
	// Upstream is the network that leads to the other multicast routers, "" for none.
	Upstream string
	// Boundary is the widest scope that stays on the other networks, 0 for that of the link.
	Boundary int
}

// RouterMulticast is that with defaults applied.
type RouterMulticast struct {
	Upstream string
	Boundary uint8
}

// routerMulticastOf applies the defaults.
func routerMulticastOf(s *RouterMulticastSpec) *RouterMulticast {
	if s == nil {
		return nil
	}
	return &RouterMulticast{Upstream: s.Upstream, Boundary: uint8(max(s.Boundary, linkScope))}
}

// linkScope is the scope of a link (RFC 4291 section 2.7), widestScope that of all.
const (
	linkScope   = 2
	widestScope = 14
)

// equalValues reports whether two are both nil or of equal content.
func equalValues[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Defaults of MulticastSpec (RFC 9777 section 9).
const (
	// DefaultQueryInterval is the time between two General Queries (section 9.2).
	DefaultQueryInterval = 125 * time.Second
	// DefaultResponseInterval is the longest that a listener may take to answer (section 9.3).
	DefaultResponseInterval = 10 * time.Second
	// DefaultRobustness is the Robustness Variable (section 9.1).
	DefaultRobustness = 2
	// DefaultLastListenerInterval is the Last Listener Query Interval (section 9.8).
	DefaultLastListenerInterval = time.Second
	// DefaultMaxGroups is how many groups may be known to be listened to behind a
	// port, MaxUplinkGroups behind an uplink, where nothing else is said;
	// UnlimitedGroups is no bound.
	DefaultMaxGroups = 64
	MaxUplinkGroups  = 4096
	UnlimitedGroups  = -1
	// MaxGroupSlots is how many groups may be known on all networks together.
	MaxGroupSlots = 1 << 15
)

// Multicast is what is done about multicast on a network, defaults applied.
type Multicast struct {
	Snooping, Querier, RouterDiscovery, FloodUnregistered bool
	QueryInterval, ResponseInterval, LastListenerInterval time.Duration
	Robustness                                            int
}

// PortMulticast is what the port's listeners may do and are known to.
type PortMulticast struct {
	Groups    []netip.Addr
	Router    bool
	FastLeave bool
	// Most is how many groups may be known to be listened to behind the port; UnlimitedGroups
	// for no bound.
	Most int
}

// multicastOf applies the defaults; nil where nothing is done.
func multicastOf(s *MulticastSpec) *Multicast {
	if s == nil || !s.Snooping && !s.Querier && !s.RouterDiscovery {
		return nil
	}
	return &Multicast{
		Snooping: s.Snooping, Querier: s.Querier, RouterDiscovery: s.RouterDiscovery, FloodUnregistered: s.FloodUnregistered,
		QueryInterval: toldInterval(or(s.QueryInterval, DefaultQueryInterval)), ResponseInterval: or(s.ResponseInterval, DefaultResponseInterval),
		LastListenerInterval: or(s.LastListenerInterval, DefaultLastListenerInterval), Robustness: or(s.Robustness, DefaultRobustness),
	}
}

// toldInterval is the time between two Queries as these tell it: from 128 s on in steps of a
// sixteenth of a power of two (RFC 9777 section 5.1.9). To ask less often than is told would have
// others take over.
func toldInterval(d time.Duration) time.Duration {
	seconds := uint64(d / time.Second)
	if seconds >= 128 {
		step := bits.Len64(seconds) - 5
		seconds = seconds >> step << step
	}
	return time.Duration(seconds) * time.Second
}

// portMulticastOf applies the defaults; nil on a network where nothing is done.
// Behind a port with unknown hosts several may listen, behind others one does.
func portMulticastOf(in *networkInput, s *PortSpec, n *Network) *PortMulticast {
	if n.Multicast == nil {
		return nil
	}
	m := PortMulticast{FastLeave: !s.Unknown, Most: DefaultMaxGroups}
	if s.Uplink != nil {
		m.Most = MaxUplinkGroups
	} else if in.maxGroups != nil {
		m.Most = *in.maxGroups
	}
	m.Most = or(s.MaxGroups, or(in.spec.MaxGroups, m.Most))
	if p := s.Multicast; p != nil {
		m.Groups, m.Router, m.FastLeave = p.Groups, p.Router, or(p.FastLeave, m.FastLeave)
	}
	return &m
}

// equal reports whether two say the same.
func (m *PortMulticast) equal(o *PortMulticast) bool {
	if m == nil || o == nil {
		return m == o
	}
	return slices.Equal(m.Groups, o.Groups) && m.Router == o.Router && m.FastLeave == o.FastLeave && m.Most == o.Most
}

// Listening is what is known of who listens on a network. It never changes once
// it is part of a Snapshot.
type Listening struct {
	// Ready says that somebody asks for listeners and has been answered, so that
	// who is not known does not listen (RFC 4541 section 2.1.1).
	Ready bool
	// Querying says that Damselfly is who asks.
	Querying bool
	// Routers are the keys of the ports where multicast routers are, sorted.
	Routers []uint16
	// Groups are those that somebody listens to, sorted by address.
	Groups []ListenedGroup
}

// ListenedGroup is one group.
type ListenedGroup struct {
	Group netip.Addr
	// Slot is its number among all groups of all networks, as long as it is there.
	Slot uint16
	// Ports are where it is listened to, sorted by key.
	Ports []Listener
}

// Listener is one port that listens to a group.
type Listener struct {
	Port uint16
	// Exclude says that all sources but Sources are wanted, else these alone.
	Exclude bool
	Sources []netip.Addr
}

// Listening returns what is known of who listens on the network with this key;
// nil for nothing.
func (s *Snapshot) Listening(network uint16) *Listening {
	if int(network) >= len(s.listening) {
		return nil
	}
	return s.listening[network]
}

// listeningOf files what is known by the networks' keys.
func listeningOf(in map[string]*Listening, nets map[string]*builtNetwork) (list []*Listening) {
	for name, l := range in {
		if b := nets[name]; b != nil && b.net.Multicast != nil {
			list = put(list, b.net.Key, l)
		}
	}
	return list
}
