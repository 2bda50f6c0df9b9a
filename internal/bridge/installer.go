package bridge

import (
	"context"
	"errors"
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
	// Refused says of which parts of the topology the bridge took no flows,
	// and why. The rest is served.
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
	if in.installed == nil {
		return in.full(ctx, want)
	}
	d := flows.DiffPieces(in.installed, want)
	in.installed = nil
	if err := in.apply(ctx, &d); err != nil {
		return Result{}, err
	}
	in.installed = want
	return Result{Mods: d.Mods(), FlowMods: d.FlowMods()}, nil
}

// Wanted returns how many flows the last Install wanted.
func (in *Installer) Wanted() int {
	if in.installed == nil {
		return 0
	}
	return in.installed.Flows()
}

// Forget makes the next Install start from a dump.
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
	d := flows.Diff(h.Ours, want)
	return in.conn.Meters(ctx, d.AddMeters, d.ModMeters, nil)
}

// full compares with a dump, sends the differences and sweeps what no version
// of ours wants any more once the rest is in.
func (in *Installer) full(ctx context.Context, want *flows.Pieces) (Result, error) {
	held, err := Dump(ctx, in.conn, in.ids)
	if err != nil {
		return Result{}, err
	}
	if err := matchFragments(ctx, in.conn); err != nil {
		return Result{}, err
	}
	r := Result{Full: true, Foreign: len(held.Foreign), Conflicts: Conflicts(held)}
	d := flows.Diff(held.Ours, want.Set())
	err = in.apply(ctx, &d)
	if refused := (*openflow.Error)(nil); errors.As(err, &refused) {
		want, r.Refused, err = in.piecemeal(ctx, want)
	}
	if err != nil {
		return r, err
	}
	for i := range held.Strange {
		if err := in.sweep(ctx, &held.Strange[i], want); err != nil {
			return r, err
		}
	}
	in.installed = want
	r.Mods, r.FlowMods = d.Mods()+len(held.Strange), d.FlowMods()+len(held.Strange)
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

// piecemeal installs part by part what the bridge would not take as a whole, so
// that one part it refuses costs no other. It returns the parts that are in.
func (in *Installer) piecemeal(ctx context.Context, want *flows.Pieces) (*flows.Pieces, []error, error) {
	found, err := Dump(ctx, in.conn, in.ids) // anew: the try as a whole may have added meters
	if err != nil {
		return nil, nil, err
	}
	held := found.Ours
	var left []flows.PieceID
	var reasons []error
	for id, set := range want.Each {
		d := flows.Diff(held, set)
		d.DelFlows, d.DelGroups, d.DelMeters = nil, nil, nil
		err := in.apply(ctx, &d)
		if refused := (*openflow.Error)(nil); errors.As(err, &refused) {
			left, reasons = append(left, id), append(reasons, fmt.Errorf("%v is not served: %w", id, err))
		} else if err != nil {
			return nil, nil, err
		}
	}
	d := flows.Diff(held, want.Set())
	gone := flows.Delta{DelFlows: d.DelFlows, DelGroups: d.DelGroups, DelMeters: d.DelMeters}
	return want.Without(left), reasons, in.apply(ctx, &gone)
}

// sweep removes a flow of another version of Damselfly, by its cookie: its
// match may be one we cannot write.
func (in *Installer) sweep(ctx context.Context, e *openflow.Entry, want *flows.Pieces) error {
	for _, f := range want.Set().Flows {
		if f.Cookie == e.Flow.Cookie {
			return fmt.Errorf("flow cookie=%#x table=%d priority=%d is marked as Damselfly's but was changed by somebody: remove it (`ovs-ofctl del-flows BRIDGE cookie=%#x/-1`)",
				uint64(e.Flow.Cookie), e.Flow.Table, e.Flow.Priority, uint64(e.Flow.Cookie))
		}
	}
	del := flows.Flow{Table: e.Flow.Table, Cookie: e.Flow.Cookie}
	return in.conn.Commit(ctx, nil, []openflow.FlowMod{{Command: openflow.FlowDeleteAll, Flow: &del, CookieMask: ^uint64(0)}})
}

// apply sends a Delta in the order that no frame sees half of it: meters that
// come, one atomic bundle of groups and flows, meters that go.
func (in *Installer) apply(ctx context.Context, d *flows.Delta) error {
	if len(d.AddMeters)+len(d.ModMeters) > 0 {
		if err := in.conn.Meters(ctx, d.AddMeters, d.ModMeters, nil); err != nil {
			return fmt.Errorf("setting meters: %w", err)
		}
	}
	groups, mods := groupMods(d), flowMods(d)
	if len(groups)+len(mods) > 0 {
		if err := in.conn.Commit(ctx, groups, mods); err != nil {
			return fmt.Errorf("changing flows: %w", err)
		}
	}
	if len(d.DelMeters) > 0 {
		if err := in.conn.Meters(ctx, nil, nil, d.DelMeters); err != nil {
			return fmt.Errorf("removing meters: %w", err)
		}
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
