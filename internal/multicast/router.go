package multicast

import (
	"net/netip"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// The times and counts of Multicast Router Discovery, as RFC 4286 has them by default;
// none is to be configured here, though its section 3.1 would have them all be.
const (
	// AdvertInterval is the time between two advertisements (section 3.1.1).
	AdvertInterval = 20 * time.Second
	// jitterPart is one part in so many of an interval by which an advertisement may come
	// sooner or later (section 3.1.2).
	jitterPart   = 40
	advertJitter = AdvertInterval / jitterPart
	// initialInterval is the longest time between the first ones (section 3.1.3), of which
	// there are initialAdverts (section 3.1.4).
	initialInterval = 2 * time.Second
	initialAdverts  = 3
	// responseDelay is the longest that who asks waits for one (section 6, MAX_RESPONSE_DELAY).
	responseDelay = 2 * time.Second
	// advertGap keeps advertisements to ten a second (section 3.1.6).
	advertGap = time.Second / 10
	// deadAfter is how many intervals a router is known that says nothing, each as long as
	// it may be (section 3.1.5).
	deadAfter = 3
	// solicitGap keeps solicitations to three a second, rounded up (sections 4.3 and 6).
	solicitGap = time.Second/3 + 1
)

// mostRouters is how many multicast routers are told apart behind one port.
const mostRouters = 16

// speaker is a multicast router: who told that it is one, and where.
type speaker struct {
	port string
	addr netip.Addr
}

// discovery is who routes multicast on a network.
type discovery struct {
	// routers are those that were heard of, and until when.
	routers map[speaker]time.Duration
	// advertised is the network as it is advertised, nil where it is not; initial
	// is how many of the first advertisements are left, nextAdvert when the next goes out, and
	// advertFrom when it may at the earliest.
	advertised             *topology.Network
	initial                int
	nextAdvert, advertFrom time.Duration
	// ended are the ports where routers are still to be asked whether they are there, solicitFrom
	// is when they may be.
	ended       map[string]bool
	solicitFrom time.Duration
}

// routerAt notes a multicast router.
func (t *Table) routerAt(now time.Duration, n *network, p *port, addr netip.Addr, until time.Duration) {
	s := speaker{p.name, addr}
	if _, known := n.routers[s]; !known {
		var oldest speaker
		there := 0
		for other, at := range n.routers {
			if other.port == p.name {
				if there == 0 || at < n.routers[oldest] {
					oldest = other
				}
				there++
			}
		}
		switch {
		case there == 0:
			t.mark(n)
		case there == mostRouters:
			delete(n.routers, oldest)
		}
	}
	n.routers[s] = max(n.routers[s], until)
}

// Advertised takes a Multicast Router Advertisement of who sends one each interval
// (RFC 4286 section 3.5); 0, which nobody may say, is the default.
func (t *Table) Advertised(now time.Duration, network, at string, source netip.Addr, interval time.Duration) {
	if n, p := t.find(network, at); p != nil {
		if interval == 0 {
			interval = AdvertInterval
		}
		t.routerAt(now, n, p, source, now+deadAfter*(interval+interval/jitterPart))
		t.plan(now, n)
	}
}

// Terminated takes a Multicast Router Termination: who sent it is forgotten at once, and
// who was adopted without an address, which may be the same. Behind an uplink anybody may
// say it for a router, so "a Solicitation is sent" (RFC 4286 section 5.4), by the answer to
// which one that is there is known again; that section would keep it until none has come
// for three intervals, which is as if it had said nothing.
func (t *Table) Terminated(now time.Duration, network, at string, source netip.Addr) {
	n, p := t.find(network, at)
	if p == nil {
		return
	}
	delete(n.routers, speaker{p.name, source})
	delete(n.routers, speaker{p.name, netip.Addr{}})
	t.mark(n)
	n.ended[p.name] = true
	t.solicit(now, n)
	t.plan(now, n)
}

// solicit asks behind the ports where routers are said to have ended, as soon as it may.
func (t *Table) solicit(now time.Duration, n *network) {
	if len(n.ended) == 0 || now < n.solicitFrom {
		return
	}
	n.solicitFrom = now + solicitGap
	for _, at := range sortedKeys(n.ended) {
		t.tell(Event{Kind: Solicit, Network: n.name, Port: at})
	}
	clear(n.ended)
}

// Solicited takes a Multicast Router Solicitation, and reports whether it will be
// answered: "If a Solicitation is received while an Advertisement is pending, that
// Solicitation MUST be ignored" (RFC 4286 section 3.4), which is one that comes as soon as
// an answer has to.
func (t *Table) Solicited(now time.Duration, network string) bool {
	n := t.networks[network]
	if n == nil || n.advertised == nil {
		return false
	}
	if n.nextAdvert > now+responseDelay {
		n.nextAdvert = max(now+t.random(responseDelay), now+1, n.advertFrom)
		t.plan(now, n)
	}
	return true
}

// turnRouters forgets routers, asks for them and advertises.
func (t *Table) turnRouters(now time.Duration, n *network) {
	for s, until := range n.routers {
		if until <= now {
			delete(n.routers, s)
			t.mark(n)
		}
	}
	t.solicit(now, n)
	if n.advertised == nil || n.nextAdvert > now {
		return
	}
	// Its Query Interval and Robustness Variable are those in use on the link (sections 3.2.4 and 3.2.5).
	t.tell(Event{Kind: Advertise, Network: n.name, Query: wire.Query{Interval: n.interval, Robustness: n.robustness}})
	n.advertFrom = now + advertGap
	if n.initial = max(n.initial-1, 0); n.initial > 0 {
		n.nextAdvert = max(now+t.random(initialInterval), n.advertFrom)
		return
	}
	n.nextAdvert = now + AdvertInterval - advertJitter + t.random(2*advertJitter)
}

// Advertiser is who advertises itself as a multicast router on a network.
type Advertiser struct {
	Network   string
	LinkLocal netip.Addr
	MAC       wire.MAC
}

// Advertisers returns who does by now, by network. changed is whether that is another
// than at the last call.
func (t *Table) Advertisers() (list map[string]Advertiser, changed bool) {
	if !t.advertisers {
		return nil, false
	}
	t.advertisers = false
	list = map[string]Advertiser{}
	for name, n := range t.networks {
		if on := n.advertised; on != nil {
			list[name] = Advertiser{Network: name, LinkLocal: on.Router.LinkLocal, MAC: on.Router.MAC}
		}
	}
	return list, true
}

// Remember tells, before a topology is served, who advertised in an earlier life. What
// of it the first topology does not go on with ends.
func (t *Table) Remember(list []Advertiser) { t.remembered = list }

// part ends what is remembered and not gone on with. A network that is gone can be
// told nothing.
func (t *Table) part(s *topology.Snapshot) {
	for _, a := range t.remembered {
		on, n := s.NetworkNamed(a.Network), t.networks[a.Network]
		if on == nil || n != nil && n.advertised != nil && n.advertised.Router.LinkLocal == a.LinkLocal {
			continue
		}
		former := &topology.Network{Ports: on.Ports, Router: &topology.RouterInterface{LinkLocal: a.LinkLocal, MAC: a.MAC}}
		t.tell(Event{Kind: Terminate, Network: a.Network, Former: former})
	}
	if t.remembered != nil {
		t.remembered, t.advertisers = nil, true
	}
}

// advertise begins, goes on or ends advertising a network as it is now; nil ends. That
// Damselfly itself stops ends nothing: its flows go on routing.
func (t *Table) advertise(now time.Duration, n *network, on *topology.Network) {
	if on != nil && (!n.conf.RouterDiscovery || !n.may()) {
		on = nil
	}
	if old := n.advertised; old != nil && (on == nil || on.Router.LinkLocal != old.Router.LinkLocal) {
		t.tell(Event{Kind: Terminate, Network: n.name, Former: old})
		n.advertised, t.advertisers = nil, true
	}
	if n.advertised == nil && on != nil {
		n.initial, n.nextAdvert = initialAdverts, max(now+t.random(initialInterval), n.advertFrom)
	}
	if old := n.advertised; (old == nil) != (on == nil) || on != nil && old.Router.MAC != on.Router.MAC {
		t.advertisers = true
	}
	n.advertised = on
	if on == nil {
		n.nextAdvert = 0
	}
}
