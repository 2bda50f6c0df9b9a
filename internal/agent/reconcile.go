package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"damselfly/flows"
	"damselfly/internal/bridge"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/topology"
)

// checkInterval is how often the bridge is asked whether our flows are all
// there: somebody else may delete them.
const checkInterval = 2 * time.Second

// retryDelay is how long a failed change of the bridge waits for its next try.
const retryDelay = 500 * time.Millisecond

// state is what reconciling remembers.
type state struct {
	builder    topology.Builder
	keys       keyring
	deprecated map[string][]topology.Deprecated
	former     map[string][]topology.FormerRouter

	pulse *pulse.Tap
	// conn is the connection that installer works on.
	conn      *openflow.Conn
	env       flows.Env
	installer *bridge.Installer
	// announced is the snapshot that the timers' owner was given last.
	announced *topology.Snapshot
	// problems are what the last build reported, each with its object.
	problems map[string]string
	// foreign is how many flows of others the bridge had at the last dump.
	foreign int
	// told holds, by subject, what was logged about it last.
	told map[string]string
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

// reconcileLoop reconciles whenever something rings, until ctx ends.
func (a *Agent) reconcileLoop(ctx context.Context) {
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	a.changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.ring:
		case <-check.C:
			if !a.lostFlows(ctx) {
				continue
			}
		}
		if err := a.reconcile(ctx); err != nil && ctx.Err() == nil {
			a.state.once(a.log, "bridge", err.Error())
			a.note(func(s *Status) { s.BridgeError = err.Error() })
			time.AfterFunc(retryDelay, a.changed)
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
	a.publish(snap)
	return a.install(ctx, view, snap, pulseName)
}

// build makes the snapshot of the inputs as they are; nil means that nothing
// can be served yet.
func (a *Agent) build(view ovsdb.View, pulseName string) *topology.Snapshot {
	a.mu.Lock()
	spec := a.config.Topology
	a.mu.Unlock()
	bindings := a.bindings(view, pulseName)
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
		Deprecated: a.state.deprecated, FormerRouters: a.state.former,
	}
	snap, problems := a.state.builder.Build(in)
	if snap != nil {
		// What the snapshot will promise is recorded before anybody hears it,
		// and what was promised before and is gone comes in.
		deprecated, former, err := a.memory.Reconcile(snap)
		if err != nil {
			a.state.once(a.log, "memory", "recording what is advertised: "+err.Error())
		}
		if deprecated != nil {
			a.state.deprecated, a.state.former = deprecated, former
			in.Deprecated, in.FormerRouters = deprecated, former
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
	if err := a.setUp(ctx, pulseName); err != nil {
		return err
	}
	installer, err := a.installerFor(ctx, conn, view, pulseName)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := installer.Install(ctx, snap)
	if err != nil {
		return err
	}
	a.state.once(a.log, "bridge", "")
	a.installed(r, installer.Wanted(), time.Since(began))
	if a.state.announced != snap {
		// What nobody asked for is sent once there are flows that carry it.
		a.state.announced = snap
		a.owner.Update(snap)
	}
	return a.raisePulse(pulseName)
}

// awaitRestore does all that is allowed while somebody restores flows: it puts
// the meters there that the flows to be restored may name.
func (a *Agent) awaitRestore(ctx context.Context, conn *openflow.Conn, snap *topology.Snapshot, view ovsdb.View, pulseName string) error {
	in, _ := view.Interface(pulseName)
	env := flows.Env{PulsePort: in.OFPort, FirstGroup: a.ids.FirstGroup, FirstMeter: a.ids.FirstMeter}
	a.log.Info("flows are being restored by somebody else: adding meters only until flow-restore-wait is gone")
	return bridge.NewInstaller(conn, env, a.log).EnsureMeters(ctx, snap)
}

// setUp brings the database to what Damselfly wants of its bridge. Everything
// in it sends nothing when already so.
func (a *Agent) setUp(ctx context.Context, pulseName string) error {
	s := settings(a.bridgeName())
	if _, err := a.db.SetFailModeSecure(ctx); err != nil {
		return err
	}
	if _, err := a.db.SetControllerQueueSize(ctx, s.ControllerQueueSize); err != nil {
		return err
	}
	if _, err := a.db.SetFlowTablePrefixes(ctx, s.PrefixTables); err != nil {
		return err
	}
	view, _ := a.db.View()
	if in, ok := view.Interface(pulseName); ok && in.Ours && in.OFPort != 0 {
		return nil
	}
	// Open vSwitch takes a port only for a device that is there.
	if err := a.state.openPulse(pulseName); err != nil {
		if errors.Is(err, pulse.ErrHeld) {
			return err
		}
		a.state.once(a.log, "pulse", err.Error()+"; guests cannot answer each other while Damselfly is away")
		return nil
	}
	_, err := a.db.AddPort(ctx, pulseName, "", nil)
	return err
}

// installerFor returns the installer of a connection, made anew when the
// connection or what it can do is another.
func (a *Agent) installerFor(ctx context.Context, conn *openflow.Conn, view ovsdb.View, pulseName string) (*bridge.Installer, error) {
	in, _ := view.Interface(pulseName)
	env := flows.Env{PulsePort: in.OFPort, FirstGroup: a.ids.FirstGroup, FirstMeter: a.ids.FirstMeter}
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

// raisePulse tells the switch that Damselfly is there, once its flows are in and
// its lanes are connected.
func (a *Agent) raisePulse(name string) error {
	if a.state.env.PulsePort == 0 {
		return nil
	}
	for _, l := range a.lanes {
		select {
		case <-l.Ready():
		case <-time.After(time.Second):
			return fmt.Errorf("a lane has no connection to the bridge yet")
		}
	}
	if err := a.state.openPulse(name); err != nil {
		return err
	}
	a.note(func(s *Status) { s.Pulse = true })
	return nil
}

// installed notes what an Install did.
func (a *Agent) installed(r bridge.Result, wanted int, took time.Duration) {
	if r.Mods > 0 || r.Full {
		a.log.Info("bridge brought up to date", "changes", r.Mods, "flows", wanted, "full", r.Full, "took", took)
	}
	conflicts := make([]string, len(r.Conflicts))
	for i, c := range r.Conflicts {
		conflicts[i] = c.Text
		a.state.once(a.log, c.Text, "somebody else's flow is in the way")
	}
	if r.Full {
		a.state.foreign = r.Foreign
	}
	for _, err := range r.Refused {
		a.state.once(a.log, "flows", err.Error())
	}
	a.note(func(s *Status) {
		s.BridgeError, s.FlowsWanted = "", wanted
		if len(r.Refused) > 0 {
			s.BridgeError = errors.Join(r.Refused...).Error()
		}
		s.NDExt = a.state.env.NDExt
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

func (a *Agent) bridgeName() string {
	view, _ := a.db.View()
	return view.BridgeName
}
