package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A group in a journal file, big endian: magic 4, CRC-32C of all that follows 4,
// length of the changes 4, journalID 16, number 8, number of the durable group
// before it 8; then the changes, each with the length of the key 2, the length
// of the value plus one or 0 for a deletion 4, key and value.
const (
	groupMagic  = 0xda3f1a10
	groupHeader = 4 + 4 + 4 + 16 + 8 + 8
	changeHead  = 2 + 4
	// groupAlign is where groups begin, in bytes: a sector, so that writing one
	// never tears another and what follows a damaged one is found.
	groupAlign = 512
	// journalStep is by how much a file grows, in bytes. It is written before
	// it is used: a sync then has no metadata to write.
	journalStep = 256 << 10
)

// group is one group as it was read.
type group struct {
	number, after uint64 // its number, and that of the durable one before it
	changes       []Change
	file          int
	end           int64 // where the next one begins in the file
}

// journalFile is one of the two files.
type journalFile struct {
	path string
	f    *os.File // nil until there is something to write
	size int64    // written so far
	end  int64    // where the next group goes
}

// append writes a group behind the last and syncs it.
func (f *journalFile) append(b []byte) error {
	if f.f == nil {
		file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(f.path)); err != nil {
			return errors.Join(err, file.Close())
		}
		f.f = file
	}
	for f.size < f.end+int64(len(b)) {
		n, err := f.f.WriteAt(make([]byte, journalStep), f.size)
		if f.size += int64(n); err != nil {
			return err
		}
	}
	if _, err := f.f.WriteAt(b, f.end); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(f.f.Fd())); err != nil {
		return os.NewSyscallError("fdatasync", err)
	}
	f.end += int64(len(b))
	return nil
}

// open opens the file if it exists and returns its groups in the order of their
// places, those of earlier rounds among them, and the highest number of one that
// is not whole.
func (f *journalFile) open(id journalID, log *slog.Logger) (groups []group, broken uint64, err error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	denied := "store: %w: give the file to this user or set `state` to another directory"
	if err != nil {
		return nil, 0, fmt.Errorf(denied, err)
	}
	if _, owner, whole := cutGroup(b); whole && owner != id {
		return nil, 0, f.putAside(log)
	}
	if f.f, err = os.OpenFile(f.path, os.O_RDWR, 0); err != nil {
		return nil, 0, fmt.Errorf(denied, err)
	}
	f.size = int64(len(b))
	for at := 0; at < len(b); {
		g, owner, whole := cutGroup(b[at:])
		if owner == id && !whole {
			broken = max(broken, g.number)
		}
		if owner != id || !whole {
			at += groupAlign
			continue
		}
		at += int(g.end)
		g.end = int64(at)
		groups = append(groups, g)
	}
	return groups, broken, nil
}

// putAside renames the file of another state.
func (f *journalFile) putAside(log *slog.Logger) error {
	name := damagedName(f.path)
	if err := os.Rename(f.path, name); err != nil {
		return fmt.Errorf("store: the journal %s belongs to another state and could not be put aside: %w; move it away by hand", f.path, err)
	}
	log.Error("a journal belongs to another state: put aside", "file", f.path, "kept", name)
	return syncDir(filepath.Dir(f.path))
}

// appendGroup encodes a group and fills its last sector.
func appendGroup(b []byte, id journalID, number, after uint64, changes []Change) []byte {
	start := len(b)
	b = append(b, make([]byte, groupHeader)...)
	for _, c := range changes {
		b = binary.BigEndian.AppendUint16(b, uint16(len(c.Key)))
		if c.Value == nil {
			b = binary.BigEndian.AppendUint32(b, 0)
		} else {
			b = binary.BigEndian.AppendUint32(b, uint32(len(c.Value)+1))
		}
		b = append(append(b, c.Key...), c.Value...)
	}
	g, be := b[start:], binary.BigEndian
	be.PutUint32(g, groupMagic)
	be.PutUint32(g[8:], uint32(len(g)-groupHeader))
	copy(g[12:], id[:])
	be.PutUint64(g[28:], number)
	be.PutUint64(g[36:], after)
	be.PutUint32(g[4:], groupSum(g))
	return append(b, make([]byte, aligned(len(g))-len(g))...)
}

func groupSum(g []byte) uint32 { return crc32.Checksum(g[8:], crc32.MakeTable(crc32.Castagnoli)) }

func aligned(n int) int { return (n + groupAlign - 1) / groupAlign * groupAlign }

// cutGroup decodes the group at the start of b, and says whose it is and whether
// it is whole; one that is not has its number at most. Its end is relative to b.
func cutGroup(b []byte) (g group, id journalID, whole bool) {
	be := binary.BigEndian
	if len(b) < groupHeader || be.Uint32(b) != groupMagic {
		return group{}, id, false
	}
	copy(id[:], b[12:])
	g = group{number: be.Uint64(b[28:]), after: be.Uint64(b[36:])}
	if uint64(be.Uint32(b[8:])) > uint64(len(b)-groupHeader) {
		return g, id, false
	}
	n := groupHeader + int(be.Uint32(b[8:]))
	if groupSum(b[:n]) != be.Uint32(b[4:]) {
		return g, id, false
	}
	g.end = int64(aligned(n))
	// A copy, since changes outlive what was read.
	for rest := bytes.Clone(b[groupHeader:n]); len(rest) > 0; {
		if len(rest) < changeHead {
			return g, id, false
		}
		keyLen, valueLen := int(be.Uint16(rest)), int(be.Uint32(rest[2:]))
		if rest = rest[changeHead:]; keyLen+max(valueLen-1, 0) > len(rest) {
			return g, id, false
		}
		c := Change{Key: rest[:keyLen:keyLen]}
		rest = rest[keyLen:]
		if valueLen > 0 {
			c.Value = rest[: valueLen-1 : valueLen-1]
			rest = rest[valueLen-1:]
		}
		g.changes = append(g.changes, c)
	}
	return g, id, true
}
