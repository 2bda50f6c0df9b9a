package multicast

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// advertising is a change of the world in which the router advertises itself.
func advertising(s *topology.Spec) { s.Networks[0].Multicast.RouterDiscovery = true }

// routerSent are the events of Multicast Router Discovery among those sent.
func (w *world) routerSent() []string {
	out := slices.DeleteFunc(slices.Clone(w.sent), func(e string) bool {
		return !strings.Contains(e, "advertisements") && !strings.Contains(e, "terminations")
	})
	w.sent = nil
	return out
}

// TestAdvertTimes holds advertisements to RFC 4286: the first within two seconds, three
// of them as close as that, then one each 20 seconds but for a fortieth; who asks is
// answered within two, several at once by one. (The world's random times are the longest.)
func TestAdvertTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(advertising)
	w.pass(30 * time.Second)
	want := []string{"2s advertisements", "4s advertisements", "6s advertisements", "26.5s advertisements"}
	if got := w.routerSent(); !slices.Equal(got, want) {
		t.Errorf("at first: %q, want %q", got, want)
	}
	for range 5 {
		if !w.Solicited(w.now, "blue") {
			t.Fatal("nobody answers")
		}
	}
	w.pass(25 * time.Second)
	want = []string{"32s advertisements", "52.5s advertisements"}
	if got := w.routerSent(); !slices.Equal(got, want) {
		t.Errorf("once somebody asked: %q, want %q", got, want)
	}
	w.random = func(time.Duration) time.Duration { return 0 }
	_ = w.Solicited(w.now, "blue")
	w.pass(20 * time.Second)
	want = []string{"55.000000001s advertisements", "1m14.500000001s advertisements"}
	if got := w.routerSent(); !slices.Equal(got, want) {
		t.Errorf("with the shortest times: %q, want %q", got, want)
	}
}

// TestAdvertRate: whoever asks how often, and at first, there are no more than ten advertisements a
// second (RFC 4286 section 3.1.6). The world's router waits for the shortest time.
func TestAdvertRate(t *testing.T) {
	t.Parallel()
	w := newWorld(advertising)
	w.pass(6 * time.Second) // for the first ones
	w.random = func(time.Duration) time.Duration { return 0 }
	for second := range 10 {
		w.sent = nil
		for range 1000 {
			w.Solicited(w.now, "blue")
			w.pass(time.Millisecond)
		}
		if n := len(w.routerSent()); n > 10 || n == 0 {
			t.Errorf("second %d: %d advertisements", second, n)
		}
	}
}

// TestAdvertTellsWhatIsInUse: an advertisement has the times of the link, which are those of
// who asks there (RFC 4286 sections 3.2.4 and 3.2.5, RFC 9777 sections 9.1 and 9.2).
func TestAdvertTellsWhatIsInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(advertising)
	w.pass(10 * time.Second)
	told := func(interval time.Duration, robustness int) {
		t.Helper()
		w.Solicited(w.now, "blue")
		w.now += 2 * time.Second
		w.Tick(w.now)
		n := 0
		for _, e := range w.Events() {
			if e.Kind == Advertise {
				if n++; e.Query.Interval != interval || e.Query.Robustness != robustness {
					t.Errorf("%+v, want %s and %d", e.Query, interval, robustness)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d advertisements", n)
		}
	}
	told(125*time.Second, 2)
	w.Asked(w.now, "blue", "uplink of blue", Query{Source: addr("fe80::1"), Group: netip.IPv6Unspecified(), MaxResponse: time.Second, Version: 2, Robustness: 3, Interval: 40 * time.Second})
	told(40*time.Second, 3)
}

// TestRemembered: who advertised in an earlier life and does no more is ended, once.
func TestRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(advertising)
	list, changed := w.Advertisers()
	if !changed || len(list) != 1 || list["blue"].LinkLocal != addr("fe80::a") {
		t.Fatalf("%v %+v", changed, list)
	}
	if _, changed := w.Advertisers(); changed {
		t.Error("changed by nothing")
	}
	blue := list["blue"]
	w.spec.Networks = slices.Clone(w.spec.Networks) // what was served stays as it was
	w.spec.Networks[0].Multicast = &topology.MulticastSpec{Snooping: true, Querier: true}
	w.serve()
	if got := w.routerSent(); len(got) != 1 {
		t.Errorf("when it ends: %q", got)
	}
	if list, changed := w.Advertisers(); !changed || len(list) != 0 {
		t.Errorf("%v %+v", changed, list)
	}
	other := blue
	other.LinkLocal, other.MAC = addr("fe80::b"), wire.MAC{2, 9}
	nowhere := blue
	nowhere.Network = "gone"
	for name, c := range map[string]struct {
		change func(*topology.Spec)
		before []Advertiser
		want   string
	}{
		"it goes on":                  {advertising, []Advertiser{blue}, ""},
		"it advertises no more":       {nil, []Advertiser{blue}, "fe80::a 02:00:00:00:00:0a"},
		"it has another address":      {advertising, []Advertiser{other}, "fe80::b 02:09:00:00:00:00"},
		"nothing is heard any more":   {func(s *topology.Spec) { s.Networks[0].Multicast = nil }, []Advertiser{blue}, "fe80::a 02:00:00:00:00:0a"},
		"there is no router any more": {func(s *topology.Spec) { s.Routers = nil }, []Advertiser{blue}, "fe80::a 02:00:00:00:00:0a"},
		"the network is gone":         {nil, []Advertiser{nowhere}, ""},
	} {
		first := newWorld(c.change) // for its topology
		table := New(nil)
		table.Remember(c.before)
		got := ""
		for range 2 {
			table.Serve(time.Hour, first.seen)
			for _, e := range table.Events() {
				if e.Kind == Terminate {
					got += e.Former.Router.LinkLocal.String() + " " + e.Former.Router.MAC.String()
					if len(e.Former.Ports) != 5 {
						t.Errorf("%s: %d ports are told", name, len(e.Former.Ports))
					}
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: ended %q, want %q", name, got, c.want)
		}
	}
}

// TestTermination: a port that a bridge held as a router's is one no more as soon as a router
// there says that it ends, were it heard since or not. It is asked, behind its port alone,
// whether it is there all the same, three times a second at most (RFC 4286 sections 4.3
// and 5.4).
func TestTermination(t *testing.T) {
	t.Parallel()
	for _, heard := range []bool{false, true} {
		w := newWorld(nil)
		w.Adopt(w.now, "blue", &Shown{Routers: []string{"r", "uplink of blue"}})
		routers := func(want ...string) {
			t.Helper()
			w.Show()
			if got := w.View().Networks()["blue"].Routers; !slices.Equal(got, want) {
				t.Errorf("heard %t: %q, want %q", heard, got, want)
			}
		}
		if heard {
			w.Advertised(w.now, "blue", "uplink of blue", addr("fe80::1"), 20*time.Second)
		}
		for range 1000 {
			w.Terminated(w.now, "blue", "uplink of blue", addr("fe80::1"))
			routers("r")
			w.pass(time.Millisecond)
		}
		asked := 0
		for _, e := range w.sent {
			if strings.HasSuffix(e, " solicitations uplink of blue") {
				asked++
			}
		}
		if asked != 3 {
			t.Errorf("heard %t: asked %d times: %q", heard, asked, w.sent)
		}
		w.pass(mali)
		routers()
	}
}

// TestTerminatedTogether: of all who are said to end it is asked whether they did, also where
// that is three times a second already (RFC 4286 sections 4.3 and 5.4).
func TestTerminatedTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(func(s *topology.Spec) { s.Networks[0].Multicast.Querier = false })
	heard := func(ports ...string) {
		for _, port := range ports {
			w.Advertised(w.now, "blue", port, addr("fe80::1"), 20*time.Second)
		}
	}
	ended := func(port, router string) {
		w.Terminated(w.now, "blue", port, addr(router))
		w.pass(100 * time.Millisecond)
	}
	heard("uplink of blue", "r")
	ended("uplink of blue", "fe80::2")
	ended("uplink of blue", "fe80::1")
	ended("uplink of blue", "fe80::1")
	ended("r", "fe80::1")
	w.pass(time.Second)
	const again = "333.333334ms solicitations "
	w.wantSent(t, "0s solicitations uplink of blue", again+"r", again+"uplink of blue")
	if w.Show(); len(w.View().Networks()["blue"].Routers) > 0 {
		t.Error("who ended is known")
	}
	ended("r", "fe80::1")
	ended("r", "fe80::1")
	w.spec.Ports = w.spec.Ports[:3]
	w.serve()
	w.pass(time.Minute)
	w.wantSent(t, "1.4s solicitations r")
}

// TestPendingAdvert: who asks again while an answer is due does not bring it forward (RFC
// 4286 section 3.4).
func TestPendingAdvert(t *testing.T) {
	t.Parallel()
	w := newWorld(advertising)
	w.pass(10 * time.Second)
	_ = w.routerSent()
	_ = w.Solicited(w.now, "blue") // in two seconds
	w.random = func(time.Duration) time.Duration { return 0 }
	for range 10 {
		w.pass(100 * time.Millisecond)
		if !w.Solicited(w.now, "blue") {
			t.Error("nobody answers")
		}
	}
	w.pass(10 * time.Second)
	if got, want := w.routerSent(), []string{"12s advertisements"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
