package lease

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/internal/store"
)

// TestClocks: a step of the wall clock changes nothing within a boot, and over a
// reboot a lease lasts no longer than it was granted.
func TestClocks(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	reboot := func(wall time.Duration) store.Clock {
		return store.Clock{Wall: start().Wall.Add(wall), Boot: store.BootID{2}, Uptime: 5 * time.Second}
	}
	step := func(c store.Clock, d time.Duration) store.Clock {
		c.Wall = c.Wall.Add(d)
		return c
	}
	tests := []struct {
		name string
		at   store.Clock
		left time.Duration
	}{
		{"ten minutes later", later(start(), 10*time.Minute), 50 * time.Minute},
		{"set ahead by a year", step(later(start(), 10*time.Minute), year), 50 * time.Minute},
		{"set back by a year", step(later(start(), 10*time.Minute), -year), 50 * time.Minute},
		{"at the end", later(start(), time.Hour), 0},
		{"rebooted", reboot(10 * time.Minute), 50 * time.Minute},
		{"rebooted after the end", reboot(2 * time.Hour), 0},
		{"rebooted, set back by a year", reboot(-year), time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.bind(start(), address("vm1", "x", "fd00::1", time.Hour))
			for _, restarted := range []bool{false, true} {
				if restarted {
					w.restart(tt.at)
				} else if tt.at.Boot != start().Boot {
					continue
				}
				got := w.book.View().Find(nil, tt.at, "vm1", []byte("x"), Address, 0)
				if tt.left == 0 {
					if len(got) != 0 {
						t.Errorf("restarted %v: %v has ended and is there", restarted, got)
					}
					continue
				}
				if len(got) != 1 || got[0].Valid.Remaining(tt.at) != tt.left || got[0].Preferred.Remaining(tt.at) != max(tt.left-30*time.Minute, 0) {
					t.Errorf("restarted %v: %+v, want one valid for %v", restarted, got, tt.left)
				}
				// Within this boot the wall clock has no more say.
				end := step(later(tt.at, tt.left-time.Second), 10*year)
				if n := len(w.book.View().Leases(Filter{}, end)); n != 1 {
					t.Errorf("restarted %v: gone before its end", restarted)
				}
				if n := len(w.book.View().Leases(Filter{}, later(end, time.Second))); n != 0 {
					t.Errorf("restarted %v: there after its end", restarted)
				}
			}
		})
	}
}

// TestExpire: what ended is free at once, swept in the order of time, withdrawn
// and told.
func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, now := w.book.View(), start()
	if _, ok := w.book.NextExpiry(now); ok {
		t.Error("an empty Book has a next expiry")
	}
	g := delegated("vm1", "x", "fd01::/56", 10*time.Second)
	g.Client = Client{LinkLocal: netip.MustParseAddr("fe80::1"), MAC: [6]byte{2, 0, 0, 0, 0, 1}}
	w.bind(now, g, address("vm1", "x", "fd00::1", 20*time.Second), address("vm2", "y", "fd00::2", store.Infinite))
	want := []Route{{Network: "blue", Port: "vm1", Prefix: g.Prefix, NextHop: g.Client.LinkLocal, MAC: g.Client.MAC}}
	equal(t, "routes", v.Routes(now), want)
	changed(t, v, true)

	w.restart(now)
	v = w.book.View()
	equal(t, "routes after a restart", v.Routes(now), want)
	w.bind(now, g, address("vm1", "x", "fd00::1", 20*time.Second))
	changed(t, v, false) // extended only

	if wait, _ := w.book.NextExpiry(now); wait != 10*time.Second {
		t.Errorf("the next lease ends in %v, want 10 s", wait)
	}
	now = later(now, 10*time.Second)
	equal(t, "routes of what has ended", v.Routes(now), []Route{})
	tx := w.book.Begin(now)
	if n := tx.Expire(100); n != 1 {
		t.Errorf("%d leases ended, want 1", n)
	}
	w.commit(tx)
	changed(t, v, true)
	if wait, _ := w.book.NextExpiry(now); wait != 10*time.Second {
		t.Errorf("the next lease ends in %v, want 10 s", wait)
	}
	now = later(now, 10*time.Second)
	w.disk.fail = true
	tx = w.book.Begin(now)
	tx.Expire(100)
	if err := tx.Commit(); err == nil {
		t.Error("a sweep was committed to a failing disk")
	}
	w.disk.fail = false
	if wait, _ := w.book.NextExpiry(now); wait != sweepPause {
		t.Errorf("the next sweep is in %v, want %v", wait, sweepPause)
	}
	// Free all the same.
	w.bind(now, address("vm2", "z", "fd00::1", time.Minute))
	if l, ok := w.book.Begin(now).Address("blue", netip.MustParseAddr("fd00::1")); !ok || l.Port != "vm2" {
		t.Errorf("fd00::1 is %+v", l)
	}
	now = later(now, time.Hour)
	tx = w.book.Begin(now)
	if n := tx.Expire(100); n != 1 {
		t.Errorf("%d leases ended, want 1", n)
	}
	w.commit(tx)
	equal(t, "leases", w.list(now), []string{"vm2 y 0 fd00::2/128 bound 2562047h47m16.854775807s"})
	if _, ok := w.book.NextExpiry(now); ok {
		t.Error("an infinite lease has a next expiry")
	}
}

func changed(t *testing.T, v *View, want bool) {
	t.Helper()
	select {
	case <-v.Changed():
		if !want {
			t.Error("a change was told where there was none")
		}
	default:
		if want {
			t.Error("a change was not told")
		}
	}
}

// TestQuarantine: a declined address is nobody's for its time, over restarts,
// and counts to its port.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := start()
	w.bind(now, address("vm1", "x", "fd00::1", time.Minute))
	decline := func(quarantine time.Duration) bool {
		tx := w.book.Begin(now)
		defer w.commit(tx)
		return tx.Decline("vm1", []byte("x"), 0, netip.MustParseAddr("fd00::1"), quarantine)
	}
	if !decline(time.Hour) {
		t.Fatal("not declined")
	}
	now = later(now, 30*time.Minute)
	w.restart(now)
	if !decline(time.Hour) { // the same once more
		t.Error("declining twice is an error")
	}
	equal(t, "leases", w.list(now), []string{"vm1 x 0 fd00::1/128 declined 30m0s"})
	tx := w.book.Begin(now)
	again := address("vm1", "x", "fd00::1", time.Minute)
	again.Own = true
	if err := tx.Bind(again); !errors.Is(err, ErrTaken) {
		t.Errorf("bound while in quarantine: %v", err)
	}
	full := address("vm1", "x", "fd00::2", time.Minute)
	full.Limit = 1
	if err := tx.Bind(full); !errors.Is(err, ErrPortFull) {
		t.Errorf("quarantine does not count to the port: %v", err)
	}
	if tx.Release("vm1", []byte("x"), Address, 0, netip.MustParsePrefix("fd00::1/128")) {
		t.Error("a declined address was released")
	}
	now = later(now, 30*time.Minute)
	if decline(time.Hour) {
		t.Error("declined after the quarantine, when nobody holds it")
	}
	tx = w.book.Begin(now)
	tx.Expire(1)
	if err := tx.Bind(full); err != nil {
		t.Error(err)
	}
	w.commit(tx)
}

// TestGrants that cannot be are refused before they are written.
func TestGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := map[string]func(*Grant){
		"no port":        func(g *Grant) { g.Port = "" },
		"long network":   func(g *Grant) { g.Network = strings.Repeat("n", 256) },
		"no DUID":        func(g *Grant) { g.DUID = nil },
		"long DUID":      func(g *Grant) { g.DUID = make([]byte, 131) },
		"no address":     func(g *Grant) { g.Prefix = netip.Prefix{} },
		"prefix":         func(g *Grant) { g.Prefix = netip.MustParsePrefix("fd00::/64") },
		"IPv4":           func(g *Grant) { g.Prefix = netip.MustParsePrefix("10.0.0.1/32") },
		"mapped":         func(g *Grant) { g.Prefix = netip.MustParsePrefix("::ffff:10.0.0.1/128") },
		"host bits":      func(g *Grant) { g.Kind, g.Prefix = Prefix, netip.MustParsePrefix("fd00::1/64") },
		"no lifetime":    func(g *Grant) { g.Valid = 0 },
		"preferred long": func(g *Grant) { g.Preferred = 2 * time.Hour },
		"IAID":           func(g *Grant) { g.Kind, g.IAID = Registration, 1 },
		"kind":           func(g *Grant) { g.Kind = 9 },
		"zone":           func(g *Grant) { g.Client.LinkLocal = netip.MustParseAddr("fe80::1%eth0") },
		"long name":      func(g *Grant) { g.Client.FQDN = strings.Repeat("n", 256) },
	}
	for name, edit := range tests {
		g := address("vm1", "x", "fd00::1", time.Hour)
		edit(&g)
		tx := w.book.Begin(start())
		if err := tx.Bind(g); err == nil || errors.Is(err, ErrTaken) {
			t.Errorf("%s: %v", name, err)
		}
		w.commit(tx)
	}
	equal(t, "leases", w.list(start()), []string{})
}

// TestTimersStayFew: clients that come and go leave no timers behind.
func TestTimersStayFew(t *testing.T) {
	t.Parallel()
	b, err := Open(&memory{records: map[string][]byte{}}, start(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(10_000) {
		g := numbered(n)
		tx := b.Begin(start())
		if err := tx.Bind(g); err != nil {
			t.Fatal(err)
		}
		if got := tx.Find(nil, g.Port, g.DUID, Address, 0); len(got) != 1 || len(tx.OfClient(nil, g.Port, g.DUID)) != 1 {
			t.Fatalf("the transaction does not see its own lease: %v", got)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		tx = b.Begin(start())
		if n > 0 && !tx.Release(g.Port, g.DUID, Address, 0, g.Prefix) {
			t.Fatal("not bound")
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.timers.queue) > 2000 || len(*b.view.clients.slots.Load()) > 2*minSlots {
		t.Errorf("%d timers and %d slots for one client", len(b.timers.queue), len(*b.view.clients.slots.Load()))
	}
	if wait, ok := b.NextExpiry(start()); !ok || wait != time.Hour {
		t.Errorf("the next lease ends in %v", wait)
	}
}
