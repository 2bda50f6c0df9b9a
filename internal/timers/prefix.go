package timers

import (
	"net/netip"
	"time"

	"damselfly/internal/store"
	"damselfly/internal/topology"
)

const (
	// minSlack and maxSlack bound how much longer than promised a record lasts.
	minSlack = time.Minute
	maxSlack = 24 * time.Hour
	// endlessLeft is what is left of an endless valid lifetime when its prefix
	// leaves the configuration: AdvValidLifetime's default (RFC 4861 section
	// 6.2.1). Hosts take it over, since it is above two hours (RFC 4862 section
	// 5.5.3 (e)).
	endlessLeft = 2592000 * time.Second
	// endless is the lifetime that never ends on the wire (RFC 4861 section 4.6.2).
	endless = 0xffffffff * time.Second
)

// slack is how much longer a record lasts than the promise it was made for: a
// quarter of it, within bounds. A record is renewed when half of its slack is
// used up, and those that used a quarter go along in the same write. So there
// is at most one write in a quarter of the slack, for all prefixes of the same
// lifetime together: every 90 minutes for 24 hours, never less than 15 s apart.
func slack(valid time.Duration) time.Duration {
	return min(max(valid/4, minSlack), maxSlack)
}

// promiseKey names a promise.
type promiseKey struct {
	network string
	prefix  netip.Prefix
}

// promise is what guests of a network were told of a prefix. At every moment
// its record ends no earlier than what any advertisement of that moment says.
type promise struct {
	record store.AdvertisedPrefix // as it is on disk; zero: not there

	// configured tells which of the two halves below counts.
	configured         bool
	onLink, autonomous bool
	preferred, valid   time.Duration
	// floor is the end of what was told before these lifetimes, which guests
	// that missed the change may still go by.
	floor store.Deadline

	// deprecated is the record of a prefix that left the configuration, and
	// until its end in the time that this process goes by: fixed once, since a
	// time that moved with every look would be a change of the topology.
	deprecated store.AdvertisedPrefix
	until      time.Time
}

// remember is the promise of a record of an earlier process. Its deadline may
// be of an earlier boot; it is tied to this one.
func remember(now store.Clock, r store.AdvertisedPrefix) *promise {
	p := &promise{record: r}
	p.end(now, r, store.NewDeadline(now, r.ValidUntil.Remaining(now)))
	return p
}

// configure makes the promise what a subnet of the configuration says.
func (p *promise) configure(now store.Clock, s *topology.Subnet) {
	valid := s.Valid
	if valid >= endless {
		valid = store.Infinite
	}
	switch {
	case !p.configured:
		p.floor = p.deprecated.ValidUntil
	case valid != p.valid:
		p.floor = later(now, p.floor, store.NewDeadline(now, p.valid))
	}
	p.configured, p.onLink, p.autonomous = true, s.OnLink, s.Autonomous
	p.preferred, p.valid = s.Preferred, valid
}

// deprecate ends the promise: nothing longer is told from now on.
func (p *promise) deprecate(now store.Clock, k promiseKey) {
	r := store.AdvertisedPrefix{Network: k.network, Prefix: k.prefix, OnLink: p.onLink, Autonomous: p.autonomous}
	p.end(now, r, later(now, p.floor, store.NewDeadline(now, p.valid)))
}

func (p *promise) end(now store.Clock, r store.AdvertisedPrefix, until store.Deadline) {
	if until.Lifetime == store.Infinite {
		until = store.NewDeadline(now, endlessLeft)
	}
	r.ValidUntil, r.PreferredUntil = until, store.NewDeadline(now, 0)
	p.configured, p.deprecated, p.until = false, r, now.Wall.Add(until.Remaining(now))
}

// lapsed tells whether nothing is left of the promise.
func (p *promise) lapsed(now store.Clock) bool {
	return !p.configured && p.deprecated.ValidUntil.Remaining(now) == 0
}

// due is how long until the record must be written or forgotten, 0 if at once.
func (p *promise) due(now store.Clock) time.Duration {
	switch {
	case p.configured:
		return p.left(now, 0.5)
	case p.record != p.deprecated:
		return 0
	default:
		return p.deprecated.ValidUntil.Remaining(now)
	}
}

// wanted is the record that is to be on disk from now on.
func (p *promise) wanted(now store.Clock, k promiseKey) store.AdvertisedPrefix {
	if !p.configured {
		return p.deprecated
	}
	r := store.AdvertisedPrefix{Network: k.network, Prefix: k.prefix, OnLink: p.onLink, Autonomous: p.autonomous}
	r.ValidUntil = later(now, p.floor, ahead(now, p.valid))
	r.PreferredUntil = ahead(now, p.preferred)
	return r
}

// ahead is the end of a lifetime told now, with its slack.
func ahead(now store.Clock, lifetime time.Duration) store.Deadline {
	if lifetime >= endless {
		return store.NewDeadline(now, store.Infinite)
	}
	return store.NewDeadline(now, lifetime+slack(lifetime))
}

// left is how long until the record's slack has shrunk to part of what slack
// gives; 0 if it has, or if the record says something else altogether.
func (p *promise) left(now store.Clock, part float64) time.Duration {
	remaining := p.record.ValidUntil.Remaining(now)
	switch {
	case p.record.OnLink != p.onLink || p.record.Autonomous != p.autonomous:
		return 0
	case remaining == store.Infinite:
		return store.Infinite
	case p.valid == store.Infinite, p.record.ValidUntil.Boot != now.Boot:
		// In another boot a record goes by the wall clock alone.
		return 0
	}
	return max(remaining-p.valid-time.Duration(part*float64(slack(p.valid))), 0)
}

// later is the deadline that ends last.
func later(now store.Clock, a, b store.Deadline) store.Deadline {
	if a.Remaining(now) > b.Remaining(now) {
		return a
	}
	return b
}
