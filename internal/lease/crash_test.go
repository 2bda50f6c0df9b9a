package lease

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/internal/store"
	"damselfly/internal/store/killtest"
)

// numbered is the n-th lease of the writer that is killed.
func numbered(n uint64) Grant {
	var a [16]byte
	a[0] = 0xfd
	binary.BigEndian.PutUint64(a[8:], n)
	return Grant{
		Kind: Address, Port: fmt.Sprintf("vm%d", n%7), Network: "blue", DUID: binary.BigEndian.AppendUint64(nil, n),
		Prefix: netip.PrefixFrom(netip.AddrFrom16(a), 128), Preferred: time.Hour, Valid: time.Hour, Limit: 1 << 30,
	}
}

// bindForever binds in groups and prints the last number of each once it is
// committed.
func bindForever(dir string) {
	fatal := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	s, err := store.Open(dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	fatal(err)
	b, err := Open(InStore(s), start(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	fatal(err)
	next := uint64(0)
	for _, l := range b.View().Leases(Filter{}, start()) {
		next = max(next, binary.BigEndian.Uint64([]byte(l.DUID))+1)
	}
	for {
		tx := b.Begin(start())
		for range next%17 + 1 {
			fatal(tx.Bind(numbered(next)))
			next++
		}
		fatal(tx.Commit())
		fmt.Println(next - 1)
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killtest.Run(t, "DAMSELFLY_LEASE_WRITER="+dir, 5, rand.New(rand.NewPCG(5, 6)), func(round int, acked uint64) {
		s, err := store.Open(dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(InStore(s), start(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
		if err != nil {
			t.Fatal(err)
		}
		for n := range acked + 1 {
			g := numbered(n)
			if got := b.View().Find(nil, start(), g.Port, g.DUID, Address, 0); len(got) != 1 || got[0].Prefix != g.Prefix {
				t.Fatalf("round %d: lease %d was acknowledged (up to %d) and is %v", round, n, acked, got)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFullDisk: a lease that does not fit is refused and leaves no trace, and
// with space again all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("damselfly-lease-test", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("needs root to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	w := &world{t: t, dir: filepath.Join(dir, "state")}
	w.open(start())
	defer func() { _ = w.store.Close() }()
	next := uint64(0)
	fill := func() error {
		tx := w.book.Begin(start())
		for range 100 {
			if err := tx.Bind(numbered(next)); err != nil {
				t.Fatal(err)
			}
			next++
		}
		return tx.Commit()
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); err == nil {
		t.Fatal("the disk did not fill up")
	}
	var err error
	for err == nil && next < 1e6 {
		err = fill()
	}
	if err == nil {
		t.Fatal("no commit failed on a full disk")
	}
	kept := int(next) - 100
	for _, step := range []string{"full", "restarted while full"} {
		if n := len(w.book.View().Leases(Filter{}, start())); n != kept {
			t.Fatalf("%s: %d leases, want %d", step, n, kept)
		}
		if fill() == nil {
			t.Fatalf("%s: a commit did not fail", step)
		}
		w.restart(start())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := fill(); err != nil {
		t.Fatalf("with space again: %v", err)
	}
	w.restart(start())
	if n := len(w.book.View().Leases(Filter{}, start())); n != kept+100 {
		t.Errorf("at last %d leases, want %d", n, kept+100)
	}
}
