package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"

	"damselfly/flows"
	"damselfly/internal/binding"
	"damselfly/internal/bridge"
	"damselfly/internal/config"
	"damselfly/internal/lease"
	"damselfly/internal/neighbor"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/store"
	"damselfly/internal/topology"
)

// Plan is what a run would change. Making it changes nothing.
type Plan struct {
	// Objections is what --take-over would override, and what nothing does.
	Objections []string `json:"objections,omitempty"`
	// Settings are changes in Open vSwitch's database.
	Settings []string `json:"settings,omitempty"`
	// Problems are the objects that would not be served.
	Problems []string `json:"problems,omitempty"`
	// Wanted is the number of flows in the end.
	Wanted int `json:"flows_wanted"`
	// Flows, Groups and Meters count the changes of each.
	Flows  int `json:"flow_changes"`
	Groups int `json:"group_changes"`
	Meters int `json:"meter_changes"`
	// Changes are they, one a line: + for what comes, ~ for what changes and -
	// for what goes.
	Changes []string `json:"changes"`
}

// MakePlan compares what cfg wants with what the bridge of view holds. Keys come
// from the damselfly that is running or from the store of one that was; where
// there is neither, they are those that a first start would give.
func MakePlan(ctx context.Context, cfg *config.Config, view ovsdb.View, log *slog.Logger) (*Plan, error) {
	ids := bridge.IDs{FirstGroup: cfg.IDs.Groups, FirstMeter: cfg.IDs.Meters}
	conn, err := openflow.Dial(ctx, "unix:"+view.ManagementSocket(), openflow.Options{Log: log})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	held, err := bridge.Dump(ctx, conn, ids)
	if err != nil {
		return nil, err
	}
	caps, err := bridge.Probe(ctx, conn)
	if err != nil {
		return nil, err
	}
	pulseName := pulse.Name(view.BridgeName)
	p := &Plan{}
	for _, o := range bridge.Objections(view, held, settings(view.BridgeName), pulseName) {
		p.Objections = append(p.Objections, o.Text)
	}
	changes, err := view.Plan(settings(view.BridgeName))
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		p.Settings = append(p.Settings, c.Text)
	}
	snap, problems, err := plannedSnapshot(ctx, cfg, view, pulseName, held.Ours.Listening(ids.FirstGroup), log)
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		p.Problems = append(p.Problems, problem.String())
	}
	in, _ := view.Interface(pulseName)
	env := ids.Env(caps.NDExt, in.OFPort)
	env.PuntPort, env.MetadataPort = byPort(cfg.Punt, in), MetadataPortOn(view)
	compiler := flows.NewCompiler(env)
	compiler.AdoptCounters(held.Ours)
	want := compiler.Update(snap).Set()
	d := flows.Diff(held.Ours, want)
	p.Wanted, p.Changes = len(want.Flows), d.Lines()
	p.Flows, p.Groups = d.FlowMods(), d.GroupMods()
	p.Meters = d.Mods() - p.Flows - p.Groups
	return p, nil
}

func plannedSnapshot(ctx context.Context, cfg *config.Config, view ovsdb.View, pulseName string, held map[uint16]*topology.Listening, log *slog.Logger) (*topology.Snapshot, []topology.Problem, error) {
	bindings, faults := bindings(view, pulseName)
	for _, f := range faults {
		log.Warn(f.text, "subject", f.subject)
	}
	networks, ports := keyNames(cfg.Topology, bindings)
	known, err := plannedKnown(ctx, cfg, networks, ports, log)
	if err != nil {
		return nil, nil, err
	}
	var b topology.Builder
	in := topology.Input{Spec: cfg.Topology, Keys: known.Keys, Bindings: bindings,
		Delegated: known.Delegated, Leased: known.Leased, Learned: known.Learned,
		Neighbors: known.Neighbors, Upstream: known.Upstream, Listening: known.Listening, Modifiers: known.Modifiers}
	snap, problems := b.Build(in)
	if snap != nil && known.Listening == nil {
		in.Listening = plannedListening(snap, known.Keys, held)
		snap, problems = b.Build(in)
	}
	return snap, problems, nil
}

// plannedKnown asks the running damselfly first: it holds the store.
func plannedKnown(ctx context.Context, cfg *config.Config, networks, ports []string, log *slog.Logger) (k known, err error) {
	if k, running := runningKnown(ctx, cfg.API); running {
		k.Networks, k.Ports = firstKeys(k.Networks, networks), firstKeys(k.Ports, ports)
		return k, nil
	}
	if _, err := os.Stat(cfg.State); errors.Is(err, fs.ErrNotExist) {
		k.Networks, k.Ports = firstKeys(nil, networks), firstKeys(nil, ports)
		return k, nil
	}
	s, remove, err := copyOfStore(cfg.State, log)
	if err != nil {
		return k, err
	}
	defer remove()
	now, err := store.ReadClock()
	if err != nil {
		return k, err
	}
	if k.Networks, err = s.PlanKeys(now, store.NetworkKeys, networks); err != nil {
		return k, err
	}
	if k.Ports, err = s.PlanKeys(now, store.PortKeys, ports); err != nil {
		return k, err
	}
	book, err := lease.Open(lease.InStore(s), now, log)
	if err != nil {
		return k, err
	}
	table, err := binding.Open(binding.InStore(s), now.Uptime, log)
	if err != nil {
		return k, err
	}
	l := &leases{book: book, boot: now.Boot}
	k.Delegated, k.Leased = l.delegated(k.Keys), l.leased(k.Keys, cfg.Topology)
	k.Learned = (&learned{table: table}).held(k.Keys)
	found := &neighbors{table: neighbor.New(neighbor.DefaultBounds(), nil)}
	if _, err = openNeighborMemory(s, func() store.Clock { return now }, log, found.table, &found.routers); err != nil {
		return k, err
	}
	list := found.routers.List()
	found.upstream.Store(&list)
	k.Neighbors, k.Upstream = found.found(k.Keys), found.heard()
	var kept modifiers
	k.Modifiers, _ = kept.of(s, cfg.Topology, false)
	return k, nil
}

// copyOfStore opens a copy of the state in a folder of its own: opening the state
// itself would lock and perhaps mend it.
func copyOfStore(dir string, log *slog.Logger) (s *store.Store, remove func(), err error) {
	tmp, err := os.MkdirTemp("", "damselfly-plan-")
	if err != nil {
		return nil, nil, err
	}
	clean := func() { os.RemoveAll(tmp) }
	if err = os.CopyFS(tmp, os.DirFS(dir)); err == nil {
		s, err = store.Open(tmp, log)
	}
	if err != nil {
		clean()
		return nil, nil, fmt.Errorf("reading the keys of the last run: %w", err)
	}
	return s, func() { s.Close(); clean() }, nil
}

// firstKeys gives names without a key the lowest free ones, as the store would.
func firstKeys(known map[string]uint16, names []string) map[string]uint16 {
	out, used := map[string]uint16{}, map[uint16]bool{}
	for name, key := range known {
		out[name], used[key] = key, true
	}
	next := uint16(1)
	for _, name := range names {
		if out[name] != 0 {
			continue
		}
		for used[next] {
			next++
		}
		out[name], used[next] = next, true
	}
	return out
}

// runningKnown asks a running damselfly for what it knows.
func runningKnown(ctx context.Context, address string) (k known, ok bool) {
	if address == "" {
		return k, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/keys", address), nil)
	if err != nil {
		return k, false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return k, false
	}
	defer resp.Body.Close()
	return k, resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&k) == nil
}
