package store

import "encoding/binary"

// fileSet is a set of the journal's two files, a bit each.
type fileSet uint8

func (s fileSet) has(i int) bool        { return s&(1<<i) != 0 }
func (s fileSet) with(i int) fileSet    { return s | 1<<i }
func (s fileSet) without(i int) fileSet { return s &^ (1 << i) }

func inUseKey() []byte { return []byte("journal-in-use") }

// putInUse notes in the database which files hold groups beyond folded, so that
// Open misses one that is gone. The number ties the note to the mark of the same
// transaction: a program that does not know the note leaves it behind.
func (tx *Tx) putInUse(folded uint64, files fileSet) error {
	return tx.Put(bucketMeta, inUseKey(), append(binary.BigEndian.AppendUint64(nil, folded), byte(files)))
}

// filesInUse returns what putInUse noted, and whether it did for this mark.
func (tx *Tx) filesInUse(folded uint64) (files fileSet, noted bool) {
	v, ok := tx.Get(bucketMeta, inUseKey())
	if !ok || len(v) != 8+1 || binary.BigEndian.Uint64(v) != folded {
		return 0, false
	}
	return fileSet(v[8]), true
}

// begin takes file i into use from its start. A group without changes is durable
// in it before the database says so; hence a file that is in use is never
// without a group beyond those that are folded.
func (j *Journal) begin(i int) error {
	if err := j.present(); err != nil {
		return err
	}
	f := &j.files[i]
	f.end = 0
	if err := j.append(i, nil); err != nil {
		return err
	}
	if err := j.noteInUse(j.inUse.with(i)); err != nil {
		f.end = 0
		return err
	}
	return nil
}

func (j *Journal) noteInUse(files fileSet) error {
	err := j.s.Update(func(tx *Tx) error { return tx.putInUse(j.folded, files) })
	if err == nil {
		j.inUse = files
	}
	return err
}

// miss compares the files that hold groups beyond the mark with the ones that
// were noted, reports what is gone, and notes them where nothing is noted.
func (j *Journal) miss(holding fileSet) (gone bool) {
	noted := false
	_ = j.s.View(func(tx *Tx) error { // the bucket exists
		j.inUse, noted = tx.filesInUse(j.folded)
		return nil
	})
	if lost := j.inUse &^ holding; lost != 0 {
		var paths []string
		for i := range j.files {
			if lost.has(i) {
				paths = append(paths, j.files[i].path)
			}
		}
		j.s.log.Error("the journal of the state is missing or empty: the leases granted, renewed or ended since it was last folded are lost, "+
			"and their addresses may be given to other guests; stop, put state.db and both journal files back from one and the same backup, and start again",
			"missing", paths, "kept_up_to_group", j.folded)
		j.inUse |= holding
		return true
	}
	if !noted || holding != j.inUse {
		if err := j.noteInUse(holding); err != nil {
			// A full disk must not stop a start.
			j.s.log.Warn("which files of the journal are in use cannot be noted: their loss would go unnoticed", "error", err)
			j.inUse = holding
		}
	}
	return false
}
