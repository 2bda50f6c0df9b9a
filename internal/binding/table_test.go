package binding

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/store"
)

// said renders events, one each.
func said(list []Event) (out []string) {
	for _, e := range list {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Kind, e.Port, e.Addr, e.Other)))
	}
	return out
}

// TestClaims walks through what guests say and what comes of it.
func TestClaims(t *testing.T) {
	t.Parallel()
	probe := func(port string, want Outcome, holder string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			if o, h := w.Probe(w.now, claim(port, addrA)); o != want || h != holder {
				t.Errorf("probe of %s: %d held by %q, want %d by %q", port, o, h, want, holder)
			}
		}
	}
	use := func(port string, want Outcome) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			if o := w.Use(w.now, claim(port, addrA)); o != want {
				t.Errorf("packet of %s: %d, want %d", port, o, want)
			}
		}
	}
	advertise := func(port string, witness bool, want Outcome) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			c := claim(port, addrA)
			c.Witness = witness
			if o := w.Advertise(w.now, c); o != want {
				t.Errorf("advertisement of %s: %d, want %d", port, o, want)
			}
		}
	}
	var heard []Event
	after := func(d time.Duration) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			heard = append(heard, w.Events()...)
			w.pass(d, func(e Event) { heard = append(heard, e) })
		}
	}
	alive := func(port string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.Alive(w.now, "blue", port, addrA) }
	}
	away := func(port string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.away[port] = true }
	}
	type steps []func(*testing.T, *world)
	tests := []struct {
		name   string
		steps  steps
		holder string
		events []string
	}{
		{"nobody objects", steps{probe("p", Carry, ""), probe("p", Carry, ""), after(Wait)}, "p", []string{"learned p 2001:db8::a"}},
		{"not before the wait is over", steps{probe("p", Carry, ""), after(Wait - 1)}, "", nil},
		{"first of two probes", steps{probe("p", Carry, ""), probe("q", Held, "p"), after(Wait)}, "p",
			[]string{"conflict q 2001:db8::a p", "learned p 2001:db8::a"}},
		{"one that nobody knew objects", steps{probe("p", Carry, ""), advertise("q", false, Carry), after(Wait)}, "q",
			[]string{"conflict p 2001:db8::a q", "learned q 2001:db8::a", "defend p 2001:db8::a q"}},
		{"one that nothing is bound to objects", steps{probe("p", Carry, ""), advertise("q", true, Carry), after(Wait)}, "",
			[]string{"conflict p 2001:db8::a q"}},
		{"data", steps{use("p", Undecided), use("p", Undecided), use("q", Held), after(Wait), use("p", Own)}, "p",
			[]string{"ask-others p 2001:db8::a", "conflict q 2001:db8::a p", "learned p 2001:db8::a"}},
		{"an advertisement is data", steps{advertise("p", false, Undecided), after(Wait)}, "p",
			[]string{"ask-others p 2001:db8::a", "learned p 2001:db8::a"}},
		{"of whom nothing is bound to", steps{advertise("p", true, Carry), after(Wait)}, "", nil},
		{"of one that nothing is bound to, against the holder", steps{probe("p", Carry, ""), after(Wait), advertise("q", true, Carry), after(Wait)}, "p",
			[]string{"learned p 2001:db8::a", "conflict q 2001:db8::a p"}},
		{"probe of the holder", steps{use("p", Undecided), after(Wait), probe("p", Own, "")}, "p",
			[]string{"ask-others p 2001:db8::a", "learned p 2001:db8::a"}},
		{"probe against a fresh holder", steps{probe("p", Carry, ""), after(time.Second), probe("q", Held, "p"), after(time.Second)}, "p",
			[]string{"learned p 2001:db8::a", "conflict q 2001:db8::a p"}},
		{"probe against a holder that answers", steps{probe("p", Carry, ""), after(time.Minute), probe("q", Undecided, ""),
			probe("q", Undecided, ""), probe("r", Held, "p"), after(Wait / 2), alive("p"), after(time.Second)}, "p",
			[]string{"learned p 2001:db8::a", "ask-holder p 2001:db8::a", "conflict r 2001:db8::a p", "conflict q 2001:db8::a p", "defend q 2001:db8::a p"}},
		{"probe against a dead holder", steps{probe("p", Carry, ""), after(time.Minute), probe("q", Undecided, ""), alive("q"), after(Wait)}, "q",
			[]string{"learned p 2001:db8::a", "ask-holder p 2001:db8::a", "moved q 2001:db8::a p"}},
		{"probe against one that is away", steps{probe("p", Carry, ""), after(Wait), away("p"), probe("q", Carry, ""), after(Wait)}, "q",
			[]string{"learned p 2001:db8::a", "lost p 2001:db8::a", "learned q 2001:db8::a"}},
		{"data against one that is away", steps{probe("p", Carry, ""), after(Wait), away("p"), use("q", Undecided), after(Wait)}, "q",
			[]string{"learned p 2001:db8::a", "lost p 2001:db8::a", "ask-others q 2001:db8::a", "learned q 2001:db8::a"}},
		{"silence", steps{probe("p", Carry, ""), after(DefaultLifetime + Wait), alive("p"), after(DefaultLifetime), after(3 * time.Second)}, "",
			[]string{"learned p 2001:db8::a", "ask-holder p 2001:db8::a", "ask-holder p 2001:db8::a", "ask-holder p 2001:db8::a",
				"ask-holder p 2001:db8::a", "lost p 2001:db8::a"}},
	}
	for _, test := range tests {
		w := newWorld(t)
		heard = nil
		t.Run(test.name, func(t *testing.T) {
			for _, step := range test.steps {
				step(t, w)
			}
			heard = append(heard, w.Events()...)
			w.commit(t)
			if got := w.holder(addrA); got != test.holder {
				t.Errorf("held by %q, want %q", got, test.holder)
			}
			if diff := cmp.Diff(test.events, said(heard)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBound: a port gets no more than it may have, loses nothing by trying, and
// finds room once it has stopped using one.
func TestBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var heard []Event
	hear := func(e Event) { heard = append(heard, e) }
	two := func(port, addr string) Claim {
		c := claim(port, addrA)
		c.Most = 2
		switch addr {
		case "b":
			c.Addr = addrB
		case "c":
			c.Addr = addrC
		}
		return c
	}
	w.Use(w.now, two("p", "a"))
	w.pass(time.Second, hear)
	w.Probe(w.now, two("p", "b"))
	w.pass(time.Minute, hear)
	heard = nil
	if o, _ := w.Probe(w.now, two("p", "c")); o != Full {
		t.Errorf("a third address: %d, want Full", o)
	}
	if o := w.Use(w.now, two("p", "c")); o != Full {
		t.Errorf("a packet from a third address: %d, want Full", o)
	}
	if o, _ := w.Probe(w.now, two("q", "c")); o != Carry {
		t.Errorf("another port: %d, want Carry", o)
	}
	hearAll := func() { heard = append(heard, w.Events()...) }
	hearAll()
	w.Alive(w.now, "blue", "p", addrB)
	w.pass(5*time.Second, hear)
	want := []string{
		"ask-holder p 2001:db8::a", "ask-holder p 2001:db8::b", "learned q 2001:db8::c",
		"ask-holder p 2001:db8::a", "ask-holder p 2001:db8::a", "lost p 2001:db8::a",
	}
	if diff := cmp.Diff(want, said(heard)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if o, _ := w.Probe(w.now, two("p", "a")); o != Carry {
		t.Errorf("with room again: %d, want Carry", o)
	}
	unbounded := claim("p", addrC)
	unbounded.Network, unbounded.Most = "red", Unlimited
	if o, _ := w.Probe(w.now, unbounded); o != Carry {
		t.Errorf("without a bound: %d, want Carry", o)
	}
}

// TestRevise: what the configuration gives somebody is not learned any more.
func TestRevise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Use(w.now, claim("p", addrA))
	w.Use(w.now, claim("p", addrB))
	w.pass(time.Second, func(Event) {})
	w.Revise(func(b Binding) bool { return b.Addr != addrA })
	if diff := cmp.Diff([]string{"superseded p 2001:db8::a"}, said(w.Events())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	w.commit(t)
	if diff := cmp.Diff([]Binding{{"blue", "p", addrB}}, w.View().Bound(), cmp.Comparer(func(a, b Binding) bool { return a == b })); diff != "" {
		t.Errorf("bound (-want +got):\n%s", diff)
	}
}

// TestDiskFull: guests keep what cannot be written, and it is written later.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.disk.fail = true
	w.Use(w.now, claim("p", addrA))
	w.pass(time.Second, func(Event) {})
	changed, err := w.Commit()
	if !changed || err == nil || w.holder(addrA) != "p" || w.Unsaved() != 1 {
		t.Errorf("with a full disk: changed %v, %v, held by %q, %d unsaved", changed, err, w.holder(addrA), w.Unsaved())
	}
	w.disk.fail = false
	if changed, err = w.Commit(); changed || err != nil || w.Unsaved() != 0 {
		t.Errorf("with room again: changed %v, %v", changed, err)
	}
	w.reopen(t)
	if got := w.holder(addrA); got != "p" {
		t.Errorf("after a restart held by %q", got)
	}
	// A loaded binding gives way to whoever probes, if its holder is silent.
	if o, _ := w.Probe(w.now, claim("q", addrA)); o != Undecided {
		t.Errorf("probe after the restart: %d, want Undecided", o)
	}
}

// TestInStore: the embedded store keeps it, and a record that is none is left out.
func TestInStore(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	open := func(want int, says string) *Table {
		t.Helper()
		var logged strings.Builder
		table, err := Open(InStore(s), 0, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(table.View().Bound()); got != want || !strings.Contains(logged.String(), says) {
			t.Errorf("%d bound, want %d; logged %q, want %q", got, want, logged.String(), says)
		}
		return table
	}
	table := open(0, "")
	table.Use(0, claim("p", addrA))
	table.Use(0, claim("p", addrB))
	table.Tick(Wait)
	if _, err := table.Commit(); err != nil {
		t.Fatal(err)
	}
	table = open(2, "")
	table.Revise(func(b Binding) bool { return b.Addr != addrB })
	if _, err := table.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(tx *store.Tx) error {
		return tx.Put(store.BucketLearned, []byte("blue\x00short"), []byte("p"))
	}); err != nil {
		t.Fatal(err)
	}
	open(1, "dropped a learned address")
}
