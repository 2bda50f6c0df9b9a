package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxDepth bounds the height of a tree; at two keys a page, the least there
// may be, a tree of this height exceeds any disk.
const maxDepth = 48

// inspection is what was found in a file whose structure is sound.
type inspection struct {
	fresh   bool     // nothing was ever stored
	oldMeta bool     // the newer of the two meta pages is unreadable: the last commit is lost
	buckets []Bucket // in the file
	records []record // records whose checksum fails
}

// record names one record of the file.
type record struct {
	bucket Bucket
	key    []byte
}

func (i inspection) firstRecord() string {
	if len(i.records) == 0 {
		return ""
	}
	return fmt.Sprintf("%s/%q", i.records[0].bucket, i.records[0].key)
}

// inspectFile reads every page in use of the file at path. The database
// library maps the file and trusts it: a wrong offset or a page beyond the end
// would end the process, a loop in the tree would never end. So the file is
// read here first, with plain reads and every number checked. A *damageError
// is the answer to a file that must not be mapped.
func inspectFile(path string) (inspection, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return inspection{fresh: true}, nil
	}
	if err != nil {
		return inspection{}, fmt.Errorf("store: %w: give the file to this user or set `state` to another directory", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return inspection{}, fmt.Errorf("store: %w", err)
	}
	if !st.Mode().IsRegular() {
		return inspection{}, damagef("not a regular file")
	}
	if st.Size() == 0 {
		return inspection{fresh: true}, nil
	}
	return inspect(f, st.Size())
}

// inspect is inspectFile on an open file of size bytes.
func inspect(r io.ReaderAt, size int64) (inspection, error) {
	m, oldMeta, err := readMetas(r, size)
	if err != nil {
		return inspection{}, err
	}
	if m.end < 4 || m.end > uint64(size)/uint64(m.pageSize) {
		return inspection{}, damagef("it ends before page %d of %d", uint64(size)/uint64(m.pageSize), m.end)
	}
	t := &tree{r: r, meta: m, use: make([]pageUse, m.end)}
	t.use[0], t.use[1] = pageMeta, pageMeta
	if err := t.readFreelist(); err != nil {
		return inspection{}, err
	}
	if err := t.walk(m.root, span{}, 0, t.bucketEntry); err != nil {
		return inspection{}, err
	}
	t.found.oldMeta = oldMeta
	// A new file starts with transactions 0 and 1 and an empty root.
	t.found.fresh = len(t.found.buckets) == 0
	if t.found.fresh && m.tx > 1 {
		return inspection{}, damagef("all buckets are gone")
	}
	return t.found, nil
}

// readMetas returns the meta page that counts, and whether it is the older one
// because the other is unreadable.
func readMetas(r io.ReaderAt, size int64) (m meta, older bool, err error) {
	buf := make([]byte, pageHeader+metaSize)
	read := func(at int64) (meta, bool, error) {
		if at+int64(len(buf)) > size {
			return meta{}, false, nil
		}
		if _, err := r.ReadAt(buf, at); err != nil {
			return meta{}, false, fmt.Errorf("store: read the state: %w", err)
		}
		m, ok := parseMeta(buf[pageHeader:])
		return m, ok, nil
	}
	first, firstOK, err := read(0)
	if err != nil {
		return meta{}, false, err
	}
	pageSize := os.Getpagesize()
	if firstOK {
		pageSize = first.pageSize
	}
	second, secondOK, err := read(int64(pageSize))
	switch {
	case err != nil:
		return meta{}, false, err
	case !firstOK && (!secondOK || second.pageSize != pageSize):
		return meta{}, false, damagef("both meta pages are unreadable")
	case !firstOK:
		return second, true, nil
	case !secondOK:
		return first, true, nil
	case second.tx > first.tx:
		return second, false, nil
	}
	return first, false, nil
}

// pageUse says what a page was found to be part of.
type pageUse uint8

const (
	pageUnseen pageUse = iota
	pageMeta
	pageFree
	pageTaken
)

// tree is the walk over one file.
type tree struct {
	r     io.ReaderAt
	meta  meta
	use   []pageUse // by page number
	found inspection
}

// load reads the page id with its further pages and marks them as taken. A page
// reached twice, or reached and free, is damage; so a walk always ends.
func (t *tree) load(id uint64) (page, error) {
	size := uint64(t.meta.pageSize)
	head := make([]byte, pageHeader)
	if id >= t.meta.end {
		return page{}, damagef("page %d is beyond the end", id)
	}
	if err := t.read(head, id*size); err != nil {
		return page{}, err
	}
	p, further := parseHeader(head)
	if p.id != id || uint64(further) >= t.meta.end-id {
		return page{}, damagef("page %d has a wrong header", id)
	}
	for n := id; n <= id+uint64(further); n++ {
		if t.use[n] != pageUnseen {
			return page{}, damagef("page %d is used twice", n)
		}
		t.use[n] = pageTaken
	}
	p.body = make([]byte, (uint64(further)+1)*size)
	return p, t.read(p.body, id*size)
}

func (t *tree) read(b []byte, at uint64) error {
	if _, err := t.r.ReadAt(b, int64(at)); err != nil {
		return fmt.Errorf("store: read the state: %w", err)
	}
	return nil
}

// readFreelist marks the free pages, before anything else claims a page.
func (t *tree) readFreelist() error {
	if t.meta.freelist == noFreelist {
		return damagef("the list of free pages is missing")
	}
	p, err := t.load(t.meta.freelist)
	if err != nil {
		return err
	}
	if p.kind != kindFreelist {
		return damagef("page %d is no list of free pages", p.id)
	}
	ne, ids, count := binary.NativeEndian, p.body[pageHeader:], uint64(p.count)
	if p.count == 0xffff {
		// The count did not fit into the header.
		count, ids = ne.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damagef("the list of free pages is cut short")
	}
	for ; count > 0; count, ids = count-1, ids[8:] {
		id := ne.Uint64(ids)
		if id >= t.meta.end || t.use[id] != pageUnseen {
			return damagef("page %d cannot be free", id)
		}
		t.use[id] = pageFree
	}
	return nil
}

// span is a half-open range of keys; nil means no bound.
type span struct{ from, to []byte }

func (s span) holds(key []byte) bool {
	return bytes.Compare(key, s.from) >= 0 && (s.to == nil || bytes.Compare(key, s.to) < 0)
}

// walk calls leaf for every entry of the tree below page id.
func (t *tree) walk(id uint64, keys span, depth int, leaf func(element) error) error {
	p, err := t.load(id)
	if err != nil {
		return err
	}
	if p.kind != kindBranch && p.kind != kindLeaf || depth > maxDepth {
		return damagef("page %d is no page of a tree", id)
	}
	if p.count == 0 && (p.kind == kindBranch || depth > 0) {
		return damagef("page %d is empty", id)
	}
	elems, err := p.elements()
	if err != nil {
		return err
	}
	for i, e := range elems {
		if !keys.holds(e.key) {
			return damagef("page %d: key %d belongs elsewhere", id, i)
		}
		if p.kind == kindLeaf {
			err = leaf(e)
		} else {
			below := span{from: e.key, to: keys.to}
			if i+1 < len(elems) {
				below.to = elems[i+1].key
			}
			err = t.walk(e.child, below, depth+1, leaf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucketEntry inspects one entry of the root: a bucket with its records, in a
// tree of its own or, while it is small, inline.
func (t *tree) bucketEntry(e element) error {
	if e.flags != leafIsBucket || len(e.value) < bucketHeader {
		return damagef("entry %q of the root is no bucket", e.key)
	}
	name := Bucket(e.key)
	t.found.buckets = append(t.found.buckets, name)
	record := func(e element) error { return t.recordEntry(name, e) }
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return t.walk(root, span{}, 0, record)
	}
	inline := e.value[bucketHeader:]
	if len(inline) < pageHeader {
		return damagef("bucket %q is cut short", name)
	}
	p, further := parseHeader(inline)
	if p.id != 0 || p.kind != kindLeaf || further != 0 {
		return damagef("bucket %q has a wrong header", name)
	}
	elems, err := p.elements()
	if err != nil {
		return err
	}
	used := pageHeader
	for _, e := range elems {
		used += pageElem + len(e.key) + len(e.value)
		if err := record(e); err != nil {
			return err
		}
	}
	if used != len(inline) {
		return damagef("bucket %q has %d octets of records in %d", name, used, len(inline))
	}
	return nil
}

func (t *tree) recordEntry(bucket Bucket, e element) error {
	if e.flags != 0 {
		return damagef("bucket %q: %q is no record", bucket, e.key)
	}
	if !sealIntact(bucket, e.key, e.value) {
		t.found.records = append(t.found.records, record{bucket: bucket, key: bytes.Clone(e.key)})
	}
	return nil
}
