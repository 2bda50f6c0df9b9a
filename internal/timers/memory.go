package timers

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"damselfly/internal/store"
	"damselfly/internal/topology"
)

// MemoryConfig is what a Memory needs.
type MemoryConfig struct {
	Store *store.Store
	// Clock is store.ReadClock.
	Clock func() (store.Clock, error)
	// Ended is called when a deprecated prefix has run out, so that the topology
	// is built without it; nil tells nobody. It must not wait.
	Ended func()
	// Log reports records that cannot be kept; nil discards.
	Log *slog.Logger
}

// Memory knows what guests were promised and lets no promise be forgotten: a
// prefix or router that leaves the configuration, also while nobody was
// running, is deprecated until what was said of it has lapsed.
//
// Of a router only what made it a default router is remembered. If the process
// dies within seconds of a router's link-local address changing, the goodbyes
// of the old one that were not sent by then are lost: there is one record a
// network, and the new router needs it before it speaks.
type Memory struct {
	c     MemoryConfig
	nudge chan struct{} // holds one token while there may be new work for Run

	mu       sync.Mutex
	promises map[promiseKey]*promise // guarded by mu
	routers  map[string]*router      // guarded by mu; by network
	routes   map[promiseKey]*route   // guarded by mu
	failing  bool                    // guarded by mu; the latest write failed

	saidMu sync.Mutex // never held during a write
	said   []goodbye  // guarded by saidMu
}

// NewMemory reads what was promised before. Deadlines of an earlier boot are
// tied to this one at once, so that a later step of the clock moves none.
func NewMemory(c MemoryConfig) (*Memory, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ended == nil {
		c.Ended = func() {}
	}
	m := &Memory{
		c: c, nudge: make(chan struct{}, 1),
		promises: make(map[promiseKey]*promise), routers: make(map[string]*router), routes: make(map[promiseKey]*route),
	}
	now, err := c.Clock()
	if err != nil {
		return nil, err
	}
	records, err := c.Store.AllAdvertised()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		m.promises[promiseKey{r.Network, r.Prefix}] = remember(now, r)
	}
	routers, err := c.Store.Routers()
	if err != nil {
		return nil, err
	}
	for _, r := range routers {
		m.routers[r.Network] = &router{identity: r, saved: true}
	}
	routes, err := c.Store.AdvertisedRoutes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		m.routes[promiseKey{r.Network, r.Prefix}] = rememberRoute(now, r)
	}
	return m, nil
}

// Ending is what hosts are to be told the end of, by network: the Input of the
// Builder.
type Ending struct {
	Deprecated    map[string][]topology.Deprecated
	FormerRouters map[string][]topology.FormerRouter
	Withdrawn     map[string][]netip.Prefix
}

// Reconcile records what s is going to promise, in one write for all prefixes,
// and returns what is to be ended in the Snapshot that is then published. s is that of a valid configuration which
// will be published, built with what the last Reconcile returned; what it
// returned stays equal as long as nothing changed.
//
// An error says that some of it is not on disk; what it returns is right
// nevertheless and s may be served: guests without a router are worse off than
// after a crash with a prefix too many. Run keeps trying to record.
func (m *Memory) Reconcile(s *topology.Snapshot) (Ending, error) {
	now, err := m.c.Clock()
	if err != nil {
		return Ending{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	networks := make(map[string]*topology.Network, len(s.Networks))
	for _, n := range s.Networks {
		networks[n.Name] = n
	}
	err = errors.Join(m.reconcilePrefixes(now, s), m.reconcileRouters(networks), m.reconcileRoutes(now, networks))
	m.failing = err != nil
	m.wake()
	return Ending{m.deprecated(now, networks), m.formers(networks), m.withdrawn(now, networks)}, err
}

// reconcilePrefixes brings promises and records to what s says.
func (m *Memory) reconcilePrefixes(now store.Clock, s *topology.Snapshot) error {
	configured := make(map[promiseKey]bool)
	for _, n := range s.Networks {
		for i := range n.Subnets {
			k := promiseKey{n.Name, n.Subnets[i].Prefix}
			configured[k] = true
			if m.promises[k] == nil {
				m.promises[k] = &promise{}
			}
			m.promises[k].configure(now, &n.Subnets[i])
		}
	}
	for k, p := range m.promises {
		if p.configured && !configured[k] {
			p.deprecate(now, k)
		}
	}
	return m.write(now)
}

// write stores, in one fsync, the records that are in need and those that go
// along; what is not stored stays in need.
func (m *Memory) write(now store.Clock) error {
	var records []store.AdvertisedPrefix
	needed := false
	for k, p := range m.promises {
		due := p.due(now) == 0 && !p.lapsed(now)
		needed = needed || due
		if due || p.configured && p.left(now, 0.75) == 0 {
			records = append(records, p.wanted(now, k))
		}
	}
	if !needed {
		return nil
	}
	if err := m.c.Store.RecordAdvertised(records...); err != nil {
		return err
	}
	for _, r := range records {
		m.promises[promiseKey{r.Network, r.Prefix}].record = r
	}
	return nil
}

// deprecated lists by network the prefixes that are no longer configured.
func (m *Memory) deprecated(now store.Clock, networks map[string]*topology.Network) map[string][]topology.Deprecated {
	list := make(map[string][]topology.Deprecated)
	for k, p := range m.promises {
		if p.configured || networks[k.network] == nil || p.lapsed(now) {
			continue
		}
		list[k.network] = append(list[k.network], topology.Deprecated{
			Prefix: k.prefix, OnLink: p.deprecated.OnLink, Autonomous: p.deprecated.Autonomous, ValidUntil: p.until,
		})
	}
	for _, l := range list {
		slices.SortFunc(l, func(a, b topology.Deprecated) int { return strings.Compare(a.Prefix.String(), b.Prefix.String()) })
	}
	return list
}
