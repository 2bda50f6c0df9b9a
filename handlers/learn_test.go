package handlers_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/learn"
	"damselfly/handlers/reason"
	"damselfly/internal/binding"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// learner is both lanes with bindings between them, and a clock.
type learner struct {
	world
	table      *binding.Table
	fast, slow handlers.Services
	now        time.Duration
	waiting    *pipeline.Frame
}

// nowhere is a binding.Storage that keeps nothing.
type nowhere struct{}

func (nowhere) Load(func(key, value []byte)) error { return nil }
func (nowhere) Apply([]binding.Change) error       { return nil }

// Push implements learn.SlowLane.
func (l *learner) Push(f *pipeline.Frame, _ time.Time) bool {
	if l.waiting != nil {
		return false
	}
	held := *f
	held.Data = bytes.Clone(f.Data)
	l.waiting = &held
	return true
}

func newLearner(t testing.TB) *learner {
	t.Helper()
	l := &learner{world: newWorld(t, nil), now: time.Hour}
	var err error
	if l.table, err = binding.Open(nowhere{}, l.now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	l.table.Present = func(_, port string) bool { p := l.Snapshot.PortNamed(port); return p != nil && p.OFPort != 0 }
	l.fast.Learn = &learn.Lane{Slow: l}
	l.slow.Learn = &learn.Lane{Table: l.table}
	return l
}

// say punts a frame and gives how it ended, with the replies made for it and by
// what came of it.
func (l *learner) say(p *fixtures.Party, data []byte) (why pipeline.Reason, replies []pipeline.Reply) {
	f, r := l.frame(p, data), pipeline.NewReplies(4096)
	why = l.fast.Dispatch(l.Snapshot, now, &f, r)
	if why == reason.HandedOver {
		held := l.waiting
		l.waiting = nil
		l.slow.Learn.Uptime = l.now
		why = l.slow.DecideAddress(l.Snapshot, now, held, r)
	}
	l.send(r)
	return why, r.List()
}

// pass lets time pass and gives what is sent meanwhile.
func (l *learner) pass(d time.Duration) []pipeline.Reply {
	l.now += d
	l.table.Tick(l.now)
	r := pipeline.NewReplies(4096)
	l.send(r)
	return r.List()
}

func (l *learner) send(r *pipeline.Replies) {
	for _, e := range l.table.Events() {
		learn.Send(l.Snapshot, e, nil, r)
	}
}

// publish puts what was learned into the snapshot, as the agent does.
func (l *learner) publish(t *testing.T) {
	t.Helper()
	if _, err := l.table.Commit(); err != nil {
		t.Fatal(err)
	}
	l.world = newWorld(t, func(in *topology.Input) {
		in.Learned = map[string][]topology.HeldAddress{}
		for _, b := range l.table.View().Bound() {
			in.Learned[b.Network] = append(in.Learned[b.Network], topology.HeldAddress{Addr: b.Addr, Port: in.Keys.Ports[b.Port]})
		}
	})
}

// The frames of guests, made by mdlayher/ndp and gopacket.

func probeOf(p *fixtures.Party, a netip.Addr) []byte {
	group := wire.SolicitedNode(a)
	return fixtures.ND(p.MAC, wire.MulticastMAC(group), netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: a}).Bytes()
}

func questionOf(p *fixtures.Party, from, a netip.Addr) []byte {
	group := wire.SolicitedNode(a)
	return fixtures.ND(p.MAC, wire.MulticastMAC(group), from, group,
		&ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, p.MAC)}}).Bytes()
}

func answerOf(p *fixtures.Party, a, to netip.Addr, mac wire.MAC) []byte {
	return fixtures.ND(p.MAC, mac, a, to, &ndp.NeighborAdvertisement{
		Solicited: !to.IsMulticast(), Override: true, TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Target, p.MAC)},
	}).Bytes()
}

// tell renders how a frame ended and what was sent, as other tools read it.
func (l *learner) tell(t *testing.T, why pipeline.Reason, replies []pipeline.Reply, sent []byte) (out []string) {
	t.Helper()
	if why != 0 {
		out = append(out, handlers.ReasonName(why))
	}
	for _, r := range replies {
		to := fmt.Sprintf("to %d", r.Out)
		if r.Out == 0 {
			to = fmt.Sprintf("to all but %d", r.InPort)
			if r.Network != blueKey {
				t.Errorf("onto network %d", r.Network)
			}
		}
		if bytes.Equal(r.Data, sent) {
			out = append(out, to+": the same")
			continue
		}
		if err := fixtures.CheckReply(r.Data, fixtures.HopLimit(255), func(m *fixtures.Reply) error {
			head := fmt.Sprintf("%s: %v > %v, %v > %v", to, m.Ethernet.SrcMAC, m.Ethernet.DstMAC, m.IPv6.SrcIP, m.IPv6.DstIP)
			switch m := m.Message.(type) {
			case *ndp.NeighborSolicitation:
				head += fmt.Sprintf(" NS %v", m.TargetAddress)
				for _, o := range m.Options {
					head += fmt.Sprintf(" sll %v", o.(*ndp.LinkLayerAddress).Addr)
				}
			case *ndp.NeighborAdvertisement:
				head += fmt.Sprintf(" NA %v R%v S%v O%v", m.TargetAddress, m.Router, m.Solicited, m.Override)
				for _, o := range m.Options {
					head += fmt.Sprintf(" tll %v", o.(*ndp.LinkLayerAddress).Addr)
				}
			}
			out = append(out, head)
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	return out
}

func (l *learner) expect(t *testing.T, what string, p *fixtures.Party, data []byte, want ...string) {
	t.Helper()
	why, replies := l.say(p, data)
	if diff := cmp.Diff(want, l.tell(t, why, replies, data)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (l *learner) later(t *testing.T, what string, d time.Duration, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, l.tell(t, 0, l.pass(d), nil)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const (
	defended = "to 21: 02:00:00:00:00:11 > 33:33:00:00:00:01, fd00:b1::7a3c:55d1:9e02:4b6f > ff02::1 NA fd00:b1::7a3c:55d1:9e02:4b6f Rfalse Sfalse Otrue tll 02:00:00:00:00:11"
	asked    = "to 20: da:f1:96:7e:be:92 > 02:00:00:00:00:11, fe80::1 > fd00:b1::7a3c:55d1:9e02:4b6f NS fd00:b1::7a3c:55d1:9e02:4b6f sll da:f1:96:7e:be:92"
	askedAll = "to all but 20: da:f1:96:7e:be:92 > 33:33:ff:02:4b:6f, :: > ff02::1:ff02:4b6f NS fd00:b1::7a3c:55d1:9e02:4b6f"
)

// TestLearnByProbe follows an address from its first probe to a rival's.
func TestLearnByProbe(t *testing.T) {
	t.Parallel()
	l := newLearner(t)
	a := l.Private
	l.expect(t, "first probe", &l.Asker, probeOf(&l.Asker, a), "relayed", "to all but 20: the same")
	l.expect(t, "rival's at once", &l.Neighbor, probeOf(&l.Neighbor, a), "dad-defended", defended)
	l.later(t, "wait", binding.Wait)
	l.publish(t)
	l.expect(t, "question of another", &l.Neighbor, questionOf(&l.Neighbor, l.Neighbor.Global, a), "answered",
		"to 21: 02:00:00:00:00:11 > 02:00:00:00:00:12, fd00:b1::7a3c:55d1:9e02:4b6f > fd00:b1::12 NA fd00:b1::7a3c:55d1:9e02:4b6f Rfalse Strue Otrue tll 02:00:00:00:00:11")
	l.expect(t, "question from it", &l.Asker, questionOf(&l.Asker, a, l.Neighbor.Global), "answered",
		"to 20: 02:00:00:00:00:12 > 02:00:00:00:00:11, fd00:b1::12 > fd00:b1::7a3c:55d1:9e02:4b6f NA fd00:b1::12 Rfalse Strue Otrue tll 02:00:00:00:00:12")
	l.expect(t, "advertisement of another", &l.Neighbor, answerOf(&l.Neighbor, a, wire.AllNodes, wire.AllNodesMAC), "forged-source")
	l.pass(time.Minute)
	l.expect(t, "its own probe again", &l.Asker, probeOf(&l.Asker, a), "relayed", "to all but 20: the same")
	l.expect(t, "rival's while that is fresh", &l.Neighbor, probeOf(&l.Neighbor, a), "dad-defended", defended)
	l.pass(time.Minute)
	l.expect(t, "rival's later", &l.Neighbor, probeOf(&l.Neighbor, a), "learning", asked)
	asker, mac := l.blue().Asker()
	l.expect(t, "the holder's answer", &l.Asker, answerOf(&l.Asker, a, asker, mac), "still-there", defended)
	l.pass(time.Minute)
	l.expect(t, "rival's much later", &l.Neighbor, probeOf(&l.Neighbor, a), "learning", asked)
	l.later(t, "no answer", binding.Wait)
	l.publish(t)
	if got := l.Snapshot.PortNamed(l.Neighbor.Port).Learned; len(got) != 1 || got[0] != a {
		t.Errorf("the rival holds %v", got)
	}
}

// TestLearnByUse follows an address that is used without a probe.
func TestLearnByUse(t *testing.T) {
	t.Parallel()
	l := newLearner(t)
	a := l.Private
	datagram := func(p *fixtures.Party, from netip.Addr) []byte {
		m := fixtures.ND(p.MAC, l.Neighbor.MAC, from, l.Neighbor.Global, &ndp.NeighborSolicitation{TargetAddress: a})
		m.Type, m.HopLimit = 200, 64 // of private experimentation (RFC 4443 section 2.1)
		return m.Bytes()
	}
	l.expect(t, "a packet", &l.Asker, datagram(&l.Asker, a), "learning", askedAll)
	l.expect(t, "the next", &l.Asker, datagram(&l.Asker, a), "learning")
	l.expect(t, "a question to a known guest", &l.Asker, questionOf(&l.Asker, a, l.Neighbor.Global), "answered",
		"to 20: 02:00:00:00:00:12 > 02:00:00:00:00:11, fd00:b1::12 > fd00:b1::7a3c:55d1:9e02:4b6f NA fd00:b1::12 Rfalse Strue Otrue tll 02:00:00:00:00:12")
	l.expect(t, "a question to another", &l.Asker, questionOf(&l.Asker, a, a.Next()), "learning")
	l.expect(t, "another's packet", &l.Neighbor, datagram(&l.Neighbor, a), "address-conflict")
	l.expect(t, "one that objects", &l.Neighbor, answerOf(&l.Neighbor, a, wire.AllNodes, wire.AllNodesMAC), "relayed", "to all but 21: the same",
		"to 20: the same") // Damselfly says it just as the guest did
	l.expect(t, "another MAC", &l.Asker, datagram(&l.Neighbor, a.Next()), "forged-mac")
	l.expect(t, "another's address", &l.Asker, datagram(&l.Asker, l.Absent.Global), "forged-source")
	l.expect(t, "no address of the link", &l.Asker, datagram(&l.Asker, netip.MustParseAddr("fd00:b2::1")), "forged-source")
	l.expect(t, "the anycast address of routers", &l.Asker, datagram(&l.Asker, netip.MustParseAddr("fd00:b1::")), "forged-source")
	l.expect(t, "behind a port that is not secured", &l.Bridge, questionOf(&l.Bridge, a.Next(), a.Next().Next()), "relayed", "to all but 23: the same")

	for i := range topology.DefaultMaxAddresses {
		b := a.As16()
		b[8], b[9] = 0xee, byte(i)
		if why, _ := l.say(&l.RouterGuest, datagram(&l.RouterGuest, netip.AddrFrom16(b))); why != reason.Learning {
			t.Fatalf("address %d: %s", i, handlers.ReasonName(why))
		}
	}
	l.expect(t, "one too many", &l.RouterGuest, datagram(&l.RouterGuest, a.Next()), "too-many-addresses")
	l.expect(t, "a probe too many", &l.RouterGuest, probeOf(&l.RouterGuest, a.Next()), "too-many-addresses")
	l.waiting = &pipeline.Frame{}
	l.expect(t, "no room in the slow lane", &l.Asker, probeOf(&l.Asker, a.Next()), "slow-lane-full")
}

// TestLearnNoAllocations: with learning on, the fast lane allocates no more, and
// nothing to hand a frame over.
func TestLearnNoAllocations(t *testing.T) {
	l := newLearner(t)
	frames := kinds(l.world)
	frames["handed over"] = probeOf(&l.Asker, l.Private)
	taken := full{}
	l.fast.Learn.Slow = &taken
	r := pipeline.NewReplies(4096)
	for name, data := range frames {
		f := l.frame(&l.Asker, data)
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			l.fast.Dispatch(l.Snapshot, now, &f, r)
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame, want 0", name, n)
		}
	}
	if taken.frames == 0 {
		t.Error("nothing was handed over")
	}
}

// full is a slow lane that counts.
type full struct{ frames int }

// Push implements learn.SlowLane.
func (s *full) Push(*pipeline.Frame, time.Time) bool {
	s.frames++
	return true
}
