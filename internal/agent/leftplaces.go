package agent

import (
	"context"
	"net/netip"
	"slices"

	"damselfly/internal/conntrack"
	"damselfly/internal/topology"
)

// left are the addresses that ports with tracked connections had when those were
// judged last and have no more, by the port's key: another port's guest may have
// the address now. All that a port keeps are gone for who has its MAC changed,
// which is another machine; one at another Interface alone goes on where it was.
func (c *connections) left(snap *topology.Snapshot) map[uint16][]netip.Addr {
	left := map[uint16][]netip.Addr{}
	if c.judged == nil {
		return left
	}
	for _, before := range c.judged.Ports {
		now := snap.Port(before.Key)
		if before == now || before.Filter == nil || before.Filter.Stateless || now == nil || now.Name != before.Name {
			continue // of a port that is gone, all connections end
		}
		for _, a := range slices.Concat(before.Addresses, before.IPv4) {
			if now.MAC != before.MAC && !now.MAC.IsZero() || !now.Holds(a) {
				left[before.Key] = append(left[before.Key], a)
			}
		}
	}
	return left
}

// endOf makes the switch forget the connections of a zone that one of the
// addresses is an end of.
func endOf(ctx context.Context, c conntrack.Caller, zone uint16, addrs []netip.Addr) error {
	list, err := conntrack.List(ctx, c, zone)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !slices.Contains(addrs, e.Original.Source) && !slices.Contains(addrs, e.Original.Destination) {
			continue
		}
		if err := conntrack.End(ctx, c, e); err != nil {
			return err
		}
	}
	return nil
}
