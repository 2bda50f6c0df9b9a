package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// sealSize is the length of the checksum behind every stored value, in bytes.
const sealSize = 4

// Tx is one transaction, valid until the function it was given to returns.
// Slices it hands out are valid as long and must not be changed.
type Tx struct {
	btx *bolt.Tx
}

// Update runs fn in the one writing transaction there can be and commits it
// with one fsync: when Update returns nil, all that fn wrote is durable. When
// fn gives an error nothing of it is kept and the error is returned as it is.
//
// A failed commit (disk full, read-only) is returned wrapped; the store stays
// usable, reads go on, and the next Update may succeed. After a failed fsync
// the records may or may not be there, so write them again.
// A file that was removed or replaced meanwhile is an error as well: nothing
// written to it would be found again.
//
// fn must not call Update or View of the same Store.
func (s *Store) Update(fn func(*Tx) error) error {
	btx, err := s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("store: write %s: %w", s.path, err)
	}
	// A no-op after Commit; it frees the writer's place when fn fails or panics.
	defer func() { _ = btx.Rollback() }()
	if err := fn(&Tx{btx: btx}); err != nil {
		return err
	}
	if err := btx.Commit(); err != nil {
		return fmt.Errorf("store: write %s: %w", s.path, err)
	}
	return present(s.path, s.file)
}

// View runs fn on the state as the last Update left it. It never waits for a
// writer. Put and Delete give an error in it.
func (s *Store) View(fn func(*Tx) error) error {
	btx, err := s.db.Begin(false)
	if err != nil {
		return fmt.Errorf("store: read %s: %w", s.path, err)
	}
	defer func() { _ = btx.Rollback() }()
	return fn(&Tx{btx: btx})
}

// Put stores a copy of value under key, replacing what was there. A key is 1
// to 32,768 bytes.
func (tx *Tx) Put(bucket Bucket, key, value []byte) error {
	b, err := tx.bucket(bucket)
	if err != nil {
		return err
	}
	if err := b.Put(key, seal(bucket, key, value)); err != nil {
		return fmt.Errorf("store: put in %s: %w", bucket, err)
	}
	return nil
}

// Get returns the value under key and whether there is one.
func (tx *Tx) Get(bucket Bucket, key []byte) ([]byte, bool) {
	b, err := tx.bucket(bucket)
	if err != nil {
		return nil, false
	}
	return unsealed(b.Get(key))
}

// Delete removes key. Removing what is not there is no error.
func (tx *Tx) Delete(bucket Bucket, key []byte) error {
	b, err := tx.bucket(bucket)
	if err != nil {
		return err
	}
	if err := b.Delete(key); err != nil {
		return fmt.Errorf("store: delete in %s: %w", bucket, err)
	}
	return nil
}

// ForEach calls fn for every key that starts with prefix, in byte order, and
// stops at fn's first error, which it returns. fn must not change the bucket.
func (tx *Tx) ForEach(bucket Bucket, prefix []byte, fn func(key, value []byte) error) error {
	b, err := tx.bucket(bucket)
	if err != nil {
		return err
	}
	c := b.Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		value, _ := unsealed(v)
		if err := fn(k, value); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) bucket(name Bucket) (*bolt.Bucket, error) {
	if b := tx.btx.Bucket([]byte(name)); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("store: no bucket %q: use one of the Bucket constants", name)
}

// seal returns value with the checksum that proves it belongs to this bucket
// and key. The database library checks the structure of its pages but not
// their content, so without it a flipped bit would be served as data.
func seal(bucket Bucket, key, value []byte) []byte {
	out := make([]byte, len(value), len(value)+sealSize)
	copy(out, value)
	return binary.LittleEndian.AppendUint32(out, checksum(bucket, key, value))
}

// unsealed returns the value inside a stored record. It does not check: every
// record was checked by Open.
func unsealed(stored []byte) ([]byte, bool) {
	if len(stored) < sealSize {
		return nil, false
	}
	n := len(stored) - sealSize
	return stored[:n:n], true
}

// sealIntact tells whether a stored record is what seal made.
func sealIntact(bucket Bucket, key, stored []byte) bool {
	value, ok := unsealed(stored)
	return ok && binary.LittleEndian.Uint32(stored[len(value):]) == checksum(bucket, key, value)
}

// checksum is CRC-32C over bucket, key and value with a zero octet between
// bucket and key, and the key's length so that no octet moves across.
func checksum(bucket Bucket, key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, append([]byte(bucket), 0))
	sum = crc32.Update(sum, table, binary.LittleEndian.AppendUint32(nil, uint32(len(key))))
	sum = crc32.Update(sum, table, key)
	return crc32.Update(sum, table, value)
}
