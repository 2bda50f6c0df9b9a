package timers

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Config is what an Owner needs.
type Config struct {
	// Sink takes the advertisements. Its WriteReplies is called by Run's
	// goroutine alone.
	Sink pipeline.Sink
	// Compose writes the frames of adverts, as they are at now, from the router
	// with this MAC and link-local address to all nodes of the network with
	// this key.
	Compose func(network uint16, mac wire.MAC, linkLocal netip.Addr, adverts []topology.Advert, now time.Time, r *pipeline.Replies)
	// Said is told when all farewells of a former router of a network are out;
	// nil tells nobody. It must not wait.
	Said func(network string, linkLocal netip.Addr)
	// Random is the source of all random delays, used by Run's goroutine
	// alone; nil is one seeded by the runtime.
	Random *rand.Rand
	// Log reports when sending begins to fail and works again; nil discards.
	Log *slog.Logger
}

// Counts are what was sent to one network since it was first seen.
type Counts struct {
	Network string
	// Sent counts unsolicited advertisements, Final those of routers that are
	// gone, Failed both kinds where the sink gave an error. Advertisements that
	// were split over several frames count as one.
	Sent, Final, Failed uint64
	// NextDue is when the next one goes out; zero if none will.
	NextDue time.Time
}

// Owner sends what is due. Only Run's goroutine touches what mu does not guard.
type Owner struct {
	c       Config
	random  *rand.Rand
	replies *pipeline.Replies
	queue   queue
	failing bool // the latest write failed
	// nudge holds one token while there may be a snapshot that Run has not seen.
	nudge chan struct{}

	mu      sync.Mutex
	wanted  *topology.Snapshot // guarded by mu; nil once Run took it
	entries map[string]*entry  // guarded by mu; by network name
}

// New returns an Owner that sends nothing before its first Update.
func New(c Config) *Owner {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Said == nil {
		c.Said = func(string, netip.Addr) {}
	}
	if c.Random == nil {
		c.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return &Owner{
		c: c, random: c.Random, replies: pipeline.NewReplies(2048),
		nudge: make(chan struct{}, 1), entries: make(map[string]*entry),
	}
}

// Update makes s, which is published already, what is advertised. It does not
// wait; of several calls in quick succession the last counts.
func (o *Owner) Update(s *topology.Snapshot) {
	o.mu.Lock()
	o.wanted = s
	o.mu.Unlock()
	select {
	case o.nudge <- struct{}{}:
	default:
	}
}

// Counts returns what was sent, sorted by network.
func (o *Owner) Counts() []Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]Counts, 0, len(o.entries))
	for _, e := range o.entries {
		list = append(list, e.counts)
	}
	slices.SortFunc(list, func(a, b Counts) int { return cmp.Compare(a.Network, b.Network) })
	return list
}

// Run sends until ctx ends and then returns nil, having sent nothing for it:
// guests keep what they know while nobody is running.
func (o *Owner) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if len(o.queue) > 0 {
			timer.Reset(time.Until(o.queue[0].due))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.nudge:
			if s := o.take(); s != nil {
				o.adopt(s, time.Now())
			}
		case <-timer.C:
			o.send(o.queue[0])
		}
	}
}

func (o *Owner) take() *topology.Snapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.wanted
	o.wanted = nil
	return s
}

// send sends what e wanted first: a farewell or its own advertisements.
func (o *Owner) send(e *entry) {
	var said *farewell
	for _, f := range e.farewells {
		if said == nil || f.next.Before(said.next) {
			said = f
		}
	}
	if said != nil && !e.next.IsZero() && e.next.Before(said.next) {
		said = nil
	}
	o.replies.Reset()
	if said != nil {
		o.c.Compose(e.net.Key, said.from.mac, said.from.linkLocal, said.adverts, time.Now(), o.replies)
	} else {
		o.c.Compose(e.net.Key, e.net.Router.MAC, e.net.Router.LinkLocal, e.net.Adverts, time.Now(), o.replies)
	}
	err := o.c.Sink.WriteReplies(o.replies)
	o.report(e.net.Name, err)

	o.mu.Lock()
	o.settle(e, said, time.Now(), err)
	o.mu.Unlock()
	if said != nil && said.left == 0 {
		o.c.Said(e.net.Name, said.from.linkLocal)
	}
}

// settle counts what send did and plans what e sends next. A failure moves
// this entry alone; the others stay where they are.
func (o *Owner) settle(e *entry, said *farewell, now time.Time, err error) {
	switch {
	case said != nil && err == nil:
		e.counts.Final++
		e.last, said.next = now, now.Add(minDelay)
		if said.left--; said.left == 0 {
			e.finish(said)
		}
	case said != nil:
		e.counts.Failed++
		e.last, said.next = now, now.Add(retryDelay(o.random))
	case err == nil:
		e.counts.Sent++
		e.sent(now, o.random)
	default:
		e.counts.Failed++
		e.failed(now, o.random)
	}
	e.plan()
	o.queue.place(e)
}

// report logs the first failure of a run and its end: a switch that is away
// fails every network.
func (o *Owner) report(network string, err error) {
	switch {
	case err != nil && !o.failing:
		o.c.Log.Warn("unsolicited advertisements are not sent; trying on", "network", network, "error", err)
	case err == nil && o.failing:
		o.c.Log.Info("unsolicited advertisements are sent again", "network", network)
	}
	o.failing = err != nil
}
