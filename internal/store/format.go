package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// ErrNewerFormat says that the state was written by a newer program. The
// error that wraps it names the file, both formats and the way out.
var ErrNewerFormat = errors.New("store: the state was written by a newer version of damselfly")

// firstFormat is the number of the oldest format there is.
const firstFormat = 1

// A migration turns the records of one format into those of the next. All
// buckets of the newest format exist when it runs.
type migration func(*Tx) error

// migrations is the way from the first format to this program's: entry 0
// leads from format 1 to 2, and so on.
//
//	1 -> 2  leases and the DHCPv6 server's identity, new buckets
//	2 -> 3  the newest leases are in a journal beside the file
//	3 -> 4  learned addresses, a new bucket
//	4 -> 5  modifiers of routers' addresses, a new bucket
//	5 -> 6  routes that guests were told of, a new bucket
//	6 -> 7  neighbours that nobody configured and default routers, new buckets
//	7 -> 8  who advertised itself as a multicast router, a new bucket
func migrations() []migration {
	nothing := func(*Tx) error { return nil }
	return []migration{newBuckets, nothing, newBuckets, newBuckets, newBuckets, newBuckets, newBuckets}
}

// journalFormat is the first format with a journal. Journal files that lie beside
// a restored file of an older format are not read: it gets an identity of its own.
const journalFormat = 3

// newBuckets is the migration where only buckets were added.
func newBuckets(*Tx) error { return nil }

func newestFormat(steps []migration) uint32 { return firstFormat + uint32(len(steps)) }

func formatKey() []byte { return []byte("format") }

// readFormat returns the format number of the open file, 0 for a fresh one. A
// file that has pages but no readable number cannot be understood, which
// counts as damage.
func (s *Store) readFormat(fresh bool) (uint32, error) {
	if fresh {
		return 0, nil
	}
	var format uint32
	err := s.View(func(tx *Tx) error {
		b := tx.btx.Bucket([]byte(bucketMeta))
		if b == nil {
			return &damageError{why: "no format number in it"}
		}
		stored := b.Get(formatKey())
		value, _ := unsealed(stored)
		if len(value) != 4 || !sealIntact(bucketMeta, formatKey(), stored) {
			return &damageError{why: "the format number is unreadable"}
		}
		format = binary.BigEndian.Uint32(value)
		if format < firstFormat {
			return &damageError{why: "the format number is 0"}
		}
		return nil
	})
	return format, err
}

// migrate brings the file from format to the newest in one transaction, after
// a backup. An up-to-date file is not written to, so that a full disk does not
// stop a start.
func (s *Store) migrate(format uint32, steps []migration) error {
	newest := newestFormat(steps)
	if format == newest {
		return nil
	}
	if format >= firstFormat {
		backup := fmt.Sprintf("%s.v%d.bak", s.path, format)
		if err := s.backup(backup); err != nil {
			return fmt.Errorf("store: no backup before the migration to format %d, so none is made: %w", newest, err)
		}
		s.log.Info("migrating the state", "file", s.path, "from", format, "to", newest, "backup", backup)
	}
	err := s.Update(func(tx *Tx) error {
		if err := tx.ensureBuckets(); err != nil {
			return err
		}
		for f := max(format, firstFormat); format > 0 && f < newest; f++ {
			if err := steps[f-firstFormat](tx); err != nil {
				return fmt.Errorf("store: migrate %s from format %d to %d: %w; nothing was changed", s.path, f, f+1, err)
			}
		}
		return tx.Put(bucketMeta, formatKey(), binary.BigEndian.AppendUint32(nil, newest))
	})
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func (tx *Tx) ensureBuckets() error {
	for _, name := range allBuckets() {
		if _, err := tx.btx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return fmt.Errorf("store: create bucket %s: %w", name, err)
		}
	}
	return nil
}

// backup writes the open state as a database of its own. It appears under its
// name only when it is whole.
func (s *Store) backup(path string) error {
	return writeWhole(path, func(w io.Writer) error {
		return s.db.View(func(btx *bolt.Tx) error {
			_, err := btx.WriteTo(w)
			return err
		})
	})
}

// writeWhole makes a durable file of mode 0600 with what fill writes, or none.
func writeWhole(path string, fill func(io.Writer) error) error {
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		_ = os.Remove(partial)
		return err
	}
	return syncDir(filepath.Dir(path))
}
