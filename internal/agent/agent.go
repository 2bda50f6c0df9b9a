package agent

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"damselfly/handlers"
	"damselfly/handlers/nd"
	"damselfly/handlers/reason"
	"damselfly/internal/bridge"
	"damselfly/internal/capture"
	"damselfly/internal/config"
	"damselfly/internal/lease"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/punt"
	"damselfly/internal/puntport"
	"damselfly/internal/send"
	"damselfly/internal/store"
	"damselfly/internal/timers"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// The lanes of the pipeline: one for each connection that takes punted frames, and
// behind them the punt port's.
const (
	portLane = punt.Lanes
	lanes    = punt.Lanes + 1
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
	o       Options
	log     *slog.Logger
	store   *store.Store
	db      *ovsdb.Client
	lock    *bridge.Lock
	ids     bridge.IDs
	stats   *pipeline.Stats
	lanes   []*openflow.Lane
	port    *puntport.Lane
	sink    pipeline.Sink // of all that is no lane's
	memory  *timers.Memory
	owner   *timers.Owner
	moved   *timers.Announcer
	tap     *capture.Tap
	leases  *leases
	secured *secured
	signers signers
	drops   *drops
	tracked *connections
	rules   *ruleLog
	relay   uplink

	metadata *metadataPort

	// ring holds one token while an input may have changed.
	ring chan struct{}
	// snapshot is what is served; nil until the first one.
	snapshot atomic.Pointer[topology.Snapshot]
	// generation counts the snapshots published, for the limits.
	generation atomic.Uint64

	// hup receives SIGHUP.
	hup chan os.Signal
	// started is the configuration at the start; what it fixed stays.
	started *config.Config
	// reloading lets one reload happen at a time.
	reloading sync.Mutex

	// state belongs to the goroutine of reconcile.
	state state

	mu     sync.Mutex
	config *config.Config // guarded by mu; the one in force
	conn   *openflow.Conn // guarded by mu; nil while there is none
	status Status         // guarded by mu
	served topology.Keys  // guarded by mu; the keys in use
	// modifiers are those in use; guarded by mu, and not changed once there.
	modifiers map[string]send.Modifier
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
	raisePriority(o.Log)
	a := &Agent{
		o: o, log: o.Log, config: cfg, started: cfg, ring: make(chan struct{}, 1), hup: make(chan os.Signal, 1),
		ids:   bridge.IDs{FirstGroup: cfg.IDs.Groups, FirstMeter: cfg.IDs.Meters},
		stats: pipeline.NewStats(lanes+2, int(punt.Classes), reason.Count),
		drops: newDrops(), port: puntport.NewLane(o.Log),
	}
	a.sink = a.port.NewSink(sink{a})
	defer a.listenForHUP()()
	if a.store, err = store.Open(cfg.State, a.log); err != nil {
		return err
	}
	defer a.store.Close()
	if a.db, err = ovsdb.Dial(ctx, o.OVSDB, cfg.Bridge, a.log); err != nil {
		return err
	}
	defer a.db.Close()
	if o.Capture != "" {
		if a.tap, err = capture.Start(o.Capture, capture.Config{
			Reason: handlers.ReasonName, Port: a.portName, MaxSize: MaxCapture, Log: a.log,
		}); err != nil {
			return err
		}
		defer a.closeCapture()
	}
	view, err := a.meet(ctx)
	if ctx.Err() != nil {
		return nil // asked to stop before there was anything to serve
	}
	if err != nil {
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
		Sink: a.sink, Said: a.said, Log: a.log,
		Compose: a.composeAdverts,
	})
	a.moved = timers.NewAnnouncer(timers.AnnouncerConfig{Sink: a.sink, Compose: nd.Announce, Log: a.log})
	a.tracked, a.rules = newConnections(a, view.RunDir), newRuleLog(a)
	a.metadata = newMetadataPort(a)
	if a.leases, err = a.openLeases(); err != nil {
		return err
	}
	target := "unix:" + view.ManagementSocket()
	for n := range punt.Lanes {
		a.lanes = append(a.lanes, openflow.NewLane(openflow.Target(target), n, a.log))
	}
	api, err := a.listen()
	if err != nil {
		return err
	}

	control, err := a.listenControl(view.RunDir, view.BridgeName)
	if err != nil {
		api.close()
		return err
	}

	// The parts outlive ctx: they stop after the pulse and the lanes.
	running := context.WithoutCancel(ctx)
	lanesCtx, stopLanes := context.WithCancel(running)
	lanesDone := make(chan error, 1)
	go func() { lanesDone <- a.runLanes(lanesCtx) }()
	secureCtx, stopSecure := context.WithCancel(running)
	secureDone := make(chan struct{})
	go func() {
		a.secured.owner.Run(secureCtx)
		close(secureDone)
	}()
	slowCtx, stopSlow := context.WithCancel(running)
	slowDone := make(chan struct{})
	go func() {
		a.leases.owner.Run(slowCtx)
		close(slowDone)
	}()
	stopParts := a.startParts(running, target, api, control)

	a.log.Info("serving", "bridge", view.BridgeName, "config", a.o.Config)
	err, lanesEnded := a.reconcileLoop(ctx, lanesDone)
	a.state.lowerPulse(a.log)
	a.metadata.close(a.log)
	stopLanes()
	if !lanesEnded {
		err = <-lanesDone
	}
	stopSecure() // the workers are at rest: what they handed over is verified
	<-secureDone
	stopSlow() // the workers are at rest: what they handed over is answered
	<-slowDone
	a.state.closePulse(a.log) // the last replies have left by it
	a.relay.close()
	stopParts()
	a.log.Info("stopped; flows stay and guests answer each other", "bridge", view.BridgeName)
	return err
}

// startParts starts what runs beside lanes and reconciling; stop ends them and
// waits for them.
func (a *Agent) startParts(ctx context.Context, target string, api, control *api) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	for name, part := range map[string]func(context.Context) error{
		"advertising":       a.owner.Run,
		"memory":            a.memory.Run,
		"announcing":        a.moved.Run,
		"configuration":     a.watchConfig,
		"database watch":    a.watchDatabase,
		"lease watch":       a.watchLeases,
		"reconfiguring":     a.leases.asking.run,
		"neighbour use":     a.watchUse,
		"neighbour memory":  a.leases.neighbors.run,
		"connections":       a.tracked.run,
		"rule log":          a.rules.run,
		"bridge connection": func(ctx context.Context) error { return a.maintain(ctx, target) },
		"api":               api.serve,
		"control":           control.serve,
	} {
		parts.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("a part of Damselfly stopped; restart it to have that back", "part", name, "error", err)
			}
		})
	}
	return func() {
		cancel()
		parts.Wait()
	}
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
		Limit:      a.limit,
		Generation: a.generation.Load,
		Stats:      a.stats,
		Log:        a.log,
	}
	if a.tap != nil {
		c.Tap = a.tap.Batch
	}
	for n, l := range a.lanes {
		c.Lanes = append(c.Lanes, pipeline.Lane{Source: l, Sink: l, Handler: a.leases.handler(n)})
	}
	c.Lanes = append(c.Lanes, pipeline.Lane{Source: a.port, Sink: a.port.NewSink(sink{a}), Handler: a.leases.handler(portLane)})
	return pipeline.Run(ctx, c)
}

// limit gives the pipeline a port's budget for a class.
func (a *Agent) limit(port uint16, class uint8) pipeline.Limit {
	// Flows of an earlier run may punt before there is a snapshot, or for a port
	// that is gone, and what came by the punt port need not show its class: a few
	// such frames, so that they are counted as what they are.
	stray := pipeline.Limit{Rate: 10, Burst: 20}
	snap := a.snapshot.Load()
	if snap == nil {
		return stray
	}
	p := snap.Port(port)
	if p == nil || int(class) >= len(p.Limits) || punt.Class(class) == punt.None {
		return stray
	}
	l := p.Limits[class]
	return pipeline.Limit{Rate: l.Rate, Burst: l.Burst, Unlimited: l == topology.Unlimited}
}

func (a *Agent) said(network string, linkLocal netip.Addr) {
	a.memory.Said(network, linkLocal)
	if snap := a.snapshot.Load(); snap != nil {
		a.signers.said(network, linkLocal, snap)
	}
	a.changed()
}

// changed rings for a reconcile; it never waits.
func (a *Agent) changed() {
	select {
	case a.ring <- struct{}{}:
	default:
	}
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

// MaxCapture is the most octets a capture file may have.
const MaxCapture = 1 << 30

// portName names a port of the switch in a capture, or a sub-port behind it.
func (a *Agent) portName(number uint32, vlan uint16) string {
	if snap := a.snapshot.Load(); snap != nil {
		for _, p := range snap.Ports {
			if p.OFPort == number && p.VLAN == vlan {
				return p.Name
			}
		}
	}
	return ""
}

// watchLeases rings when delegated prefixes came or went, or addresses of a port
// that is no relay's: those behind a relay come and go all the time, and need
// nothing of the bridge.
func (a *Agent) watchLeases(ctx context.Context) error {
	view := a.leases.book.View()
	var before []lease.Route
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-view.Changed():
			direct := a.direct(view.Moved())
			if now := view.Routes(a.leases.now()); direct || !slices.Equal(before, now) {
				before = now
				a.changed()
				pause(ctx, leasesPause)
			}
		}
	}
}

// leasesPause is the least time from one change of the flows for leases to the
// next: a thousand guests that boot at once are a few changes, not as many as there
// are groups of leases. A client probes its address for a second before it uses it
// (RFC 9915 section 18.2.10.1, RFC 4862 section 5.4).
const leasesPause = 50 * time.Millisecond

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// direct reports whether any of the ports is no relay's.
func (a *Agent) direct(ports []string) bool {
	a.mu.Lock()
	relays := relayPorts(a.config.Topology)
	a.mu.Unlock()
	return slices.ContainsFunc(ports, func(name string) bool { return !relays[name] })
}
