package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// MaxKey is the largest key; the smallest is 1.
	MaxKey = 16000
	// KeyHold is how long a released key rests before another name may get
	// it, so that frames and conntrack entries of the former owner are gone.
	KeyHold = 60 * time.Second
)

// KeyKind is what a key numbers. Each kind has all keys to itself.
type KeyKind string

const (
	PortKeys    KeyKind = "port"    // of ports, by port name
	NetworkKeys KeyKind = "network" // of networks, by network name
)

// ErrKeysExhausted says that some names got no key. AllocateKeys returns the
// keys of all others with it.
var ErrKeysExhausted = errors.New("store: no key left")

// keyRecord is what is kept of one name. A released name keeps its record, and
// gets its key back, until another name needs the key.
type keyRecord struct {
	key      uint16
	released bool
	rest     Deadline // end of KeyHold; zero unless released
}

// AllocateKeys gives every name of kind a key from 1 to MaxKey. names is the
// complete set: a name that is missing releases its key. A name keeps its key
// over calls and restarts, also when it was away, unless another got it, which
// takes KeyHold at least. New names get the lowest keys nobody had, in the
// order of the names, then those that rest longest.
//
// All keys returned are durable. With ErrKeysExhausted the map holds every name
// that got a key; with any other error, such as a full disk, it holds the
// names whose keys were durable already.
func (s *Store) AllocateKeys(now Clock, kind KeyKind, names []string) (map[string]uint16, error) {
	var plan keyPlan
	if err := s.View(func(tx *Tx) error {
		plan = s.planKeys(tx, now, kind, names)
		return nil
	}); err != nil {
		return nil, err
	}
	if len(plan.changes) > 0 {
		durable := plan.durable
		if err := s.Update(func(tx *Tx) error {
			// Planned anew: another call may have come in between.
			plan = s.planKeys(tx, now, kind, names)
			return plan.write(tx, kind)
		}); err != nil {
			return durable, err
		}
	}
	if n := len(plan.unserved); n > 0 {
		return plan.keys, fmt.Errorf("%w for kind %s: %d of %d names have none, the first is %q; remove some, or wait %v for released keys to rest",
			ErrKeysExhausted, kind, n, len(plan.keys)+n, plan.unserved[0], KeyHold)
	}
	return plan.keys, nil
}

// PlanKeys returns what AllocateKeys would, and changes nothing.
func (s *Store) PlanKeys(now Clock, kind KeyKind, names []string) (keys map[string]uint16, err error) {
	err = s.View(func(tx *Tx) error {
		keys = s.planKeys(tx, now, kind, names).keys
		return nil
	})
	return keys, err
}

// keyPlan is the outcome of one allocation before it is written.
type keyPlan struct {
	keys     map[string]uint16
	durable  map[string]uint16     // the part of keys that was on disk before
	changes  map[string]*keyRecord // by name; nil: remove
	unserved []string
}

func (p keyPlan) write(tx *Tx, kind KeyKind) error {
	for _, name := range slices.Sorted(maps.Keys(p.changes)) {
		r := p.changes[name]
		if r == nil {
			if err := tx.Delete(BucketKeys, recordKey(kind, name)); err != nil {
				return err
			}
			continue
		}
		if err := tx.Put(BucketKeys, recordKey(kind, name), r.encode()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) planKeys(tx *Tx, now Clock, kind KeyKind, names []string) keyPlan {
	p := keyPlan{keys: map[string]uint16{}, durable: map[string]uint16{}, changes: map[string]*keyRecord{}}
	records, owner := s.loadKeys(tx, kind, p.changes)
	wanted := slices.Compact(slices.Sorted(slices.Values(names)))
	for name, r := range records {
		_, want := slices.BinarySearch(wanted, name)
		switch {
		case want && r.released:
			p.changes[name] = &keyRecord{key: r.key}
		case want:
			p.durable[name] = r.key
		case !r.released:
			p.changes[name] = &keyRecord{key: r.key, released: true, rest: NewDeadline(now, KeyHold)}
		}
		if want {
			p.keys[name] = r.key
		}
	}
	rested := restedNames(records, wanted, now)
	next := uint16(1)
	for _, name := range wanted {
		if _, has := p.keys[name]; has {
			continue
		}
		for next <= MaxKey && owner[next] != "" {
			next++
		}
		switch {
		case next <= MaxKey:
			p.keys[name] = next
			next++
		case len(rested) > 0:
			p.keys[name] = records[rested[0]].key
			p.changes[rested[0]] = nil
			rested = rested[1:]
		default:
			p.unserved = append(p.unserved, name)
			continue
		}
		p.changes[name] = &keyRecord{key: p.keys[name]}
	}
	return p
}

// loadKeys reads the records of kind and who owns which key. A record that
// makes no sense is reported and goes into drop, so that its name is served
// anew.
func (s *Store) loadKeys(tx *Tx, kind KeyKind, drop map[string]*keyRecord) (map[string]keyRecord, *[MaxKey + 1]string) {
	records, owner := map[string]keyRecord{}, new([MaxKey + 1]string)
	// fn gives no error and the bucket exists since Open.
	_ = tx.ForEach(BucketKeys, recordKey(kind, ""), func(k, v []byte) error {
		name := string(k[len(recordKey(kind, "")):])
		r, err := parseKeyRecord(v)
		if err == nil && owner[r.key] != "" {
			err = fmt.Errorf("store: key %d is that of %q already", r.key, owner[r.key])
		}
		if err != nil {
			s.log.Error("dropped a record of the state", "kind", string(kind), "name", name, "error", err)
			drop[name] = nil
			return nil
		}
		records[name], owner[r.key] = r, name
		return nil
	})
	return records, owner
}

// restedNames returns the released names whose keys may go to others, the
// longest rested first.
func restedNames(records map[string]keyRecord, wanted []string, now Clock) []string {
	var out []string
	for name, r := range records {
		if _, want := slices.BinarySearch(wanted, name); !want && r.released && r.rest.Remaining(now) == 0 {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if c := records[a].rest.Wall.Compare(records[b].rest.Wall); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return out
}

func recordKey(kind KeyKind, name string) []byte {
	return []byte(string(kind) + "/" + name)
}

// encode gives the key (2 octets) and, once released, the end of its rest.
func (r keyRecord) encode() []byte {
	b := binary.BigEndian.AppendUint16(nil, r.key)
	if r.released {
		b = r.rest.append(b)
	}
	return b
}

func parseKeyRecord(b []byte) (keyRecord, error) {
	if len(b) < 2 {
		return keyRecord{}, fmt.Errorf("store: a key record of %d octets, want 2 or more", len(b))
	}
	r := keyRecord{key: binary.BigEndian.Uint16(b), released: len(b) > 2}
	if r.key == 0 || r.key > MaxKey {
		return keyRecord{}, fmt.Errorf("store: key %d is not in 1 to %d", r.key, MaxKey)
	}
	if !r.released {
		return r, nil
	}
	var err error
	r.rest, err = parseDeadline(b[2:])
	return r, err
}
