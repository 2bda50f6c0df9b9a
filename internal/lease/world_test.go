package lease

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"damselfly/internal/store"
	"damselfly/internal/topology"
)

// TestMain turns the process into a writer that is to be killed when a test
// asks for one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DAMSELFLY_LEASE_WRITER"); dir != "" {
		bindForever(dir)
	}
	os.Exit(m.Run())
}

// start is the first moment of the tests.
func start() store.Clock {
	return store.Clock{Wall: time.Unix(1_700_000_000, 0), Boot: store.BootID{1}, Uptime: time.Hour}
}

func later(c store.Clock, d time.Duration) store.Clock {
	return store.Clock{Wall: c.Wall.Add(d), Boot: c.Boot, Uptime: c.Uptime + d}
}

// world is a Book on a real store that can be opened again.
type world struct {
	t     testing.TB
	dir   string
	store *store.Store
	book  *Book
	disk  *disk
}

// disk is a Storage whose writes fail when told, with or without having
// happened.
type disk struct {
	Storage
	fail, written bool
}

var errDisk = errors.New("disk")

func (d *disk) Apply(changes []Change) error {
	if d.fail && !d.written {
		return errDisk
	}
	if err := d.Storage.Apply(changes); err != nil {
		return err
	}
	if d.fail {
		return errDisk
	}
	return nil
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.open(start())
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) open(now store.Clock) {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(w.dir, slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
	w.disk = &disk{Storage: InStore(w.store)}
	if w.book, err = Open(w.disk, now, slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
}

// restart closes everything and opens it again.
func (w *world) restart(now store.Clock) {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open(now)
}

// bind binds and commits grants.
func (w *world) bind(now store.Clock, grants ...Grant) {
	w.t.Helper()
	tx := w.book.Begin(now)
	for _, g := range grants {
		if err := tx.Bind(g); err != nil {
			w.t.Fatalf("bind %v: %v", g.Prefix, err)
		}
	}
	w.commit(tx)
}

func (w *world) commit(tx *Tx) {
	w.t.Helper()
	if err := tx.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

func address(port, duid, addr string, valid time.Duration) Grant {
	return Grant{Kind: Address, Port: port, Network: "blue", DUID: []byte(duid), Prefix: netip.MustParsePrefix(addr + "/128"), Preferred: valid / 2, Valid: valid}
}

func delegated(port, duid, prefix string, valid time.Duration) Grant {
	g := address(port, duid, "::", valid)
	g.Kind, g.Prefix = Prefix, netip.MustParsePrefix(prefix)
	return g
}

// list is the leases as short text.
func (w *world) list(now store.Clock) []string {
	out := []string{}
	for _, l := range w.book.View().Leases(Filter{}, now) {
		out = append(out, fmt.Sprintf("%s %s %d %v %v %v", l.Port, l.DUID, l.IAID, l.Prefix, l.State, l.Valid.Remaining(now)))
	}
	return out
}

// blue is a network with the ports
// vm1 (fixed ::11), vm2 (fixed ::12) and vm3.
func blue(t testing.TB, edit func(*topology.Network)) *topology.Network {
	t.Helper()
	subnet := netip.MustParsePrefix("fd00:b1::/64")
	ref := &topology.NetworkRef{Key: 1, Name: "blue"}
	n := &topology.Network{
		Key: 1, Name: "blue",
		Subnets: []topology.Subnet{{Prefix: subnet, Mode: topology.DHCPv6Stateful}},
		DHCPv6:  &topology.DHCPv6{},
		Ports: []*topology.Port{
			{Key: 1, Name: "vm1", Network: ref, Fixed: addrs("fd00:b1::11")},
			{Key: 2, Name: "vm2", Network: ref, Fixed: addrs("fd00:b1::12")},
			{Key: 3, Name: "vm3", Network: ref},
		},
	}
	if edit != nil {
		edit(n)
	}
	return n
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func pool(first, last string) topology.AddrRange {
	return topology.AddrRange{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
}
