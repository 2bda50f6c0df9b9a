package dhcpv6_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// stateless are messages that the fast lane answers once everything is bound.
func stateless() map[string]struct {
	port string
	m    client.DHCPv6
} {
	type ask = struct {
		port string
		m    client.DHCPv6
	}
	return map[string]ask{
		"information-request":   {"vm1", message(inform, "a", oro(23, 24, 32))},
		"solicit-pool":          {"vm1", message(solicit, "a", na(1), oro(23, 24), option(20))},
		"solicit-with-another":  {"vm1", message(solicit, "a", na(1, "fd00:b1::5"))},
		"solicit-fixed":         {"fixed", message(solicit, "b", na(1), oro(23, 24, 56))},
		"solicit-reserved":      {"vm3", message(solicit, "reserved", na(7))},
		"solicit-prefix":        {"vm2", message(solicit, "c", pd(1), oro(67))},
		"solicit-of-nothing":    {"vm2", message(solicit, "c")},
		"confirm":               {"vm1", message(confirm, "a", na(1, "fd00:b1::100"))},
		"confirm-elsewhere":     {"vm1", message(confirm, "a", na(1, "fd00:b2::100"))},
		"solicit-through-relay": {"relay", mustRelay(message(solicit, "d", na(1)))},
	}
}

func mustRelay(m client.DHCPv6) client.DHCPv6 {
	r, err := client.FromBytes(relayForward("fd00:b1::1", m.ToBytes()))
	if err != nil {
		panic(err)
	}
	return r
}

// bound is a world in which all of stateless have what they ask for.
func bound(t testing.TB) *world {
	w := newWorld(t, func(s *topology.Spec) {
		p := &s.Networks[0].Subnets[0].Pools[0]
		p.First, p.Last = addr("fd00:b1::100"), addr("fd00:b1::1ff")
	})
	for port, m := range map[string]client.DHCPv6{
		"vm1": message(request, "a", toUs, na(1, "fd00:b1::100")), "fixed": message(request, "b", toUs, na(1)), "vm3": message(request, "reserved", toUs, na(7)),
		"vm2": message(request, "c", toUs, pd(1)), "relay": mustRelay(message(request, "d", toUs, na(1))),
	} {
		if why, _ := w.serve(port, of(port, m.ToBytes()).bytes()); why != reason.Answered {
			t.Fatalf("%s: %s", port, reason.Name(why))
		}
	}
	return w
}

// TestLanesAgree has both lanes answer the same messages with the same octets.
func TestLanesAgree(t *testing.T) {
	t.Parallel()
	w := bound(t)
	for name, q := range stateless() {
		data := of(q.port, q.m.ToBytes()).bytes()
		why, fast := w.dispatch(q.port, data)
		if why != reason.Answered {
			t.Errorf("%s: fast lane: %s", name, reason.Name(why))
			continue
		}
		w.pushed = []pipeline.Frame{frame(q.port, data)}
		why, slow := w.decide()
		if why != reason.Answered || !bytes.Equal(fast[0].Data, slow[0].Data) {
			t.Errorf("%s: slow lane: %s\n%x\nwant\n%x", name, reason.Name(why), slow[0].Data, fast[0].Data)
		}
	}
}

// TestOneGroup decides two requests for the last address in one transaction.
func TestOneGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tx := w.book.Begin(w.clock)
	for port, want := range []string{"reply na1(3600/5760 fd00:b1::100 7200/14400)", "reply na1(0/0 status2)"} {
		name := []string{"vm1", "vm2"}[port]
		f := frame(name, of(name, message(request, "a", toUs, na(1)).ToBytes()).bytes())
		r := pipeline.NewReplies(1024)
		if got := w.tell(w.slow.Decide(w.Snapshot, w.clock.Wall, tx, &f, r), r.List()); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := w.ask("vm3", message(solicit, "a")); got != "advertise 7=c8" || w.book.View().Counts().Addresses != 0 {
		t.Errorf("before the commit: %s, %+v", got, w.book.View().Counts())
	}
}

func TestNoAllocations(t *testing.T) {
	w := bound(t)
	r := pipeline.NewReplies(4096)
	for name, q := range stateless() {
		f := frame(q.port, of(q.port, q.m.ToBytes()).bytes())
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			w.fast.Dispatch(w.Snapshot, w.clock.Wall, &f, r)
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame, want 0", name, n)
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	w := bound(b)
	r := pipeline.NewReplies(4096)
	for name, q := range stateless() {
		f := frame(q.port, of(q.port, q.m.ToBytes()).bytes())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Reset()
				w.fast.Dispatch(w.Snapshot, w.clock.Wall, &f, r)
			}
		})
	}
}

// TestHeard: what a Reconfigure can ask for is told of, once and nothing else.
func TestHeard(t *testing.T) {
	t.Parallel()
	w := bound(t)
	var heard []string
	w.fast.DHCPv6.Heard = func(port string, duid []byte) {
		if !bytes.Equal(duid, duidOf("a").ToBytes()) {
			t.Errorf("DUID %x", duid)
		}
		heard = append(heard, port)
	}
	for _, m := range []client.DHCPv6{
		message(inform, "a"), message(renew, "a", toUs, na(1)), message(rebind, "a", na(1)),
		message(solicit, "a", na(1)), message(request, "a", toUs, na(1)), message(confirm, "a", na(1, "fd00:b1::100")), message(release, "a", toUs, na(1)),
		&client.Message{MessageType: inform}, message(renew, "a", na(1)),
	} {
		w.ask("vm1", m)
		heard = append(heard, "")
	}
	if diff := cmp.Diff([]string{"vm1", "", "vm1", "", "vm1", "", "", "", "", "", "", ""}, heard); diff != "" {
		t.Error(diff)
	}
}
