package bridge

import (
	"context"
	"fmt"
	"log/slog"

	"damselfly/flows"
	"damselfly/internal/openflow"
	"damselfly/internal/topology"
)

// Installer keeps one connection's bridge as snapshots want it. It is used by
// one goroutine.
type Installer struct {
	conn *openflow.Conn
	ids  IDs
	log  *slog.Logger

	compiler *flows.Compiler
	// installed is what the bridge acknowledged last; nil if that is not known,
	// so that the next Install starts from a dump.
	installed *flows.Pieces
	// refused are the parts that the bridge did not take. They are left out
	// until they change, so that they cost the others nothing.
	refused map[flows.PieceID]refusal
	// stuck says which flows marked as Damselfly's the last dump showed that
	// are not and that could not be removed.
	stuck []error
}

// NewInstaller returns an Installer that knows nothing of the bridge yet.
func NewInstaller(conn *openflow.Conn, env flows.Env, log *slog.Logger) *Installer {
	return &Installer{
		conn: conn, log: log, compiler: flows.NewCompiler(env),
		ids: IDs{FirstGroup: env.FirstGroup, FirstMeter: env.FirstMeter},
	}
}

// Result says what an Install did.
type Result struct {
	// Full is true if it began with a dump.
	Full bool
	// Mods is the number of changes sent, FlowMods those of flows.
	Mods, FlowMods int
	// Refused says of which parts of the topology the bridge took no flows, now
	// or before, and why, and what marked as ours was left. The rest is served.
	Refused []error
	// Foreign is how many flows of others there are, and Conflicts are those in
	// our way; known after a dump.
	Foreign   int
	Conflicts []Objection
}

// Install brings the bridge to hold what s wants and returns when the bridge
// has confirmed it. After an error nothing is known of the bridge, and the next
// Install dumps it.
func (in *Installer) Install(ctx context.Context, s *topology.Snapshot) (Result, error) {
	want := in.compiler.Update(s)
	have := in.installed
	in.installed = nil
	if have == nil {
		return in.full(ctx, s, want)
	}
	var r Result
	rest := want.Without(in.isRefused)
	d := flows.DiffPieces(have, rest)
	err := in.apply(ctx, &d, &r)
	if isRefusal(err) {
		return in.full(ctx, s, want) // finds out which part it is
	}
	if err == nil {
		err = in.retry(ctx, s, want, &r)
	}
	if err != nil {
		return r, err
	}
	in.settle(want, &r)
	return r, nil
}

// settle notes that the bridge holds want but for what it refused.
func (in *Installer) settle(want *flows.Pieces, r *Result) {
	in.installed = want
	if len(in.refused) > 0 {
		in.installed = want.Without(in.isRefused)
	}
	r.Refused = append(in.reasons(), in.stuck...)
}

// Wanted returns how many flows marked as Damselfly's the bridge holds after the
// last Install, with those that could not be removed; 0 if that is not known.
func (in *Installer) Wanted() int {
	if in.installed == nil {
		return 0
	}
	return in.installed.Flows() + len(in.stuck)
}

// CountApart gives these drops of a port a counter each from the next Install
// on, and reports whether one of them had none.
func (in *Installer) CountApart(port uint16, drops flows.Roles) bool {
	return in.compiler.CountApart(port, drops)
}

// Forget makes the next Install start from a dump and try again what was
// refused.
func (in *Installer) Forget() { in.installed = nil }

// EnsureMeters adds the meters that s wants and the bridge lacks. After a
// restart of Open vSwitch it comes before anything else, even while somebody
// restores flows: meters are not part of what ovs-save keeps, and a restored
// flow that names a missing one makes the whole restore fail.
func (in *Installer) EnsureMeters(ctx context.Context, s *topology.Snapshot) error {
	h := &Held{Ours: flows.NewSet()}
	if err := h.addMeters(ctx, in.conn, in.ids); err != nil {
		return err
	}
	want := flows.NewSet()
	want.Meters = in.compiler.Update(s).Set().Meters
	d := flows.Missing(h.Ours, want)
	return in.conn.Meters(ctx, d.AddMeters, d.ModMeters, nil)
}

// full compares with a dump, sends the differences and sweeps what no version
// of ours wants any more once the rest is in.
func (in *Installer) full(ctx context.Context, s *topology.Snapshot, want *flows.Pieces) (Result, error) {
	in.refused, in.stuck = nil, nil
	held, err := Dump(ctx, in.conn, in.ids)
	if err != nil {
		return Result{}, err
	}
	if in.compiler.AdoptCounters(held.Ours) {
		want = in.compiler.Update(s)
	}
	if err := matchFragments(ctx, in.conn); err != nil {
		return Result{}, err
	}
	r := Result{Full: true, Foreign: len(held.Foreign), Conflicts: Conflicts(held)}
	set := want.Set()
	d := flows.Diff(held.Ours, set)
	err = in.apply(ctx, &d, &r)
	if isRefusal(err) {
		set, err = in.piecemeal(ctx, s, want, &r)
	}
	if err != nil {
		return r, err
	}
	if err := in.sweep(ctx, held.Strange, set, &r); err != nil {
		return r, err
	}
	in.settle(want, &r)
	return r, nil
}

// matchFragments makes the bridge show flows the upper-layer header of a first
// fragment. Otherwise it reads as ICMPv6 of type 0 whatever it is, and nothing
// could tell a large ping from a header chain that was cut to hide something.
func matchFragments(ctx context.Context, c *openflow.Conn) error {
	cfg, err := c.Config(ctx)
	if err != nil || cfg.Flags == openflow.FragmentsMatched {
		return err
	}
	cfg.Flags = openflow.FragmentsMatched
	return c.SetConfig(ctx, cfg)
}

// apply sends a Delta in the order that no frame sees half of it: meters that
// come, one atomic bundle of groups and flows, meters that go. It counts in r
// what the bridge confirmed.
func (in *Installer) apply(ctx context.Context, d *flows.Delta, r *Result) error {
	if n := len(d.AddMeters) + len(d.ModMeters); n > 0 {
		if err := in.conn.Meters(ctx, d.AddMeters, d.ModMeters, nil); err != nil {
			return fmt.Errorf("setting meters: %w", err)
		}
		r.Mods += n
	}
	groups, mods := groupMods(d), flowMods(d)
	if n := len(groups) + len(mods); n > 0 {
		if err := in.conn.Commit(ctx, groups, mods); err != nil {
			return fmt.Errorf("changing flows: %w", err)
		}
		r.Mods += n
		r.FlowMods += len(mods)
	}
	if n := len(d.DelMeters); n > 0 {
		if err := in.conn.Meters(ctx, nil, nil, d.DelMeters); err != nil {
			return fmt.Errorf("removing meters: %w", err)
		}
		r.Mods += n
	}
	return nil
}

// groupMods returns the group changes of d. Groups that go are last: Open
// vSwitch removes with them what still uses them, which by then is only what
// the same bundle replaces or deletes.
func groupMods(d *flows.Delta) []openflow.GroupMod {
	mods := make([]openflow.GroupMod, 0, d.GroupMods())
	for i := range d.AddGroups {
		mods = append(mods, openflow.GroupMod{Command: openflow.GroupAdd, Group: &d.AddGroups[i]})
	}
	for i := range d.ModGroups {
		mods = append(mods, openflow.GroupMod{Command: openflow.GroupModify, Group: &d.ModGroups[i]})
	}
	for _, c := range d.RemoveBuckets {
		g := flows.Group{ID: c.Group, Type: c.Type}
		mods = append(mods, openflow.GroupMod{Command: openflow.GroupRemove, Group: &g, Bucket: c.Bucket.ID})
	}
	for _, c := range d.InsertBuckets {
		g := flows.Group{ID: c.Group, Type: c.Type, Buckets: []flows.Bucket{c.Bucket}}
		mods = append(mods, openflow.GroupMod{Command: openflow.GroupInsert, Group: &g})
	}
	for _, id := range d.DelGroups {
		mods = append(mods, openflow.GroupMod{Command: openflow.GroupDelete, Group: &flows.Group{ID: id}})
	}
	return mods
}

// flowMods returns the flow changes of d. A delete names the cookie too, so that
// it can't take a flow that somebody put in the place of ours.
func flowMods(d *flows.Delta) []openflow.FlowMod {
	mods := make([]openflow.FlowMod, 0, d.FlowMods())
	for i := range d.AddFlows {
		mods = append(mods, openflow.FlowMod{Command: openflow.FlowAdd, Flow: &d.AddFlows[i]})
	}
	for i := range d.DelFlows {
		mods = append(mods, openflow.FlowMod{Command: openflow.FlowDelete, Flow: &d.DelFlows[i], CookieMask: ^uint64(0)})
	}
	return mods
}
