package store

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
)

// The database's file layout, in the byte order of the machine. A page starts
// with a header; its elements follow, then their keys and values in the same
// order without gaps.
const (
	pageHeader = 16 // id 8, kind 2, count 2, further pages 4
	pageElem   = 16 // branch: offset 4, key size 4, page 8; leaf: flags 4, offset 4, key size 4, value size 4

	kindBranch   = 0x01
	kindLeaf     = 0x02
	kindFreelist = 0x10

	leafIsBucket = 1 // leaf element flag: the value is a bucket

	bucketHeader = 16 // root page 8 (0: the page follows inline), sequence 8

	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)
)

// meta is what one of the two meta pages says; the newer valid one counts.
type meta struct {
	pageSize int
	root     uint64
	freelist uint64
	end      uint64 // first page number beyond the last one in use
	tx       uint64
}

// parseMeta reads the meta record that follows a page header.
func parseMeta(b []byte) (meta, bool) {
	if len(b) < metaSize {
		return meta{}, false
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSize-8])
	ne := binary.NativeEndian
	if ne.Uint32(b) != metaMagic || ne.Uint32(b[4:]) != metaVersion || ne.Uint64(b[metaSize-8:]) != sum.Sum64() {
		return meta{}, false
	}
	m := meta{
		pageSize: int(ne.Uint32(b[8:])),
		root:     ne.Uint64(b[16:]),
		freelist: ne.Uint64(b[32:]),
		end:      ne.Uint64(b[40:]),
		tx:       ne.Uint64(b[48:]),
	}
	return m, m.pageSize >= 1024 && m.pageSize <= 1<<16 && m.pageSize&(m.pageSize-1) == 0
}

// page is one page with the further pages it extends over.
type page struct {
	id    uint64
	kind  uint16
	count int
	body  []byte // header included
}

// element is one entry of a branch or leaf page.
type element struct {
	flags uint32
	child uint64 // branch only
	key   []byte
	value []byte // leaf only
}

func parseHeader(b []byte) (p page, further uint32) {
	ne := binary.NativeEndian
	return page{id: ne.Uint64(b), kind: ne.Uint16(b[8:]), count: int(ne.Uint16(b[10:])), body: b}, ne.Uint32(b[12:])
}

// elements cuts the page. Besides bounds it insists on what the writer always
// does (no gap, no overlap, keys ascending), which also uncovers a changed
// count or size that stays in bounds.
func (p page) elements() ([]element, error) {
	next := pageHeader + p.count*pageElem
	if next > len(p.body) {
		return nil, damagef("page %d: %d elements do not fit", p.id, p.count)
	}
	out := make([]element, p.count)
	for i := range out {
		at := pageHeader + i*pageElem
		e, offset, keySize, valueSize := p.element(at)
		if at+offset != next || keySize == 0 || keySize > len(p.body)-next || valueSize > len(p.body)-next-keySize {
			return nil, damagef("page %d: element %d lies elsewhere", p.id, i)
		}
		e.key = p.body[next : next+keySize]
		next += keySize
		e.value = p.body[next : next+valueSize]
		next += valueSize
		if i > 0 && bytes.Compare(out[i-1].key, e.key) >= 0 {
			return nil, damagef("page %d: keys are not ascending at element %d", p.id, i)
		}
		out[i] = e
	}
	return out, nil
}

func (p page) element(at int) (e element, offset, keySize, valueSize int) {
	ne, b := binary.NativeEndian, p.body[at:at+pageElem]
	if p.kind == kindBranch {
		return element{child: ne.Uint64(b[8:])}, int(ne.Uint32(b)), int(ne.Uint32(b[4:])), 0
	}
	return element{flags: ne.Uint32(b)}, int(ne.Uint32(b[4:])), int(ne.Uint32(b[8:])), int(ne.Uint32(b[12:]))
}
