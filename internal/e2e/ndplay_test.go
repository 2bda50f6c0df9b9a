package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"

	"github.com/mdlayher/ndp"
)

// ndPlay is the network of the Neighbor Discovery cases on a real bridge. Its
// guests' own stacks are silent: what they send, the tests inject.
type ndPlay struct {
	*fixtures.NDWorld
	stage    *stage.Stage
	daemon   *stage.Daemon
	snapshot *topology.Snapshot // what the daemon serves, with other keys
	guests   map[string]*lab.Guest
	captures map[string]*lab.Capture // by port
	advert   []byte                  // the unsolicited Router Advertisement
	count    ndCount                 // after the last frame
	marks    uint16                  // sent so far
}

// ndSeen is what came of one frame.
type ndSeen struct {
	// Received are the frames that each port got.
	Received map[string][][]byte
	// Multicast are the router's advertisements to all nodes beside them; the
	// unsolicited ones, which come at any time, cannot be told apart.
	Multicast map[string][][]byte
	// Reasons are how the packet-ins from the sender's port ended.
	Reasons map[string]int
	// Roles are the packets that flows of each role were credited.
	Roles map[string]int
}

// String lists what was received, a frame a line.
func (s ndSeen) String() string {
	var lines []string
	for port, frames := range s.Received {
		for _, f := range frames {
			lines = append(lines, fmt.Sprintf("%s: %x", port, f))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// livePort is configured from the start and gets a guest with a stack where a
// test wants one.
const livePort = "vm6"

// newNDPlay sets the world up.
func newNDPlay(t *testing.T, ndExt bool) *ndPlay {
	t.Helper()
	w := fixtures.NewNDWorld()
	var yaml strings.Builder
	fmt.Fprintf(&yaml, `
limits: {ns: 20000/20000, na: 20000/20000, rs: 20000/20000, echo: 20000/20000}
networks:
  - {name: %s, mtu: 1442, subnets: [{prefix: "%s", gateway: "%s"}]}
routers: [{name: r1, networks: [%[1]s]}]
ports:
  - {name: %[4]s, network: %[1]s, mac: "02:00:00:00:00:16"}
`, w.Network, w.Prefix, w.Router.Global, livePort)
	for _, g := range w.Guests() {
		fmt.Fprintf(&yaml, "  - {name: %s, network: %s, mac: \"%s\", addresses: [\"%s\"], router: %v, unknown: %v}\n",
			g.Port, w.Network, g.MAC, g.Global, g == &w.RouterGuest, g == &w.Bridge)
	}
	p := &ndPlay{NDWorld: w, guests: map[string]*lab.Guest{}, captures: map[string]*lab.Capture{}}
	p.snapshot = p.inProcess(t)
	p.advert = p.handle(&w.Asker, p.routerSolicit(netip.IPv6Unspecified()).Bytes())[0]
	p.stage = newStage(t, ndExt, yaml.String())
	for _, g := range w.Guests() {
		if g == &w.Absent {
			continue
		}
		p.guests[g.Port] = addGuest(t, p.stage, lab.GuestOptions{Name: g.Port, MAC: g.MAC.String(),
			Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
		p.capture(t, g.Port)
	}
	p.daemon = serve(t, p.stage)
	p.settle(t)
	p.count = p.read(t)
	return p
}

// capture records what a port's guest sends and receives.
func (p *ndPlay) capture(t *testing.T, port string) {
	t.Helper()
	c, err := p.guests[port].Capture("", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	p.captures[port] = c
}

// inProcess builds the snapshot that handlers called in the test are given.
func (p *ndPlay) inProcess(t *testing.T) *topology.Snapshot {
	t.Helper()
	in := topology.Input{Spec: p.Spec(), Keys: topology.Keys{Networks: map[string]uint16{p.Network: 1}, Ports: map[string]uint16{}}}
	in.Spec.Networks[0].MTU = 1442
	for i, g := range p.Guests() {
		in.Keys.Ports[g.Port] = uint16(i + 1)
		if g != &p.Absent {
			in.Bindings = append(in.Bindings, topology.Binding{Interface: g.Port, OFPort: uint32(i + 1)})
		}
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		t.Fatalf("the test's topology is refused: %v", problems)
	}
	return s
}

// handle gives the replies of the handlers in this process.
func (p *ndPlay) handle(from *fixtures.Party, frame []byte) [][]byte {
	n := slices.Index(p.Guests(), from) + 1
	f := pipeline.Frame{Data: frame, InPort: uint32(n), Port: uint16(n), Network: 1}
	r := pipeline.NewReplies(4096)
	handlers.Dispatch(p.snapshot, time.Now(), &f, r)
	var out [][]byte
	for _, reply := range r.List() {
		out = append(out, reply.Data)
	}
	return out
}

// settle waits until the flows know every guest: each can be reached by all.
func (p *ndPlay) settle(t *testing.T) {
	t.Helper()
	lab.WaitFor(t, patience, "flows for every guest", func() error {
		st, err := p.daemon.Status()
		if err != nil {
			return err
		}
		for _, port := range st.Ports {
			if p.guests[port.Name] != nil && port.OFPort == 0 {
				return fmt.Errorf("port %s is not bound", port.Name)
			}
		}
		if st.FlowsInstalled != st.FlowsWanted || len(st.Problems) > 0 {
			return fmt.Errorf("%d of %d flows, problems %v", st.FlowsInstalled, st.FlowsWanted, st.Problems)
		}
		return nil
	})
}

// send injects a frame at a party's port and gives what came of it. It ends when
// two later frames of the same port have had all their effects, so that what has
// not come by then will not: frames of one port keep their order on each lane.
func (p *ndPlay) send(t *testing.T, from *fixtures.Party, frame []byte) ndSeen {
	t.Helper()
	start := map[string]int{}
	for port, c := range p.captures {
		start[port] = len(c.Frames())
	}
	if err := p.guests[from.Port].Inject(frame); err != nil {
		t.Fatal(err)
	}
	isMark := p.mark(t, from)
	before := p.count
	p.count = p.read(t)
	seen := ndSeen{Received: map[string][][]byte{}, Multicast: map[string][][]byte{}}
	seen.Reasons = grown(before.reasons[from.Port], p.count.reasons[from.Port])
	seen.Roles = grown(before.roles, p.count.roles)
	// The two marks.
	for _, reason := range []string{"relayed", "answered"} {
		if seen.Reasons[reason]--; seen.Reasons[reason] == 0 {
			delete(seen.Reasons, reason)
		}
	}
	if len(seen.Reasons) > 0 {
		// What is decided on the slow lane may have been overtaken by the marks; now
		// that it has ended, another pair comes after it.
		first, second := isMark, p.mark(t, from)
		isMark = func(f []byte) bool { return first(f) || second(f) }
		p.count = p.read(t)
	}
	for port, c := range p.captures {
		for _, f := range c.Frames()[start[port]:] {
			switch {
			case f.Sent || isMark(f.Data) || p.ofLive(port, f.Data, frame) || p.isOwnProbe(f.Data):
			case bytes.Equal(f.Data, p.advert):
				seen.Multicast[port] = append(seen.Multicast[port], f.Data)
			default:
				seen.Received[port] = append(seen.Received[port], f.Data)
			}
		}
	}
	return seen
}

// mark sends a question that Damselfly re-sends to all other ports, and an
// echo request that it answers, both always by punt, and waits for all of it.
func (p *ndPlay) mark(t *testing.T, from *fixtures.Party) (is func(frame []byte) bool) {
	t.Helper()
	p.marks++
	target := p.Prefix.Addr().As16()
	copy(target[8:], "mark")
	target[14], target[15] = byte(p.marks>>8), byte(p.marks)
	unknown := netip.AddrFrom16(target)
	group := wire.SolicitedNode(unknown)
	question := fixtures.ND(from.MAC, wire.MulticastMAC(group), from.LinkLocal, group,
		&ndp.NeighborSolicitation{TargetAddress: unknown}).Bytes()
	id := append([]byte("mk"), target[14:]...)
	ping := fixtures.Message{From: from.MAC, To: wire.AllRoutersMAC, Source: from.LinkLocal, Destination: wire.AllRouters,
		HopLimit: 255, Type: wire.TypeEchoRequest, Body: append(id, "data"...)}.Bytes()
	isAnswer := func(f []byte) bool {
		return len(f) == len(ping) && f[54] == wire.TypeEchoReply && bytes.Equal(f[58:], ping[58:])
	}
	isQuestion := func(f []byte) bool { return bytes.Equal(f, question) }

	for _, frame := range [][]byte{question, ping} {
		if err := p.guests[from.Port].Inject(frame); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for port, c := range p.captures {
		awaited := isQuestion
		if port == from.Port {
			awaited = isAnswer
		}
		if _, err := c.Await(ctx, awaited); err != nil {
			t.Fatalf("mark %d from %s does not come through to %s: %v", p.marks, from.Port, port, err)
		}
	}
	return func(f []byte) bool { return isQuestion(f) || isAnswer(f) }
}

// ofLive reports whether a frame belongs to the one guest with a stack: it sent
// it, or it received something else than the frame that was injected.
func (p *ndPlay) ofLive(port string, frame, injected []byte) bool {
	g := p.guests[livePort]
	return g != nil && (bytes.Equal(frame[6:12], g.MAC) || port == livePort && !bytes.Equal(frame, injected))
}

// isOwnProbe reports whether a frame is Damselfly's question to all whether
// somebody holds an address (RFC 6620 section 3.2.2).
func (p *ndPlay) isOwnProbe(f []byte) bool {
	return len(f) == 78 && bytes.Equal(f[6:12], p.Router.MAC[:]) && bytes.Equal(f[22:38], make([]byte, 16)) && f[54] == wire.TypeNeighborSolicit
}

// another makes Private an address that no case has told of yet, so that what
// was learned in one is not known in the next.
func (p *ndPlay) another() {
	a := p.Private.As16()
	a[8]++
	p.Private = netip.AddrFrom16(a)
}
