package lease

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"damselfly/internal/store"
)

// TestViewWhileWriting: readers on every core see each client's committed
// leases whole, at any moment, while the table grows and clients come and go.
func TestViewWhileWriting(t *testing.T) {
	t.Parallel()
	b, err := Open(&memory{records: map[string][]byte{}}, start(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v := b.View()
	var committed atomic.Uint64 // clients below it have their lease for good
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var room [4]Lease
			for n := uint64(0); !stop.Load(); n++ {
				if c := committed.Load(); c > 0 {
					g := numbered(n % c)
					if got := v.Find(room[:0], start(), g.Port, g.DUID, Address, 0); len(got) != 1 || got[0].Prefix != g.Prefix {
						t.Errorf("client %d of %d: %v", n%c, c, got)
						return
					}
				}
				// Two addresses that are only ever bound and released together.
				if got := v.Find(room[:0], start(), "pair", []byte("x"), Address, 0); len(got) != 0 && len(got) != 2 {
					t.Errorf("half a commit is visible: %v", got)
					return
				}
				runtime.Gosched()
			}
		})
	}
	pair := []Grant{address("pair", "x", "fd01::1", time.Hour), address("pair", "x", "fd01::2", time.Hour)}
	for n := range uint64(5000) {
		tx := b.Begin(start())
		err := tx.Bind(numbered(n))
		for _, g := range pair {
			if n%2 == 0 && err == nil {
				err = tx.Bind(g)
			} else if !tx.Release("pair", g.DUID, Address, 0, g.Prefix) && err == nil {
				err = fmt.Errorf("%v was not bound", g.Prefix)
			}
		}
		if err == nil {
			err = tx.Commit()
		}
		if err != nil {
			t.Error(err)
			break
		}
		committed.Store(n + 1)
	}
	stop.Store(true)
	readers.Wait()
}

// TestViewAllocations: the fast lane's lookup allocates nothing.
func TestViewAllocations(t *testing.T) {
	w := newWorld(t)
	w.bind(start(), address("vm1", "x", "fd00::1", time.Hour))
	v, now, duid := w.book.View(), start(), []byte("x")
	var room [4]Lease
	if n := testing.AllocsPerRun(100, func() {
		if len(v.Find(room[:0], now, "vm1", duid, Address, 0)) != 1 {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations a lookup, want 0", n)
	}
}

// TestFilter: lists by each field, and what an operator releases.
func TestFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	red := address("vm2", "y", "fd00::1", time.Hour)
	red.Network = "red"
	registered := address("vm2", "y", "fd00::3", time.Hour)
	registered.Kind = Registration
	w.bind(start(), address("vm1", "x", "fd00::1", time.Hour), red, delegated("vm1", "x", "fd01::/56", time.Hour), registered)
	for _, tt := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, 4}, {Filter{Port: "vm1"}, 2}, {Filter{Network: "red"}, 1}, {Filter{DUID: "y"}, 2}, {Filter{Kind: Registration}, 1},
		{Filter{State: Declined}, 0}, {Filter{Within: netip.MustParsePrefix("fd00::1/128")}, 2},
		{Filter{Within: netip.MustParsePrefix("fd01::77/128")}, 1}, {Filter{Port: "vm1", Network: "red"}, 0},
	} {
		if got := w.book.View().Leases(tt.f, start()); len(got) != tt.want {
			t.Errorf("%+v selects %v, want %d", tt.f, got, tt.want)
		}
	}
	equal(t, "counts", w.book.View().Counts(), Counts{Addresses: 2, Prefixes: 1, Registrations: 1})
	tx := w.book.Begin(start())
	if n := tx.Revoke(Filter{Network: "red"}); n != 1 {
		t.Errorf("%d revoked, want 1", n)
	}
	w.commit(tx)
	w.restart(start())
	equal(t, "after the release", w.list(start()), []string{
		"vm1 x 0 fd00::1/128 bound 1h0m0s", "vm1 x 0 fd01::/56 bound 1h0m0s", "vm2 y 0 fd00::3/128 bound 1h0m0s"})
	seen := map[string]string{}
	w.book.View().Addresses(start(), func(network, port string, a netip.Addr) bool {
		seen[a.String()] = network + " " + port
		return true
	})
	equal(t, "addresses", seen, map[string]string{"fd00::1": "blue vm1", "fd00::3": "blue vm2"})
}

// TestLeaseKept: everything a lease knows outlives a restart, and so do the
// server's DUID and secret.
func TestLeaseKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := delegated("vm1", "\x00\xff", "fd01:2::/56", 3*time.Hour)
	g.Client = Client{MAC: [6]byte{2, 0, 0, 0, 0, 1}, LinkLocal: netip.MustParseAddr("fe80::1"), ReconfKey: [16]byte{9: 7}, FQDN: "vm1.example.test"}
	w.bind(start(), g)
	v, identity := w.book.View(), w.book.identity
	before := v.OfClient(nil, start(), "vm1", g.DUID)
	want := []Lease{{
		Kind: Prefix, State: Bound, Port: "vm1", Network: "blue", DUID: "\x00\xff", Prefix: g.Prefix, Client: g.Client,
		Preferred: store.NewDeadline(start(), g.Preferred), Valid: store.NewDeadline(start(), g.Valid),
	}}
	equal(t, "bound", before, want)
	w.restart(later(start(), time.Minute))
	equal(t, "after a restart", w.book.View().OfClient(nil, later(start(), time.Minute), "vm1", g.DUID), want)
	if w.book.identity != identity {
		t.Error("another DUID or secret after a restart")
	}
	// RFC 6355 section 4: DUID type 4; RFC 9562 section 5.4: version 4, variant 10.
	if d := w.book.DUID(); len(d) != 18 || d[0] != 0 || d[1] != 4 || d[8]>>4 != 4 || d[10]>>6 != 2 {
		t.Errorf("DUID % x", d)
	}
}

// TestBadRecords: what makes no sense on the disk is dropped and never in the way.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bind(start(), address("vm1", "x", "fd00::1", time.Hour))
	var key, value []byte
	_ = w.disk.Load(func(k, v []byte) error {
		key, value = append([]byte(nil), k...), append([]byte(nil), v...)
		return nil
	})
	edit := func(b []byte, at int, to byte) []byte {
		b = append([]byte(nil), b...)
		b[at] = to
		return b
	}
	bad := []Change{
		{Key: []byte{1}, Value: value},
		{Key: edit(key, 1, 'w'), Value: value},          // another port has the address
		{Key: edit(key, 4, 7), Value: value},            // of no kind
		{Key: edit(key, len(key)-1, 129), Value: value}, // no length
		{Key: edit(key, len(key)-2, 2), Value: value[:20]},
		{Key: edit(key, len(key)-2, 3), Value: edit(value, 1, 9)}, // in no state
		{Key: edit(key, len(key)-2, 4), Value: append(value[:len(value):len(value)], 0)},
		{Key: edit(key, len(key)-2, 5), Value: edit(value, 38, 0xff)}, // preferred for longer than valid
		{Key: edit(key, len(key)-2, 6), Value: edit(value, 46, 0)},    // no DUID
		{Key: edit(key, len(key)-2, 7), Value: edit(value, 0, 1)},     // a client that is not there
	}
	if err := w.disk.Apply(bad); err != nil {
		t.Fatal(err)
	}
	w.restart(start())
	equal(t, "leases", w.list(start()), []string{"vm1 x 0 fd00::1/128 bound 1h0m0s"})
	w.bind(start(), address("vm2", "y", "fd00::2", time.Hour))
	records := 0
	_ = w.disk.Load(func([]byte, []byte) error { records++; return nil })
	if records != 2 {
		t.Errorf("%d records after the next commit, want 2: the bad ones are not removed", records)
	}
}

// memory is a Storage without a disk, for what is not about one.
type memory struct{ records map[string][]byte }

func (m *memory) Load(each func(key, value []byte) error) error {
	for k, v := range m.records {
		if err := each([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Apply(changes []Change) error {
	for _, c := range changes {
		if c.Value == nil {
			delete(m.records, string(c.Key))
		} else {
			m.records[string(c.Key)] = c.Value
		}
	}
	return nil
}

func (m *memory) Identity() (Identity, error) { return newIdentity(), nil }
