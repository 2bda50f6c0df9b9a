package handlers_test

import (
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// now is the time of every test.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	blueKey  = 7
	firstKey = 100 // of the guests, in the order of NDWorld.Guests
	firstOF  = 20
)

// world is the Neighbor Discovery cases' network as a snapshot.
type world struct {
	*fixtures.NDWorld
	Snapshot *topology.Snapshot
}

// newWorld builds it; change, if any, edits the input.
func newWorld(t testing.TB, change func(*topology.Input)) world {
	t.Helper()
	w := fixtures.NewNDWorld()
	in := topology.Input{Spec: w.Spec(), Keys: topology.Keys{
		Networks: map[string]uint16{w.Network: blueKey}, Ports: map[string]uint16{},
	}}
	for i, g := range w.Guests() {
		in.Keys.Ports[g.Port] = firstKey + uint16(i)
		if g != &w.Absent {
			in.Bindings = append(in.Bindings, topology.Binding{Interface: g.Port, OFPort: firstOF + uint32(i)})
		}
	}
	if change != nil {
		change(&in)
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		t.Fatalf("the test's topology is refused: %v", problems)
	}
	return world{w, s}
}

// frame is data as punted from p's port.
func (w world) frame(p *fixtures.Party, data []byte) pipeline.Frame {
	for i, g := range w.Guests() {
		if g.Port == p.Port {
			return pipeline.Frame{Data: data, InPort: firstOF + uint32(i), Port: firstKey + uint16(i), Network: blueKey}
		}
	}
	panic("the party has no port")
}

// dispatch punts data from p's port and gives what comes of it.
func (w world) dispatch(p *fixtures.Party, data []byte) (pipeline.Reason, []pipeline.Reply) {
	f := w.frame(p, data)
	r := pipeline.NewReplies(4096)
	why := handlers.Dispatch(w.Snapshot, now, &f, r)
	return why, r.List()
}

// noRouter leaves the network to its guests.
func noRouter(in *topology.Input) {
	in.Spec.Networks[0].Subnets = nil
	in.Spec.Routers = nil
	for i := range in.Spec.Ports {
		in.Spec.Ports[i].Addresses = nil // no subnet that they could lie in
	}
}

// blue is the network as the snapshot has it.
func (w world) blue() *topology.Network { return w.Snapshot.Network(blueKey) }
