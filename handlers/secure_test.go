package handlers_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/handlers/secure"
	"damselfly/internal/punt"
	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// secureWorld is the network with Secure Neighbor Discovery, and a guest at vm1 that
// signs.
type secureWorld struct {
	world
	peers    *fixtures.SecureWorld
	services *handlers.Services
	lane     *secure.Lane
	now      time.Time
}

// newSecureWorld has a network of a mode whose router signs.
func newSecureWorld(t testing.TB, mode topology.SendMode, change func(*topology.Input)) *secureWorld {
	t.Helper()
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := send.ParseChain(fixtures.RouterChain, key)
	if err != nil {
		t.Fatal(err)
	}
	w := &secureWorld{now: now}
	if w.peers, err = fixtures.NewSecureWorld(fixtures.NewNDWorld(), fixtures.SignersFor(t)); err != nil {
		t.Fatal(err)
	}
	w.peers.Now = func() float64 { return float64(w.now.UnixNano()) / 1e9 }
	w.world = newWorld(t, func(in *topology.Input) {
		in.Spec.Networks[0].Send = &topology.SendSpec{Mode: mode, Key: key, Chain: chain}
		in.Spec.Routers[0].Networks[0].LinkLocal = netip.Addr{}
		in.Spec.Ports[0].Addresses = w.peers.Addresses()
		in.Learned = map[string][]topology.HeldAddress{"blue": {{Addr: w.peers.Own.Addr, Port: firstKey}}}
		if change != nil {
			change(in)
		}
	})
	if r := w.blue().Router; r != nil {
		w.Router.LinkLocal = r.LinkLocal
	}
	w.peers.NDWorld = w.NDWorld
	w.lane = &secure.Lane{Shared: secure.NewShared(), Verifies: true}
	w.services = &handlers.Services{Secure: w.lane}
	return w
}

// judge puts a frame of a party's through.
func (w *secureWorld) judge(from *fixtures.Party, frame []byte) (pipeline.Reason, []pipeline.Reply) {
	f := w.frame(from, frame)
	r := pipeline.NewReplies(8192)
	why := w.services.Dispatch(w.Snapshot, w.now, &f, r)
	return why, r.List()
}

// solicit is a Neighbor Solicitation of the signing guest's.
func (w *secureWorld) solicit(t testing.TB, target netip.Addr, changes ...func(*fixtures.SignedMessage)) []byte {
	t.Helper()
	return made(t)(w.peers.Solicit(w.peers.Own, target, changes...))
}

// advertise is a signed Neighbor Advertisement of its own.
func (w *secureWorld) advertise(t testing.TB, changes ...func(*fixtures.SignedMessage)) []byte {
	t.Helper()
	return made(t)(w.peers.Advertise(w.peers.Own, changes...))
}

// made is a frame that could be made.
func made(t testing.TB) func([]byte, error) []byte {
	return func(frame []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return frame
	}
}

// checkSigned wants one reply that the peers' program takes, with a nonce, and a
// source.
func (w *secureWorld) checkSigned(t *testing.T, what string, replies []pipeline.Reply, typ byte, nonce string) {
	t.Helper()
	if len(replies) != 1 {
		t.Fatalf("%s: %d replies", what, len(replies))
	}
	v, err := w.peers.Verify(replies[0].Data)
	switch {
	case err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case !v.Signed || replies[0].Data[54] != typ || v.Nonce != nonce || v.Source != w.Router.LinkLocal.String() || int64(v.Stamp) != w.now.Unix():
		t.Errorf("%s: type %d, read as %+v", what, replies[0].Data[54], v)
	}
}

// TestSecureCases: what becomes of guests' messages in each mode, legal ones and forged
// ones, each by a name of its own; a legal one once more is a replay. The peers'
// program takes what the router says, and Wireshark has nothing to say against it.
func TestSecureCases(t *testing.T) {
	t.Parallel()
	for i, mode := range []topology.SendMode{topology.SendObserve, topology.SendPrefer, topology.SendRequire} {
		t.Run(fixtures.SecureModes[i], func(t *testing.T) {
			t.Parallel()
			w := newSecureWorld(t, mode, nil)
			var all [][]byte
			replays := 0
			for _, c := range fixtures.SecureCases() {
				w.now = w.now.Add(10 * time.Second)
				from := &w.Asker
				if c.From != nil {
					from = c.From(w.NDWorld)
				}
				frame := made(t)(c.Frame(w.peers))
				why, replies := w.judge(from, frame)
				if got := handlers.ReasonName(why); got != c.Ends[i] {
					t.Errorf("%s: %s, want %s", c.Name, got, c.Ends[i])
				}
				var answers [][]byte
				for _, r := range replies {
					if why == reason.Relayed {
						if !bytes.Equal(r.Data, frame) || len(replies) != 1 {
							t.Errorf("%s: re-sent as %x", c.Name, r.Data)
						}
						continue
					}
					answers = append(answers, bytes.Clone(r.Data))
				}
				if why != reason.Relayed {
					if err := w.peers.CheckAnswers(c, i, frame, answers); err != nil {
						t.Errorf("%s: %v", c.Name, err)
					}
				}
				all = append(all, answers...)
				if i > 0 && w.peers.Accepted(frame) && reason.Replies(why) {
					replays++
					if why, replies := w.judge(from, frame); why != reason.OfSEND(send.FaultReplay) || len(replies) > 0 {
						t.Errorf("%s, once more: %s, %d replies", c.Name, handlers.ReasonName(why), len(replies))
					}
				}
			}
			fixtures.CheckDissected(t, all)
			t.Logf("%d cases, %d answers, %d replays", len(fixtures.SecureCases()), len(all), replays)
		})
	}
}

// TestSecureAsked: a guest's answer to Damselfly's own question has the question's
// nonce.
func TestSecureAsked(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendRequire, nil)
	frame := w.advertise(t, func(m *fixtures.SignedMessage) {
		m.Destination, m.To, m.Flags = w.Router.LinkLocal, w.Router.MAC, wire.FlagSolicited|wire.FlagOverride
		m.Nonce = w.lane.Questions.Nonce(w.now, w.peers.Own.Addr)[2:]
	})
	if why, _ := w.judge(&w.Asker, frame); why != reason.Relayed {
		t.Error(handlers.ReasonName(why))
	}
}

func plainSolicit(w *secureWorld, target netip.Addr) []byte {
	to := target.As16()
	return fixtures.Message{From: w.Asker.MAC, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: w.Asker.LinkLocal,
		Destination: wire.SolicitedNode(target), HopLimit: 255, Type: 135,
		Body: append(append(make([]byte, 4), to[:]...), append([]byte{1, 1}, w.Asker.MAC[:]...)...)}.Bytes()
}

func plainAdvert(w *secureWorld, target netip.Addr) []byte {
	to := target.As16()
	return fixtures.Message{From: w.Asker.MAC, To: wire.AllNodesMAC, Source: target, Destination: wire.AllNodes, HopLimit: 255, Type: 136,
		Body: append(append([]byte{0x20, 0, 0, 0}, to[:]...), append([]byte{2, 1}, w.Asker.MAC[:]...)...)}.Bytes()
}

// TestSecureReplay: a message is taken once, and one far off in time is answered if it
// asks for the router, but makes nobody known.
func TestSecureReplay(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendRequire, nil)
	frame := w.solicit(t, w.Neighbor.LinkLocal)
	if why, _ := w.judge(&w.Asker, frame); why != reason.Answered {
		t.Fatal(handlers.ReasonName(why))
	}
	// A clock that was set back: only who asked knows whether the answer is new.
	answer := func(without ...string) []byte {
		return w.advertise(t, func(m *fixtures.SignedMessage) {
			m.At, m.To, m.Destination, m.Flags, m.Without = m.At-60, w.Neighbor.MAC, w.Neighbor.LinkLocal, wire.FlagSolicited|wire.FlagOverride, without
			m.Nonce = fixtures.SecureNonce
		})
	}
	if why, _ := w.judge(&w.Asker, answer()); why != reason.Relayed {
		t.Errorf("an answer of a minute ago: %s", handlers.ReasonName(why))
	}
	if why, _ := w.judge(&w.Asker, answer("nonce")); why != reason.OfSEND(send.FaultReplay) {
		t.Errorf("an answer of a minute ago without a nonce: %s", handlers.ReasonName(why))
	}
	for _, d := range []time.Duration{0, time.Second, time.Minute, time.Hour} {
		w.now = now.Add(d)
		if why, replies := w.judge(&w.Asker, frame); why != reason.OfSEND(send.FaultReplay) || len(replies) > 0 {
			t.Errorf("once more after %v: %s", d, handlers.ReasonName(why))
		}
	}
	w = newSecureWorld(t, topology.SendRequire, nil)
	old := func(m *fixtures.SignedMessage) { m.At -= 3600 }
	why, replies := w.judge(&w.Asker, w.solicit(t, w.Router.LinkLocal, old))
	if why != reason.Answered || w.lane.Peers.Len() != 0 {
		t.Errorf("a clock that is an hour late: %s, %d peers", handlers.ReasonName(why), w.lane.Peers.Len())
	}
	w.checkSigned(t, "a clock that is late", replies, 136, "010203040506")
	if why, _ := w.judge(&w.Asker, w.solicit(t, w.Neighbor.LinkLocal, old)); why != reason.Answered || w.lane.Peers.Len() != 0 {
		t.Errorf("a clock that is late, asking for a guest: %s, %d peers", handlers.ReasonName(why), w.lane.Peers.Len())
	}
	probe := func(m *fixtures.SignedMessage) {
		old(m)
		m.Source, m.Prefix, m.LinkLayer = netip.IPv6Unspecified(), m.Source, wire.MAC{}
	}
	if why, _ := w.judge(&w.Asker, w.solicit(t, w.peers.Own.Addr, probe)); why != reason.OfSEND(send.FaultTimestamp) {
		t.Errorf("a clock that is late, probing: %s", handlers.ReasonName(why))
	}
}

// TestSecureStaleElsewhere: what a guest signed long ago goes on where that one is, and by no
// other port: whoever may use any MAC there would have others believe one of then.
func TestSecureStaleElsewhere(t *testing.T) {
	t.Parallel()
	former := wire.MAC{2, 9, 9, 9, 9, 9}
	for _, mode := range []topology.SendMode{topology.SendPrefer, topology.SendRequire} {
		w := newSecureWorld(t, mode, nil)
		nobody := netip.MustParseAddr("fe80::77")
		stale := func(m *fixtures.SignedMessage) { m.At -= 3600 }
		if why, _ := w.judge(&w.Asker, w.solicit(t, nobody, stale)); why != reason.Relayed {
			t.Errorf("%v: by its own port: %s", mode, handlers.ReasonName(why))
		}
		again := w.solicit(t, nobody, stale, func(m *fixtures.SignedMessage) { m.LinkLayer, m.From = former, former })
		if why, replies := w.judge(&w.Bridge, again); why != reason.Learning || len(replies) > 0 {
			t.Errorf("%v: by another: %s, %d replies", mode, handlers.ReasonName(why), len(replies))
		}
		told := func(changes ...func(*fixtures.SignedMessage)) []byte {
			return w.advertise(t, append(changes, stale, func(m *fixtures.SignedMessage) {
				m.To, m.Destination, m.Flags, m.Nonce = w.Neighbor.MAC, w.Neighbor.LinkLocal, wire.FlagSolicited|wire.FlagOverride, fixtures.SecureNonce
			})...)
		}
		if why, _ := w.judge(&w.Asker, told()); why != reason.Relayed {
			t.Errorf("%v: an answer by its own port: %s", mode, handlers.ReasonName(why))
		}
		if why, replies := w.judge(&w.Bridge, told(func(m *fixtures.SignedMessage) { m.LinkLayer, m.From = former, former })); why != reason.Learning || len(replies) > 0 {
			t.Errorf("%v: an answer by another: %s, %d replies", mode, handlers.ReasonName(why), len(replies))
		}
	}
}

// TestSecureClock: a guest whose clock is wrong is known once it has answered a question of
// Damselfly's, whose nonce it has, and from then on by how its clock goes (RFC 3971
// sections 5.3.4.1 and 5.3.4.2); one that is too far ahead is never remembered.
func TestSecureClock(t *testing.T) {
	t.Parallel()
	for off, known := range map[time.Duration]int{-9 * 365 * 24 * time.Hour: 1, -time.Hour: 1, 10 * time.Minute: 1, 2 * time.Hour: 0, 1e5 * time.Hour: 0} {
		w := newSecureWorld(t, topology.SendRequire, nil)
		wrong := func(m *fixtures.SignedMessage) { m.At += off.Seconds() }
		rs := func() []byte { return made(t)(w.peers.Routers(w.peers.Own, wrong)) }
		if why, _ := w.judge(&w.Asker, rs()); why != reason.OfSEND(send.FaultTimestamp) {
			t.Errorf("%v: before: %s", off, handlers.ReasonName(why))
		}
		answer := w.advertise(t, wrong, func(m *fixtures.SignedMessage) {
			m.Destination, m.To, m.Flags = w.Router.LinkLocal, w.Router.MAC, wire.FlagSolicited|wire.FlagOverride
			m.Nonce = w.lane.Questions.Nonce(w.now, w.peers.Own.Addr)[2:]
		})
		if why, _ := w.judge(&w.Asker, answer); why != reason.Relayed || w.lane.Peers.Len() != known {
			t.Errorf("%v: the answer: %s, %d peers", off, handlers.ReasonName(why), w.lane.Peers.Len())
		}
		w.now = w.now.Add(time.Second)
		want := reason.Answered
		if known == 0 {
			want = reason.OfSEND(send.FaultTimestamp)
		}
		if why, _ := w.judge(&w.Asker, rs()); why != want {
			t.Errorf("%v: after: %s, want %s", off, handlers.ReasonName(why), handlers.ReasonName(want))
		}
	}
}

// TestSecureClockReplay: that a guest's clock is far behind gives nothing that it signed since
// then, by a right one, another life: it is no newer than what the guest says now.
func TestSecureClockReplay(t *testing.T) {
	t.Parallel()
	for _, mode := range []topology.SendMode{topology.SendPrefer, topology.SendRequire} {
		w := newSecureWorld(t, mode, nil)
		past := w.advertise(t, func(m *fixtures.SignedMessage) { m.At -= 24 * 3600 })
		wrong := func(m *fixtures.SignedMessage) { m.At -= 9 * 365 * 24 * 3600 }
		answer := w.advertise(t, wrong, func(m *fixtures.SignedMessage) {
			m.Destination, m.To, m.Flags = w.Router.LinkLocal, w.Router.MAC, wire.FlagSolicited|wire.FlagOverride
			m.Nonce = w.lane.Questions.Nonce(w.now, w.peers.Own.Addr)[2:]
		})
		if why, _ := w.judge(&w.Asker, answer); why != reason.Relayed || w.lane.Peers.Len() != 1 {
			t.Fatalf("%v: the answer: %s, %d peers", mode, handlers.ReasonName(why), w.lane.Peers.Len())
		}
		w.now = w.now.Add(10 * time.Second)
		if why, _ := w.judge(&w.Bridge, past); why != reason.OfSEND(send.FaultTimestamp) {
			t.Errorf("%v: what was said a day ago: %s", mode, handlers.ReasonName(why))
		}
		if why, _ := w.judge(&w.Asker, w.advertise(t, wrong)); why != reason.Relayed {
			t.Errorf("%v: what is said now: %s", mode, handlers.ReasonName(why))
		}
		if why, _ := w.judge(&w.Asker, w.advertise(t)); why != reason.Relayed {
			t.Errorf("%v: with its clock put right: %s", mode, handlers.ReasonName(why))
		}
	}
}

// TestSecureRouterAdvert: where a guest is the router, what it advertises unsigned does not
// stand for one that signs (RFC 3971 section 8), and one that signs without CGA is as
// if it did not (section 5.1.2).
func TestSecureRouterAdvert(t *testing.T) {
	t.Parallel()
	for mode, want := range map[topology.SendMode][3]string{
		topology.SendObserve: {"relayed", "relayed", "relayed"},
		topology.SendPrefer:  {"relayed", "relayed", "send-unsecured"},
		topology.SendRequire: {"send-unsigned", "send-no-cga", "send-unsigned"},
	} {
		w := newSecureWorld(t, mode, func(in *topology.Input) {
			noRouter(in)
			in.Spec.Networks[0].Send.Key, in.Spec.Networks[0].Send.Chain = nil, nil
			in.Spec.Ports[0].Router = true
		})
		advert := func(without ...string) []byte {
			return w.advertise(t, func(m *fixtures.SignedMessage) {
				m.Type, m.Target, m.Without = wire.TypeRouterAdvert, netip.Addr{}, without
			})
		}
		for i, frame := range [][]byte{advert(fixtures.Unsigned...), advert("cga"), advert(fixtures.Unsigned...)} {
			if i == 2 {
				if why, _ := w.judge(&w.Asker, advert()); why != reason.Relayed {
					t.Errorf("%v: signed: %s", mode, handlers.ReasonName(why))
				}
			}
			if why, _ := w.judge(&w.Asker, frame); handlers.ReasonName(why) != want[i] {
				t.Errorf("%v: %d: %s, want %s", mode, i, handlers.ReasonName(why), want[i])
			}
		}
	}
}

// TestSecureNoProxy: nobody but its holder answers for an address that may be made of a
// key; its question and a probe for it go to its holder.
func TestSecureNoProxy(t *testing.T) {
	t.Parallel()
	for _, mode := range []topology.SendMode{topology.SendObserve, topology.SendPrefer} {
		w := newSecureWorld(t, mode, nil)
		ask := func(what string, frame []byte, want pipeline.Reason) {
			t.Helper()
			why, replies := w.judge(&w.Neighbor, frame)
			if why != want || len(replies) != 1 || want == reason.Relayed && !bytes.Equal(replies[0].Data, frame) {
				t.Errorf("%v: %s: %s, %d replies", mode, what, handlers.ReasonName(why), len(replies))
			}
		}
		question := func(target netip.Addr) []byte {
			to := target.As16()
			return fixtures.Message{From: w.Neighbor.MAC, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: w.Neighbor.LinkLocal,
				Destination: wire.SolicitedNode(target), HopLimit: 255, Type: 135,
				Body: append(append(make([]byte, 4), to[:]...), append([]byte{1, 1}, w.Neighbor.MAC[:]...)...)}.Bytes()
		}
		probe := func(target netip.Addr) []byte {
			to := target.As16()
			return fixtures.Message{From: w.Neighbor.MAC, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: netip.IPv6Unspecified(),
				Destination: wire.SolicitedNode(target), HopLimit: 255, Type: 135, Body: append(make([]byte, 4), to[:]...)}.Bytes()
		}
		ask("a question for a learned address", question(w.peers.Own.Addr), reason.Relayed)
		ask("a question for one made of the MAC", question(w.Asker.LinkLocal), reason.Answered)
		if why, _ := w.judge(&w.Asker, w.advertise(t)); why != reason.Relayed {
			t.Fatal(handlers.ReasonName(why))
		}
		ask("a question for one whose holder signs", question(w.peers.Own.Addr), reason.Relayed)
		ask("a probe for it", probe(w.peers.Own.Addr), reason.Relayed)
		ask("a probe for one made of the MAC", probe(w.Asker.LinkLocal), reason.Defended)
	}
}

// slow keeps what is handed over.
type slow struct{ frames []pipeline.Frame }

// Push implements secure.SlowLane.
func (s *slow) Push(f *pipeline.Frame, _ time.Time) bool {
	kept := *f
	kept.Data = bytes.Clone(f.Data)
	s.frames = append(s.frames, kept)
	return true
}

// TestSecureLanes: a worker verifies and signs nothing, what needs it is handed over
// within the port's budget, and advertisements for all are signed once a second.
func TestSecureLanes(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, func(in *topology.Input) {
		in.Spec.Limits = topology.Limits{punt.SEND: {Rate: 2, Burst: 3}}
	})
	ring := &slow{}
	verifying := w.services
	w.services = &handlers.Services{Secure: &secure.Lane{Shared: w.lane.Shared, Slow: ring}}
	for i, want := range []pipeline.Reason{reason.HandedOver, reason.HandedOver, reason.HandedOver, reason.SendOverLimit, reason.SendOverLimit} {
		if why, _ := w.judge(&w.Asker, w.solicit(t, w.Neighbor.LinkLocal, func(m *fixtures.SignedMessage) { m.At += float64(i) })); why != want {
			t.Errorf("signed message %d: %s, want %s", i, handlers.ReasonName(why), handlers.ReasonName(want))
		}
	}
	if why, _ := w.judge(&w.Neighbor, plainSolicitOf(w, &w.Neighbor, w.Router.LinkLocal)); why != reason.HandedOver {
		t.Errorf("another port's question for the router: %s", handlers.ReasonName(why))
	}
	if why, _ := w.judge(&w.Asker, plainSolicit(w, w.Neighbor.LinkLocal)); why != reason.Answered {
		t.Errorf("a plain question of the port that is over its limit: %s", handlers.ReasonName(why))
	}
	w.now = w.now.Add(time.Second)
	if why, _ := w.judge(&w.Asker, w.solicit(t, w.Neighbor.LinkLocal, func(m *fixtures.SignedMessage) { m.At += 10 })); why != reason.HandedOver {
		t.Errorf("a second later: %s", handlers.ReasonName(why))
	}
	// What is handed over is decided where there is time, and marked.
	for i := range ring.frames {
		r := pipeline.NewReplies(8192)
		if why := verifying.Dispatch(w.Snapshot, w.now, &ring.frames[i], r); why != reason.Answered {
			t.Errorf("handed over %d: %s", i, handlers.ReasonName(why))
		}
	}
	ring.frames = nil
	rs := plainRouterSolicitOf(w, &w.RouterGuest)
	if why, _ := w.judge(&w.RouterGuest, rs); why != reason.HandedOver {
		t.Fatalf("the first plain RS: %s", handlers.ReasonName(why))
	}
	r := pipeline.NewReplies(8192)
	verifying.Dispatch(w.Snapshot, w.now, &ring.frames[0], r)
	w.checkSigned(t, "the first plain RS", r.List(), 134, "")
	for i, want := range []pipeline.Reason{reason.Answered, reason.Answered, reason.HandedOver} {
		why, replies := w.judge(&w.Neighbor, plainRouterSolicitOf(w, &w.Neighbor))
		if why != want || want == reason.Answered && !bytes.Equal(replies[0].Data, r.List()[0].Data) {
			t.Errorf("plain RS %d: %s", i, handlers.ReasonName(why))
		}
		w.now = w.now.Add(600 * time.Millisecond)
	}
}

func plainSolicitOf(w *secureWorld, p *fixtures.Party, target netip.Addr) []byte {
	to := target.As16()
	return fixtures.Message{From: p.MAC, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: p.LinkLocal,
		Destination: wire.SolicitedNode(target), HopLimit: 255, Type: 135,
		Body: append(append(make([]byte, 4), to[:]...), append([]byte{1, 1}, p.MAC[:]...)...)}.Bytes()
}

func plainRouterSolicitOf(w *secureWorld, p *fixtures.Party) []byte {
	return fixtures.Message{From: p.MAC, To: wire.AllRoutersMAC, Source: p.LinkLocal, Destination: wire.AllRouters, HopLimit: 255, Type: 133,
		Body: append(make([]byte, 4), append([]byte{1, 1}, p.MAC[:]...)...)}.Bytes()
}

// TestSecurePathOff: a network without certificates has no path.
func TestSecurePathOff(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, nil)
	frame := made(t)(w.peers.Path())
	none := newWorld(t, nil)
	if why, replies := none.dispatch(&none.Asker, frame); why != reason.NoCertificate || len(replies) > 0 {
		t.Errorf("%s, %d replies", handlers.ReasonName(why), len(replies))
	}
}

// TestSecurePlain: what plain guests say on a network where others sign allocates
// nothing on its way through a worker.
func TestSecurePlain(t *testing.T) {
	w := newSecureWorld(t, topology.SendPrefer, nil)
	if why, _ := w.judge(&w.Asker, w.advertise(t)); why != reason.Relayed {
		t.Fatal(handlers.ReasonName(why))
	}
	services := &handlers.Services{Secure: &secure.Lane{Shared: w.lane.Shared, Slow: &slow{}}}
	r := pipeline.NewReplies(8192)
	for name, frame := range map[string][]byte{
		"a question": plainSolicit(w, w.Neighbor.LinkLocal), "an advertisement": plainAdvert(w, w.Asker.LinkLocal),
		"an advertisement of who signs": plainAdvert(w, w.peers.Own.Addr),
	} {
		f := w.frame(&w.Asker, frame)
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			services.Dispatch(w.Snapshot, w.now, &f, r)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkUnsigned is what plain guests' questions cost where nobody signs, and on a
// network where others do.
func BenchmarkUnsigned(b *testing.B) {
	worlds := map[string]func() (world, *handlers.Services){
		"none": func() (world, *handlers.Services) { return newWorld(b, nil), new(handlers.Services) },
	}
	for i, mode := range []topology.SendMode{topology.SendObserve, topology.SendPrefer} {
		worlds[fixtures.SecureModes[i]] = func() (world, *handlers.Services) {
			w := newSecureWorld(b, mode, nil)
			return w.world, &handlers.Services{Secure: &secure.Lane{Shared: w.lane.Shared, Slow: &slow{}}}
		}
	}
	for _, name := range []string{"none", "observe", "prefer"} {
		w, services := worlds[name]()
		for _, c := range fixtures.NDCases() {
			kind := map[string]string{"NS multicast for a guest": "ns", "NA of an unknown address": "na"}[c.Name]
			if kind == "" {
				continue
			}
			f := w.frame(c.From(w.NDWorld), c.Frame(w.NDWorld))
			b.Run(kind+"/"+name, func(b *testing.B) {
				r := pipeline.NewReplies(4096)
				b.ReportAllocs()
				for b.Loop() {
					r.Reset()
					services.Dispatch(w.Snapshot, now, &f, r)
				}
			})
		}
	}
}
