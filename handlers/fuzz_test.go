package handlers_test

import (
	"bytes"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// FuzzDispatch holds the rules that are true of every frame: it ends in a
// reason, replies come only with an answering one, a relayed frame is the
// frame, and an answer is well formed as gopacket and mdlayher/ndp read it, no
// larger than what was asked allows, goes back by the port that asked and is
// not from a group or to a group's source.
func FuzzDispatch(f *testing.F) {
	ours, theirs := newWorld(f, inverseND), newWorld(f, noRouter)
	guests := ours.Guests()
	for _, c := range fixtures.NDCases() {
		f.Add(c.Frame(ours.NDWorld), uint8(0), false)
	}
	for _, c := range fixtures.InverseCases() {
		f.Add(c.Frame, uint8(0), false)
	}
	a := &ours.Asker
	f.Add(solicitation(a, a.LinkLocal).Bytes(), uint8(0), false)
	f.Add(solicitation(a, unspecified).Bytes(), uint8(3), true)
	f.Add(advertisement(&ours.RouterGuest).Bytes(), uint8(2), true)
	f.Add(ping(a, ours.Router.MAC, a.Global, ours.Router.Global, 9).Bytes(), uint8(0), false)
	f.Add(ping(a, wire.AllNodesMAC, a.Global, wire.AllNodes, 0).Bytes(), uint8(3), false)
	r := pipeline.NewReplies(4096)
	f.Fuzz(func(t *testing.T, data []byte, port uint8, guestRouted bool) {
		w := ours
		if guestRouted {
			w = theirs
		}
		frame := w.frame(w.Guests()[int(port)%(len(guests)-1)], data)
		before := bytes.Clone(data)
		r.Reset()
		why := handlers.Dispatch(w.Snapshot, now, &frame, r)
		if !bytes.Equal(before, data) {
			t.Fatal("the punted frame was written to")
		}
		if why == pipeline.Unset || int(why) >= reason.Count || why == pipeline.Panicked {
			t.Fatalf("reason %d", why)
		}
		want := 0
		if reason.Replies(why) {
			want = 1
		}
		if len(r.List()) != want {
			t.Fatalf("%s with %d replies", handlers.ReasonName(why), len(r.List()))
		}
		for _, reply := range r.List() {
			if why == reason.Relayed {
				if !bytes.Equal(reply.Data, data) || reply.Out != 0 || reply.InPort != frame.InPort || reply.Network != blueKey {
					t.Fatalf("relayed %+v", reply)
				}
				continue
			}
			checkAnswer(t, &frame, reply)
		}
	})
}

// checkAnswer holds an answer to the rules of FuzzDispatch.
func checkAnswer(t *testing.T, frame *pipeline.Frame, reply pipeline.Reply) {
	t.Helper()
	if reply.Out != frame.InPort || reply.Network != 0 || reply.InPort != 0 {
		t.Fatalf("answer goes to %+v", reply)
	}
	err := fixtures.CheckReply(reply.Data, func(r *fixtures.Reply) error {
		if r.IPv6.SrcIP.IsMulticast() || r.IPv6.SrcIP.IsUnspecified() || r.Ethernet.SrcMAC[0]&1 != 0 {
			t.Errorf("answer from %v at %v", r.IPv6.SrcIP, r.Ethernet.SrcMAC)
		}
		if r.IPv6.DstIP.IsUnspecified() || r.IPv6.DstIP.IsMulticast() != (r.Ethernet.DstMAC[0]&1 != 0) {
			t.Errorf("answer to %v at %v", r.IPv6.DstIP, r.Ethernet.DstMAC)
		}
		limit := 1514
		switch r.ICMPv6.TypeCode.Type() {
		case 136:
			limit = 86
		case 129:
			limit = len(frame.Data)
		}
		if len(reply.Data) > limit {
			t.Errorf("answer of %d octets, at most %d allowed", len(reply.Data), limit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
