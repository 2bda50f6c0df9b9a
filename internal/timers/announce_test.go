package timers_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"damselfly/handlers/nd"
	"damselfly/internal/timers"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// told is one announcement as a neighbour reads it.
type told struct {
	at     time.Duration // since the test began
	target string
	mac    string
	router bool
	from   string // key and number of the port that is spared
}

// ears take announcements in, read by mdlayher/ndp.
type ears struct {
	t     *testing.T
	start time.Time

	mu    sync.Mutex
	list  []told // guarded by mu
	calls []int  // guarded by mu; frames of each write
	deny  bool   // guarded by mu
}

func (e *ears) WriteReplies(r *pipeline.Replies) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.deny {
		return errors.New("the switch is away")
	}
	e.calls = append(e.calls, len(r.List()))
	for _, reply := range r.List() {
		e.list = append(e.list, e.read(reply))
	}
	return nil
}

func (e *ears) read(reply pipeline.Reply) told {
	e.t.Helper()
	b := reply.Data
	source, destination := netip.AddrFrom16([16]byte(b[22:38])), netip.AddrFrom16([16]byte(b[38:54]))
	// ParseMessage checks no checksum; wire's own gate, tested against scapy, does.
	var p wire.Packet
	if fault := wire.Cut(b, &p); fault != wire.FaultNone {
		e.t.Errorf("the frame is not good: %v", fault)
	}
	if _, fault := wire.CheckNeighborAdvert(&p); fault != wire.FaultNone {
		e.t.Errorf("no receiver may accept it (RFC 4861 section 7.1.2): %v", fault)
	}
	m, err := ndp.ParseMessage(b[54:])
	na, ok := m.(*ndp.NeighborAdvertisement)
	if err != nil || !ok {
		e.t.Fatalf("%v: %T", err, m)
	}
	mac := wire.MAC(b[6:12]).String()
	want := []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: b[6:12]}}
	if diff := cmp.Diff(want, na.Options); diff != "" {
		e.t.Errorf("options (-want +got):\n%s", diff)
	}
	if na.Solicited || !na.Override || source != na.TargetAddress || destination != netip.MustParseAddr("ff02::1") ||
		b[21] != 255 || wire.MAC(b[:6]).String() != "33:33:00:00:00:01" || reply.Out != 0 {
		e.t.Errorf("not an announcement to all nodes: %+v % x", na, b)
	}
	return told{time.Since(e.start), na.TargetAddress.String(), mac, na.Router, fmt.Sprintf("%d@%d/%d", reply.Port, reply.InPort, reply.Network)}
}

func (e *ears) heard() []told {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

// moving is what an Announcer of a test goes by.
type moving struct {
	t       *testing.T
	builder topology.Builder
	in      topology.Input
	c       *timers.Announcer
}

// newMoving has ports vm1 to vm3 on blue, at the switch's ports 1 to 3.
func newMoving(t *testing.T, e *ears) *moving {
	m := &moving{t: t, c: timers.NewAnnouncer(timers.AnnouncerConfig{Sink: e, Compose: nd.Announce})}
	m.in = topology.Input{
		Spec: &topology.Spec{
			Networks: []topology.NetworkSpec{{Name: "blue"}},
			Ports:    []topology.PortSpec{{Name: "vm1", Network: "blue"}, {Name: "vm2", Network: "blue", Router: true}, {Name: "vm3", Network: "blue"}},
		},
		Keys: topology.Keys{Networks: map[string]uint16{"blue": 9}, Ports: map[string]uint16{"vm1": 1, "vm2": 2, "vm3": 3}},
	}
	for n := range byte(3) {
		m.in.Bindings = append(m.in.Bindings, topology.Binding{Interface: fmt.Sprint("vm", n+1), OFPort: uint32(n + 1), MAC: wire.MAC{2, 0, 0, 0, 0, 0x11 + n}})
	}
	return m
}

// now makes the inputs true.
func (m *moving) now() {
	m.t.Helper()
	m.in.Bindings = slices.Clone(m.in.Bindings)
	s, problems := m.builder.Build(m.in)
	if s == nil || len(problems) > 0 {
		m.t.Fatal(problems)
	}
	m.c.Update(s)
	synctest.Wait()
}

// announcing runs a test with an Announcer of newMoving.
func announcing(t *testing.T, test func(t *testing.T, m *moving, e *ears)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &ears{t: t, start: time.Now()}
		m := newMoving(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.c.Run(ctx) }()
		m.now()
		if got := e.heard(); len(got) > 0 {
			t.Errorf("what is there at the start was announced: %v", got)
		}
		test(t, m, e)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

const ll1, ll2 = "fe80::ff:fe00:11", "fe80::ff:fe00:12"

// TestAnnouncePlug: a port that comes back elsewhere, with the MAC it had or
// another.
func TestAnnouncePlug(t *testing.T) {
	announcing(t, func(t *testing.T, m *moving, e *ears) {
		m.in.Bindings[0].OFPort, m.in.Bindings[1].OFPort = 7, 0
		m.now()
		time.Sleep(10 * time.Second)
		want := []told{
			{0, ll1, "02:00:00:00:00:11", false, "1@7/9"},
			{time.Second, ll1, "02:00:00:00:00:11", false, "1@7/9"},
			{2 * time.Second, ll1, "02:00:00:00:00:11", false, "1@7/9"},
		}
		if diff := cmp.Diff(want, e.heard(), cmp.AllowUnexported(told{})); diff != "" {
			t.Errorf("moved (-want +got):\n%s", diff)
		}
		m.in.Bindings[1].OFPort = 8 // it was away in between
		m.now()
		m.in.Bindings[0].OFPort = 7
		m.now()
		time.Sleep(10 * time.Second)
		want = []told{
			{10 * time.Second, ll2, "02:00:00:00:00:12", true, "2@8/9"},
			{11 * time.Second, ll2, "02:00:00:00:00:12", true, "2@8/9"},
			{12 * time.Second, ll2, "02:00:00:00:00:12", true, "2@8/9"},
		}
		if diff := cmp.Diff(want, e.heard(), cmp.AllowUnexported(told{})); diff != "" {
			t.Errorf("plugged again (-want +got):\n%s", diff)
		}
		if n := m.c.Sent(); n != 6 {
			t.Errorf("%d counted", n)
		}
	})
}

// TestAnnounceLearned: an address that another port is learned to hold, at once
// or after nobody held it.
func TestAnnounceLearned(t *testing.T) {
	announcing(t, func(t *testing.T, m *moving, e *ears) {
		own := netip.MustParseAddr("fd00::77")
		at := func(port uint16) {
			m.in.Learned = map[string][]topology.HeldAddress{"blue": {{Addr: own, Port: port}}}
			if port == 0 {
				m.in.Learned = nil
			}
			m.now()
			time.Sleep(5 * time.Second)
		}
		at(1)
		if got := e.heard(); len(got) > 0 {
			t.Errorf("new altogether, and announced: %v", got)
		}
		at(3)
		if got := e.heard(); len(got) != 3 || got[0].mac != "02:00:00:00:00:13" || got[0].target != own.String() || got[0].at != 5*time.Second {
			t.Errorf("moved: %v", got)
		}
		at(0)
		at(2)
		if got := e.heard(); len(got) != 3 || got[2].mac != "02:00:00:00:00:12" || !got[0].router {
			t.Errorf("moved with a gap: %v", got)
		}
		at(0)
		time.Sleep(time.Hour)
		m.in.Spec = &topology.Spec{Networks: []topology.NetworkSpec{{Name: "blue", MTU: 1400}}, Ports: m.in.Spec.Ports}
		m.now() // what is forgotten is when the network changes next
		at(1)
		if got := e.heard(); len(got) > 0 {
			t.Errorf("nobody held it for an hour: %v", got)
		}
	})
}

// TestAnnounceAgain: who moves on while he is announced is announced from
// where he is, a second after the last at the soonest; who leaves is not.
func TestAnnounceAgain(t *testing.T) {
	announcing(t, func(t *testing.T, m *moving, e *ears) {
		for n := range uint32(10) {
			m.in.Bindings[0].OFPort = 10 + n
			m.now()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		var ats []time.Duration
		var froms []string
		for _, x := range e.heard() {
			ats, froms = append(ats, x.at), append(froms, x.from)
		}
		if diff := cmp.Diff([]time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, ats); diff != "" {
			t.Errorf("times (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1@10/9", "1@19/9", "1@19/9", "1@19/9"}, froms); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
		m.in.Bindings[0].OFPort = 30
		m.now()
		m.in.Bindings[0].OFPort = 0
		m.now()
		time.Sleep(10 * time.Second)
		if got := e.heard(); len(got) != 1 {
			t.Errorf("left: %v", got)
		}
		m.in.Bindings[0].OFPort = 30
		m.now()
		time.Sleep(10 * time.Second)
		if got := e.heard(); len(got) != 3 {
			t.Errorf("came back: %v", got)
		}
	})
}

// TestAnnounceFails: what the switch does not take is said again.
func TestAnnounceFails(t *testing.T) {
	announcing(t, func(t *testing.T, m *moving, e *ears) {
		e.mu.Lock()
		e.deny = true
		e.mu.Unlock()
		m.in.Bindings[0].OFPort = 7
		m.now()
		time.Sleep(10500 * time.Millisecond)
		e.mu.Lock()
		e.deny = false
		e.mu.Unlock()
		time.Sleep(10 * time.Second)
		if got := e.heard(); len(got) != 3 || got[0].at != 11*time.Second {
			t.Errorf("after the switch came back: %v", got)
		}
	})
}

// TestAnnounceMany: many moves at once go out at a bounded rate, each address as
// often as one alone, and no more of them than the bound.
func TestAnnounceMany(t *testing.T) {
	announcing(t, func(t *testing.T, m *moving, e *ears) {
		const many = 10000
		m.in.Spec.Ports[0].MaxAddresses = new(int)
		*m.in.Spec.Ports[0].MaxAddresses = topology.UnlimitedAddresses
		held := make([]topology.HeldAddress, many)
		for i := range held {
			held[i] = topology.HeldAddress{Addr: netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(i >> 8), 15: byte(i)}), Port: 1}
		}
		m.in.Learned = map[string][]topology.HeldAddress{"blue": held}
		m.now()
		m.in.Bindings[0].OFPort = 7
		m.now()
		time.Sleep(time.Minute)
		times := map[string]int{}
		for _, x := range e.heard() {
			times[x.target]++
		}
		for target, n := range times {
			if n != 3 {
				t.Errorf("%s was announced %d times", target, n)
			}
		}
		if len(times) != 8192 || slices.Max(e.calls) > 64 {
			t.Errorf("%d addresses announced, at most %d at once", len(times), slices.Max(e.calls))
		}
	})
}
