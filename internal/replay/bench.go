package replay

import (
	"fmt"
	"log/slog"
	"time"

	"damselfly/handlers"
	"damselfly/handlers/learn"
	"damselfly/handlers/mld"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/handlers/secure"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Bench is the handlers set up without a switch. It is used by one goroutine.
type Bench struct {
	snap     *topology.Snapshot
	handler  pipeline.Handler
	now      time.Time
	replies  *pipeline.Replies
	ports    map[wire.MAC]*topology.Port
	leases   *leases
	learned  *learned
	resolved *resolved
	listened *listened
	// relearn makes the snapshot anew when an address or a listener was learned; nil where it
	// stays as it is.
	relearn func() *topology.Snapshot
}

// Snapshot builds the snapshot of a configuration without a switch: its keys are
// in the order of the configuration, and every port is bound.
func Snapshot(spec *topology.Spec) (*topology.Snapshot, error) {
	var builder topology.Builder
	return build(&builder, unplugged(spec))
}

// unplugged is what a Snapshot is made of where there is no switch.
func unplugged(spec *topology.Spec) topology.Input {
	in := topology.Input{Spec: spec, Keys: topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}}
	for i := range spec.Networks {
		in.Keys.Networks[spec.Networks[i].Name] = uint16(i + 1)
	}
	for i := range spec.Ports {
		name, n := spec.Ports[i].Name, i+1
		in.Keys.Ports[name] = uint16(n)
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: uint32(n)})
	}
	return in
}

func build(b *topology.Builder, in topology.Input) (*topology.Snapshot, error) {
	snap, problems := b.Build(in)
	if snap == nil {
		return nil, fmt.Errorf("configuration: %v", problems)
	}
	return snap, nil
}

// newLearningBench returns a Bench of a configuration without a switch, whose
// topology grows by the addresses learned.
func newLearningBench(spec *topology.Spec, frames []Frame) (*Bench, error) {
	var builder topology.Builder
	in := unplugged(spec)
	snap, err := build(&builder, in)
	if err != nil {
		return nil, err
	}
	b, err := NewBench(snap, frames)
	if err != nil {
		return nil, err
	}
	b.relearn = func() *topology.Snapshot {
		in.Learned, in.Listening = b.learned.held(in.Keys), b.listened.held(in.Keys)
		snap, _ := builder.Build(in) // the configuration was good before
		return snap
	}
	return b, nil
}

// NewBench returns a Bench that serves snap. Its DHCPv6 begins without a lease,
// commits in memory and has the server DUID that the clients in frames speak to.
func NewBench(snap *topology.Snapshot, frames []Frame) (*Bench, error) {
	b := &Bench{replies: pipeline.NewReplies(1 << 16), resolved: newResolved(), listened: newListened()}
	b.serve(snap)
	var err error
	if b.leases, err = openLeases(identityOf(frames), b.replies); err != nil {
		return nil, err
	}
	if b.learned, err = openLearned(); err != nil {
		return nil, err
	}
	services := handlers.Services{DHCPv6: b.leases.server, Learn: &learn.Lane{Slow: later{}}, Resolve: &resolve.Lane{Slow: later{}},
		Listen: &mld.Lane{Slow: later{}},
		Secure: &secure.Lane{Shared: secure.NewShared(), Verifies: true}}
	b.handler = services.Bind(
		func() *topology.Snapshot { return b.snap },
		func() time.Time { return b.now },
		slog.New(slog.DiscardHandler))
	return b, nil
}

// serve takes a snapshot in use.
func (b *Bench) serve(snap *topology.Snapshot) {
	b.snap, b.ports = snap, make(map[wire.MAC]*topology.Port, len(snap.Ports))
	for _, p := range snap.Ports {
		b.ports[p.MAC] = p
	}
}

// sender is the port whose MAC a frame has as source, nil if there is none.
func (b *Bench) sender(data []byte) *topology.Port {
	if len(data) < wire.EthernetLen {
		return nil
	}
	return b.ports[wire.Ethernet(data).Source()]
}

// Judge puts one frame from a port through the handlers, as if punted under a
// class, and for class Error what trouble a router had; punt.None is that of who
// does not know. A nil port is one that the topology does
// not have. The replies are valid until the next call.
func (b *Bench) Judge(p *topology.Port, class punt.Class, trouble punt.Trouble, f Frame) (Verdict, []pipeline.Reply) {
	frame := pipeline.Frame{Data: f.Data, Class: uint8(class), Note: uint32(trouble)}
	v := Verdict{Time: f.At}
	if p != nil {
		frame.Port, frame.Network, frame.InPort = p.Key, p.Network.Key, p.OFPort
		v.Port = p.Name
	}
	b.now = f.At
	b.leases.at(f.At)
	b.resolved.at(f.At)
	learned, listened := b.learned.at(f.At), b.listened.at(f.At, b.snap)
	if (learned || listened) && b.relearn != nil {
		b.serve(b.relearn())
	}
	b.listened.lane.Snapshot = b.snap
	b.replies.Reset()
	reasons := make([]pipeline.Reason, 1)
	if why, ok := answered(b.snap, f.Data, b.replies); ok && p == nil {
		reasons[0] = why
	} else if b.handler([]pipeline.Frame{frame}, b.replies, reasons); reasons[0] == reason.HandedOver {
		slow := handlers.Services{DHCPv6: b.leases.server, Learn: b.learned.lane, Resolve: b.resolved.lane, Listen: b.listened.lane}
		reasons[0] = b.leases.decide(b.snap, &frame, slow, b.replies)
		b.learned.sent(b.snap, b.replies)
		b.resolved.sent(b.snap, b.replies)
		b.listened.sent(b.replies)
	}
	v.Reason, v.Explanation = handlers.ReasonName(reasons[0]), handlers.Explain(reasons[0])
	v.RFC = handlers.RFC(reasons[0])
	if v.Port == "" && reasons[0] == reason.UnknownPort {
		v.Explanation = "no port of the configuration has the frame's source MAC"
	}
	v.Replies = len(b.replies.List())
	return v, b.replies.List()
}
