package lease

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/internal/store"
)

// spread is the n-th of many leases: a few on each port, addresses all over a
// /64, a DUID-LL each.
func spread(n uint64) Grant {
	var a [16]byte
	a[0], a[1] = 0xfd, 1
	binary.BigEndian.PutUint64(a[8:], n*0x9e3779b97f4a7c15)
	return Grant{
		Kind: Address, Port: fmt.Sprintf("vm-%05d", n%16000), Network: "blue", DUID: binary.BigEndian.AppendUint64([]byte{0, 3}, n),
		Prefix: netip.PrefixFrom(netip.AddrFrom16(a), 128), Preferred: 4 * time.Hour, Valid: 24 * time.Hour, Limit: 1 << 30,
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpu is the processor time this process has used, by all its threads.
func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMillion is the life of many leases on a real store: how fast they
// are bound in groups of 256, opened again and found, and what each costs in
// memory and on disk. One round is the whole life.
func BenchmarkMillion(b *testing.B) {
	for _, leases := range []uint64{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("leases=%d", leases), func(b *testing.B) {
			for b.Loop() {
				million(b, leases)
			}
		})
	}
}

func million(b *testing.B, leases uint64) {
	w := newWorld(b)
	begun := time.Now()
	for n := uint64(0); n < leases; {
		tx := w.book.Begin(start())
		for range 256 {
			if err := tx.Bind(spread(n)); err != nil {
				b.Fatal(err)
			}
			if n++; n == leases {
				break
			}
		}
		w.commit(tx)
	}
	bound := time.Since(begun)
	if err := w.store.Close(); err != nil {
		b.Fatal(err)
	}
	w.book = nil
	before := inUse()
	begun = time.Now()
	var err error
	if w.store, err = store.Open(w.dir, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	inspected := time.Since(begun)
	begun = time.Now()
	spent := cpu(b)
	book, err := Open(InStore(w.store), start(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	loaded := time.Since(begun)
	spent = cpu(b) - spent
	memory := inUse() - before
	var room [1]Lease
	begun = time.Now()
	const finds = 200_000
	for n := range uint64(finds) {
		g := spread(n * 7919 % leases)
		if len(book.View().Find(room[:0], start(), g.Port, g.DUID, Address, 0)) != 1 {
			b.Fatal("a lease is gone")
		}
	}
	found := time.Since(begun)
	if err := w.store.Close(); err != nil {
		b.Fatal(err)
	}
	per := func(d time.Duration) float64 { return float64(leases) / d.Seconds() }
	b.ReportMetric(per(bound), "bound/s")
	b.ReportMetric(inspected.Seconds()*1000, "store-ms")
	b.ReportMetric(per(loaded), "loaded/s")
	b.ReportMetric(per(spent), "loaded/cpu-s")
	b.ReportMetric(float64(memory)/float64(leases), "B/lease")
	b.ReportMetric(float64(found)/finds, "ns/find")
}
