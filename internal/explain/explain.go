package explain

import (
	"context"
	"fmt"

	"damselfly/flows"
	"damselfly/internal/config"
	"damselfly/internal/replay"
	"damselfly/internal/topology"
)

// Options are what an Explainer goes by.
type Options struct {
	// Snapshot is what is served, Env what its flows depend on beside it. Whether
	// the datapath has the ND extensions, and whether frames come by the pulse port,
	// need not be known.
	Snapshot *topology.Snapshot
	Env      flows.Env
	// Spec is the configuration behind it, and Places where its keys stand.
	Spec   *topology.Spec
	Places *config.Places
	// Bridge is the bridge's name, and Switch who is asked about it; nil leaves
	// the verdict to the code alone.
	Bridge string
	Switch Switch
	// Notes are said with every frame.
	Notes []string
}

// Explainer explains frames, one after the other: what one of them changes, such
// as a lease, the next one finds. It is used by one goroutine.
type Explainer struct {
	o      Options
	index  index
	groups map[uint32]*flows.Group
	lines  lines
	bench  *replay.Bench
}

// New returns an Explainer of these frames.
func New(o Options, frames []replay.Frame) (*Explainer, error) {
	bench, err := replay.NewBench(o.Snapshot, frames)
	if err != nil {
		return nil, err
	}
	e := &Explainer{o: o, index: index{}, lines: lines{o.Spec, o.Places}, bench: bench}
	for n := range 4 {
		env := o.Env
		env.NDExt, env.PuntPort = n&1 != 0, n&2 != 0 && env.PulsePort != 0
		pieces := flows.NewCompiler(env).Update(o.Snapshot)
		e.index.add(pieces, o.Snapshot)
		e.groups = pieces.Set().Groups
	}
	return e, nil
}

// Explanation is what becomes of a frame.
type Explanation struct {
	// Port and Network are where it comes in.
	Port    string `json:"port"`
	Network string `json:"network"`
	// Is says what it is.
	Is string `json:"is"`
	// Outcome is dropped, delivered, answered, relayed, waits or lost.
	Outcome string `json:"outcome"`
	// Reason is the role of the flow that decided, or Damselfly's reason.
	Reason string `json:"reason,omitempty"`
	// Verdict is the outcome in sentences, RFC the clause that it goes by, ""
	// where it is Damselfly's own rule.
	Verdict string `json:"verdict"`
	RFC     string `json:"rfc,omitempty"`
	// Configuration is what stands behind it.
	Configuration []Line `json:"configuration,omitempty"`
	// Way is the tables that it came to; empty without a switch.
	Way []Step `json:"way,omitempty"`
	// Notes are what else has to be known.
	Notes []string `json:"notes,omitempty"`
}

// Explain follows a frame that comes in by a port. That of a sub-port may have its
// tag or not.
func (e *Explainer) Explain(ctx context.Context, p *topology.Port, frame replay.Frame) *Explanation {
	frame.Data = untagged(frame.Data, p.VLAN)
	f := look(frame.Data)
	x := &Explanation{Port: p.Name, Network: p.Network.Name, Is: f.text, Notes: append([]string(nil), e.o.Notes...)}
	var w *way
	switch {
	case p.OFPort == 0:
		x.note("port %s is not on the switch: this is what the code alone says", p.Name)
	case e.o.Switch != nil:
		var err error
		if w, err = trace(ctx, p, frame.Data, e.index, &e.o, e.groups); err != nil {
			x.note("the switch could not be asked, so this is what the code alone says: %v", err)
		}
	}
	if w == nil {
		e.byCode(x, f, p, end{}, frame)
		x.Verdict = "If the switch hands it over: " + x.Verdict
		return x
	}
	x.Way, x.Notes = w.steps, append(x.Notes, w.notes...)
	e.bySwitch(x, w, f, p, frame)
	return x
}

func (x *Explanation) note(format string, args ...any) {
	x.Notes = append(x.Notes, fmt.Sprintf(format, args...))
}
