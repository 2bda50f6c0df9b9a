package handlers_test

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/learn"
	"damselfly/handlers/mld"
	"damselfly/handlers/nd"
	"damselfly/handlers/reason"
	"damselfly/handlers/resolve"
	"damselfly/internal/binding"
	"damselfly/internal/multicast"
	"damselfly/internal/neighbor"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// learning gives w the slow lane's table of addresses.
func (w *secureWorld) learning(t *testing.T) *binding.Table {
	t.Helper()
	table, err := binding.Open(nowhere{}, time.Hour, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	table.Present = func(_, port string) bool { p := w.Snapshot.PortNamed(port); return p != nil && p.OFPort != 0 }
	w.services.Learn = &learn.Lane{Table: table, Uptime: time.Hour}
	return table
}

// TestSecureLearns: where signatures are required an address is learned by a signature
// of this moment, whatever else is said from it.
func TestSecureLearns(t *testing.T) {
	t.Parallel()
	nobody := netip.MustParseAddr("fe80::1234:5678:9abc:def0")
	from := func(m *fixtures.SignedMessage) { m.Source = nobody }
	unsigned := func(m *fixtures.SignedMessage) { m.Without = fixtures.Unsigned }
	stale := func(m *fixtures.SignedMessage) { m.At -= 3600 }
	report := func(w *secureWorld) []byte {
		h := wire.Headers{SourceMAC: w.Asker.MAC, DestinationMAC: wire.MAC{0x33, 0x33, 0, 0, 0, 0x16}, Source: nobody, Destination: netip.MustParseAddr("ff02::16")}
		body := wire.AppendReport(nil, []wire.Record{{Type: wire.ModeIsExclude, Group: netip.MustParseAddr("ff15::1")}})
		frame := make([]byte, wire.HeadersLen+8+len(body))
		wire.PutListener(frame, &h, body)
		return frame
	}
	for _, tt := range []struct {
		name   string
		frame  func(w *secureWorld) []byte
		why    pipeline.Reason
		learns bool
	}{
		{"a signed question", func(w *secureWorld) []byte { return w.solicit(t, w.Router.LinkLocal) }, reason.Answered, true},
		{"a signed question of an hour ago", func(w *secureWorld) []byte { return w.solicit(t, w.Router.LinkLocal, stale) }, reason.Answered, false},
		{"a plain question", func(w *secureWorld) []byte { return w.solicit(t, w.Router.LinkLocal, unsigned, from) }, reason.SendUnsigned, false},
		{"a report of groups", report, reason.ListenerHeard, false},
	} {
		w := newSecureWorld(t, topology.SendRequire, func(in *topology.Input) {
			in.Learned = nil
			in.Spec.Networks[0].Multicast = &topology.MulticastSpec{Snooping: true, Querier: true}
		})
		table := w.learning(t)
		groups := multicast.New(nil)
		groups.Serve(time.Hour, w.Snapshot)
		w.services.Listen = &mld.Lane{Table: groups, Uptime: time.Hour, Snapshot: w.Snapshot}
		why, _ := w.judge(&w.Asker, tt.frame(w))
		if why != tt.why && (why != reason.Learning || !tt.learns) {
			t.Errorf("%s: %s, want %s", tt.name, handlers.ReasonName(why), handlers.ReasonName(tt.why))
		}
		table.Tick(time.Hour + time.Second)
		if _, err := table.Commit(); err != nil {
			t.Fatal(err)
		}
		if bound := table.View().Bound(); (len(bound) > 0) != tt.learns {
			t.Errorf("%s: bound %v, want %v", tt.name, bound, tt.learns)
		}
	}
}

// TestSecurePathRoom: however many anchors are asked for, the answer fits every link.
func TestSecurePathRoom(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, nil)
	anchor := append([]byte{15, 75, 1, 0}, make([]byte, 75*8-4)...)
	why, replies := w.judge(&w.Asker, made(t)(w.peers.Path(func(m *fixtures.SignedMessage) { m.Options = append(anchor, anchor...) })))
	if why != reason.Answered || len(replies) != 1 {
		t.Fatalf("%s, %d replies", handlers.ReasonName(why), len(replies))
	}
	if n := len(replies[0].Data) - wire.EthernetLen; n > 1280 || n < 1280-75*8 {
		t.Errorf("%d octets for two anchors of 600", n)
	}
}

// TestSecureUnreachable: a router that signs asks whether a neighbour is still there by
// unicast only where it is known to sign, else by its group (RFC 3971 section 8); one that does not
// sign always by unicast (RFC 4861 section 7.3.3).
func TestSecureUnreachable(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, nil)
	plain := newWorld(t, nil)
	own := w.peers.Own.Addr
	// ff02::1:ffXX:XXXX and 33:33:ff:XX:XX:XX of the address (RFC 4291 section 2.7.1, RFC 2464 section 7).
	b := own.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
	groupMAC := wire.MAC{0x33, 0x33, 0xff, b[13], b[14], b[15]}
	asked := func(what string, s *topology.Snapshot, send func(r *pipeline.Replies), to netip.Addr, mac wire.MAC) {
		t.Helper()
		r := pipeline.NewReplies(4096)
		send(r)
		if len(r.List()) != 1 || r.List()[0].Out == 0 {
			t.Fatalf("%s: %+v", what, r.List())
		}
		frame := r.List()[0].Data
		var p wire.Packet
		if f := wire.Cut(frame, &p); f != wire.FaultNone || p.IPv6.Destination() != to || p.Ethernet.Destination() != mac {
			t.Errorf("%s: %v to %s at %s, want %s at %s", what, f, p.IPv6.Destination(), p.Ethernet.Destination(), to, mac)
		}
		if v, err := w.peers.Verify(frame); err != nil || !v.Signed && s == w.Snapshot && what != "a neighbour's" {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
	}
	ofGuest := func(s *topology.Snapshot) func(r *pipeline.Replies) {
		return func(r *pipeline.Replies) {
			learn.Send(s, binding.Event{Kind: binding.AskHolder, Network: w.Network, Port: w.Asker.Port, Addr: own}, w.lane.Shared, r)
		}
	}
	ofNeighbor := func(s *topology.Snapshot) func(r *pipeline.Replies) {
		return func(r *pipeline.Replies) {
			resolve.Send(s, &neighbor.Event{Kind: neighbor.AskHolder, Place: neighbor.Place{Network: w.Network, Addr: own}, Port: w.Asker.Port, MAC: w.Asker.MAC}, r)
		}
	}
	asked("one that has not signed", w.Snapshot, ofGuest(w.Snapshot), group, groupMAC)
	asked("a neighbour's", w.Snapshot, ofNeighbor(w.Snapshot), group, groupMAC)
	asked("of a router that does not sign", plain.Snapshot, ofGuest(plain.Snapshot), own, w.Asker.MAC)
	asked("a neighbour's of a router that does not sign", plain.Snapshot, ofNeighbor(plain.Snapshot), own, w.Asker.MAC)
	if why, _ := w.judge(&w.Asker, w.advertise(t)); why != reason.Relayed {
		t.Fatal(handlers.ReasonName(why))
	}
	asked("one that has signed", w.Snapshot, ofGuest(w.Snapshot), own, w.Asker.MAC)
}

// TestSecureAnnounced: that the router is at another MAC is announced signed, without a nonce, as
// a SEND node's unsolicited advertisements have to be (RFC 3971 section 8), and that it is of its
// other addresses as before.
func TestSecureAnnounced(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, nil)
	n := w.blue()
	for _, a := range n.Router.All() {
		o, _ := n.Owner(a)
		r := pipeline.NewReplies(4096)
		nd.Announce(n, o, a, time.Now(), r)
		if len(r.List()) != 1 {
			t.Fatalf("%s: %d frames", a, len(r.List()))
		}
		v, err := w.peers.Verify(r.List()[0].Data)
		off := max(v.Stamp, float64(time.Now().Unix())) - min(v.Stamp, float64(time.Now().Unix()))
		switch own := a == n.Router.LinkLocal; {
		case err != nil || v.Signed != own:
			t.Errorf("%s: %+v, %v", a, v, err)
		case own && (v.Source != a.String() || v.Nonce != "" || off > 60):
			t.Errorf("%s: %+v", a, v)
		}
	}
}

// TestSecureNoRouter: where a key has no router yet, the addresses of the metadata service are
// answered for unsigned to who signs, as to others.
func TestSecureNoRouter(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t, topology.SendPrefer, func(in *topology.Input) {
		noRouter(in)
		in.Spec.Networks[0].Metadata = &topology.MetadataSpec{}
	})
	why, replies := w.judge(&w.Asker, w.solicit(t, netip.MustParseAddr("fe80::a9fe:a9fe")))
	if why != reason.Answered || len(replies) != 1 {
		t.Fatalf("%s, %d replies", handlers.ReasonName(why), len(replies))
	}
	if v, err := w.peers.Verify(replies[0].Data); err != nil || v.Signed {
		t.Errorf("%+v, %v", v, err)
	}
}
