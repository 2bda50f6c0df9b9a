package agent

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"damselfly/handlers/dhcpv6"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// reconfigure asks the clients of ports whose DHCPv6 changed between two
// snapshots to come back (RFC 9915 section 18.3.11).
func (l *leases) reconfigure(before, after *topology.Snapshot) {
	if before == nil {
		return
	}
	now := l.now()
	var clients []lease.Lease
	for network, changed := range changedPorts(before, after) {
		for _, held := range l.book.View().Leases(lease.Filter{Network: network}, now) {
			if changed[held.Port] {
				clients = append(clients, held)
			}
		}
	}
	l.asking.ask(clients)
}

// sendReconfigure asks each client to renew, at the port that it is behind now.
func (l *leases) sendReconfigure(ctx context.Context, clients []lease.Lease) error {
	return l.owner.Call(ctx, func(r *pipeline.Replies) {
		snap := l.a.snapshot.Load()
		if snap == nil {
			return
		}
		for i := range clients {
			at, ok := slices.BinarySearchFunc(snap.Ports, clients[i].Port, func(p *topology.Port, name string) int { return strings.Compare(p.Name, name) })
			if !ok {
				continue
			}
			replay, ok := l.replay.next()
			if !ok {
				return
			}
			p := snap.Ports[at]
			dhcpv6.Reconfigure(l.deciding.ID, snap.Network(p.Network.Key), p, &clients[i], codec.Renew, replay, r)
		}
	})
}

// changedPorts are the ports on the bridge whose clients are offered something
// else than before: by the network they were on, which is where their leases
// are, and by their name.
func changedPorts(before, after *topology.Snapshot) map[string]map[string]bool {
	changed := map[string]map[string]bool{}
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
			changed[old.Network.Name] = map[string]bool{}
		}
		changed[old.Network.Name][p.Name] = true
	}
	return changed
}

// sameOffers reports whether two states of a network offer the same.
func sameOffers(a, b *topology.Network) bool {
	return a == b || a != nil && b != nil && reflect.DeepEqual(a.Subnets, b.Subnets) && reflect.DeepEqual(a.DHCPv6, b.DHCPv6)
}
