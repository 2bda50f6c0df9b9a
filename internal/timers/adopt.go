package timers

import (
	"bytes"
	"slices"
	"time"

	"damselfly/internal/topology"
)

// adopt makes s the topology that is advertised.
func (o *Owner) adopt(s *topology.Snapshot, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	present := make(map[string]bool, len(s.Networks))
	var begun []*entry
	var farewells []*farewell
	for _, net := range s.Networks {
		present[net.Name] = true
		e := o.entries[net.Name]
		if e == nil {
			e = &entry{index: outside, counts: Counts{Network: net.Name}}
			o.entries[net.Name] = e
		}
		if e.net == net {
			continue
		}
		before := e.net
		e.net = net
		farewells = append(farewells, e.part(before, net)...)
		switch {
		case !advertised(net):
			e.next, e.initial = time.Time{}, 0
		case !advertised(before) || !sameInformation(before, net):
			begun = append(begun, e)
		case before.Advertising != net.Advertising:
			// A shorter interval counts from now; a longer one after the next.
			if next := now.Add(e.interval(o.random)); next.Before(e.next) {
				e.next = next
			}
		}
	}
	n := len(begun) + len(farewells)
	for _, e := range begun {
		e.begin(now.Add(firstDelay(n, o.random)))
	}
	for _, f := range farewells {
		f.next = now.Add(firstDelay(n, o.random))
	}
	for name, e := range o.entries {
		if !present[name] {
			delete(o.entries, name)
			e.next, e.farewells = time.Time{}, nil
		}
		e.plan()
		o.queue.place(e)
	}
}

// advertised tells whether unsolicited advertisements of n are wanted.
func advertised(n *topology.Network) bool {
	return n != nil && n.Router != nil && len(n.Adverts) > 0 && n.Advertising.MaxInterval > 0
}

// sameInformation tells whether hosts learn the same from both: the same
// router, and the same messages but for what only counts down.
func sameInformation(a, b *topology.Network) bool {
	return identityOf(a) == identityOf(b) && slices.EqualFunc(a.Adverts, b.Adverts, sameAdvert)
}

// sameAdvert does not ask when countdowns end: a Body does not hold what is left.
func sameAdvert(a, b topology.Advert) bool {
	sameField := func(a, b topology.Countdown) bool { return a.Offset == b.Offset }
	return bytes.Equal(a.Body, b.Body) && slices.EqualFunc(a.Countdowns, b.Countdowns, sameField)
}
