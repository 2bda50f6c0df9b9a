package agent

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"damselfly/handlers"
	"damselfly/handlers/learn"
	"damselfly/handlers/ra"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/handlers/secure"
	"damselfly/internal/send"
	"damselfly/internal/slowlane"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Places of the lane that verifies and signs: a message takes a millisecond or two
// there, so those that wait longest wait for a second or two.
const (
	securePlaces = 512
	secureShare  = 8
)

// secured is the lane that verifies signatures and makes them, beside the one that
// changes leases and addresses, which it hands on to.
type secured struct {
	a      *Agent
	shared *secure.Shared
	owner  *slowlane.Owner
	// onward leads to the slow lane.
	onward  *slowlane.Ring
	decider *handlers.Decider
	snap    *topology.Snapshot // what the peers were last held against; the owner's
	// dated are networks whose certificates' dates were found wrong, and when that was told.
	dated map[string]time.Time
}

// newSecured sets the lane up; wake is the slow lane's.
func (a *Agent) newSecured(wake chan struct{}) *secured {
	c := &secured{a: a, dated: map[string]time.Time{}, shared: secure.NewShared(), onward: slowlane.NewRing(slowPlaces, slowShare, wake)}
	own := make(chan struct{}, 1)
	c.owner = &slowlane.Owner{
		Wake: own, Decide: c.decide, Tick: c.tick, Sink: a.sink, Log: a.log,
		Count: func(port uint16, class uint8, r pipeline.Reason) {
			if r != reason.HandedOver {
				a.stats.Add(lanes+1, port, class, r)
			}
		},
	}
	for range lanes {
		c.owner.Rings = append(c.owner.Rings, slowlane.NewRing(securePlaces, secureShare, own))
	}
	c.decider = handlers.NewDecider(handlers.Services{
		Learn: &learn.Lane{Slow: c.onward}, Resolve: &resolve.Lane{Slow: c.onward},
		Secure: &secure.Lane{Shared: c.shared, Verifies: true},
	}, a.log)
	return c
}

// decide verifies and answers a group of messages.
func (c *secured) decide(batch []slowlane.Request, r *pipeline.Replies, reasons []pipeline.Reason) {
	snap := c.a.snapshot.Load()
	c.revise(snap)
	for i := range batch {
		reasons[i] = c.decider.DecideAddress(snap, time.Now(), &batch[i].Frame, r)
	}
	c.onward.Wake()
}

// revise forgets who signed where the topology has changed.
func (c *secured) revise(snap *topology.Snapshot) {
	if snap == c.snap || snap == nil {
		return
	}
	c.snap = snap
	c.shared.Peers.Revise(func(p send.Peer, port string) bool {
		n, on := snap.NetworkNamed(p.Network), snap.PortNamed(port)
		return n != nil && n.Send != nil && on != nil && on.Network.Key == n.Key
	})
}

// tick forgets who has not signed for long.
func (c *secured) tick(*pipeline.Replies) time.Duration {
	c.revise(c.a.snapshot.Load())
	now := time.Now()
	c.shared.Peers.Expire(now)
	c.warn(now)
	return time.Minute
}

// warn tells, once a day, of certificates that hosts will not take, or not for long.
func (c *secured) warn(now time.Time) {
	if c.snap == nil {
		return
	}
	maps.DeleteFunc(c.dated, func(name string, _ time.Time) bool { return c.snap.NetworkNamed(name) == nil })
	for _, n := range c.snap.Networks {
		if !n.Signs() || n.Send.Identity.Chain == nil {
			continue
		}
		what, _ := n.Send.Identity.Chain.Dated(now)
		switch told, again := c.dated[n.Name]; {
		case what == "":
			delete(c.dated, n.Name)
		case !again || now.Sub(told) >= 24*time.Hour:
			c.dated[n.Name] = now
			c.a.log.Warn(what, "network", n.Name)
		}
	}
}

// signers are the identities that sign for networks, and those that did until their end
// was told. They are for anybody.
type signers struct{ known sync.Map } // signer to *send.Identity

// signer is one's network by its key, and its address.
type signer struct {
	network uint16
	addr    netip.Addr
}

// publish takes those of a snapshot that is served, and drops those whose network is
// gone: nobody is left to be told.
func (s *signers) publish(snap *topology.Snapshot) {
	for _, n := range snap.Networks {
		if n.Signs() {
			s.known.Store(signer{n.Key, n.Send.Identity.Address}, n.Send.Identity)
		}
	}
	s.known.Range(func(at, _ any) bool {
		if snap.Network(at.(signer).network) == nil {
			s.known.Delete(at)
		}
		return true
	})
}

// said drops one whose end is told, unless it is served again by now.
func (s *signers) said(network string, a netip.Addr, snap *topology.Snapshot) {
	if n := snap.NetworkNamed(network); n != nil && !(n.Signs() && n.Send.Identity.Address == a) {
		s.known.Delete(signer{n.Key, a})
	}
}

// composeAdverts writes unsolicited advertisements, signed where they are those of a
// router that signs, or that did: what is not secured changes nothing for a host that
// signs (RFC 3971 section 8), so that it would keep a router that is no more. Who
// signed in another life of Damselfly, with a key or modifier that is gone, is taken
// back unsigned.
func (a *Agent) composeAdverts(network uint16, mac wire.MAC, linkLocal netip.Addr, adverts []topology.Advert, now time.Time, r *pipeline.Replies) {
	if id, signs := a.signers.known.Load(signer{network, linkLocal}); signs {
		ra.MulticastSigned(network, mac, id.(*send.Identity), adverts, now, r)
		return
	}
	ra.Multicast(network, mac, linkLocal, adverts, now, r)
}

// byPort are the addresses that guests sign for, sorted, by their ports.
func (c *secured) byPort() map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for p, port := range c.shared.Peers.Each {
		out[port] = append(out[port], p.Addr)
	}
	for _, list := range out {
		slices.SortFunc(list, netip.Addr.Compare)
	}
	return out
}

// signatures tells of signed messages.
func (c collector) signatures(counter func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string)) {
	shared := c.a.secured.shared
	counter(signedDesc, shared.Verified.Load(), "good")
	for f := range shared.Faults {
		if n := shared.Faults[f].Load(); n > 0 {
			counter(signedDesc, n, send.Fault(f).String())
		}
	}
	if snap := c.a.snapshot.Load(); snap != nil {
		for _, n := range snap.Networks {
			if n.Signs() && n.Send.Identity.Chain != nil {
				gauge(certifiedDesc, float64(n.Send.Identity.Chain.Until().Unix()), n.Name)
			}
		}
	}
	n := 0
	for range shared.Peers.Each {
		n++
	}
	gauge(securedDesc, float64(n))
}
