package neighbor

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Router is a default router that was heard (RFC 4861 section 6.3.4).
type Router struct {
	Place
	// Preference is 1, 0 or -1 (RFC 4191 section 2.2), Until the uptime at which
	// its lifetime ends.
	Preference int8
	Until      time.Duration
}

// RoutersMost is how many default routers of one network are kept: RFC 4861
// section 6.3.4 asks for two at least, and somebody may invent more than that.
const RoutersMost = 8

// Times of asking for routers: the first three times (RFC 4861 section 10,
// RTR_SOLICITATION_INTERVAL), and what the interval grows to while nobody
// answers (RFC 7559 section 2, MRT).
const (
	RouterInterval    = 4 * time.Second
	MaxRouterInterval = time.Hour
)

// Routers is the Default Router List of all networks. It is one goroutine's.
type Routers struct {
	list    []Router // by network and address
	asking  map[string]*quest
	changed bool
	renewed bool
}

// quest is how a network without routers is asked for one.
type quest struct {
	due, interval time.Duration
	asked         bool
}

// Heard takes a Router Advertisement with a router lifetime; 0 ends the router.
func (l *Routers) Heard(now time.Duration, p Place, lifetime time.Duration, preference int8) {
	i, found := slices.BinarySearchFunc(l.list, p, compareRouter)
	switch {
	case lifetime == 0 && found:
		l.list, l.changed = slices.Delete(l.list, i, i+1), true
	case lifetime == 0:
	case found:
		l.renewed = true
		l.changed = l.changed || l.list[i].Preference != preference
		l.list[i].Preference, l.list[i].Until = preference, now+lifetime
	case l.count(p.Network) < RoutersMost:
		l.list, l.changed = slices.Insert(l.list, i, Router{Place: p, Preference: preference, Until: now + lifetime}), true
	}
}

func compareRouter(r Router, p Place) int {
	return cmp.Or(strings.Compare(r.Network, p.Network), r.Addr.Compare(p.Addr))
}

func (l *Routers) count(network string) (n int) {
	for i := range l.list {
		if l.list[i].Network == network {
			n++
		}
	}
	return n
}

// Recall takes routers that were known before a restart.
func (l *Routers) Recall(now time.Duration, list []Router) {
	for _, r := range list {
		if r.Until > now {
			l.Heard(now, r.Place, r.Until-now, r.Preference)
		}
	}
	l.changed = false
}

// Gone forgets a router that said it is none any more (RFC 4861 section 7.3.3).
func (l *Routers) Gone(p Place) { l.Heard(0, p, 0, 0) }

// Serve makes these the networks where routers are listened to; those of others
// are forgotten.
func (l *Routers) Serve(now time.Duration, networks []string) {
	n := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(r Router) bool { return !slices.Contains(networks, r.Network) })
	l.changed = l.changed || len(l.list) != n
	before := l.asking
	l.asking = make(map[string]*quest, len(networks))
	for _, name := range networks {
		if l.asking[name] = before[name]; l.asking[name] == nil {
			l.asking[name] = &quest{due: now, interval: RouterInterval}
		}
	}
}

// Tick ends lifetimes and calls ask for each network that is to be asked for
// routers. It returns how long there is nothing to do.
func (l *Routers) Tick(now time.Duration, ask func(network string)) (rest time.Duration) {
	rest = Idle
	n := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(r Router) bool { return r.Until <= now })
	l.changed = l.changed || len(l.list) != n
	for i := range l.list {
		rest = min(rest, l.list[i].Until-now)
	}
	for name, q := range l.asking {
		// One that was known before a restart may have changed meanwhile.
		if q.asked && l.count(name) > 0 {
			q.due, q.interval = now+RouterInterval, RouterInterval
			continue
		}
		if q.due <= now {
			ask(name)
			q.asked = true
			q.due, q.interval = now+q.interval, min(2*q.interval, MaxRouterInterval)
		}
		rest = min(rest, q.due-now)
	}
	return rest
}

// Changed reports whether a router came, went or changed since the last call.
func (l *Routers) Changed() bool {
	changed := l.changed
	l.changed = false
	return changed
}

// Renewed reports whether a lifetime began anew since the last call.
func (l *Routers) Renewed() bool {
	renewed := l.renewed
	l.renewed = false
	return renewed
}

// List returns the routers by network and address; it is a copy.
func (l *Routers) List() []Router { return slices.Clone(l.list) }

// On reports whether an address is that of a default router of the network.
func (l *Routers) On(network string, a netip.Addr) bool {
	_, found := slices.BinarySearchFunc(l.list, Place{network, a}, compareRouter)
	return found
}
