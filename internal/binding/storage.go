package binding

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"damselfly/internal/store"
)

// Change is one record to write, or to delete where Value is nil.
type Change struct{ Key, Value []byte }

// Storage is what a Table needs of a durable store.
type Storage interface {
	// Load calls each with every record; the octets are valid until it returns.
	Load(each func(key, value []byte)) error
	// Apply makes all changes durable, or none as far as it can tell.
	Apply(changes []Change) error
}

// InStore returns the Storage in the embedded store.
func InStore(s *store.Store) Storage { return embedded{s} }

type embedded struct{ s *store.Store }

// Load implements Storage.
func (e embedded) Load(each func(key, value []byte)) error {
	return e.s.View(func(tx *store.Tx) error {
		return tx.ForEach(store.BucketLearned, nil, func(key, value []byte) error {
			each(key, value)
			return nil
		})
	})
}

// Apply implements Storage: one Update, one fsync.
func (e embedded) Apply(changes []Change) error {
	return e.s.Update(func(tx *store.Tx) error {
		for _, c := range changes {
			var err error
			if c.Value == nil {
				err = tx.Delete(store.BucketLearned, c.Key)
			} else {
				err = tx.Put(store.BucketLearned, c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// A record's key is the network's name, an octet 0 and the 16 octets of the
// address; its value is the port's name.

func (p place) key() []byte {
	a := p.addr.As16()
	return append(append([]byte(p.network), 0), a[:]...)
}

func parseKey(key []byte) (place, error) {
	name, rest, ok := bytes.Cut(key, []byte{0})
	if !ok || len(name) == 0 || len(rest) != 16 {
		return place{}, fmt.Errorf("binding: a key of %d octets is no network and address", len(key))
	}
	a := netip.AddrFrom16([16]byte(rest))
	if a.Is4In6() || a.IsMulticast() || a.IsUnspecified() {
		return place{}, fmt.Errorf("binding: %s is no address of a guest", a)
	}
	return place{string(name), a}, nil
}

// Open loads all bindings, as fresh as if each had just given a sign of life. A
// record that makes no sense is reported in log and left out; it never stops a
// start. now is the uptime.
func Open(s Storage, now time.Duration, log *slog.Logger) (*Table, error) {
	t := &Table{
		storage: s, entries: map[place]*entry{}, ports: map[string]map[*entry]struct{}{}, unsaved: map[place]struct{}{},
		Present: func(string, string) bool { return false },
	}
	err := s.Load(func(key, value []byte) {
		p, err := parseKey(key)
		if err != nil || len(value) == 0 {
			log.Error("dropped a learned address of the state", "key", fmt.Sprintf("%x", key), "error", err)
			return
		}
		// Not fresh: whoever probes for it may be a guest that took over meanwhile.
		e := &entry{place: p, port: string(value), state: valid, seen: now - Fresh}
		t.enter(e)
		t.timers.Set(e, now+DefaultLifetime)
	})
	if err != nil {
		return nil, fmt.Errorf("binding: the learned addresses cannot be read: %w", err)
	}
	t.show()
	return t, nil
}
