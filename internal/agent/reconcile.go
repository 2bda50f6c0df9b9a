package agent

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"damselfly/flows"
	"damselfly/internal/bridge"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/timers"
	"damselfly/internal/topology"
)

// checkInterval is how often the bridge is asked whether our flows are all
// there: somebody else may delete them.
const checkInterval = 2 * time.Second

// compareInterval is how often the bridge is compared as a whole: a flow that
// somebody changed does not show in a count. What that takes is a hundredth of the
// time at most, so with ten thousand ports it is done every few minutes.
const (
	compareInterval = 30 * time.Second
	compareShare    = 100
)

// retryDelay is how long a failed change of the bridge waits for its next try.
const retryDelay = 500 * time.Millisecond

// lanePause is how long to wait for the lanes to connect.
const lanePause = 20 * time.Millisecond

// setUpTime is how long the database may take for a change.
const setUpTime = 5 * time.Second

// state is what reconciling remembers.
type state struct {
	builder topology.Builder
	keys    keyring
	// ending is what hosts are told the end of.
	ending timers.Ending

	// modifiers are what routers' addresses are made of beside their keys.
	modifiers modifiers

	// retry fires when reconciling should be tried again.
	retry *time.Timer
	pulse *pulse.Tap
	// conn is the connection that installer works on.
	conn      *openflow.Conn
	env       flows.Env
	installer *bridge.Installer
	// noPulse says why the pulse port cannot be opened, "" while it can.
	noPulse string
	// listenersAdopted says that what the bridge held of who listens was taken over.
	listenersAdopted bool
	// remade says that the pulse port's device was removed, and the bridge still has it.
	remade bool
	// announced is the snapshot that the timers' owner was given last.
	announced *topology.Snapshot
	// problems are what the last build reported, each with its object.
	problems map[string]string
	// numbering is set when the pulse port was just added to the bridge.
	numbering bool
	// compared is when the bridge was last compared as a whole, comparing how long
	// that took.
	compared  time.Time
	comparing time.Duration
	// foreign is how many flows of others the bridge had at the last dump.
	foreign int
	// conflicts and refused are what was told of them last.
	conflicts, refused list
	// told holds, by subject, what was logged about it last.
	told map[string]string
}

// list is what was told of a kind of trouble last.
type list map[string]bool

// tell logs what is new in now and forgets what is no longer there.
func (l *list) tell(log *slog.Logger, message string, now []string) {
	next := make(list, len(now))
	for _, text := range now {
		next[text] = true
		if !(*l)[text] {
			log.Warn(message, "detail", text)
		}
	}
	*l = next
}

// once logs a message about a subject unless it was the last one about it.
func (s *state) once(log *slog.Logger, subject, message string) {
	if s.told == nil {
		s.told = map[string]string{}
	}
	if s.told[subject] == message {
		return
	}
	s.told[subject] = message
	if message != "" {
		log.Warn(message, "subject", subject)
	}
}

// reconcileLoop reconciles whenever something rings, until ctx ends or the lanes
// do, whose error it then returns.
func (a *Agent) reconcileLoop(ctx context.Context, lanes <-chan error) (err error, lanesEnded bool) {
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	a.state.retry = time.NewTimer(0)
	defer a.state.retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, false
		case err := <-lanes:
			return err, true
		case <-a.ring:
		case <-a.state.retry.C:
		case <-a.state.pulseGone():
			a.state.closePulse(a.log)
			a.state.remade = true
			a.note(func(s *Status) { s.Pulse = false })
			a.log.Warn("the pulse port's device is gone: making it anew")
		case <-a.metadata.gone():
			a.log.Warn("the metadata service's device is gone: making it anew")
			a.metadata.close(a.log)
		case <-check.C:
			apart := a.countApart(ctx)
			if a.state.installer != nil && time.Since(a.state.compared) >= max(compareInterval, compareShare*a.state.comparing) {
				a.state.installer.Forget()
			} else if !a.lostFlows(ctx) && !apart {
				continue
			}
		}
		if err := a.reconcile(ctx); err != nil && ctx.Err() == nil {
			a.state.once(a.log, "bridge", err.Error())
			a.note(func(s *Status) { s.BridgeError = err.Error() })
			a.state.retry.Reset(retryDelay)
		}
	}
}

// reconcile brings snapshot and bridge to what configuration, database and
// store say now.
func (a *Agent) reconcile(ctx context.Context) error {
	view, ok := a.db.View()
	if !ok {
		return nil
	}
	pulseName := pulse.Name(view.BridgeName)
	snap := a.build(view, pulseName)
	if snap == nil {
		return nil
	}
	before := a.snapshot.Load()
	a.publish(snap)
	if before != snap {
		a.relayFor(ctx, snap)
		a.leases.reconfigure(before, snap)
	}
	return a.install(ctx, view, snap, pulseName)
}

// build makes the snapshot of the inputs as they are; nil means that nothing
// can be served yet.
func (a *Agent) build(view ovsdb.View, pulseName string) *topology.Snapshot {
	a.mu.Lock()
	spec := a.config.Topology
	a.mu.Unlock()
	bindings, faults := bindings(view, pulseName)
	for _, f := range faults {
		a.state.once(a.log, f.subject, f.text)
	}
	if !view.Connected && a.snapshot.Load() == nil {
		return nil
	}
	networks, ports := keyNames(spec, bindings)
	if err := a.state.keys.update(a.store, networks, ports); err != nil {
		a.state.once(a.log, "keys", "giving out keys: "+err.Error())
	}
	a.mu.Lock()
	a.served = a.state.keys.keys
	a.mu.Unlock()
	in := topology.Input{
		Spec: spec, Keys: a.state.keys.keys, Bindings: bindings,
		Deprecated: a.state.ending.Deprecated, FormerRouters: a.state.ending.FormerRouters, Withdrawn: a.state.ending.Withdrawn,
		Delegated: a.leases.delegated(a.state.keys.keys), Leased: a.leases.leased(a.state.keys.keys, spec),
		Learned:   a.leases.learned.held(a.state.keys.keys),
		Neighbors: a.leases.neighbors.found(a.state.keys.keys), Upstream: a.leases.neighbors.heard(),
		Listening: a.leases.listeners.keyed.of(a.leases.listeners.table.View(), a.state.keys.keys),
		Modifiers: a.modifiersOf(spec),
	}
	snap, problems := a.state.builder.Build(in)
	if snap != nil {
		// What the snapshot will promise is recorded before anybody hears it,
		// and what was promised before and is gone comes in.
		ending, err := a.memory.Reconcile(snap)
		if err != nil {
			a.state.once(a.log, "memory", "recording what is advertised: "+err.Error())
		}
		if ending.Deprecated != nil {
			a.state.ending = ending
			in.Deprecated, in.FormerRouters, in.Withdrawn = ending.Deprecated, ending.FormerRouters, ending.Withdrawn
			snap, problems = a.state.builder.Build(in)
		}
	}
	a.report(problems)
	return snap
}

// report tells of what is not served, each once, and when it is over.
func (a *Agent) report(problems []topology.Problem) {
	texts := make([]string, len(problems))
	now, objects := make(map[string]string, len(problems)), make(map[string]bool, len(problems))
	for i, p := range problems {
		texts[i] = p.String()
		now[texts[i]], objects[p.Object] = p.Object, true
		if _, known := a.state.problems[texts[i]]; !known {
			a.log.Warn(p.Message, "subject", p.Object)
		}
	}
	for _, object := range a.state.problems {
		if !objects[object] {
			objects[object] = true // an object may have had several
			a.log.Info("served again", "subject", object)
		}
	}
	a.state.problems = now
	a.note(func(s *Status) { s.Problems = texts })
}

// publish makes a snapshot the one that is served. It comes before its flows: a
// frame that races then ends as not ours, never as a wrong answer.
func (a *Agent) publish(snap *topology.Snapshot) {
	if a.snapshot.Load() == snap {
		return
	}
	a.snapshot.Store(snap)
	a.signers.publish(snap) // behind it, so that who says an end meanwhile has the new one
	a.generation.Add(1)
}

// install brings the bridge to hold what the snapshot wants.
func (a *Agent) install(ctx context.Context, view ovsdb.View, snap *topology.Snapshot, pulseName string) error {
	conn := a.connection()
	if conn == nil || !view.Connected || !view.Exists {
		return nil
	}
	if view.FlowRestoreWait {
		return a.awaitRestore(ctx, conn, snap, view, pulseName)
	}
	a.state.once(a.log, "restore", "")
	if a.state.remade {
		off, err := a.takeOff(ctx, conn, pulseName)
		if err != nil || !off {
			return err
		}
		view, _ = a.db.View()
	}
	if err := a.setUp(ctx, view, pulseName); err != nil {
		return err
	}
	if a.state.numbering {
		// Its number is part of every flow set; it comes at once, and what watches
		// the database rings then. Should it not, flows without it are better than none.
		a.state.numbering = false
		a.state.retry.Reset(retryDelay)
		return nil
	}
	if err := a.setUpMetadata(ctx, view, snap); err != nil {
		return err
	}
	if adopted, err := a.adoptListeners(ctx, conn, snap); adopted || err != nil {
		return err
	}
	installer, err := a.installerFor(ctx, conn, view, pulseName)
	if err != nil {
		return err
	}
	began := time.Now()
	if !a.state.env.PuntPort {
		a.port.Use(false)
	}
	r, err := installer.Install(ctx, snap)
	if err != nil {
		return err
	}
	a.port.Use(a.state.env.PuntPort)
	a.state.once(a.log, "bridge", "")
	a.installed(r, installer.Wanted(), time.Since(began))
	a.tracked.installed(snap)
	if a.state.announced != snap {
		// What nobody asked for is sent once there are flows that carry it.
		a.state.announced = snap
		a.owner.Update(snap)
		a.moved.Update(snap)
		a.leases.lookAround(ctx, snap)
	}
	if err := a.raisePulse(pulseName); err != nil {
		return err
	}
	a.fitPort(view, pulseName)
	return nil
}

// awaitRestore does all that is allowed while somebody restores flows: it puts
// the meters there that the flows to be restored may name.
func (a *Agent) awaitRestore(ctx context.Context, conn *openflow.Conn, snap *topology.Snapshot, view ovsdb.View, pulseName string) error {
	a.state.once(a.log, "restore", "flows are being restored by somebody else: adding meters only until flow-restore-wait is gone")
	in, _ := view.Interface(pulseName)
	return bridge.NewInstaller(conn, a.ids.Env(false, in.OFPort), a.log).EnsureMeters(ctx, snap)
}

// setUp brings the database to what Damselfly wants of its bridge, and the pulse
// port to be on it.
func (a *Agent) setUp(ctx context.Context, view ovsdb.View, pulseName string) error {
	s := settings(view.BridgeName)
	in, ok := view.Interface(pulseName)
	ready := ok && in.Ours && in.OFPort != 0
	if ready && !in.LinkUp && a.state.pulse != nil {
		// Somebody set it down; opening it sets it up.
		a.state.closePulse(a.log)
	}
	if changes, err := view.Plan(s); err != nil {
		return err
	} else if len(changes) == 0 && ready {
		if a.state.noPulse != "" {
			return a.tryPulse(pulseName)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, setUpTime)
	defer cancel()
	if _, err := a.db.SetFailModeSecure(ctx); err != nil {
		return err
	}
	if _, err := a.db.SetControllerQueueSize(ctx, s.ControllerQueueSize); err != nil {
		return err
	}
	if _, err := a.db.SetFlowTablePrefixes(ctx, s.PrefixTables); err != nil {
		return err
	}
	if ready {
		return nil
	}
	// Open vSwitch takes a port only for a device that is there.
	if err := a.tryPulse(pulseName); err != nil || a.state.noPulse != "" {
		return err
	}
	_, err := a.db.AddPort(ctx, pulseName, "", nil)
	a.state.numbering = err == nil
	return err
}

// installerFor returns the installer of a connection, made anew when the
// connection or what it can do is another.
func (a *Agent) installerFor(ctx context.Context, conn *openflow.Conn, view ovsdb.View, pulseName string) (*bridge.Installer, error) {
	in, _ := view.Interface(pulseName)
	if a.state.noPulse != "" {
		in.OFPort = 0
	}
	env := a.ids.Env(false, in.OFPort)
	env.PuntPort, env.MetadataPort = byPort(a.transport(), in), MetadataPortOn(view)
	if a.state.conn == conn {
		env.NDExt = a.state.env.NDExt
		if env == a.state.env {
			return a.state.installer, nil
		}
	} else {
		caps, err := bridge.Probe(ctx, conn)
		if err != nil {
			return nil, err
		}
		env.NDExt = caps.NDExt
		a.log.Info("capabilities of the datapath", "nd_ext", caps.NDExt)
	}
	a.state.conn, a.state.env = conn, env
	a.state.installer = bridge.NewInstaller(conn, env, a.log)
	return a.state.installer, nil
}

// manyFlows is from how many flows on a comparison with all that the bridge holds
// leaves so much memory behind, the dump's and the changes', that it is given back.
const manyFlows = 10_000

// installed notes what an Install did.
func (a *Agent) installed(r bridge.Result, wanted int, took time.Duration) {
	switch {
	case r.Mods > 0:
		a.log.Info("bridge brought up to date", "changes", r.Mods, "flows", wanted, "full", r.Full, "took", took)
	case a.state.announced == nil:
		a.log.Info("bridge needs no change", "flows", wanted, "took", took)
	}
	if r.Full {
		a.state.compared, a.state.comparing = time.Now(), took
		if wanted > manyFlows {
			debug.FreeOSMemory()
		}
	}
	conflicts := make([]string, len(r.Conflicts))
	for i, c := range r.Conflicts {
		conflicts[i] = c.Text
	}
	if r.Full {
		a.state.foreign = r.Foreign
		a.state.conflicts.tell(a.log, "somebody else's flow is in the way", conflicts)
	}
	refused := make([]string, len(r.Refused))
	for i, err := range r.Refused {
		refused[i] = err.Error()
	}
	a.state.refused.tell(a.log, "the bridge refuses a part", refused)
	a.note(func(s *Status) {
		s.FlowsWanted = wanted
		s.BridgeError = strings.Join(refused, "\n")
		s.NDExt, s.Punt = a.state.env.NDExt, transportName(a.state.env)
		if r.Full {
			s.Resyncs++
			s.Conflicts = conflicts
		}
	})
}

// lostFlows reports whether flows of ours are missing from the bridge or others
// came or went, which may be in the way, and if so makes the next install start
// from a dump.
func (a *Agent) lostFlows(ctx context.Context) bool {
	conn := a.connection()
	if conn == nil || a.state.conn != conn || a.state.installer == nil {
		return false
	}
	view, _ := a.db.View()
	if view.FlowRestoreWait {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, checkInterval)
	defer cancel()
	count, err := conn.CountFlows(ctx, flows.Owner, flows.OwnerMask)
	if err != nil {
		return false // the connection's own watch sees to it
	}
	all, err := conn.CountFlows(ctx, 0, 0)
	if err != nil {
		return false
	}
	a.note(func(s *Status) { s.FlowsInstalled = int(count.Flows) })
	wanted := a.state.installer.Wanted()
	if wanted == 0 {
		return false // an install is due anyway
	}
	switch foreign := int(all.Flows) - int(count.Flows); {
	case int(count.Flows) != wanted:
		a.log.Warn("flows are missing from the bridge or too many: comparing anew", "wanted", wanted, "found", count.Flows)
	case foreign != a.state.foreign:
		a.log.Info("somebody else changed flows on the bridge: comparing anew", "before", a.state.foreign, "now", foreign)
	default:
		return false
	}
	a.state.installer.Forget()
	return true
}
