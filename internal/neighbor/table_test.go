package neighbor

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/wire"
)

// TestLives walks through what happens to one neighbour.
func TestLives(t *testing.T) {
	t.Parallel()
	type steps []func(w *world)
	want := func(packet string) func(*world) { return func(w *world) { w.want(addrA, "vm1", packet) } }
	pass := func(d time.Duration) func(*world) { return func(w *world) { w.pass(d) } }
	used := func(w *world) { w.Used(w.now, addrA); w.hear() }
	is := func(mac wire.MAC, port string, alive bool) func(*world) {
		return func(w *world) { w.nodes[addrA] = &node{port, mac, alive} }
	}
	gone := is(macA, "up", false)
	there := is(macA, "up", true)
	says := func(a Advert) func(*world) {
		return func(w *world) { a.Place, a.Most = addrA, 8; w.Advertised(w.now, a); w.hear() }
	}
	seen := func(mac wire.MAC, port string) func(*world) {
		return func(w *world) { w.Seen(w.now, Sighting{addrA, port, mac, false, 8}); w.hear() }
	}
	pin := func(w *world) { w.Pin(w.now, map[Place]bool{addrA: true}); w.hear() }
	const at = " 2001:db8::a"
	tests := []struct {
		name  string
		steps steps
		state string
		heard []string
	}{
		{"resolved", steps{there, want("p1")}, "reachable", []string{"0 ask" + at, "0 resolved" + at + " p1"}},
		// RFC 4861 section 7.2.2: after MAX_MULTICAST_SOLICIT solicitations, RETRANS_TIMER apart.
		{"dead", steps{want("p1"), want("p2"), pass(10 * time.Second)}, "none",
			[]string{"0 ask" + at, "1 ask" + at, "2 ask" + at, "3 unreachable" + at + " p1 p2"}},
		{"answers late", steps{want("p1"), pass(1500 * time.Millisecond), there, pass(time.Second)}, "reachable",
			[]string{"0 ask" + at, "1 ask" + at, "2 ask" + at, "2 resolved" + at + " p1"}},
		{"the oldest gives way", steps{want("p1"), want("p2"), want("p3"), want("p4"), pass(3 * time.Second)}, "none",
			[]string{"0 ask" + at, "1 ask" + at, "2 ask" + at, "3 unreachable" + at + " p2 p3 p4"}},
		{"unused", steps{there, want("p1"), pass(30*time.Second + Rest)}, "none",
			[]string{"0 ask" + at, "0 resolved" + at + " p1", "330 forgotten" + at}},
		{"used", steps{there, want("p1"), pass(31 * time.Second), used, pass(6 * time.Second)}, "reachable",
			[]string{"0 ask" + at, "0 resolved" + at + " p1", "36 ask-holder" + at}},
		{"used and gone", steps{there, want("p1"), gone, pass(31 * time.Second), used, pass(10 * time.Second)}, "none",
			[]string{"0 ask" + at, "0 resolved" + at + " p1", "36 ask-holder" + at, "37 ask-holder" + at, "38 ask-holder" + at, "39 lost" + at}},
		{"RFC 9131: tells of itself", steps{says(Advert{Port: "up", MAC: macA, Override: true})}, "stale", []string{"0 resolved" + at}},
		{"RFC 9131: without a MAC", steps{says(Advert{Port: "up", Override: true})}, "none", nil},
		{"tells of itself while it is asked for", steps{want("p1"), says(Advert{Port: "up", MAC: macA})}, "stale",
			[]string{"0 ask" + at, "0 resolved" + at + " p1"}},
		{"another MAC without override", steps{there, want("p1"), says(Advert{Port: "up", MAC: macB, Solicited: true})}, "stale",
			[]string{"0 ask" + at, "0 resolved" + at + " p1"}},
		{"another MAC with override", steps{there, want("p1"), says(Advert{Port: "up", MAC: macB, Override: true})}, "stale",
			[]string{"0 ask" + at, "0 resolved" + at + " p1", "0 moved" + at}},
		{"another port: who has it stays", steps{there, want("p1"), says(Advert{Port: "vm9", MAC: macB, Override: true, Solicited: true})}, "reachable",
			[]string{"0 ask" + at, "0 resolved" + at + " p1", "0 ask-holder" + at}},
		{"a solicitation from another MAC", steps{there, want("p1"), seen(macB, "up")}, "stale",
			[]string{"0 ask" + at, "0 resolved" + at + " p1", "0 moved" + at}},
		{"router no more", steps{says(Advert{Port: "up", MAC: macA, Router: true}), says(Advert{Port: "up", MAC: macA})}, "stale",
			[]string{"0 resolved" + at, "0 no-router" + at}},
		{"next hop vanishes", steps{there, pin, pass(time.Second), gone, pass(8 * time.Second)}, "incomplete",
			[]string{"0 ask" + at, "0 resolved" + at, "3 ask-holder" + at, "4 ask-holder" + at, "5 ask-holder" + at, "6 lost" + at,
				"6 ask" + at, "7 ask" + at, "8 ask" + at, "9 unreachable" + at, "9 ask" + at}},
		{"next hop has another MAC", steps{there, pin, pass(time.Second), is(macB, "up", true), pass(6 * time.Second)}, "reachable",
			[]string{"0 ask" + at, "0 resolved" + at, "3 ask-holder" + at, "4 ask-holder" + at, "5 ask-holder" + at, "6 lost" + at,
				"6 ask" + at, "6 resolved" + at}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(DefaultBounds())
			for _, step := range tt.steps {
				step(w)
			}
			if got := w.state(addrA); got != tt.state {
				t.Errorf("%s, want %s", got, tt.state)
			}
			if diff := cmp.Diff(tt.heard, w.heard); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScan: a scan of a /64 neither drives out nor delays neighbours that are
// known, and is itself bounded (RFC 6583).
func TestScan(t *testing.T) {
	t.Parallel()
	w := newWorld(DefaultBounds())
	for n := range 8 {
		w.nodes[place(n)] = &node{"up", wire.MAC{2, 5: byte(n)}, true}
		w.want(place(n), "vm1", "p")
	}
	asked := 0
	w.on = func(e Event) {
		switch e.Kind {
		case Ask:
			asked++
		case Lost, Forgotten, Moved:
			t.Errorf("%s %s", e.Kind, e.Addr)
		}
	}
	for i := range 40_000 {
		w.want(place(256+i), "scanner", "p")
		if i%1000 == 0 {
			w.pass(time.Second)
			for n := range 8 {
				if o := w.want(place(n), "vm1", "p"); o != Known {
					t.Fatalf("neighbour %d: %d", n, o)
				}
			}
		}
	}
	if most := 16 * 42; asked > most {
		t.Errorf("%d solicitations in 40 s, want at most %d", asked, most)
	}
	w.nodes[place(99)] = &node{"other", macB, true}
	if o := w.want(place(99), "vm1", "p"); o != Waiting || w.state(place(99)) != "reachable" {
		t.Errorf("another port's resolution: %d, %s", o, w.state(place(99)))
	}
	for p := range 32 {
		for i := range 32 {
			w.want(Place{"ext", place(i).Addr.Next()}, fmt.Sprint("scanner", p), "p")
			w.want(place(1024+p*32+i), fmt.Sprint("scanner", p), "p")
		}
	}
	if n := w.askingOn["ext"]; n != 256 {
		t.Errorf("%d asked for on the network, want 256", n)
	}
	w.nodes[place(98)] = &node{"up", macB, true}
	w.Pin(w.now, map[Place]bool{place(98): true})
	w.hear()
	if w.state(place(98)) != "reachable" {
		t.Errorf("a next hop on a crowded network is %s", w.state(place(98)))
	}
}

// TestRoom: who tells of more neighbours than may be behind its port drives out
// its own that nobody uses, and no others.
func TestRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(DefaultBounds())
	w.nodes[place(1)] = &node{"up", macA, true}
	w.want(place(1), "vm1", "p")
	tell := func(n int) bool {
		w.now++
		return w.Advertised(w.now, Advert{Place: place(n), Port: "nest", MAC: macB, Most: 4})
	}
	for n := 10; n < 14; n++ {
		tell(n)
	}
	w.Used(w.now, place(10))
	if !tell(14) || w.state(place(10)) != "delay" || w.state(place(11)) != "none" || w.state(place(1)) != "reachable" {
		t.Error(w.state(place(10)), w.state(place(11)), w.state(place(1)))
	}
	for n := 12; n < 15; n++ {
		w.Used(w.now, place(n))
	}
	if tell(15) {
		t.Error("one more than may be, and all in use")
	}
}

// TestNoAllocations: what happens with every packet or reading of counters
// allocates nothing.
func TestNoAllocations(t *testing.T) {
	w := newWorld(DefaultBounds())
	w.nodes[addrA] = &node{"up", macA, true}
	frame := make([]byte, 1500)
	w.want(addrA, "vm1", "p")
	a := Advert{Place: addrA, Port: "up", MAC: macA, Solicited: true, Override: true, Most: 8}
	if n := testing.AllocsPerRun(100, func() {
		w.now += time.Second
		w.Want(w.now, addrA, "vm1", frame)
		w.Used(w.now, addrA)
		w.Advertised(w.now, a)
		w.Tick(w.now)
		w.Events()
		w.Show()
	}); n > 0 {
		t.Errorf("%g allocations", n)
	}
}
