package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clockAt is the clock of boot 1 after d.
func clockAt(d time.Duration) Clock {
	return Clock{Wall: time.Unix(1_800_000_000, 0).Add(d), Boot: BootID{1}, Uptime: time.Hour + d}
}

func TestAllocateKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	stepped := clockAt(20 * time.Second)
	stepped.Wall = stepped.Wall.Add(24 * time.Hour)
	steps := []struct {
		what  string
		now   Clock
		kind  KeyKind
		names []string
		want  map[string]uint16
	}{
		{"sorted, doubles once", clockAt(0), PortKeys, []string{"c", "a", "b", "a"}, map[string]uint16{"a": 1, "b": 2, "c": 3}},
		{"kinds apart", clockAt(0), NetworkKeys, []string{"a"}, map[string]uint16{"a": 1}},
		{"released", clockAt(0), PortKeys, []string{"a", "c"}, map[string]uint16{"a": 1, "c": 3}},
		{"not reused", clockAt(time.Second), PortKeys, []string{"a", "c", "d"}, map[string]uint16{"a": 1, "c": 3, "d": 4}},
		{"same name, same key", stepped, PortKeys, []string{"a", "b", "d"}, map[string]uint16{"a": 1, "b": 2, "d": 4}},
		{"also after long", clockAt(time.Hour), PortKeys, []string{"c"}, map[string]uint16{"c": 3}},
	}
	for _, st := range steps {
		got, err := s.AllocateKeys(st.now, st.kind, st.names)
		if err != nil {
			t.Fatalf("%s: %v", st.what, err)
		}
		if diff := cmp.Diff(st.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", st.what, diff)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, _ = mustOpen(t, dir)
	}
}

func TestKeysExhausted(t *testing.T) {
	t.Parallel()
	s, _ := mustOpen(t, t.TempDir())
	var names []string
	for n := range MaxKey {
		names = append(names, fmt.Sprintf("p%05d", n))
	}
	if _, err := s.AllocateKeys(clockAt(0), PortKeys, names); err != nil {
		t.Fatal(err)
	}
	names = append(names, "z")
	got, err := s.AllocateKeys(clockAt(0), PortKeys, names)
	if !errors.Is(err, ErrKeysExhausted) || len(got) != MaxKey || got["p15999"] != MaxKey {
		t.Fatalf("one too many: %v, %d keys", err, len(got))
	}
	names = names[1:] // p00000 goes, z still wants a key
	for _, at := range []time.Duration{0, KeyHold - time.Millisecond, KeyHold} {
		now := clockAt(at)
		if at < KeyHold {
			now.Wall = now.Wall.Add(time.Hour) // a stepped clock frees nothing
		}
		got, err = s.AllocateKeys(now, PortKeys, names)
		if rested := at == KeyHold; (err == nil) != rested || rested && got["z"] != 1 {
			t.Errorf("%v after the release: z has %d, %v", at, got["z"], err)
		}
	}
}

func TestSenselessKeyRecords(t *testing.T) {
	t.Parallel()
	s, logged := mustOpen(t, t.TempDir())
	if err := s.Update(func(tx *Tx) error {
		for name, v := range map[string]string{"a": "\x00\x05", "b": "\x00\x05", "c": "\xff\xff", "d": "", "e": "\x00\x07junk"} {
			if err := tx.Put(BucketKeys, recordKey(PortKeys, name), []byte(v)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := s.AllocateKeys(clockAt(0), PortKeys, []string{"a", "b", "c"})
	if diff := cmp.Diff(map[string]uint16{"a": 5, "b": 1, "c": 2}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if logged.Len() == 0 {
		t.Error("dropped records were not reported")
	}
}
