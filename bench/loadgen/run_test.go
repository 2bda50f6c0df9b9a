package loadgen

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/bench/mmsg"
	"damselfly/internal/lab"
	"damselfly/internal/wire"
)

// other answers Neighbor Solicitations behind a learning switch.
type other struct {
	site Site
	// answer makes the next answer, nil for none. It is the n-th.
	answer func(n int, answer []byte) []byte
}

// newOther starts one; the site has askers guests besides.
func newOther(t *testing.T, askers int, answer func(n int, answer []byte) []byte) *Site {
	t.Helper()
	l := lab.Start(t)
	if err := l.AddBridge("br0"); err != nil {
		t.Fatal(err)
	}
	var macs []net.HardwareAddr
	for i := range askers + 1 {
		macs = append(macs, net.HardwareAddr{2, 0, 0, 0, 1, byte(i)})
	}
	c, err := l.AddCrowd("c", "br0", macs...)
	if err != nil {
		t.Fatal(err)
	}
	o := &other{answer: answer}
	for i := range 16 {
		a := prefix.Addr().As16()
		a[15] = byte(i + 1)
		o.site.Neighbors = append(o.site.Neighbors, Neighbor{netip.AddrFrom16(a), wire.MAC(macs[askers])})
	}
	for i, m := range c.Members[:askers] {
		o.site.Guests = append(o.site.Guests, Guest{Interface: m.Index, Within: c.Within, MAC: wire.MAC(macs[i])})
	}
	var s *mmsg.Socket
	if err := c.Within(func() (err error) {
		s, err = mmsg.Open(c.Members[askers].Index, 64)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- o.serve(s, stop) }()
	t.Cleanup(func() {
		close(stop)
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	return &o.site
}

func (o *other) serve(s *mmsg.Socket, stop <-chan struct{}) error {
	for n := 0; ; {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN}}, 20); err != nil && err != unix.EINTR {
			return err
		}
		came, err := s.Read()
		if err != nil {
			return err
		}
		out := 0
		for i := range came {
			f := s.Received(i)
			if len(f) < 86 || f[54] != 135 {
				continue
			}
			if a := o.answer(n, advertisement(f, o.site.Neighbors[0].MAC)); a != nil {
				s.Out.Set(out, a)
				out++
			}
			n++
		}
		if err := s.Write(out); err != nil {
			return err
		}
	}
}

func newLoad(t *testing.T, s *Site, each int, mix ...Share) *Load {
	t.Helper()
	l, err := New(*s, each, mix...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestClosed: so many exchanges, no more, none outstanding at the end; more guests
// than one take part.
func TestClosed(t *testing.T) {
	t.Parallel()
	var asked sync.Map
	s := newOther(t, 20, func(_ int, a []byte) []byte {
		asked.Store(string(a[:6]), true)
		return a
	})
	l := newLoad(t, s, 4, Share{NS, 1})
	r, err := l.Run(t.Context(), Plan{Count: 1_000, Outstanding: 40})
	if err != nil {
		t.Fatal(err)
	}
	sum := r.Total()
	if sum.Asked != 1_000 || sum.Answered != 1_000 || sum.Lost+sum.Strays > 0 || sum.Times.Count() != 1_000 || l.out != 0 {
		t.Errorf("got %v, %d outstanding", r, l.out)
	}
	guests := 0
	for range asked.Range {
		guests++
	}
	if guests != 20 {
		t.Errorf("%d guests asked, want all 20", guests)
	}
}

// TestOpen: a stall of 200 ms is told by all exchanges that were due meanwhile,
// though there can be but eight at once.
func TestOpen(t *testing.T) {
	t.Parallel()
	const stall = 200 * time.Millisecond
	s := newOther(t, 1, func(n int, a []byte) []byte {
		if n == 100 {
			time.Sleep(stall)
		}
		return a
	})
	l := newLoad(t, s, 8, Share{NS, 1})
	r, err := l.Run(t.Context(), Plan{Rate: 1_000, Time: 700 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	sum := r.Total()
	if sum.Asked != 700 || sum.Answered != 700 {
		t.Errorf("700 were due, got %v", r)
	}
	slow := 0
	for q := 0.0; sum.Times.Quantile(1-q) > stall/4 && q < 1; q += 1. / 700 {
		slow++
	}
	if slow < 100 {
		t.Errorf("%d of 700 took longer than %v in a run with a stall of %v, want 100 at least: %v", slow, stall/4, stall, r)
	}
}

// TestLoss: what is not answered is lost, and asked again.
func TestLoss(t *testing.T) {
	t.Parallel()
	s := newOther(t, 2, func(n int, a []byte) []byte {
		if n%10 == 0 {
			return nil
		}
		return a
	})
	l := newLoad(t, s, 16, Share{NS, 1})
	const patience = 3 * time.Second // no answer that comes may be taken for one that does not
	for name, p := range map[string]Plan{
		"closed": {Count: 200, Patience: patience},
		"open":   {Rate: 1_000, Time: 200 * time.Millisecond, Patience: patience},
	} {
		r, err := l.Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if sum := r.Total(); sum.Asked != 200 || sum.Lost != 20 || sum.Answered != 180 {
			t.Errorf("%s: of 200 a tenth has no answer, got %v", name, r)
		}
	}
}

// TestNobody: a run in which nobody answers ends, and says so.
func TestNobody(t *testing.T) {
	t.Parallel()
	l := newLoad(t, newOther(t, 1, func(int, []byte) []byte { return nil }), 2, Share{NS, 1})
	for _, p := range []Plan{
		{Count: 10, Patience: 50 * time.Millisecond},
		{Rate: 100, Time: time.Second, Patience: 50 * time.Millisecond},
	} {
		if r, err := l.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("got %v, %v", r, err)
		}
	}
}

// TestCancelled: the end of the context ends a run early.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := newLoad(t, newOther(t, 1, func(n int, a []byte) []byte {
		if n == 100 {
			cancel()
		}
		return a
	}), 2, Share{NS, 1})
	if r, err := l.Run(ctx, Plan{Time: time.Hour}); err != nil || r.Total().Answered == 0 {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestWrongAnswerEnds: among many right answers one that is not is noticed.
func TestWrongAnswerEnds(t *testing.T) {
	t.Parallel()
	s := newOther(t, 1, func(n int, a []byte) []byte {
		if n == 500 {
			a[85]++
		}
		return a
	})
	l := newLoad(t, s, 8, Share{NS, 1})
	if r, err := l.Run(t.Context(), Plan{Count: 1_000}); err == nil || !strings.Contains(err.Error(), "wrong answer to ns") {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestChoose: a mix has its weights at any time.
func TestChoose(t *testing.T) {
	t.Parallel()
	l := &Load{mix: []Share{{NS, 5}, {RS, 1}, {Echo, 2}}, credit: make([]int, 3)}
	var got [3]int
	for n := 1; n <= 80; n++ {
		got[l.choose()]++
		for i, m := range l.mix {
			if want := float64(n*m.Weight) / 8; float64(got[i]) < want-1 || float64(got[i]) > want+1 {
				t.Fatalf("after %d: %d of %s, want %.1f", n, got[i], m.Kind, want)
			}
		}
	}
}

// TestRefused: what cannot be run is refused with the reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	guest := Guest{MAC: mac1, Addresses: []netip.Addr{address}}
	for _, tt := range []struct {
		name  string
		site  Site
		each  int
		mix   []Share
		fault string
	}{
		{"nobody", Site{}, 1, []Share{{NS, 1}}, "a guest"},
		{"nothing", Site{Guests: []Guest{guest}}, 1, nil, "a kind"},
		{"no neighbours", Site{Guests: []Guest{guest}}, 1, []Share{{NS, 1}}, "neighbours"},
		{"no address", Site{Guests: []Guest{{MAC: mac1}}}, 1, []Share{{Echo, 1}}, "no address"},
		{"an unknown kind", Site{Guests: []Guest{guest}}, 1, []Share{{"ping", 1}}, "no kind"},
		{"twice", Site{Guests: []Guest{guest}}, 1, []Share{{RS, 1}, {RS, 1}}, "twice"},
		{"no weight", Site{Guests: []Guest{guest}}, 1, []Share{{RS, 0}}, "weight"},
		{"too many transactions", Site{Guests: []Guest{guest}}, 1025, []Share{{Solicit, 1}}, "transactions"},
	} {
		if l, err := New(tt.site, tt.each, tt.mix...); err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: got %v, %v, want an error about %q", tt.name, l, err, tt.fault)
		}
	}
}
