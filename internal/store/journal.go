package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Change is one record to write, or to delete where Value is nil.
type Change struct{ Key, Value []byte }

const (
	// journalChanges and journalBytes bound what one of the two files takes
	// before it is folded. They bound the memory that waits for it, too.
	journalChanges = 1 << 16
	journalBytes   = 16 << 20
	// foldPart is how many changes one fold takes. There is one for every half
	// as many changes written, so that a file is folded before the other is full.
	foldPart = 1024
	// overfull is how many times journalChanges may wait where nothing can be
	// folded; then nothing more is taken.
	overfull = 4
)

// Journal makes the changes of BucketLeases durable at the price of one write
// in place and one sync a group, whatever keys it touches. It appends to one of
// two files; once that is full it takes the other, and what the full one holds
// is folded into the bucket part by part, in the order of the keys, so that
// neighbours share their pages. Then the full one is free again.
//
// Whatever is not folded is read back by Open. Every group carries a number,
// and the database says up to which all is folded: a file that is free needs no
// clearing. Folding what is folded already changes nothing, so a crash may come
// between any two steps.
//
// A Journal is for one goroutine at a time.
type Journal struct {
	s     *Store
	id    journalID
	files [2]journalFile
	// at is the file that is written; the other is being folded, or free.
	at int
	// tried is the number of the last group written, kept that of the last
	// that is durable.
	tried, kept uint64
	// folded is the number up to which all is in the bucket; inUse are the files
	// that the database knows to hold more.
	folded uint64
	inUse  fileSet
	// fresh are the changes of the written file in their order, frozen what is
	// left to fold of the other one, each key once and in order.
	fresh, frozen []Change
	frozenTo      uint64 // the last number that frozen stands for
	due           int    // changes written since the last fold
	limit         int    // journalChanges
	failing       bool   // so that one run of failures is one log line
	room          []byte
}

// Journal returns the journal of BucketLeases.
func (s *Store) Journal() *Journal { return s.journal }

// journalID ties the files to the database: those left by another state are
// not taken for this one's.
type journalID [16]byte

func journalKey() []byte { return []byte("journal") }

// Write makes all changes durable with one sync, or gives an error. After an
// error any part of them may turn up again after a restart, so write them again.
// The octets of changes are kept and must not be changed after.
func (j *Journal) Write(changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	if !j.inUse.has(j.at) {
		if err := j.begin(j.at); err != nil {
			return err
		}
	}
	if len(j.fresh) >= j.limit || j.files[j.at].end >= journalBytes {
		if err := j.makeRoom(); err != nil {
			return err
		}
	}
	if err := j.append(j.at, changes); err != nil {
		return err
	}
	if err := j.present(); err != nil {
		return err
	}
	j.fresh = append(j.fresh, changes...)
	j.due += len(changes)
	if j.due >= foldPart/2 && len(j.frozen) > 0 {
		j.due = 0
		// The changes are durable whether or not folding works now.
		j.report(j.fold(foldPart))
	}
	return nil
}

// append writes the next group into file i.
func (j *Journal) append(i int, changes []Change) error {
	j.tried++ // also where it fails: a number stands for one group
	j.room = appendGroup(j.room[:0], j.id, j.tried, j.kept, changes)
	f := &j.files[i]
	if err := f.append(j.room); err != nil {
		return fmt.Errorf("store: write %s: %w", f.path, err)
	}
	j.kept = j.tried
	return nil
}

// makeRoom goes on to the other file if that is free. Where it cannot, the
// written file grows on until it is overfull.
func (j *Journal) makeRoom() error {
	overfull := len(j.fresh) >= overfull*j.limit
	if len(j.frozen) > 0 {
		if !overfull {
			return nil
		}
		if err := j.fold(len(j.frozen)); err != nil {
			return err
		}
	}
	last := j.kept
	if err := j.begin(1 - j.at); err != nil {
		if overfull {
			return err
		}
		j.report(err)
		return nil
	}
	j.rotate(last)
	return nil
}

// report tells once when folding begins to fail.
func (j *Journal) report(err error) {
	if err != nil && !j.failing {
		j.s.log.Error("the journal of the state cannot be folded, or its other file not be used: it grows until they can", "error", err)
	}
	j.failing = err != nil
}

// Load calls each with every record, in byte order of the keys. The octets are
// valid until each returns. An error of each ends it and is returned.
func (j *Journal) Load(each func(key, value []byte) error) error {
	waiting := settle(slices.Concat(j.frozen, j.fresh))
	one := func() error {
		c := waiting[0]
		waiting = waiting[1:]
		if c.Value == nil {
			return nil
		}
		return each(c.Key, c.Value)
	}
	return j.s.View(func(tx *Tx) error {
		err := tx.ForEach(BucketLeases, nil, func(key, value []byte) error {
			for len(waiting) > 0 {
				order := bytes.Compare(waiting[0].Key, key)
				if order > 0 {
					break
				}
				if err := one(); err != nil || order == 0 {
					return err
				}
			}
			return each(key, value)
		})
		for err == nil && len(waiting) > 0 {
			err = one()
		}
		return err
	})
}

// rotate freezes the written file, whose last group is number last, and goes on
// with the other, which must be free.
func (j *Journal) rotate(last uint64) {
	j.frozen, j.frozenTo = settle(j.fresh), last
	j.fresh, j.due = nil, 0
	j.at = 1 - j.at
}

// settle orders changes by key and keeps the last of each.
func settle(changes []Change) []Change {
	slices.SortStableFunc(changes, func(a, b Change) int { return bytes.Compare(a.Key, b.Key) })
	kept := changes[:0]
	for i := range changes {
		if i+1 == len(changes) || !bytes.Equal(changes[i].Key, changes[i+1].Key) {
			kept = append(kept, changes[i])
		}
	}
	clear(changes[len(kept):])
	return kept
}

// fold moves up to n frozen changes into the bucket. With the last ones it
// notes, in the same transaction, that the frozen file is free.
func (j *Journal) fold(n int) error {
	n = min(n, len(j.frozen))
	left := j.inUse.without(1 - j.at)
	err := j.s.Update(func(tx *Tx) error {
		for _, c := range j.frozen[:n] {
			var err error
			if c.Value == nil {
				err = tx.Delete(BucketLeases, c.Key)
			} else {
				err = tx.Put(BucketLeases, c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		if n < len(j.frozen) {
			return nil
		}
		return tx.putJournal(j.id, j.frozenTo, left)
	})
	if err != nil {
		return err
	}
	if n == len(j.frozen) {
		j.folded, j.inUse = j.frozenTo, left
	}
	clear(j.frozen[:n])
	if j.frozen = j.frozen[n:]; len(j.frozen) == 0 {
		j.frozen = nil
	}
	return nil
}

// foldAll leaves nothing in the files.
func (j *Journal) foldAll() error {
	for len(j.frozen)+len(j.fresh) > 0 {
		if len(j.frozen) == 0 {
			j.rotate(j.kept)
		}
		if err := j.fold(journalChanges); err != nil {
			return err
		}
	}
	return nil
}

// putJournal notes whose files are the database's, up to which group they are
// folded and which of them hold more.
func (tx *Tx) putJournal(id journalID, folded uint64, inUse fileSet) error {
	if err := tx.Put(bucketMeta, journalKey(), binary.BigEndian.AppendUint64(id[:len(id):len(id)], folded)); err != nil {
		return err
	}
	return tx.putInUse(folded, inUse)
}

// openJournal reads the files back. A damaged group is reported and left out,
// as is a file that is gone; files of another state are put aside.
func (s *Store) openJournal() error {
	j := &Journal{s: s, limit: journalChanges}
	found := false
	_ = s.View(func(tx *Tx) error { // the bucket exists
		v, ok := tx.Get(bucketMeta, journalKey())
		if found = ok && len(v) == len(j.id)+8; found {
			copy(j.id[:], v)
			j.folded = binary.BigEndian.Uint64(v[len(j.id):])
		}
		return nil
	})
	if !found {
		_, _ = rand.Read(j.id[:]) // crypto/rand never fails
		if err := s.Update(func(tx *Tx) error { return tx.putJournal(j.id, 0, 0) }); err != nil {
			return err
		}
	}
	s.journal = j // so that Close closes what is open already
	return j.read()
}

// read takes what the files hold beyond the groups that are folded.
func (j *Journal) read() error {
	var all []group
	broken, holding := uint64(0), fileSet(0)
	for i := range j.files {
		j.files[i].path = filepath.Join(filepath.Dir(j.s.path), fmt.Sprintf("state.journal-%d", i))
		groups, torn, err := j.files[i].open(j.id, j.s.log)
		if err != nil {
			return err
		}
		if broken = max(broken, torn); torn > j.folded {
			holding = holding.with(i)
		}
		for _, g := range groups {
			if g.file = i; g.number > j.folded {
				all, holding = append(all, g), holding.with(i)
			}
		}
	}
	slices.SortFunc(all, func(a, b group) int { return int(int64(a.number - b.number)) })
	j.tried, j.kept = j.folded, j.folded
	if len(all) > 0 {
		j.at = all[len(all)-1].file
		j.files[j.at].end = all[len(all)-1].end
	}
	lost := uint64(0)
	for _, g := range all {
		if g.after > j.tried {
			lost += g.after - j.tried
		}
		j.tried, j.kept = g.number, g.number
		if g.file == j.at {
			j.fresh = append(j.fresh, g.changes...)
		} else {
			j.frozen, j.frozenTo = append(j.frozen, g.changes...), g.number
		}
	}
	j.frozen = settle(j.frozen)
	if broken > j.tried {
		// Nothing tells which; only the first is what a crash does.
		j.s.log.Warn("the last group of the journal is not whole: it was being written, and not answered yet, or is damaged", "group", broken)
	}
	// What is left of a file that is gone stays as it is: the file may be put back.
	if gone := j.miss(holding); lost > 0 && !gone {
		j.salvage(lost)
	}
	return nil
}

// salvage keeps copies of damaged files and folds what could be read of them.
func (j *Journal) salvage(lost uint64) {
	var kept []string
	var errs []error
	for i := range j.files {
		if name := damagedName(j.files[i].path); j.files[i].f != nil {
			if err := copyFile(name, j.files[i].path); err != nil {
				errs = append(errs, err)
				continue
			}
			kept = append(kept, name)
		}
	}
	j.s.log.Error("the journal of the state is damaged in places: those are dropped", "groups", lost, "kept", kept, "error", errors.Join(errs...))
	j.report(j.foldAll())
}

func (j *Journal) close() error {
	var errs []error
	for i := range j.files {
		if f := j.files[i].f; f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
