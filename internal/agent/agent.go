package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"damselfly/handlers"
	"damselfly/handlers/ra"
	"damselfly/handlers/reason"
	"damselfly/internal/bridge"
	"damselfly/internal/capture"
	"damselfly/internal/config"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/punt"
	"damselfly/internal/store"
	"damselfly/internal/timers"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Options are what `damselfly run` was told.
type Options struct {
	// Config is the configuration's file or directory.
	Config string
	// OVSDB is the database's endpoint.
	OVSDB string
	// TakeOver serves a bridge although that breaks what it does now.
	TakeOver bool
	// Capture is a file that punted frames and replies are written to; "" for none.
	Capture string
	Log     *slog.Logger
}

// Agent serves one bridge. Fields without a comment are set before anything
// runs and never again.
type Agent struct {
	o      Options
	log    *slog.Logger
	store  *store.Store
	db     *ovsdb.Client
	lock   *bridge.Lock
	ids    bridge.IDs
	stats  *pipeline.Stats
	lanes  []*openflow.Lane
	memory *timers.Memory
	owner  *timers.Owner
	tap    *capture.Tap

	// ring holds one token while an input may have changed.
	ring chan struct{}
	// snapshot is what is served; nil until the first one.
	snapshot atomic.Pointer[topology.Snapshot]
	// generation counts the snapshots published, for the limits.
	generation atomic.Uint64

	// state belongs to the goroutine of reconcile.
	state state

	mu     sync.Mutex
	config *config.Config // guarded by mu; the one in force
	conn   *openflow.Conn // guarded by mu; nil while there is none
	status Status         // guarded by mu
	served topology.Keys  // guarded by mu; the keys in use
}

// Run serves until ctx ends or a SIGINT or SIGTERM comes, and then stops in
// order. It returns an error only for what waiting can't mend: a configuration
// that is wrong at the start, a bridge somebody else serves, a take-over that
// nobody asked for.
func Run(ctx context.Context, o Options) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(o.Config)
	if err != nil {
		return err
	}
	a := &Agent{
		o: o, log: o.Log, config: cfg, ring: make(chan struct{}, 1),
		ids:   bridge.IDs{FirstGroup: cfg.IDs.Groups, FirstMeter: cfg.IDs.Meters},
		stats: pipeline.NewStats(punt.Lanes, int(punt.Classes), reason.Count),
	}
	if a.store, err = store.Open(cfg.State, a.log); err != nil {
		return err
	}
	defer a.store.Close()
	if a.db, err = ovsdb.Dial(ctx, o.OVSDB, cfg.Bridge, a.log); err != nil {
		return err
	}
	defer a.db.Close()
	if o.Capture != "" {
		if a.tap, err = capture.Start(o.Capture, capture.Config{Reason: handlers.ReasonName, Log: a.log}); err != nil {
			return err
		}
		defer a.closeCapture()
	}
	view, err := a.meet(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	defer a.lock.Release()
	return a.serve(ctx, view)
}

// serve runs the parts and stops them in the order that no guest sees half of
// it: first the pulse, so that the switch takes over, then the lanes with the
// frames they hold, then the rest.
func (a *Agent) serve(ctx context.Context, view ovsdb.View) error {
	var err error
	a.memory, err = timers.NewMemory(timers.MemoryConfig{
		Store: a.store, Clock: store.ReadClock, Ended: a.changed, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.owner = timers.New(timers.Config{
		Sink: sink{a}, Said: a.said, Log: a.log,
		Compose: ra.Multicast,
	})
	target := "unix:" + view.ManagementSocket()
	for n := range punt.Lanes {
		a.lanes = append(a.lanes, openflow.NewLane(openflow.Target(target), n, a.log))
	}
	api, err := a.listen()
	if err != nil {
		return err
	}

	lanesCtx, stopLanes := context.WithCancel(context.WithoutCancel(ctx))
	lanesDone := make(chan error, 1)
	go func() { lanesDone <- a.runLanes(lanesCtx) }()

	var parts sync.WaitGroup
	run := func(part func(context.Context) error) {
		parts.Go(func() {
			if err := part(ctx); err != nil && !errors.Is(err, context.Canceled) {
				a.log.Error("a part of Damselfly stopped", "error", err)
			}
		})
	}
	run(a.owner.Run)
	run(a.memory.Run)
	run(a.watchConfig)
	run(a.watchDatabase)
	run(func(ctx context.Context) error { return a.maintain(ctx, target) })
	run(api.serve)
	a.log.Info("serving", "bridge", view.BridgeName, "config", a.o.Config)
	a.reconcileLoop(ctx)

	a.state.closePulse(a.log)
	stopLanes()
	err = <-lanesDone
	parts.Wait()
	a.log.Info("stopped; flows stay and guests answer each other", "bridge", view.BridgeName)
	return err
}

// closeCapture ends the capture once nothing is added to it any more.
func (a *Agent) closeCapture() {
	if err := a.tap.Close(); err != nil {
		a.log.Error("the capture is not whole", "file", a.o.Capture, "error", err)
	}
	if n := a.tap.Lost(); n > 0 {
		a.log.Warn("frames missing from the capture", "file", a.o.Capture, "frames", n)
	}
}

func (a *Agent) runLanes(ctx context.Context) error {
	c := pipeline.Config{
		Handler:    handlers.Bind(a.snapshot.Load, time.Now, a.log),
		Limit:      a.limit,
		Generation: a.generation.Load,
		Stats:      a.stats,
		Log:        a.log,
	}
	if a.tap != nil {
		c.Tap = a.tap.Batch
	}
	for _, l := range a.lanes {
		c.Lanes = append(c.Lanes, pipeline.Lane{Source: l, Sink: l})
	}
	return pipeline.Run(ctx, c)
}

// limit gives the pipeline a port's budget for a class.
func (a *Agent) limit(port uint16, class uint8) pipeline.Limit {
	snap := a.snapshot.Load()
	if snap == nil {
		return pipeline.Limit{} // flows of an earlier run punt before there is anything to answer by
	}
	p := snap.Port(port)
	if p == nil || int(class) >= len(p.Limits) {
		return pipeline.Limit{}
	}
	l := p.Limits[class]
	return pipeline.Limit{Rate: l.Rate, Burst: l.Burst, Unlimited: l == topology.Unlimited}
}

// sink sends what the timers' owner makes through whatever connection there is.
type sink struct{ a *Agent }

var errNoConn = errors.New("no connection to the bridge")

// WriteReplies implements pipeline.Sink.
func (s sink) WriteReplies(r *pipeline.Replies) error {
	c := s.a.connection()
	if c == nil {
		return errNoConn
	}
	return c.WriteReplies(r)
}

func (a *Agent) connection() *openflow.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn
}

func (a *Agent) setConnection(c *openflow.Conn) {
	a.mu.Lock()
	a.conn = c
	a.mu.Unlock()
	a.changed()
}

func (a *Agent) said(network string, linkLocal netip.Addr) {
	a.memory.Said(network, linkLocal)
	a.changed()
}

// changed rings for a reconcile; it never waits.
func (a *Agent) changed() {
	select {
	case a.ring <- struct{}{}:
	default:
	}
}

// maintain keeps a connection for changes and dumps.
func (a *Agent) maintain(ctx context.Context, target string) error {
	reported := false
	dial := func(ctx context.Context) (*openflow.Conn, error) {
		return openflow.Dial(ctx, target, openflow.Options{Log: a.log})
	}
	use := func(ctx context.Context, c *openflow.Conn) error {
		reported = false
		a.log.Info("connected to the bridge", "target", target)
		a.setConnection(c)
		defer a.setConnection(nil)
		select {
		case <-c.Done():
			return c.Err()
		case <-ctx.Done():
			return nil
		}
	}
	return openflow.Maintain(ctx, dial, use, func(err error) {
		if !reported {
			reported = true
			a.log.Warn("no connection to the bridge, trying on", "error", err)
		}
	})
}

// watchConfig takes over a changed configuration, on SIGHUP and when its files
// change; a wrong one changes nothing.
func (a *Agent) watchConfig(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	watched := make(chan error, 1)
	go func() { watched <- config.Watch(ctx, a.o.Config, a.reload) }()
	for {
		select {
		case err := <-watched:
			if ctx.Err() != nil {
				return nil
			}
			a.log.Error("the configuration is not watched any more; SIGHUP still reloads it", "error", err)
		case <-hup:
			a.reload(config.Load(a.o.Config))
		case <-ctx.Done():
			return nil
		}
	}
}

// reload puts a configuration that was read anew in force.
func (a *Agent) reload(cfg *config.Config, err error) {
	if err != nil {
		a.log.Error("the changed configuration is wrong, the old one stays in force", "mistakes", err)
		a.note(func(s *Status) { s.ConfigError = err.Error() })
		return
	}
	a.mu.Lock()
	old := a.config
	a.config = cfg
	a.status.ConfigError = ""
	a.mu.Unlock()
	if fixed := fixedChanges(old, cfg); len(fixed) > 0 {
		a.log.Warn("these settings are read at the start only; restart to change them", "settings", fixed)
	}
	a.log.Info("configuration reloaded", "config", a.o.Config)
	a.changed()
}

// fixedChanges names the settings that differ and that a running Damselfly
// can't change.
func fixedChanges(old, cfg *config.Config) (names []string) {
	for _, s := range []struct {
		name string
		same bool
	}{
		{"bridge", old.Bridge == cfg.Bridge},
		{"state", old.State == cfg.State},
		{"api", old.API == cfg.API},
		{"punt", old.Punt == cfg.Punt},
		{"ids", old.IDs == cfg.IDs},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	return names
}

// watchDatabase rings whenever the database's view changed.
func (a *Agent) watchDatabase(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.db.Changed():
			a.changed()
		}
	}
}

// closePulse lets the pulse fall: from here on the switch serves alone.
func (s *state) closePulse(log *slog.Logger) {
	if s.pulse == nil {
		return
	}
	if err := s.pulse.Close(); err != nil {
		log.Warn("closing the pulse port", "error", err)
	}
	s.pulse = nil
}

// openPulse raises the pulse; without the right to it, punts simply have
// nowhere to go while Damselfly is away.
func (s *state) openPulse(name string) error {
	if s.pulse != nil {
		return nil
	}
	tap, err := pulse.Open(name)
	if err != nil {
		return fmt.Errorf("opening the pulse port %s: %w", name, err)
	}
	s.pulse = tap
	return nil
}
