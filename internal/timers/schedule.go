package timers

import (
	"math/rand/v2"
	"time"

	"damselfly/internal/topology"
)

// Protocol constants of routers (RFC 4861 section 10).
const (
	// maxInitialInterval is MAX_INITIAL_RTR_ADVERT_INTERVAL.
	maxInitialInterval = 16 * time.Second
	// maxInitial is MAX_INITIAL_RTR_ADVERTISEMENTS.
	maxInitial = 3
	// maxFinal is MAX_FINAL_RTR_ADVERTISEMENTS.
	maxFinal = 3
	// minDelay is MIN_DELAY_BETWEEN_RAS, between multicast ones of one network.
	minDelay = 3 * time.Second
	// maxFirstDelay is MAX_RA_DELAY_TIME. RFC 4861 section 6.2.4 leaves open
	// when the first advertisement goes; it waits no longer than one that was
	// asked for.
	maxFirstDelay = 500 * time.Millisecond
)

// spreadStep is by how much each further network that begins in the same
// moment stretches the time over which their first advertisements are spread:
// 250 a second, until maxInitialInterval bounds it.
const spreadStep = 4 * time.Millisecond

// entry is one network's place in the schedule.
type entry struct {
	net   *topology.Network
	due   time.Time // zero: nothing to send
	index int       // in the queue

	// next is when the network's own advertisement is wanted; zero if it is not
	// advertised. initial is how many more go out in quick succession.
	next    time.Time
	initial int
	// last is the latest multicast advertisement, of whatever router.
	last      time.Time
	farewells []*farewell
	// said are the former routers that need no more farewells although the
	// snapshot still lists them.
	said   map[identity]bool
	counts Counts
}

// begin starts the quick succession of a network that begins to be advertised
// or whose information changed: "the router MAY transmit up to
// MAX_INITIAL_RTR_ADVERTISEMENTS unsolicited advertisements, using the same
// rules as when an interface becomes an advertising interface" (RFC 4861
// section 6.2.4). It never puts off what was due before.
func (e *entry) begin(first time.Time) {
	e.initial = maxInitial
	if e.next.IsZero() || first.Before(e.next) {
		e.next = first
	}
}

// sent plans the advertisement after one that went out.
func (e *entry) sent(now time.Time, random *rand.Rand) {
	e.last = now
	e.initial = max(e.initial-1, 0)
	e.next = now.Add(e.interval(random))
}

// failed plans the advertisement after one that may not have gone out: soon,
// since guests may have missed it.
func (e *entry) failed(now time.Time, random *rand.Rand) {
	e.last = now
	e.next = now.Add(retryDelay(random))
}

// retryDelay is the time until a failed advertisement is tried again.
func retryDelay(random *rand.Rand) time.Duration {
	return between(minDelay, maxInitialInterval, random)
}

// interval draws the time to the next advertisement: "a uniformly distributed
// random value between the interface's configured MinRtrAdvInterval and
// MaxRtrAdvInterval", and for the first few "if the randomly chosen interval is
// greater than MAX_INITIAL_RTR_ADVERT_INTERVAL, the timer SHOULD be set to
// MAX_INITIAL_RTR_ADVERT_INTERVAL instead" (RFC 4861 section 6.2.4).
func (e *entry) interval(random *rand.Rand) time.Duration {
	t := e.net.Advertising
	d := between(t.MinInterval, t.MaxInterval, random)
	if e.initial > 0 {
		d = min(d, maxInitialInterval)
	}
	return d
}

// plan sets due to the earliest of what is wanted, but not within minDelay of
// the last: "consecutive Router Advertisements sent to the all-nodes multicast
// address MUST be rate limited to no more than one advertisement every
// MIN_DELAY_BETWEEN_RAS seconds" (RFC 4861 section 6.2.6).
func (e *entry) plan() {
	e.due = e.next
	for _, f := range e.farewells {
		if e.due.IsZero() || f.next.Before(e.due) {
			e.due = f.next
		}
	}
	if earliest := e.last.Add(minDelay); !e.due.IsZero() && !e.last.IsZero() && e.due.Before(earliest) {
		e.due = earliest
	}
	e.counts.NextDue = e.due
}

// firstDelay is a random delay before the first advertisement of one of n
// networks that begin in the same moment, so that many make no burst.
func firstDelay(n int, random *rand.Rand) time.Duration {
	bound := min(max(maxFirstDelay, time.Duration(n)*spreadStep), maxInitialInterval)
	return between(0, bound, random)
}

// between draws uniformly from low to high, both included.
func between(low, high time.Duration, random *rand.Rand) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(random.Int64N(int64(high-low)+1))
}
