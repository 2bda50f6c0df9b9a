package store

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// FuzzRecords: what a decoder accepts, the encoder gives back octet by octet.
func FuzzRecords(f *testing.F) {
	d := NewDeadline(clockAt(0), time.Hour)
	p := AdvertisedPrefix{Network: "blue", Prefix: netip.MustParsePrefix("fd00:b1::/64"), OnLink: true, ValidUntil: d, PreferredUntil: NewDeadline(clockAt(0), Infinite)}
	r := RouterIdentity{Network: "blue", LinkLocal: netip.MustParseAddr("fe80::1"), Default: true}
	f.Add(prefixKey(p.Network, p.Prefix), p.encode())
	f.Add(networkKey(r.Network), r.encode())
	f.Add([]byte{}, keyRecord{key: 7, released: true, rest: d}.encode())
	f.Add([]byte{}, d.append(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if p, err := parseAdvertised(key, value); err == nil {
			same(t, key, prefixKey(p.Network, p.Prefix))
			same(t, value, p.encode())
		}
		if r, err := parseRouter(key, value); err == nil {
			same(t, key, networkKey(r.Network))
			same(t, value, r.encode())
		}
		if r, err := parseKeyRecord(value); err == nil {
			same(t, value, r.encode())
		}
		if d, err := parseDeadline(value); err == nil {
			same(t, value, d.append(nil))
		}
	})
}

func same(t *testing.T, want, got []byte) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Errorf("decoded %x, encoded %x", want, got)
	}
}

// FuzzInspect: what inspection calls sound, the database library's own check
// calls sound too, but for pages that nobody uses.
func FuzzInspect(f *testing.F) {
	file, _ := makeState(f)
	used := len(bytes.TrimRight(file, "\x00"))
	f.Add(uint32(0), uint64(1))
	f.Add(uint32(4096*3+10), uint64(0x0100))
	f.Fuzz(func(t *testing.T, at uint32, mask uint64) {
		mutated := bytes.Clone(file)
		for i := range 8 {
			// The library ignores the headers of the two meta pages, which no
			// checksum covers, but its check does not.
			if n := (int(at) + i) % used; n >= 2*os.Getpagesize() || n%os.Getpagesize() >= pageHeader {
				mutated[n] ^= byte(mask >> (8 * i))
			}
		}
		if _, err := inspect(bytes.NewReader(mutated), int64(len(mutated))); err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), fileName)
		if err := os.WriteFile(path, mutated, 0o600); err != nil {
			t.Fatal(err)
		}
		db, _, err := openBolt(path)
		if err != nil {
			t.Fatalf("inspected as sound: %v", err)
		}
		defer db.Close()
		_ = db.View(func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				if !bytes.HasSuffix([]byte(err.Error()), []byte("unreachable unfreed")) {
					t.Errorf("inspected as sound: %v", err)
				}
			}
			return nil
		})
	})
}
