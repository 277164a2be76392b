package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// pageFile reads bbolt's file format without bbolt: bbolt trusts its pages, and a corrupt one makes it panic, recurse or
// allocate without end, which takes the process down. This reader trusts nothing. Whatever it is given it ends, returns
// findings instead of panicking, holds no more than a page with its overflow and one bit per page, and follows no page
// twice.
//
// The format (bbolt, little-endian): pages of equal size; a header of 16 bytes: id, flags, count, overflow. Pages 0 and 1
// are metas, of which the one of the higher transaction counts. A branch page holds (offset, key size, page) per element,
// a leaf page (flags, offset, key size, value size); a leaf element with flag 1 is a bucket, whose value is root page and
// sequence, followed by a whole leaf page where the root is 0.
type pageFile struct {
	r        io.ReaderAt
	size     int64
	pageSize int64
	metas    [2]*pageMeta // nil: not valid
}

type pageMeta struct {
	root, freelist, end, txid uint64
}

const (
	pageHeader = 16
	flagBranch = 0x01
	flagLeaf   = 0x02
	flagMeta   = 0x04
	flagFree   = 0x10
	noFreelist = ^uint64(0)
	metaSize   = 64
	boltMagic  = 0xED0CDAED
	maxDepth   = 64
)

func newPageFile(r io.ReaderAt, size int64) (*pageFile, error) {
	f := &pageFile{r: r, size: size}
	for _, ps := range []int64{int64(os.Getpagesize()), 4096, 1024, 2048, 8192, 16384, 32768, 65536} {
		m0, m1 := f.readMeta(0, ps), f.readMeta(1, ps)
		if m0 != nil || m1 != nil {
			f.pageSize, f.metas = ps, [2]*pageMeta{m0, m1}
			return f, nil
		}
	}
	return nil, fmt.Errorf("%w: neither of the file's two heads is valid", ErrCorrupt)
}

func (f *pageFile) readMeta(i, pageSize int64) *pageMeta {
	b := make([]byte, pageHeader+metaSize)
	if _, err := f.r.ReadAt(b, i*pageSize); err != nil {
		return nil
	}
	le := binary.LittleEndian
	m := b[pageHeader:]
	h := fnv.New64a()
	h.Write(m[:56])
	if le.Uint64(b) != uint64(i) || le.Uint16(b[8:]) != flagMeta || le.Uint32(m) != boltMagic || le.Uint32(m[4:]) != 2 ||
		int64(le.Uint32(m[8:])) != pageSize || le.Uint64(m[56:]) != h.Sum64() {
		return nil
	}
	p := &pageMeta{root: le.Uint64(m[16:]), freelist: le.Uint64(m[32:]), end: le.Uint64(m[40:]), txid: le.Uint64(m[48:])}
	if p.end < 4 || p.end > 1<<40 {
		return nil
	}
	return p
}

// newest is the head that counts.
func (f *pageFile) newest() *pageMeta {
	a, b := f.metas[0], f.metas[1]
	if a == nil || (b != nil && b.txid > a.txid) {
		return b
	}
	return a
}

// older is the other head; nil if it is not valid.
func (f *pageFile) older() *pageMeta {
	if f.newest() == f.metas[0] {
		return f.metas[1]
	}
	return f.metas[0]
}

// walk goes through everything that a head reaches: visit gets every key and value with the path of its bucket, in the
// order of the keys, and they hold only until it returns; bad gets every finding. What a finding covers is left out and the rest is gone on with. It returns
// early with the error of visit, of bad or of reading.
type walk struct {
	f     *pageFile
	meta  *pageMeta
	seen  []uint64 // one bit per page
	bufs  [][]byte // a page for each depth
	stray bool     // pages are visited as they lie, not by the tree
	visit func(path []string, key, value []byte) error
	bad   func(string) error
}

func (f *pageFile) walk(m *pageMeta, visit func(path []string, key, value []byte) error, bad func(string) error) error {
	w := &walk{f: f, meta: m, visit: visit, bad: bad}
	if need := int64(m.end) * f.pageSize; f.size < need {
		if err := bad(fmt.Sprintf("the file ends at %d of %d bytes", f.size, need)); err != nil {
			return err
		}
	}
	w.seen = make([]uint64, min(m.end, uint64(f.size/f.pageSize)+1)/64+1)
	w.take(0, 2)
	if err := w.tree(m.root, nil, nil, 0); err != nil {
		return err
	}
	return w.freelist()
}

// strays visits every record of every leaf page in the file, reachable or not, in no order and without its path: what a
// broken branch hides, and what earlier transactions have left behind.
func (f *pageFile) strays(visit func(key, value []byte) error) error {
	end := uint64(f.size / f.pageSize)
	w := &walk{f: f, meta: &pageMeta{end: end}, seen: make([]uint64, end/64+1), stray: true}
	w.visit = func(_ []string, key, value []byte) error { return visit(key, value) }
	w.bad = func(string) error { return nil }
	for id := uint64(2); id < end; id++ {
		b, finding, err := w.page(id, 0)
		if err != nil {
			return err
		}
		if finding == "" && binary.LittleEndian.Uint16(b[8:]) == flagLeaf {
			if err := w.leaf("", b, nil, nil, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// take marks pages; false if one of them was met before or is outside.
func (w *walk) take(id, count uint64) bool {
	if count == 0 || id+count > w.meta.end || id+count < id || (id+count-1)/64 >= uint64(len(w.seen)) {
		return false
	}
	if w.stray {
		return true
	}
	for i := id; i < id+count; i++ {
		if w.seen[i/64]&(1<<(i%64)) != 0 {
			return false
		}
		w.seen[i/64] |= 1 << (i % 64)
	}
	return true
}

// page reads a page with its overflow. It holds until the next page of the same depth is read.
func (w *walk) page(id uint64, depth int) ([]byte, string, error) {
	if id < 2 || id >= w.meta.end {
		return nil, fmt.Sprintf("page %d is outside of the file's %d", id, w.meta.end), nil
	}
	for len(w.bufs) <= depth {
		w.bufs = append(w.bufs, make([]byte, w.f.pageSize))
	}
	head := w.bufs[depth]
	if n, err := w.f.r.ReadAt(head, int64(id)*w.f.pageSize); int64(n) < w.f.pageSize {
		if err == io.EOF {
			return nil, fmt.Sprintf("page %d is behind the end of the file", id), nil
		}
		return nil, "", fmt.Errorf("read page %d: %w", id, err)
	}
	le := binary.LittleEndian
	if got := le.Uint64(head); got != id {
		return nil, fmt.Sprintf("page %d says that it is page %d", id, got), nil
	}
	count := uint64(le.Uint32(head[12:])) + 1
	if !w.take(id, count) {
		return nil, fmt.Sprintf("page %d with %d more is used twice or runs out of the file", id, count-1), nil
	}
	if count == 1 {
		return head, "", nil
	}
	all := make([]byte, int64(count)*w.f.pageSize)
	if n, err := w.f.r.ReadAt(all, int64(id)*w.f.pageSize); n < len(all) {
		if err == io.EOF {
			return nil, fmt.Sprintf("page %d runs behind the end of the file", id), nil
		}
		return nil, "", fmt.Errorf("read page %d: %w", id, err)
	}
	return all, "", nil
}

// tree goes through a tree of pages; all its keys are at least low.
func (w *walk) tree(id uint64, path []string, low []byte, depth int) error {
	if depth > maxDepth {
		return w.bad(fmt.Sprintf("page %d: the tree is deeper than %d", id, maxDepth))
	}
	b, finding, err := w.page(id, depth)
	if err != nil {
		return err
	}
	if finding != "" {
		return w.bad(finding)
	}
	switch flags := binary.LittleEndian.Uint16(b[8:]); flags {
	case flagBranch:
		return w.branch(id, b, path, low, depth)
	case flagLeaf:
		return w.leaf(fmt.Sprintf("page %d", id), b, path, low, depth)
	default:
		return w.bad(fmt.Sprintf("page %d has flags %#x, which is neither branch nor leaf", id, flags))
	}
}

func (w *walk) branch(id uint64, b []byte, path []string, low []byte, depth int) error {
	le := binary.LittleEndian
	count := int(le.Uint16(b[10:]))
	if count == 0 || pageHeader+count*16 > len(b) {
		return w.bad(fmt.Sprintf("page %d: a branch of %d elements", id, count))
	}
	prev := low
	for i := range count {
		at := pageHeader + i*16
		key, ok := slice(b, at, le.Uint32(b[at:]), le.Uint32(b[at+4:]))
		if !ok || (i > 0 && bytes.Compare(key, prev) <= 0) || bytes.Compare(key, prev) < 0 {
			if err := w.bad(fmt.Sprintf("page %d: key %d is out of place", id, i)); err != nil {
				return err
			}
			key = prev
		}
		prev = key
		if err := w.tree(le.Uint64(b[at+8:]), path, key, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) leaf(name string, b []byte, path []string, low []byte, depth int) error {
	le := binary.LittleEndian
	count := int(le.Uint16(b[10:]))
	if pageHeader+count*16 > len(b) {
		return w.bad(fmt.Sprintf("%s: a leaf of %d elements", name, count))
	}
	prev, first := low, true
	for i := range count {
		at := pageHeader + i*16
		pos, ks, vs := le.Uint32(b[at+4:]), le.Uint32(b[at+8:]), le.Uint32(b[at+12:])
		key, ok := slice(b, at, pos, ks)
		value, ok2 := slice(b, at, pos+ks, vs)
		if !ok || !ok2 || pos+ks < pos {
			if err := w.bad(fmt.Sprintf("%s: element %d runs out of its page", name, i)); err != nil {
				return err
			}
			continue
		}
		if c := bytes.Compare(key, prev); c < 0 || (c == 0 && !first) {
			if err := w.bad(fmt.Sprintf("%s: key %d is out of order", name, i)); err != nil {
				return err
			}
		} else {
			prev, first = key, false
		}
		if le.Uint32(b[at:])&1 == 0 {
			if err := w.visit(path, key, value); err != nil {
				return err
			}
			continue
		}
		if err := w.bucket(name, key, value, path, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) bucket(name string, key, value []byte, path []string, depth int) error {
	if len(value) < 16 || depth > maxDepth {
		return w.bad(fmt.Sprintf("%s: a bucket of %d bytes", name, len(value)))
	}
	path = append(slices.Clip(path), string(key))
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		if w.stray {
			return nil
		}
		return w.tree(root, path, nil, depth+1)
	}
	inline := value[16:]
	if len(inline) < pageHeader || binary.LittleEndian.Uint16(inline[8:]) != flagLeaf {
		return w.bad(fmt.Sprintf("%s: a bucket inside it is not a leaf", name))
	}
	return w.leaf(name+" (inside)", inline, path, nil, depth+1)
}

// slice cuts b[at+pos : at+pos+size] if it is there.
func slice(b []byte, at int, pos, size uint32) ([]byte, bool) {
	lo, n := int64(at)+int64(pos), int64(size)
	if lo+n > int64(len(b)) {
		return nil, false
	}
	return b[lo : lo+n : lo+n], true
}

// freelist checks that the free pages are none of those in use and that no page is neither: a page that is wrongly free
// is overwritten by a later commit.
func (w *walk) freelist() error {
	if w.meta.freelist == noFreelist {
		return nil
	}
	b, finding, err := w.page(w.meta.freelist, 0)
	if err != nil {
		return err
	}
	if finding != "" {
		return w.bad("list of free pages: " + finding)
	}
	le := binary.LittleEndian
	if le.Uint16(b[8:]) != flagFree {
		return w.bad(fmt.Sprintf("page %d is not the list of free pages", w.meta.freelist))
	}
	count, ids := uint64(le.Uint16(b[10:])), b[pageHeader:]
	if count == 0xFFFF {
		count, ids = le.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return w.bad(fmt.Sprintf("list of free pages: %d of them do not fit", count))
	}
	for i := range count {
		if id := le.Uint64(ids[i*8:]); id < 2 || !w.take(id, 1) {
			if err := w.bad(fmt.Sprintf("page %d is listed as free and is in use, free twice or not there", id)); err != nil {
				return err
			}
		}
	}
	for id := range min(w.meta.end, uint64(len(w.seen))*64) {
		if w.seen[id/64]&(1<<(id%64)) == 0 {
			if err := w.bad(fmt.Sprintf("page %d is neither in use nor free", id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucketOf is the name under which values of a bucket are sealed; segments of the journal share one.
func bucketOf(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[0]
}

// verifyFile reads the whole file and returns an error of [ErrCorrupt] with the first finding: structure and checksums,
// not sense; for that see [CheckFile].
func verifyFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	p, err := newPageFile(f, size)
	if err != nil {
		return err
	}
	if p.older() == nil {
		return fmt.Errorf("%w: one of the file's two heads is not valid: its last transaction may be lost", ErrCorrupt)
	}
	return p.walk(p.newest(), func(path []string, key, value []byte) error {
		if !sealed(bucketOf(path), key, value) {
			return fmt.Errorf("%w: checksum of %s does not hold", ErrCorrupt, describeKey(bucketOf(path), key))
		}
		return nil
	}, func(finding string) error { return fmt.Errorf("%w: %s", ErrCorrupt, finding) })
}
