package neighbor

import (
	"testing"
	"time"
)

// TestRecall: who was known before a restart is known at once, asked when it is
// used, and forgotten like any other where it is not (RFC 4861 section 7.3.3).
func TestRecall(t *testing.T) {
	t.Parallel()
	b := DefaultBounds()
	b.Known = 3
	w := newWorld(b)
	for i, p := range []Place{addrA, place(1), place(2), place(3)} {
		w.Recall(w.now, Neighbor{Place: p, Port: "up", MAC: macA, Router: i == 0})
	}
	w.Recall(w.now, Neighbor{Place: addrA, Port: "other", MAC: macB})
	w.Recall(w.now, Neighbor{Place: place(4)})
	w.hear()
	if len(w.heard) > 0 || !w.Show() || len(w.View().Known()) != 3 {
		t.Fatalf("heard %q, known %v", w.heard, w.View().Known())
	}
	if n := w.List()[0]; n.Port != "up" && n.MAC != macA {
		t.Errorf("the first of two does not count: %+v", n)
	}
	w.nodes[addrA] = &node{"up", macA, true}
	if o := w.want(addrA, "vm1", "x"); o != Known {
		t.Errorf("a packet for it is %d", o)
	}
	w.Pin(w.now, map[Place]bool{place(1): true})
	w.hear()
	w.pass(6 * time.Second)
	for p, want := range map[Place]string{addrA: "reachable", place(1): "incomplete", place(2): "stale"} {
		if got := w.state(p); got != want {
			t.Errorf("%s is %s, want %s: %q", p.Addr, got, want, w.heard)
		}
	}
	w.pass(Rest)
	if got := w.state(place(2)); got != "none" {
		t.Errorf("who is not used is %s", got)
	}
}
