package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"

	"github.com/mdlayher/ndp"
)

// play is a network on a real bridge whose guests' own stacks are silent: what
// they send, the tests inject, and what came of it is found out frame by frame.
type play struct {
	stage    *stage.Stage
	daemon   *stage.Daemon
	router   fixtures.Party
	prefix   netip.Prefix // where guests make addresses
	guests   map[string]*lab.Guest
	captures map[string]*lab.Capture // by port
	advert   []byte                  // the unsolicited Router Advertisement
	own      func([]byte) bool       // whether a frame is one that the router says at any time, nil for that alone
	// question is what Damselfly re-sends to all, nil for a plain Neighbor Solicitation
	// of an address that nobody has.
	question func(t *testing.T, from *fixtures.Party, unknown netip.Addr) []byte
	uplink   string  // the port whose Echo Requests nobody answers, if there is one
	count    ndCount // after the last frame
	marks    uint16  // sent so far
}

// newPlay is one without guests.
func newPlay(router fixtures.Party, prefix netip.Prefix) *play {
	return &play{router: router, prefix: prefix, guests: map[string]*lab.Guest{}, captures: map[string]*lab.Capture{}}
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

// capture records what a port's guest sends and receives.
func (p *play) capture(t *testing.T, port string) {
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

// settle waits until the flows know every guest: each can be reached by all.
func (p *play) settle(t *testing.T) {
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

// send injects frames at a party's port and gives what came of them. It ends when
// two later frames of the same port have had all their effects, so that what has
// not come by then will not: frames of one port keep their order on each lane.
func (p *play) send(t *testing.T, from *fixtures.Party, frames ...[]byte) ndSeen {
	t.Helper()
	return p.sendUntil(t, from, func(map[string]int) error { return nil }, frames...)
}

// sendUntil is send for what is decided beside the order of frames, in the slow
// lane: it first waits until done is nil. done is given how many frames each
// port's capture had before.
func (p *play) sendUntil(t *testing.T, from *fixtures.Party, done func(start map[string]int) error, frames ...[]byte) ndSeen {
	t.Helper()
	start := map[string]int{}
	for port, c := range p.captures {
		start[port] = len(c.Frames())
	}
	inject(t, p.guests[from.Port], frames...)
	lab.WaitFor(t, patience, "what is awaited", func() error { return done(start) })
	isMark := p.mark(t, from)
	before := p.count
	p.count = p.read(t)
	seen := ndSeen{Received: map[string][][]byte{}, Multicast: map[string][][]byte{}}
	seen.Reasons = grown(before.reasons[from.Port], p.count.reasons[from.Port])
	seen.Roles = grown(before.roles, p.count.roles)
	// The two marks.
	marks := []string{"relayed", "answered"}
	if from.Port == p.uplink {
		marks = marks[:1]
	}
	for _, reason := range marks {
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
			case f.Sent || isMark(f.Data) || p.ofLive(port, f.Data, frames) || p.isOwnProbe(f.Data):
			case bytes.Equal(f.Data, p.advert) || p.own != nil && p.own(f.Data):
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
func (p *play) mark(t *testing.T, from *fixtures.Party) (is func(frame []byte) bool) {
	t.Helper()
	p.marks++
	target := p.prefix.Addr().As16()
	copy(target[8:], "mark")
	target[14], target[15] = byte(p.marks>>8), byte(p.marks)
	unknown := netip.AddrFrom16(target)
	question := p.ask(t, from, unknown)
	id := append([]byte("mk"), target[14:]...)
	ping := fixtures.Message{From: from.MAC, To: wire.AllRoutersMAC, Source: from.LinkLocal, Destination: wire.AllRouters,
		HopLimit: 255, Type: wire.TypeEchoRequest, Body: append(id, "data"...)}.Bytes()
	isAnswer := func(f []byte) bool {
		return len(f) == len(ping) && f[54] == wire.TypeEchoReply && bytes.Equal(f[58:], ping[58:])
	}
	isQuestion := func(f []byte) bool { return bytes.Equal(f, question) }

	sent := [][]byte{question, ping}
	if from.Port == p.uplink {
		sent = sent[:1]
	}
	for _, frame := range sent {
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
			if port == p.uplink {
				continue
			}
		}
		if _, err := c.Await(ctx, awaited); err != nil {
			t.Fatalf("mark %d from %s does not come through to %s: %v", p.marks, from.Port, port, err)
		}
	}
	return func(f []byte) bool { return isQuestion(f) || isAnswer(f) }
}

// ask is a question for an address that nobody has.
func (p *play) ask(t *testing.T, from *fixtures.Party, unknown netip.Addr) []byte {
	if p.question != nil {
		return p.question(t, from, unknown)
	}
	group := wire.SolicitedNode(unknown)
	return fixtures.ND(from.MAC, wire.MulticastMAC(group), from.LinkLocal, group,
		&ndp.NeighborSolicitation{TargetAddress: unknown}).Bytes()
}

// ofLive reports whether a frame belongs to the one guest with a stack: it sent
// it, or it received something else than what was injected.
func (p *play) ofLive(port string, frame []byte, injected [][]byte) bool {
	g := p.guests[livePort]
	return g != nil && (bytes.Equal(frame[6:12], g.MAC) || port == livePort && !slices.ContainsFunc(injected, like(frame)))
}

// isOwnProbe reports whether a frame is Damselfly's question to all whether
// somebody holds an address (RFC 6620 section 3.2.2).
func (p *play) isOwnProbe(f []byte) bool {
	return len(f) >= 78 && bytes.Equal(f[6:12], p.router.MAC[:]) && bytes.Equal(f[22:38], make([]byte, 16)) && f[54] == wire.TypeNeighborSolicit
}
