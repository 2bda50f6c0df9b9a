package agent

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"damselfly/handlers/dhcpv6"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/slowlane"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// reconfigureTime is how long reconciling waits for the slow lane, which may be
// held up by the disk.
const reconfigureTime = 2 * time.Second

// reconfigure asks the clients of ports whose DHCPv6 changed between two
// snapshots to come back (RFC 9915 section 18.3.11).
func (l *leases) reconfigure(ctx context.Context, before, after *topology.Snapshot) {
	if before == nil {
		return
	}
	now := l.now()
	// The leases are looked up here: the slow lane has better to do.
	var asked []lease.Lease
	var ports []*topology.Port // of each
	for network, changed := range changedPorts(before, after) {
		for _, held := range l.book.View().Leases(lease.Filter{Network: network}, now) {
			p := changed[held.Port]
			if p == nil || !held.ReconfAccept() {
				continue
			}
			// A client's leases follow each other; it is asked once.
			if n := len(asked); n > 0 && asked[n-1].Port == held.Port && asked[n-1].DUID == held.DUID {
				continue
			}
			asked, ports = append(asked, held), append(ports, p)
		}
	}
	if len(asked) == 0 {
		return
	}
	called, cancel := context.WithTimeout(ctx, reconfigureTime)
	defer cancel()
	err := l.owner.Call(called, func(r *pipeline.Replies) {
		for i := range asked {
			p := ports[i]
			dhcpv6.Reconfigure(l.deciding.ID, after.Network(p.Network.Key), p.OFPort, &asked[i], codec.Renew, uint64(now.Wall.UnixNano()), r)
		}
	})
	if err != nil && !errors.Is(err, slowlane.ErrStopped) && ctx.Err() == nil {
		l.a.log.Warn("clients were not asked to come back", "error", err)
	}
}

// changedPorts are the ports on the bridge whose clients are offered something
// else than before: by the network they were on, which is where their leases
// are, and by their name.
func changedPorts(before, after *topology.Snapshot) map[string]map[string]*topology.Port {
	changed := map[string]map[string]*topology.Port{}
	same := map[[2]*topology.Network]bool{} // what was compared already
	for _, p := range after.Ports {
		old := before.Port(p.Key)
		if old == nil || p.OFPort == 0 || old.Name != p.Name {
			continue
		}
		pair := [2]*topology.Network{before.Network(old.Network.Key), after.Network(p.Network.Key)}
		equal, known := same[pair]
		if !known {
			equal = sameOffers(pair[0], pair[1])
			same[pair] = equal
		}
		if equal && slices.Equal(old.Fixed, p.Fixed) && reflect.DeepEqual(old.Options, p.Options) {
			continue
		}
		if changed[old.Network.Name] == nil {
			changed[old.Network.Name] = map[string]*topology.Port{}
		}
		changed[old.Network.Name][p.Name] = p
	}
	return changed
}

// sameOffers reports whether two states of a network offer the same.
func sameOffers(a, b *topology.Network) bool {
	return a == b || a != nil && b != nil && reflect.DeepEqual(a.Subnets, b.Subnets) && reflect.DeepEqual(a.DHCPv6, b.DHCPv6)
}
