package dhcpv6_test

import (
	"bytes"
	"testing"

	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers"
	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// FuzzHandle holds the rules that are true of every message: it ends in a
// reason, a reply comes only with an answering one, goes back to who asked, and
// holds nothing of what was handled before; and a client that can read its own
// message can read the answer.
func FuzzHandle(f *testing.F) {
	w := bound(f)
	for _, q := range stateless() {
		f.Add(q.m.ToBytes(), portIndex(q.port), uint8(0))
	}
	for _, t := range []client.MessageType{request, renew, release, decline, rebind, confirm} {
		m := message(t, "a", na(1, "fd00:b1::100", "fd00:b2::1"), pd(2, "::/60", "2001:db8:100::/56"), oro(23, 24, 39, 67), option(20), client.WithFQDN(1, "x.example"))
		if t != rebind && t != confirm {
			toUs(m)
		}
		f.Add(m.ToBytes(), portIndex("vm1"), uint8(0))
		f.Add(mustRelay(m).ToBytes(), portIndex("relay"), uint8(1))
	}
	f.Add(message(36, "a", option(5, make([]byte, 24)...)).ToBytes(), portIndex("vm1"), uint8(2))
	f.Add(message(client.MessageTypeReply, "a", toUs).ToBytes(), portIndex("vm1"), uint8(0))
	before := of("fixed", message(request, "the one before", toUs, na(9), pd(9), oro(many(200)...)).ToBytes()).bytes()

	f.Fuzz(func(t *testing.T, data []byte, port, how uint8) {
		if len(data) > 1400 {
			return
		}
		name := guests[int(port)%len(guests)]
		d := of(name, data)
		switch how % 3 {
		case 1:
			d.sport = 547
		case 2:
			d.src = addr("fd00:b1::abc")
		}
		raw := d.bytes()
		fr := frame(name, bytes.Clone(raw))
		var answers [2][]byte
		var reasons [2]pipeline.Reason
		for i := range answers {
			slow := w.slow
			if i == 0 { // one that handled nothing yet
				slow.DHCPv6 = &dhcpv6.Server{ID: serverID, Reconfigures: true, Now: w.clock}
			}
			slow.DHCPv6.NewKey = func() [16]byte { return [16]byte{9} }
			slow.DHCPv6.NextReplay = func() (uint64, bool) { return 1, true }
			if i > 0 { // one that handled something else before
				g := frame("fixed", before)
				slow.Decide(w.Snapshot, w.clock.Wall, w.book.Begin(w.clock), &g, pipeline.NewReplies(2048))
			}
			r := pipeline.NewReplies(2048)
			reasons[i] = slow.Decide(w.Snapshot, w.clock.Wall, w.book.Begin(w.clock), &fr, r)
			answers[i] = one(t, reasons[i], r, &fr)
		}
		if reasons[0] != reasons[1] || !bytes.Equal(answers[0], answers[1]) {
			t.Fatalf("%s, then %s\n%x\n%x", reason.Name(reasons[0]), reason.Name(reasons[1]), answers[0], answers[1])
		}
		fast := handlers.Services{DHCPv6: &dhcpv6.Server{ID: serverID, Committed: w.committed, Slow: w, Reconfigures: true}}
		w.pushed = nil
		r := pipeline.NewReplies(2048)
		why := fast.Dispatch(w.Snapshot, w.clock.Wall, &fr, r)
		b := one(t, why, r, &fr)
		if why != reason.HandedOver && (why != reasons[0] || !bytes.Equal(b, answers[0])) {
			t.Fatalf("fast lane: %s, slow lane: %s\n%x\n%x", reason.Name(why), reason.Name(reasons[0]), b, answers[0])
		}
		if !bytes.Equal(fr.Data, raw) {
			t.Fatal("the punted frame was written to")
		}
		if answers[0] != nil {
			checkAnswer(t, data, answers[0], fr.Data)
		}
	})
}

func portIndex(name string) uint8 {
	for i, g := range guests {
		if g == name {
			return uint8(i)
		}
	}
	panic("no port " + name)
}

// one gives the answer that a reason promises, nil if it promises none.
func one(t *testing.T, why pipeline.Reason, r *pipeline.Replies, f *pipeline.Frame) []byte {
	t.Helper()
	if why == pipeline.Unset || int(why) >= reason.Count {
		t.Fatalf("reason %d", why)
	}
	if reason.Replies(why) != (len(r.List()) == 1) || len(r.List()) > 1 {
		t.Fatalf("%s with %d replies", reason.Name(why), len(r.List()))
	}
	if len(r.List()) == 0 {
		return nil
	}
	if reply := r.List()[0]; reply.Out != f.InPort || reply.InPort != 0 || reply.Network != 0 {
		t.Fatalf("answer goes to %+v", reply)
	}
	return r.List()[0].Data
}

func checkAnswer(t *testing.T, asked, answer, frame []byte) {
	t.Helper()
	o := open(t, answer)
	if !bytes.Equal(answer[:6], frame[6:12]) || !bytes.Equal(answer[38:54], frame[22:38]) || o.ip.SrcIP.IsMulticast() || o.udp.SrcPort != 547 {
		t.Errorf("answer from %v to %v at %v", o.ip.SrcIP, o.ip.DstIP, wire.MAC(o.eth.DstMAC))
	}
	if typ := codec.MessageType(o.data[0]); !typ.FromServer() {
		t.Errorf("answer of type %v", typ)
	}
	if _, err := client.FromBytes(asked); err != nil {
		return // it repeats what the library cannot read in the question either
	}
	if _, err := client.FromBytes(o.data); err != nil {
		t.Errorf("answer %x: %v", o.data, err)
	}
}
