package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"damselfly/internal/store"
)

// held is a lease in the slow twin.
type held struct {
	kind       Kind
	state      State
	port, duid string
	iaid       uint32
	end        time.Duration
}

// twin is what a Book should hold: one map, searched from end to end.
type twin map[netip.Prefix]held

func (m twin) bind(g Grant, now store.Clock) error {
	own := func(p netip.Prefix) bool {
		h, ok := m[p]
		return ok && p == g.Prefix && h.state == Bound && h.kind == g.Kind && h.port == g.Port && h.duid == string(g.DUID) && h.iaid == g.IAID
	}
	var going []netip.Prefix
	for p, h := range m {
		if own(p) || (h.kind == Prefix) != (g.Kind == Prefix) || !p.Overlaps(g.Prefix) {
			continue
		}
		yields := g.Own && h.state == Bound && h.port == g.Port && h.duid != string(g.DUID) && (h.kind == Registration) == (g.Kind == Registration)
		if h.end > now.Uptime && !yields || p.Bits() > g.Prefix.Bits() {
			return ErrTaken
		}
		going = append(going, p)
	}
	after := 0
	for p, h := range m {
		if h.port == g.Port && (h.kind == Registration) == (g.Kind == Registration) && !slices.Contains(going, p) {
			after++
		}
	}
	if after >= g.Limit && !own(g.Prefix) {
		return ErrPortFull
	}
	for _, p := range going {
		delete(m, p)
	}
	m[g.Prefix] = held{g.Kind, Bound, g.Port, string(g.DUID), g.IAID, now.Uptime + g.Valid}
	return nil
}

func (m twin) mine(port, duid string, kind Kind, iaid uint32, p netip.Prefix, now store.Clock) (held, bool) {
	h, ok := m[p]
	return h, ok && h.kind == kind && h.port == port && h.duid == duid && h.iaid == iaid && h.end > now.Uptime
}

func (m twin) copy() twin {
	out := twin{}
	for p, h := range m {
		out[p] = h
	}
	return out
}

func (m twin) sweep(now store.Clock) (n int) {
	for p, h := range m {
		if h.end <= now.Uptime {
			delete(m, p)
			n++
		}
	}
	return n
}

// running is the twin without what has ended.
func (m twin) running(now store.Clock) map[string]string {
	out := map[string]string{}
	for p, h := range m {
		if h.end > now.Uptime {
			out[p.String()] = fmt.Sprint(h.kind, h.state, h.port, h.duid, h.iaid, h.end-now.Uptime)
		}
	}
	return out
}

func (w *world) running(now store.Clock) map[string]string {
	out := map[string]string{}
	for _, l := range w.book.View().Leases(Filter{}, now) {
		if _, twice := out[l.Prefix.String()]; twice {
			w.t.Fatalf("%v is held twice", l.Prefix)
		}
		out[l.Prefix.String()] = fmt.Sprint(l.Kind, l.State, l.Port, l.DUID, l.IAID, l.Valid.Remaining(now))
	}
	return out
}

var (
	ports    = rapid.SampledFrom([]string{"a", "b"})
	duids    = rapid.SampledFrom([]string{"x", "yy", "\x00"})
	places   = rapid.SampledFrom([]string{"fd00::1/128", "fd00::2/128", "fd00::3/128", "fd00::4/128", "fd00::5/128"})
	prefixes = rapid.SampledFrom([]string{"fd01::/56", "fd01::/60", "fd01::/64", "fd01:0:0:10::/60", "fd01:0:0:100::/56", "fd01::/48"})
)

func drawGrant(t *rapid.T) Grant {
	g := Grant{
		Kind: rapid.SampledFrom([]Kind{Address, Address, Prefix, Registration}).Draw(t, "kind"),
		Port: ports.Draw(t, "port"), Network: "n", DUID: []byte(duids.Draw(t, "duid")),
		IAID: rapid.Uint32Range(0, 1).Draw(t, "iaid"), Own: rapid.Bool().Draw(t, "own"), Limit: 3,
		Valid: time.Duration(rapid.IntRange(1, 20).Draw(t, "valid")) * time.Second,
	}
	if g.Kind == Registration {
		g.IAID = 0
	}
	if g.Kind == Prefix {
		g.Prefix = netip.MustParsePrefix(prefixes.Draw(t, "prefix"))
	} else {
		g.Prefix = netip.MustParsePrefix(places.Draw(t, "address"))
	}
	return g
}

// TestModel drives a Book and its slow twin through the same life: whole groups
// that are committed, given up or fail on the disk, clocks that run, restarts
// and reboots.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.store.Close()
		now := start()
		kept := twin{}
		var tx *Tx
		var pending twin
		begin := func() {
			if tx == nil {
				tx, pending = w.book.Begin(now), kept.copy()
			}
		}
		commit := func(t *rapid.T, how string) {
			begin()
			w.disk.fail, w.disk.written = how != "", how == "written"
			err := tx.Commit()
			wrote := pending.running(store.Clock{}) // everything, ended or not
			if diff := cmp.Diff(kept.running(store.Clock{}), wrote); how == "" || diff == "" {
				if err != nil && how == "" {
					t.Fatal(err)
				}
				if err == nil {
					kept = pending
				}
			} else if err == nil {
				t.Fatalf("a commit on a failing disk gave no error; it changed %s", diff)
			}
			w.disk.fail, tx = false, nil
			if err != nil {
				now = later(now, sweepPause) // until when a sweep waits
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"bind": func(t *rapid.T) {
				begin()
				g := drawGrant(t)
				if got, want := tx.Bind(g), pending.bind(g, now); got != want {
					t.Fatalf("bind %+v: %v, want %v", g, got, want)
				}
			},
			"release": func(t *rapid.T) {
				begin()
				g := drawGrant(t)
				h, want := pending.mine(g.Port, string(g.DUID), g.Kind, g.IAID, g.Prefix, now)
				if want = want && h.state == Bound; want {
					delete(pending, g.Prefix)
				}
				if got := tx.Release(g.Port, g.DUID, g.Kind, g.IAID, g.Prefix); got != want {
					t.Fatalf("release %+v: %v, want %v", g, got, want)
				}
			},
			"decline": func(t *rapid.T) {
				begin()
				g := drawGrant(t)
				p := netip.MustParsePrefix(places.Draw(t, "declined"))
				h, want := pending.mine(g.Port, string(g.DUID), Address, g.IAID, p, now)
				if want && h.state == Bound {
					h.state, h.end = Declined, now.Uptime+g.Valid
					pending[p] = h
				}
				if got := tx.Decline(g.Port, g.DUID, g.IAID, p.Addr(), g.Valid); got != want {
					t.Fatalf("decline %+v: %v, want %v", g, got, want)
				}
			},
			"expire": func(t *rapid.T) {
				begin()
				if got, want := tx.Expire(1000), pending.sweep(now); got != want {
					t.Fatalf("%d leases ended, want %d", got, want)
				}
			},
			"commit":       func(t *rapid.T) { commit(t, "") },
			"fail":         func(t *rapid.T) { commit(t, "lost") },
			"fail written": func(t *rapid.T) { commit(t, "written") },
			"give up":      func(*rapid.T) { tx = nil },
			"time": func(t *rapid.T) {
				tx = nil
				now = later(now, time.Duration(rapid.IntRange(0, 8).Draw(t, "seconds"))*time.Second)
				now.Wall = now.Wall.Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(t, "step")) * time.Hour)
			},
			"restart": func(t *rapid.T) {
				// Writes what a failed write may have left behind, as any next
				// group would.
				tx = nil
				begin()
				g := Grant{Kind: Registration, Port: "z", Network: "n", DUID: []byte("z"), Prefix: netip.MustParsePrefix("fd02::/128"), Valid: time.Second, Limit: 3}
				_, _ = tx.Bind(g), pending.bind(g, now)
				commit(t, "")
				w.restart(now)
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff(kept.running(now), w.running(now)); diff != "" {
					t.Fatalf("committed (-want +got):\n%s", diff)
				}
				c := w.book.View().Counts()
				if n := c.Addresses + c.Prefixes + c.Registrations + c.Declined; n != len(kept) {
					t.Fatalf("%+v leases are counted, want %d", c, len(kept))
				}
				routes := 0
				for _, h := range kept {
					if h.kind == Prefix && h.end > now.Uptime {
						routes++
					}
				}
				if got := w.book.View().Routes(now); len(got) != routes {
					t.Fatalf("routes %v, want %d", got, routes)
				}
				if tx == nil {
					return
				}
				for p, h := range pending {
					l, ok := tx.Address("n", p.Addr())
					if h.kind != Prefix && (ok != (h.end > now.Uptime) || ok && (l.Port != h.port || l.DUID != h.duid || l.State != h.state)) {
						t.Fatalf("in the transaction %v is %+v, want %+v", p, l, h)
					}
				}
			},
		})
	})
}
