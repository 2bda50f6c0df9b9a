package agent

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damselfly/internal/lease"
	"damselfly/internal/store"
	"damselfly/internal/topology"
)

func TestLeaseFilter(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]lease.Filter{
		"":                              {},
		"port=vm1&network=blue":         {Port: "vm1", Network: "blue"},
		"address=fd00::1":               {Within: netip.MustParsePrefix("fd00::1/128")},
		"address=fd00:0:0:1::%2f64":     {Within: netip.MustParsePrefix("fd00:0:0:1::/64")},
		"duid=00:03:00:01:aB":           {DUID: "\x00\x03\x00\x01\xab"},
		"kind=prefix&state=declined":    {Kind: lease.Prefix, State: lease.Declined},
		"kind=registration&state=bound": {Kind: lease.Registration, State: lease.Bound},
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := leaseFilter(q)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", query, err, diff)
		}
	}
	// What is meant to select less must not select more.
	for query, says := range map[string]string{
		"port=": "one value", "port=a&port=b": "one value", "prot=vm1": "prot", "address=vm1": "vm1", "address=fd00::/200": "200",
		"duid=0": "hexadecimal", "duid=:": "hexadecimal", "kind=na": "address, prefix, registration", "state=free": "bound, declined",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaseFilter(q); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", query, err, says)
		}
	}
}

// disk is a Storage that can be full.
type disk struct {
	lease.Storage
	full bool
}

var errFull = errors.New("disk full")

func (d *disk) Apply(c []lease.Change) error {
	if d.full {
		return errFull
	}
	return d.Storage.Apply(c)
}

// desk is leases without a switch.
type desk struct {
	*leases
	disk disk
	log  bytes.Buffer
	now  store.Clock
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{now: store.Clock{Wall: time.Unix(1_700_000_000, 0), Boot: store.BootID{1}, Uptime: time.Hour}}
	log := slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(filepath.Join(t.TempDir(), "state"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	d.leases = &leases{a: &Agent{log: log}, told: newTold(log), replay: replay{store: s, wall: time.Now, log: log}}
	d.probe = func() error { return d.disk.Apply(nil) }
	d.disk = disk{Storage: lease.InStore(s)}
	if d.book, err = lease.Open(watched{&d.disk, d.report}, d.now, log); err != nil {
		t.Fatal(err)
	}
	return d
}

// group commits one group of changes.
func (d *desk) group(changes func(*told)) error {
	tx := d.book.Begin(d.now)
	d.told.begin(tx, d.now.Uptime)
	changes(&d.told)
	err := tx.Commit()
	if err == nil {
		d.told.committed()
	}
	return err
}

// says fails the test unless the log now holds a text so often, and empties it.
func (d *desk) says(t *testing.T, text string, times int) {
	t.Helper()
	if got := strings.Count(d.log.String(), text); got != times {
		t.Errorf("%q was logged %d times, want %d:\n%s", text, got, times, d.log.String())
	}
	d.log.Reset()
}

var grant = lease.Grant{
	Kind: lease.Address, Port: "vm1", Network: "blue", DUID: []byte{0, 3, 0, 1}, Prefix: netip.MustParsePrefix("fd00::11/128"),
	Preferred: time.Minute, Valid: 2 * time.Minute,
}

// bind binds grant.
func bind(t *testing.T) func(c *told) {
	return func(c *told) {
		if err := c.Bind(grant); err != nil {
			t.Error(err)
		}
	}
}

// TestLeaseEvents: leases that come and go are told once they are durable,
// renewals not at all, and no guest can fill the log.
func TestLeaseEvents(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	step := func(changes func(*told)) {
		t.Helper()
		if err := d.group(changes); err != nil {
			t.Fatal(err)
		}
	}
	step(bind(t))
	d.says(t, `level=DEBUG msg="lease granted" port=vm1 prefix=fd00::11/128 duid=00030001`, 1)
	step(bind(t))
	d.says(t, "lease", 0)
	step(func(c *told) { c.Release("vm1", grant.DUID, lease.Address, 0, grant.Prefix) })
	d.says(t, `level=DEBUG msg="lease released" port=vm1`, 1)
	step(func(c *told) { c.Release("vm1", grant.DUID, lease.Address, 0, grant.Prefix) })
	d.says(t, "lease", 0)

	step(bind(t))
	d.log.Reset()
	decline := func(c *told) { c.Decline("vm1", grant.DUID, 0, grant.Prefix.Addr(), time.Hour) }
	for range 3 {
		step(decline)
	}
	d.says(t, `level=WARN msg="a guest declined an address`, 1)
	d.now.Uptime += alarmPause
	step(decline)
	d.says(t, "unlogged=2", 1)

	subnet := &topology.Subnet{Prefix: netip.MustParsePrefix("fd00::/64"), Pools: []topology.AddrRange{{First: grant.Prefix.Addr(), Last: grant.Prefix.Addr()}}}
	ask := lease.Ask{Network: &topology.Network{Name: "blue"}, Port: &topology.Port{Name: "vm2"}, DUID: []byte{1}}
	for range 3 {
		step(func(c *told) {
			if _, err := c.Choose(ask, subnet, netip.Addr{}); !errors.Is(err, lease.ErrNoAddress) {
				t.Errorf("the declined address: %v", err)
			}
		})
	}
	d.says(t, "no address is left to give", 1)
}

// TestLeaseAlarm: while nothing can be written, groups that write nothing don't
// end the alarm, and nothing is told of what was not kept.
func TestLeaseAlarm(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.disk.full = true
	for range 2 {
		if err := d.group(bind(t)); !errors.Is(err, errFull) {
			t.Errorf("%v", err)
		}
		if err := d.group(func(*told) {}); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(d.a.status.LeaseError, "disk full") {
		t.Errorf("status: %q", d.a.status.LeaseError)
	}
	if text := d.log.String(); strings.Contains(text, "granted") || strings.Contains(text, "written again") {
		t.Error(text)
	}
	d.says(t, "leases cannot be written", 1)
	d.tickLeases(d.now)
	if d.a.status.LeaseError == "" || d.tickLeases(d.now) > time.Second {
		t.Error("the alarm ends before anything could be written, or is not looked after")
	}
	// No guest has to ask for the alarm to end.
	d.disk.full = false
	d.tickLeases(d.now)
	if d.a.status.LeaseError != "" {
		t.Errorf("status: %q", d.a.status.LeaseError)
	}
	d.says(t, "leases are written again", 1)
	if err := d.group(bind(t)); err != nil {
		t.Error(err)
	}
}

// TestTryWriting leaves nothing, and finds a state that can't be written.
func TestTryWriting(t *testing.T) {
	t.Parallel()
	s, err := store.Open(filepath.Join(t.TempDir(), "state"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := tryWriting(s); err != nil {
		t.Error(err)
	}
	if err := s.View(func(tx *store.Tx) error {
		return tx.ForEach(store.BucketServer, nil, func(k, _ []byte) error { t.Errorf("%q stays", k); return nil })
	}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if tryWriting(s) == nil {
		t.Error("a state that is closed can be written")
	}
}
