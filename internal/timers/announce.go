package timers

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Protocol constants of nodes (RFC 4861 section 10).
const (
	// maxNeighborAdvert is MAX_NEIGHBOR_ADVERTISEMENT.
	maxNeighborAdvert = 3
	// retransTimer is RETRANS_TIMER, which parts those of one address: "these
	// advertisements MUST be separated by at least RetransTimer seconds" (RFC
	// 4861 section 7.2.6).
	retransTimer = time.Second
)

// Bounds of what many moves at once cost the networks.
const (
	// maxPending is how many addresses are being announced at a time. What moves
	// beyond that, neighbours find out by themselves (RFC 4861 section 7.3).
	maxPending = 8192
	// announceBatch is how many go out at once, announcePause what lies between:
	// 1,280 a second.
	announceBatch = 64
	announcePause = 50 * time.Millisecond
)

// AnnouncerConfig is what an Announcer needs.
type AnnouncerConfig struct {
	// Sink takes the advertisements. Its WriteReplies is called by Run's
	// goroutine alone.
	Sink pipeline.Sink
	// Compose writes the frame that tells n at now of its address a, which o holds, or
	// nothing where that is o's own to tell.
	Compose func(n *topology.Network, o topology.Owner, a netip.Addr, now time.Time, r *pipeline.Replies)
	// Log reports when sending begins to fail and works again; nil discards.
	Log *slog.Logger
}

// Announcer tells the nodes of a network of each address that is at another
// place than before: another port has it, its port is at another Interface, or
// its MAC is another (RFC 4861 section 7.2.6). What is new altogether is in nobody's
// cache and is not announced, but for what floats, nor is anything that moved while no Announcer ran.
type Announcer struct {
	c       AnnouncerConfig
	replies *pipeline.Replies
	nudge   chan struct{}
	sent    atomic.Uint64
	failing bool // Run's

	snapshot *topology.Snapshot              // Run's; the one adopted last
	known    map[string]map[netip.Addr]*seen // Run's; by network name
	pending  map[spot]*announcement          // Run's

	mu     sync.Mutex
	wanted *topology.Snapshot // guarded by mu; nil once Run took it
}

// spot is an address on a network.
type spot struct {
	network string
	addr    netip.Addr
}

// announcement is what is still to be said of an address.
type announcement struct {
	due  time.Time
	left int
}

// NewAnnouncer returns an Announcer that takes its first Update as what is known
// already.
func NewAnnouncer(c AnnouncerConfig) *Announcer {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Announcer{
		c: c, replies: pipeline.NewReplies(8192), nudge: make(chan struct{}, 1),
		known: make(map[string]map[netip.Addr]*seen), pending: make(map[spot]*announcement),
	}
}

// Update makes s, whose flows are in, what is true. It does not wait; of several
// calls in quick succession the last counts.
func (c *Announcer) Update(s *topology.Snapshot) {
	c.mu.Lock()
	c.wanted = s
	c.mu.Unlock()
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// Sent returns how many announcements went out.
func (c *Announcer) Sent() uint64 { return c.sent.Load() }

// Run announces until ctx ends and then returns nil.
func (c *Announcer) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.nudge:
			c.mu.Lock()
			s := c.wanted
			c.mu.Unlock()
			c.adopt(s, time.Now())
		case <-timer.C:
		}
		timer.Reset(c.announce(time.Now()))
	}
}

// adopt finds out what moved.
func (c *Announcer) adopt(s *topology.Snapshot, now time.Time) {
	before := c.snapshot
	c.snapshot = s
	present := make(map[string]bool, len(s.Networks))
	refused := 0
	for _, n := range s.Networks {
		present[n.Name] = true
		if before != nil && before.Network(n.Key) == n {
			continue
		}
		if c.known[n.Name] == nil {
			c.known[n.Name] = make(map[netip.Addr]*seen)
		}
		for _, a := range moves(c.known[n.Name], n, now, before != nil) {
			at := spot{n.Name, a}
			if c.pending[at] == nil && len(c.pending) >= maxPending {
				refused++
				continue
			}
			due := now
			if earliest := c.known[n.Name][a].said.Add(retransTimer); earliest.After(due) {
				due = earliest
			}
			c.pending[at] = &announcement{due: due, left: maxNeighborAdvert}
		}
	}
	for name := range c.known {
		if !present[name] {
			delete(c.known, name)
		}
	}
	if refused > 0 {
		c.c.Log.Warn("more addresses moved at once than are announced; neighbours find the rest by themselves", "addresses", refused)
	}
}

// announce sends what is due, and returns how long nothing is.
func (c *Announcer) announce(now time.Time) time.Duration {
	var due []spot
	next := time.Hour
	for at, p := range c.pending {
		if wait := p.due.Sub(now); wait <= 0 {
			due = append(due, at)
		} else {
			next = min(next, wait)
		}
	}
	slices.SortFunc(due, func(a, b spot) int {
		return cmp.Or(c.pending[a].due.Compare(c.pending[b].due), cmp.Compare(a.network, b.network), a.addr.Compare(b.addr))
	})
	if len(due) > announceBatch {
		due, next = due[:announceBatch], announcePause
	}
	c.replies.Reset()
	for _, at := range due {
		n := c.snapshot.NetworkNamed(at.network)
		if n == nil {
			delete(c.pending, at)
		} else if o, _, ok := placeOf(n, at.addr); ok {
			made := len(c.replies.List())
			if c.c.Compose(n, o, at.addr, now, c.replies); len(c.replies.List()) == made {
				delete(c.pending, at) // it is not Damselfly's to tell
			}
		} else {
			// It left again. Wherever it comes back, it is announced anew.
			delete(c.pending, at)
			if s := c.known[at.network][at.addr]; s != nil {
				s.place = place{}
			}
		}
	}
	if len(c.replies.List()) == 0 {
		return next
	}
	err := c.c.Sink.WriteReplies(c.replies)
	c.report(err)
	for _, at := range due {
		p := c.pending[at]
		if p == nil {
			continue
		}
		p.due = now.Add(retransTimer)
		if err == nil {
			c.sent.Add(1)
			c.known[at.network][at.addr].said = now
			if p.left--; p.left == 0 {
				delete(c.pending, at)
				continue
			}
		}
		next = min(next, retransTimer)
	}
	return next
}

// report logs the first failure of a run and its end.
func (c *Announcer) report(err error) {
	switch {
	case err != nil && !c.failing:
		c.c.Log.Warn("addresses that moved are not announced; trying on", "error", err)
	case err == nil && c.failing:
		c.c.Log.Info("addresses that moved are announced again")
	}
	c.failing = err != nil
}
