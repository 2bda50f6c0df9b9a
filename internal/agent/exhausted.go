package agent

import (
	"cmp"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

// exhausted are the pools that a client was found to get nothing of, until there
// is room again. The slow lane changes it; who asks for the status reads it.
type exhausted struct {
	log    *slog.Logger
	looked time.Duration // uptime of the last look for room; the slow lane's

	mu    sync.Mutex
	pools map[pool]bool // guarded by mu; whether the log was told
}

// pool is what clients of a network get addresses of, or prefixes.
type pool struct {
	network string
	subnet  netip.Prefix // invalid: what the network delegates
}

// String is what the pool has no more of.
func (p pool) String() string {
	if !p.subnet.IsValid() {
		return lease.Prefix.String()
	}
	return lease.Address.String() + " in " + p.subnet.String()
}

// lookPause is the least time between two looks for room.
const lookPause = time.Second

// raise notes a pool that has nothing left, and whether the log was told.
func (e *exhausted) raise(p pool, logged bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pools == nil {
		e.pools = map[pool]bool{}
	}
	e.pools[p] = e.pools[p] || logged
}

// look ends the alarms of pools that have room again, or are gone.
func (e *exhausted) look(snap *topology.Snapshot, tx *lease.Tx, uptime time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pools) == 0 || uptime-e.looked < lookPause {
		return
	}
	e.looked = uptime
	for p, logged := range e.pools {
		if !p.empty(snap, tx) {
			delete(e.pools, p)
			if logged {
				e.log.Info("there is room in a pool again", "network", p.network, "pool", p)
			}
		}
	}
}

// empty reports whether a client that nobody knows would get nothing.
func (p pool) empty(snap *topology.Snapshot, tx *lease.Tx) bool {
	if snap == nil {
		return true
	}
	i := slices.IndexFunc(snap.Networks, func(n *topology.Network) bool { return n.Name == p.network })
	if i < 0 {
		return false
	}
	n := snap.Networks[i]
	anybody := lease.Ask{Network: n, Port: &topology.Port{}}
	if !p.subnet.IsValid() {
		_, _, err := tx.ChoosePrefix(anybody, netip.Prefix{})
		return err != nil && len(n.DHCPv6.Delegations) > 0
	}
	at := slices.IndexFunc(n.Subnets, func(s topology.Subnet) bool { return s.Prefix == p.subnet })
	if at < 0 || len(n.Subnets[at].Pools) == 0 {
		return false
	}
	_, err := tx.Choose(anybody, &n.Subnets[at], netip.Addr{})
	return err != nil
}

// of are the exhausted pools of a network, sorted.
func (e *exhausted) of(network string) (list []pool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p := range maps.Keys(e.pools) {
		if p.network == network {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b pool) int { return cmp.Compare(a.String(), b.String()) })
	return list
}
