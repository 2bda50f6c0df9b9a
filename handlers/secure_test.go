package handlers_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
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

var signers struct {
	once sync.Once
	s    *fixtures.Signers
	err  error
}

// startSigners starts the peers' program, once for all tests.
func startSigners(t testing.TB) *fixtures.Signers {
	t.Helper()
	signers.once.Do(func() {
		if exec.Command("/usr/bin/python3", "-c", "import cryptography").Run() == nil {
			signers.s, signers.err = fixtures.StartSigners()
		}
	})
	switch {
	case signers.err != nil:
		t.Fatal(signers.err)
	case signers.s == nil && os.Getenv("CI") == "true":
		t.Fatal("the python package cryptography is not installed")
	case signers.s == nil:
		t.Skip("the python package cryptography is not installed: apt-get install python3-cryptography")
	}
	return signers.s
}

func TestMain(m *testing.M) {
	code := m.Run()
	if signers.s != nil {
		_ = signers.s.Close()
	}
	os.Exit(code)
}

// secureWorld is the network with Secure Neighbor Discovery, and a guest at vm1 that
// signs.
type secureWorld struct {
	world
	*fixtures.Signers
	services *handlers.Services
	lane     *secure.Lane
	guest    *fixtures.Signer
	local    netip.Addr // the guest's
	now      time.Time
}

// newSecureWorld has a network of a mode whose router signs.
func newSecureWorld(t *testing.T, mode topology.SendMode, change func(*topology.Input)) *secureWorld {
	t.Helper()
	w := &secureWorld{Signers: startSigners(t), now: now}
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := send.ParseChain(fixtures.RouterChain, key)
	if err != nil {
		t.Fatal(err)
	}
	if w.guest, err = w.New(fixtures.SignerKind{}); err != nil {
		t.Fatal(err)
	}
	if w.local, _, err = w.guest.Address(netip.MustParsePrefix("fe80::/64"), 0); err != nil {
		t.Fatal(err)
	}
	w.world = newWorld(t, func(in *topology.Input) {
		in.Spec.Networks[0].Send = &topology.SendSpec{Mode: mode, Key: key, Chain: chain}
		in.Spec.Routers[0].Networks[0].LinkLocal = netip.Addr{}
		in.Learned = map[string][]topology.HeldAddress{"blue": {{Addr: w.local, Port: firstKey}}}
		if change != nil {
			change(in)
		}
	})
	w.Router.LinkLocal = w.blue().Router.LinkLocal
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
func (w *secureWorld) solicit(t testing.TB, target netip.Addr, change func(*fixtures.SignedMessage)) []byte {
	t.Helper()
	to := target.As16()
	m := fixtures.SignedMessage{
		Type: 135, From: w.Asker.MAC, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: w.local,
		Destination: wire.SolicitedNode(target), Fixed: append(make([]byte, 4), to[:]...),
		Options: append([]byte{1, 1}, w.Asker.MAC[:]...), Nonce: []byte{1, 2, 3, 4, 5, 6},
		At: float64(w.now.UnixNano()) / 1e9,
	}
	if change != nil {
		change(&m)
	}
	frame, err := w.guest.Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// routerSolicit is a signed Router Solicitation.
func (w *secureWorld) routerSolicit(t testing.TB, change func(*fixtures.SignedMessage)) []byte {
	t.Helper()
	return w.solicit(t, wire.AllRouters, func(m *fixtures.SignedMessage) {
		m.Type, m.Fixed, m.Destination, m.To = 133, make([]byte, 4), wire.AllRouters, wire.AllRoutersMAC
		if change != nil {
			change(m)
		}
	})
}

// advertise is a signed Neighbor Advertisement of the guest's own.
func (w *secureWorld) advertise(t testing.TB, change func(*fixtures.SignedMessage)) []byte {
	t.Helper()
	to := w.local.As16()
	return w.solicit(t, w.local, func(m *fixtures.SignedMessage) {
		m.Type, m.Destination, m.To, m.Nonce = 136, wire.AllNodes, wire.AllNodesMAC, nil
		m.Fixed = append([]byte{0x20, 0, 0, 0}, to[:]...)
		m.Options = append([]byte{2, 1}, w.Asker.MAC[:]...)
		if change != nil {
			change(m)
		}
	})
}

// checkSigned wants one reply that the peers' program takes, with a nonce, and a
// source.
func (w *secureWorld) checkSigned(t *testing.T, what string, replies []pipeline.Reply, typ byte, nonce string) {
	t.Helper()
	if len(replies) != 1 {
		t.Fatalf("%s: %d replies", what, len(replies))
	}
	v, err := w.Verify(replies[0].Data)
	switch {
	case err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case !v.Signed || replies[0].Data[54] != typ || v.Nonce != nonce || v.Source != w.Router.LinkLocal.String() || int64(v.Stamp) != w.now.Unix():
		t.Errorf("%s: type %d, read as %+v", what, replies[0].Data[54], v)
	}
}

// TestSecureAnswers: the router answers signed, with the nonce of who signs, and
// without one who does not; who has no address gets its nonce back too.
func TestSecureAnswers(t *testing.T) {
	t.Parallel()
	for _, mode := range []topology.SendMode{topology.SendObserve, topology.SendPrefer, topology.SendRequire} {
		w := newSecureWorld(t, mode, nil)
		var all [][]byte
		signed := func(what string, frame []byte, typ byte, nonce string) {
			t.Helper()
			w.now = w.now.Add(3 * time.Second)
			why, replies := w.judge(&w.Asker, frame)
			if why != reason.Answered {
				t.Fatalf("%v: %s: %s", mode, what, handlers.ReasonName(why))
			}
			w.checkSigned(t, what, replies, typ, nonce)
			all = append(all, bytes.Clone(replies[0].Data))
		}
		const nonce = "010203040506"
		at := func(m *fixtures.SignedMessage) { m.At = float64(w.now.Add(3 * time.Second).Unix()) }
		signed("a signed NS", w.solicit(t, w.Router.LinkLocal, at), 136, nonce)
		signed("a signed RS", w.routerSolicit(t, at), 134, nonce)
		signed("an RS from :: with a nonce", w.routerSolicit(t, func(m *fixtures.SignedMessage) {
			m.Source, m.Options, m.Without = netip.IPv6Unspecified(), nil, []string{"cga", "signature"}
		}), 134, nonce)
		signed("an RS from ::", fixtures.Message{From: w.Asker.MAC, To: wire.AllRoutersMAC, Source: netip.IPv6Unspecified(), Destination: wire.AllRouters,
			HopLimit: 255, Type: 133, Body: make([]byte, 4)}.Bytes(), 134, "")
		if mode != topology.SendRequire {
			signed("a plain NS", plainSolicit(w, w.Router.LinkLocal), 136, "")
			signed("a plain RS", plainRouterSolicit(w), 134, "")
		}
		list, err := fixtures.Dissect(t.TempDir(), all)
		if err != nil || len(list) != len(all) {
			t.Fatalf("tshark dissected %d of %d: %v", len(list), len(all), err)
		}
		for _, d := range list {
			if d.Warnings != "" {
				t.Errorf("tshark on a reply of type %s: %s", d.Type, d.Warnings)
			}
		}
	}
}

func plainSolicit(w *secureWorld, target netip.Addr) []byte {
	to := target.As16()
	return fixtures.Message{From: w.Asker.MAC, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: w.Asker.LinkLocal,
		Destination: wire.SolicitedNode(target), HopLimit: 255, Type: 135,
		Body: append(append(make([]byte, 4), to[:]...), append([]byte{1, 1}, w.Asker.MAC[:]...)...)}.Bytes()
}

func plainRouterSolicit(w *secureWorld) []byte {
	return fixtures.Message{From: w.Asker.MAC, To: wire.AllRoutersMAC, Source: w.Asker.LinkLocal, Destination: wire.AllRouters,
		HopLimit: 255, Type: 133, Body: append(make([]byte, 4), append([]byte{1, 1}, w.Asker.MAC[:]...)...)}.Bytes()
}

// TestSecurePolicy: what becomes of guests' messages in each mode, legal ones and
// forged ones, each by a name of its own.
func TestSecurePolicy(t *testing.T) {
	t.Parallel()
	worlds := map[topology.SendMode]*secureWorld{}
	for _, mode := range []topology.SendMode{topology.SendObserve, topology.SendPrefer, topology.SendRequire} {
		worlds[mode] = newSecureWorld(t, mode, nil)
	}
	late := func(d time.Duration) func(*fixtures.SignedMessage) {
		return func(m *fixtures.SignedMessage) { m.At += d.Seconds() }
	}
	faulty := reason.OfSEND
	// Of each mode: observe lets all pass, prefer and require end what is forged.
	same := func(r pipeline.Reason) [3]pipeline.Reason { return [3]pipeline.Reason{r, r, r} }
	tests := []struct {
		name  string
		frame func(w *secureWorld) []byte
		want  [3]pipeline.Reason
	}{
		{"a signed question for a guest", func(w *secureWorld) []byte { return w.solicit(t, w.Neighbor.LinkLocal, nil) }, same(reason.Answered)},
		{"a signed advertisement", func(w *secureWorld) []byte { return w.advertise(t, nil) }, same(reason.Relayed)},
		{"a plain advertisement", func(w *secureWorld) []byte { return plainAdvert(w, w.Asker.LinkLocal) },
			[3]pipeline.Reason{reason.Relayed, reason.Relayed, reason.SendUnsigned}},
		{"a plain question for a guest", func(w *secureWorld) []byte { return plainSolicit(w, w.Neighbor.LinkLocal) },
			[3]pipeline.Reason{reason.Answered, reason.Answered, reason.SendUnsigned}},
		{"a plain question from an address that signs", func(w *secureWorld) []byte {
			return w.solicit(t, w.Neighbor.LinkLocal, func(m *fixtures.SignedMessage) { m.Without = []string{"cga", "timestamp", "nonce", "signature"} })
		}, [3]pipeline.Reason{reason.Answered, reason.SendUnsecured, reason.SendUnsigned}},
		{"a plain advertisement of an address that signs", func(w *secureWorld) []byte { return plainAdvert(w, w.local) },
			[3]pipeline.Reason{reason.Relayed, reason.SendUnsecured, reason.SendUnsigned}},
		{"without a nonce", func(w *secureWorld) []byte {
			return w.solicit(t, w.Neighbor.LinkLocal, func(m *fixtures.SignedMessage) { m.Nonce = nil })
		}, forgedEnds(faulty(send.FaultNoNonce), reason.Answered)},
		{"an hour late", func(w *secureWorld) []byte { return w.solicit(t, w.Neighbor.LinkLocal, late(-time.Hour)) },
			forgedEnds(faulty(send.FaultReplay), reason.Answered)},
		{"of another target", func(w *secureWorld) []byte {
			return w.advertise(t, func(m *fixtures.SignedMessage) {
				a := w.Asker.LinkLocal.As16()
				copy(m.Fixed[4:], a[:])
			})
		}, forgedEnds(faulty(send.FaultTarget), reason.Relayed)},
		{"a link-layer address behind the signature", func(w *secureWorld) []byte {
			return w.advertise(t, func(m *fixtures.SignedMessage) { m.After, m.Options = m.Options, nil })
		}, forgedEnds(faulty(send.FaultBehind), reason.Relayed)},
		{"an answer to Damselfly with a nonce that it did not ask with", func(w *secureWorld) []byte {
			return w.advertise(t, func(m *fixtures.SignedMessage) {
				m.Destination, m.To, m.Nonce, m.Fixed[0] = w.Router.LinkLocal, w.Router.MAC, []byte{1, 2, 3, 4, 5, 6}, 0x60
			})
		}, forgedEnds(faulty(send.FaultNonce), reason.Relayed)},
		{"an answer to Damselfly with its nonce", func(w *secureWorld) []byte {
			return w.advertise(t, func(m *fixtures.SignedMessage) {
				m.Destination, m.To, m.Nonce, m.Fixed[0] = w.Router.LinkLocal, w.Router.MAC, w.lane.Questions.Nonce(w.now, w.local)[2:], 0x60
			})
		}, same(reason.Relayed)},
		{"with the Override flag taken away", func(w *secureWorld) []byte {
			f := w.advertise(t, nil)
			f[58] = 0
			wire.FinishICMPv6(f)
			return f
		}, forgedEnds(faulty(send.FaultSignature), reason.Relayed)},
		{"a signed RS from nowhere", func(w *secureWorld) []byte {
			return w.routerSolicit(t, func(m *fixtures.SignedMessage) { m.Source, m.Options = netip.IPv6Unspecified(), nil })
		}, forgedEnds(faulty(send.FaultNoAddress), reason.Answered)},
		{"signed, of a hop limit of 254", func(w *secureWorld) []byte {
			f := w.solicit(t, w.Neighbor.LinkLocal, nil)
			f[21] = 254
			return f
		}, same(reason.OfFault(wire.FaultHopLimit))},
		{"signed, from another's MAC", func(w *secureWorld) []byte {
			return w.solicit(t, w.Neighbor.LinkLocal, func(m *fixtures.SignedMessage) { m.From = w.Neighbor.MAC })
		}, same(reason.ForgedMAC)},
	}
	for i, mode := range []topology.SendMode{topology.SendObserve, topology.SendPrefer, topology.SendRequire} {
		w := worlds[mode]
		for _, tt := range tests {
			w.now = w.now.Add(10 * time.Second)
			why, replies := w.judge(&w.Asker, tt.frame(w))
			if why != tt.want[i] {
				t.Errorf("%v: %s: %s, want %s", mode, tt.name, handlers.ReasonName(why), handlers.ReasonName(tt.want[i]))
			}
			if (len(replies) > 0) != reason.Replies(why) {
				t.Errorf("%v: %s: %d replies", mode, tt.name, len(replies))
			}
		}
		if n := w.lane.Verified.Load(); n < 2 {
			t.Errorf("%v: %d messages verified", mode, n)
		}
	}
}

// forgedEnds is what becomes of what is forged: in mode observe as if it were plain.
func forgedEnds(why, observed pipeline.Reason) [3]pipeline.Reason {
	return [3]pipeline.Reason{observed, why, why}
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
	frame := w.solicit(t, w.Neighbor.LinkLocal, nil)
	if why, _ := w.judge(&w.Asker, frame); why != reason.Answered {
		t.Fatal(handlers.ReasonName(why))
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
	if why, _ := w.judge(&w.Asker, w.solicit(t, w.Neighbor.LinkLocal, old)); why != reason.OfSEND(send.FaultTimestamp) {
		t.Errorf("a clock that is late, asking for a guest: %s", handlers.ReasonName(why))
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
		ask("a question for a learned address", question(w.local), reason.Relayed)
		ask("a question for one made of the MAC", question(w.Asker.LinkLocal), reason.Answered)
		if why, _ := w.judge(&w.Asker, w.advertise(t, nil)); why != reason.Relayed {
			t.Fatal(handlers.ReasonName(why))
		}
		ask("a question for one whose holder signs", question(w.local), reason.Relayed)
		ask("a probe for it", probe(w.local), reason.Relayed)
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

// TestSecurePath: certificates are shown to who asks for a path from an anchor that
// there is one from.
func TestSecurePath(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, nil)
	solicit := func(change func(*fixtures.Message), options ...byte) []byte {
		m := fixtures.Message{From: w.Asker.MAC, To: wire.AllRoutersMAC, Source: w.Asker.LinkLocal, Destination: wire.AllRouters, HopLimit: 255,
			Type: 148, Body: append([]byte{0x12, 0x34, 0xff, 0xff}, options...)}
		if change != nil {
			change(&m)
		}
		return m.Bytes()
	}
	body := func(b ...byte) func(*fixtures.Message) { return func(m *fixtures.Message) { m.Body = b } }
	ours := []byte{15, 4, 3, 8}
	ours = append(ours, make([]byte, 28)...)
	anchorKey(t, ours[4:])
	tests := []struct {
		name  string
		frame []byte
		want  pipeline.Reason
		// head is what stands behind the checksum of each answer.
		head []string
	}{
		{"the whole path", solicit(nil), reason.Answered, []string{"1234000200010000", "1234000200000000"}},
		{"the router's own", solicit(body(0x12, 0x34, 0, 0)), reason.Answered, []string{"1234000200000000"}},
		{"below the anchor", solicit(nil, ours...), reason.Answered, []string{"1234000200010000", "1234000200000000"}},
		{"below another anchor", solicit(nil, 15, 1, 2, 0, 'a', '.', 'b', 'c'), reason.Answered, []string{"1234000000000000"}},
		{"from nowhere", solicit(func(m *fixtures.Message) { m.Source = netip.IPv6Unspecified() }), reason.Answered, []string{"1234000200010000", "1234000200000000"}},
		{"a certificate that is not there", solicit(body(0x12, 0x34, 0, 2)), reason.NoCertificate, nil},
		{"identifier 0", solicit(body(0, 0, 0xff, 0xff)), reason.OfSEND(send.FaultIdentifier), nil},
		{"padding longer than the anchor", solicit(nil, 15, 1, 1, 9, 0, 0, 0, 0), reason.OfSEND(send.FaultTrustAnchor), nil},
		{"an option of length 0", solicit(nil, 15, 0, 1, 0, 0, 0, 0, 0), reason.OfFault(wire.FaultOptionZeroLength), nil},
		{"too short", solicit(body(0x12, 0x34)), reason.OfFault(wire.FaultShort), nil},
		{"a hop limit of 64", solicit(func(m *fixtures.Message) { m.HopLimit = 64 }), reason.OfFault(wire.FaultHopLimit), nil},
		{"a wrong checksum", solicit(func(m *fixtures.Message) { m.BadChecksum = true }), reason.OfFault(wire.FaultChecksum), nil},
		{"from another's address", solicit(func(m *fixtures.Message) { m.Source = w.Neighbor.LinkLocal }), reason.ForgedSource, nil},
		{"to a guest", solicit(func(m *fixtures.Message) { m.Destination = w.Neighbor.LinkLocal }), reason.Misdirected, nil},
		{"a guest's certificates", solicit(func(m *fixtures.Message) { m.Type = 149 }), reason.GuestPathAdvert, nil},
	}
	var all [][]byte
	for _, tt := range tests {
		why, replies := w.judge(&w.Asker, tt.frame)
		if why != tt.want || len(replies) != len(tt.head) {
			t.Errorf("%s: %s with %d replies, want %s with %d", tt.name, handlers.ReasonName(why), len(replies), handlers.ReasonName(tt.want), len(tt.head))
			continue
		}
		for i, r := range replies {
			d := r.Data
			to := wire.SolicitedNode(w.Asker.LinkLocal)
			if tt.name == "from nowhere" {
				to = wire.AllNodes
			}
			if err := fixtures.CheckReply(d, fixtures.Type(149, 0), fixtures.HopLimit(255), fixtures.Addresses(w.Router.LinkLocal, to),
				fixtures.MACs(w.Router.MAC, wire.MulticastMAC(to))); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if got := fmt.Sprintf("%x", d[58:66]); got != tt.head[i] {
				t.Errorf("%s: answer %d begins %s, want %s", tt.name, i, got, tt.head[i])
			}
			all = append(all, bytes.Clone(d))
		}
	}
	list, err := fixtures.Dissect(t.TempDir(), all)
	if err != nil || len(list) != len(all) {
		t.Fatalf("tshark dissected %d of %d: %v", len(list), len(all), err)
	}
	for _, d := range list {
		if d.Warnings != "" {
			t.Errorf("tshark on a reply of type %s: %s", d.Type, d.Warnings)
		}
	}
	none := newWorld(t, nil)
	if why, _ := none.dispatch(&none.Asker, solicit(nil)); why != reason.NoCertificate {
		t.Errorf("a network without: %s", handlers.ReasonName(why))
	}
}

// TestSecurePlain: what plain guests say on a network where others sign allocates
// nothing on its way through a worker.
func TestSecurePlain(t *testing.T) {
	w := newSecureWorld(t, topology.SendPrefer, nil)
	if why, _ := w.judge(&w.Asker, w.advertise(t, nil)); why != reason.Relayed {
		t.Fatal(handlers.ReasonName(why))
	}
	services := &handlers.Services{Secure: &secure.Lane{Shared: w.lane.Shared, Slow: &slow{}}}
	r := pipeline.NewReplies(8192)
	for name, frame := range map[string][]byte{
		"a question": plainSolicit(w, w.Neighbor.LinkLocal), "an advertisement": plainAdvert(w, w.Asker.LinkLocal),
		"an advertisement of who signs": plainAdvert(w, w.local),
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
