package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	fileName = "state.db"
	// lockPatience is how long Open waits for another process to leave, so
	// that a quick restart does not fail on its own predecessor.
	lockPatience = 2 * time.Second
	// mapSize is the address space reserved for the file, in bytes. Growing
	// beyond it waits for every reader to end, so it is far above need.
	mapSize = 256 << 20
	// growStep is by how much the file grows at once, in bytes.
	growStep = 1 << 20
)

// Store is the open state of one directory. Its methods may be called from
// any goroutine.
type Store struct {
	db   *bolt.DB
	file *os.File // what db writes to
	lock *os.File
	// journal takes the changes of BucketLeases.
	journal *Journal
	log     *slog.Logger
	path    string
}

// Open opens the state in dir, which is created (mode 0700) where it is
// missing, and locks it against other processes until Close.
//
// A damaged file is put aside as state.db.damaged-N in the same directory,
// reported in log, and replaced by an empty one. Single damaged records are
// dropped and reported after such a copy was made. A state of an older format
// is copied to state.db.vN.bak and migrated; one of a newer format gives
// ErrNewerFormat and stays untouched. The files of the Journal that belong to
// another state, that of a file put aside too, are put aside likewise; one that
// is missing though it held something is reported.
func Open(dir string, log *slog.Logger) (*Store, error) {
	return open(dir, log, migrations(), lockPatience)
}

// open is Open with the list of migrations and the patience given.
func open(dir string, log *slog.Logger, steps []migration, patience time.Duration) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: cannot make the state directory: %w; create it for this user or set `state` to another", err)
	}
	lock, err := lockDir(dir, patience)
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock, log: log, path: filepath.Join(dir, fileName)}
	err = s.start(steps)
	if damage := (*damageError)(nil); errors.As(err, &damage) {
		if err = s.putAside(damage); err == nil {
			err = s.start(steps)
		}
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// start inspects, opens and completes the file. The order matters: nothing is
// mapped before it was inspected, and nothing is written before the format is
// known to be ours. A *damageError asks for the file to be put aside.
func (s *Store) start(steps []migration) error {
	found, err := inspectFile(s.path)
	if err != nil {
		return err
	}
	if s.db, s.file, err = openBolt(s.path); err != nil {
		return err
	}
	format, err := s.readFormat(found.fresh)
	if err != nil {
		return err
	}
	newest := newestFormat(steps)
	if format > newest {
		return fmt.Errorf("%w: %s has format %d and this program knows up to %d; run the newer program, or restore %s.v%d.bak if it is there",
			ErrNewerFormat, s.path, format, newest, s.path, newest)
	}
	if err := s.repair(found, format, newest); err != nil {
		return err
	}
	if format >= journalFormat && format < newest {
		// A migration finds everything in the buckets.
		if err := s.openJournal(); err != nil {
			return err
		}
		if err := s.journal.foldAll(); err != nil {
			return err
		}
		return s.migrate(format, steps)
	}
	if err := s.migrate(format, steps); err != nil {
		return err
	}
	return s.openJournal()
}

// openBolt opens the file at path, which the database closes. What inspection
// cannot foresee in the library (an assertion, a page that vanishes under the
// map) becomes a damageError here instead of ending the process.
func openBolt(path string) (db *bolt.DB, file *os.File, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			db, file, err = nil, nil, &damageError{why: fmt.Sprint(r)}
		}
	}()
	db, err = bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         lockPatience,
		InitialMmapSize: mapSize,
		FreelistType:    bolt.FreelistMapType,
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			if file == nil { // a backup opens it once more
				file = f
			}
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, fmt.Errorf("store: %s is locked by another program: close what reads it and start again", path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, nil, &damageError{why: err.Error()}
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("store: %w: give the file to this user or set `state` to another directory", err)
	case err != nil:
		return nil, nil, fmt.Errorf("store: cannot open %s: %w", path, err)
	}
	db.AllocSize = growStep
	return db, file, nil
}

// Close waits for transactions under way, closes the file and unlocks the
// directory.
func (s *Store) Close() error {
	err := s.closeDB()
	if s.journal != nil {
		if closeErr := s.journal.close(); err == nil && closeErr != nil {
			err = fmt.Errorf("store: %w", closeErr)
		}
	}
	// Last, so that nobody finds the directory free while the file is open.
	if lockErr := unlock(s.lock); err == nil && lockErr != nil {
		err = fmt.Errorf("store: %w", lockErr)
	}
	return err
}

func (s *Store) closeDB() error {
	if s.db == nil {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("store: close %s: %w", s.path, err)
	}
	return nil
}

// syncDir makes names created, renamed or removed in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
