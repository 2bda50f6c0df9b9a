package due

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// thing is what the tests wait for.
type thing struct {
	Timer
	name int
	at   time.Duration // as it was set; less than 0 for not at all
}

// TestQueue: whatever is set and canceled, what comes first is given first, and nothing else
// before its time.
func TestQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[*thing]
		things := make([]*thing, 8)
		for i := range things {
			things[i] = &thing{name: i, at: -1}
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			x := rapid.SampledFrom(things).Draw(t, "thing")
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				q.Cancel(x)
				x.at = -1
			} else {
				x.at = time.Duration(rapid.IntRange(0, 10).Draw(t, "at"))
				q.Set(x, x.at)
			}
			var held []*thing
			for _, x := range things {
				if q.Holds(x) != (x.at >= 0) {
					t.Fatalf("%d is held: %t, set to %d", x.name, q.Holds(x), x.at)
				}
				if x.at >= 0 {
					held = append(held, x)
				}
			}
			now := time.Duration(rapid.IntRange(0, 10).Draw(t, "now"))
			rest := time.Duration(5)
			first, ok := q.First(now)
			if len(held) > 0 {
				least := slices.MinFunc(held, func(a, b *thing) int { return cmp.Compare(a.at, b.at) }).at
				rest = min(rest, least-now)
				if ok != (least <= now) || ok && first.at != least {
					t.Fatalf("at %d %v, %t comes first, want one of %d", now, first, ok, least)
				}
			} else if ok {
				t.Fatalf("%v comes first of none", first)
			}
			if got := q.Rest(now, 5); got != rest || q.Len() != len(held) {
				t.Fatalf("%d held, rest %d, want %d and %d", q.Len(), got, len(held), rest)
			}
		}
	})
}
