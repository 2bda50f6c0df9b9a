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

// floated are the ways to ports with tracked connections, by the port's key, that
// led by floating addresses when those were judged last and do so no more: what
// another guest has now, or what is seen as another address.
func (c *connections) floated(snap *topology.Snapshot) map[uint16][]way {
	ways := map[uint16][]way{}
	if c.judged == nil {
		return ways
	}
	for _, before := range c.judged.Routers {
		now := snap.Router(before.ID)
		for _, f := range before.Floating {
			same := func(g topology.Floating) bool { g.Away = f.Away; return g == f }
			if !f.Translates() || now != nil && slices.ContainsFunc(now.Floating, same) {
				continue
			}
			for _, n := range before.Networks {
				for _, p := range n.Ports {
					if p.Filter != nil && !p.Filter.Stateless && slices.ContainsFunc(p.Addresses, f.Inner.Contains) {
						ways[p.Key] = append(ways[p.Key], way{before, f})
					}
				}
			}
		}
	}
	return ways
}

// way is what a router had float.
type way struct {
	router *topology.Router
	topology.Floating
}

// carried reports whether a connection went by it: one end is what it stood for,
// and the other is outside or floats as well.
func (w way) carried(t conntrack.Tuple) bool {
	outside := func(a netip.Addr) bool {
		to := w.router.To(a)
		return to.Network == nil || to.Network.Key == w.External.Key || w.router.Translated(a) != nil
	}
	return w.Inner.Contains(t.Source) && outside(t.Destination) || w.Inner.Contains(t.Destination) && outside(t.Source)
}

// endOf makes the switch forget the connections of a zone that one of the
// addresses is an end of, or that went by one of the ways.
func endOf(ctx context.Context, c conntrack.Caller, zone uint16, addrs []netip.Addr, ways []way) error {
	list, err := conntrack.List(ctx, c, zone)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !slices.Contains(addrs, e.Original.Source) && !slices.Contains(addrs, e.Original.Destination) &&
			!slices.ContainsFunc(ways, func(w way) bool { return w.carried(e.Original) }) {
			continue
		}
		if err := conntrack.End(ctx, c, e); err != nil {
			return err
		}
	}
	return nil
}
