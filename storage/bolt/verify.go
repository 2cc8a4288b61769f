// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// Before bbolt maps a file, verify reads every page that the newest commit can
// reach. bbolt trusts what it maps: a wrong length or reference in there is a
// panic, often in a goroutine of its own, and then the end of the process.
// Whatever passes verify, bbolt can read and change. bbolt reads the same pages
// at the start to find the free ones, and then finds them in memory: verify has
// read the file once in order (readInOrder).
//
// The layout is bbolt's, in the byte order of the machine. A page has a header of
// 16 bytes (id, flags, count, overflow) and a table of elements of 16 bytes each,
// whose positions count from the element itself. Keys and values follow.

const (
	pageHeader  = 16
	elementSize = 16
	metaSize    = 64

	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	bucketFlag   = 0x01 // of a leaf's element

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)

	minPageSize, maxPageSize = 1 << 10, 1 << 24
	maxKeySize               = 32768
	maxDepth                 = 64
)

// metaPage is what a meta page says about one commit.
type metaPage struct {
	pageSize int64
	root     uint64 // page of the root bucket
	freelist uint64
	end      uint64 // the first page that was never used (high-water mark)
	txid     uint64
}

// errNoMeta is for bytes that never were a meta page.
var errNoMeta = errors.New("no meta page")

// parseMeta reads a meta page, without its page header.
func parseMeta(b []byte) (metaPage, error) {
	order := binary.NativeEndian
	if len(b) < metaSize || order.Uint32(b) != metaMagic {
		return metaPage{}, errNoMeta
	}
	sum := fnv.New64a()
	sum.Write(b[:56])
	m := metaPage{
		pageSize: int64(order.Uint32(b[8:])),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		end:      order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
	}
	switch {
	case order.Uint64(b[56:]) != sum.Sum64():
		return metaPage{}, errors.New("its checksum is wrong")
	case order.Uint32(b[4:]) != metaVersion:
		return metaPage{}, fmt.Errorf("its format is %d, not %d", order.Uint32(b[4:]), metaVersion)
	case m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0:
		return metaPage{}, fmt.Errorf("its page size is %d", m.pageSize)
	}
	return m, nil
}

// verifier walks the pages of a file.
type verifier struct {
	file  io.ReaderAt
	size  int64
	meta  metaPage
	seen  []uint64 // a bit for each page that something refers to
	pages [][]byte // one buffer for each level of the walk
}

// verify returns an error that wraps ErrDamaged or ErrForeignFile if bbolt could
// not work with the file. spare says why one of the two meta pages is unusable,
// nil if both are fine: the file is then that of the commit which the other names.
func verify(file io.ReaderAt, size int64) (spare, err error) {
	v := &verifier{file: file, size: size}
	if spare, err = v.findMeta(); err != nil {
		return nil, err
	}
	if err := v.verifyTree(); err != nil {
		return nil, fmt.Errorf("%w (%v)", ErrDamaged, err)
	}
	return spare, nil
}

// metaAt reads the meta page at an offset.
func (v *verifier) metaAt(offset int64) (metaPage, error) {
	b := make([]byte, pageHeader+metaSize)
	n, err := v.file.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return metaPage{}, err
	}
	if n < len(b) {
		return metaPage{}, errNoMeta
	}
	return parseMeta(b[pageHeader:])
}

// findMeta finds the meta page that bbolt will use: of those that are valid, the
// one of the later commit. The first is at the start of the file, the second one
// page later; without the first, the size of a page is not known.
func (v *verifier) findMeta() (spare, err error) {
	first, err0 := v.metaAt(0)
	if err0 == nil {
		second, err1 := v.metaAt(first.pageSize)
		if v.meta = first; err1 == nil && second.txid > first.txid {
			v.meta = second
		}
		if err1 != nil {
			return fmt.Errorf("meta page 1: %w", err1), nil
		}
		return nil, nil
	}
	reason := err0
	for at := int64(minPageSize); at <= maxPageSize && at < v.size; at *= 2 {
		second, err := v.metaAt(at)
		if err == nil && second.pageSize == at {
			v.meta = second
			return fmt.Errorf("meta page 0: %w", err0), nil
		}
		if errors.Is(reason, errNoMeta) && err != nil {
			reason = err
		}
	}
	if errors.Is(reason, errNoMeta) {
		return nil, fmt.Errorf("%w, or is damaged (%v)", ErrForeignFile, reason)
	}
	return nil, fmt.Errorf("%w (neither meta page is usable: %v)", ErrDamaged, reason)
}

// verifyTree verifies everything that the chosen meta page leads to.
func (v *verifier) verifyTree() error {
	m := v.meta
	if m.end < 2 || m.end > uint64(v.size/m.pageSize) {
		return fmt.Errorf("the file is cut off: it has %d bytes, and the last commit needs %d pages of %d", v.size, m.end, m.pageSize)
	}
	v.seen = make([]uint64, m.end/64+1)
	if err := v.tree(m.root, nil, nil, 0); err != nil {
		return err
	}
	if m.freelist == noFreelist { // as this package writes it
		return nil
	}
	return v.freelist(m.freelist)
}

// page reads a page with its overflow, each at most once.
func (v *verifier) page(id uint64, depth int) (flags uint16, count int, b []byte, err error) {
	if depth > maxDepth {
		return 0, 0, nil, fmt.Errorf("page %d is nested too deep", id)
	}
	if id < 2 || id >= v.meta.end {
		return 0, 0, nil, fmt.Errorf("page %d is referred to and does not exist", id)
	}
	for len(v.pages) <= depth {
		v.pages = append(v.pages, make([]byte, v.meta.pageSize))
	}
	b = v.pages[depth]
	if err := v.read(b[:v.meta.pageSize], id); err != nil {
		return 0, 0, nil, err
	}
	order := binary.NativeEndian
	if got := order.Uint64(b); got != id {
		return 0, 0, nil, fmt.Errorf("page %d says that it is page %d", id, got)
	}
	pages := 1 + uint64(order.Uint32(b[12:]))
	if pages > v.meta.end-id {
		return 0, 0, nil, fmt.Errorf("page %d goes on behind the end", id)
	}
	for i := id; i < id+pages; i++ {
		if v.seen[i/64]&(1<<(i%64)) != 0 {
			return 0, 0, nil, fmt.Errorf("page %d is referred to twice", i)
		}
		v.seen[i/64] |= 1 << (i % 64)
	}
	whole := int64(pages) * v.meta.pageSize
	if whole > int64(len(b)) {
		b = make([]byte, whole)
		v.pages[depth] = b
	}
	b = b[:whole]
	if pages > 1 {
		if err := v.read(b, id); err != nil {
			return 0, 0, nil, err
		}
	}
	return order.Uint16(b[8:]), int(order.Uint16(b[10:])), b, nil
}

func (v *verifier) read(b []byte, id uint64) error {
	if _, err := v.file.ReadAt(b, int64(id)*v.meta.pageSize); err != nil {
		return fmt.Errorf("page %d cannot be read: %w", id, err)
	}
	return nil
}

// tree verifies a page and those below it. Its first key is first, and its keys are
// before high; nil stands for any.
func (v *verifier) tree(id uint64, first, high []byte, depth int) error {
	flags, count, b, err := v.page(id, depth)
	if err != nil {
		return err
	}
	switch flags {
	case branchFlag:
		err = v.branch(b, count, first, high, depth)
	case leafFlag:
		err = v.leaf(b, count, first, high, depth)
	default:
		err = fmt.Errorf("its type is %#x", flags)
	}
	if err != nil && !errors.As(err, new(inPage)) {
		err = inPage{id, err}
	}
	return err
}

// inPage says in which page something is wrong.
type inPage struct {
	id  uint64
	err error
}

func (e inPage) Error() string { return fmt.Sprintf("page %d: %v", e.id, e.err) }
func (e inPage) Unwrap() error { return e.err }

// element returns the bytes of the element i of a page, from its key on.
func element(b []byte, i, count int, pos uint32, sizes ...uint32) ([]byte, error) {
	start := uint64(pageHeader+i*elementSize) + uint64(pos)
	end := start
	for _, size := range sizes {
		end += uint64(size)
	}
	if start < uint64(pageHeader+count*elementSize) || end > uint64(len(b)) {
		return nil, fmt.Errorf("element %d is outside of it", i)
	}
	return b[start:end], nil
}

// table returns the table of elements of a page.
func table(b []byte, count int) ([]byte, error) {
	end := pageHeader + count*elementSize
	if end > len(b) {
		return nil, fmt.Errorf("it cannot have %d elements", count)
	}
	return b[pageHeader:end], nil
}

// inOrder returns an error unless previous < key < high, and the first key is that
// by which the page above names it: bbolt replaces that entry when the page changes.
func inOrder(i int, key, previous, first, high []byte) error {
	switch {
	case len(key) == 0 || len(key) > maxKeySize:
		return fmt.Errorf("element %d has a key of %d bytes", i, len(key))
	case i > 0 && bytes.Compare(previous, key) >= 0,
		i == 0 && first != nil && !bytes.Equal(first, key),
		high != nil && bytes.Compare(key, high) >= 0:
		return fmt.Errorf("element %d is out of order", i)
	}
	return nil
}

func (v *verifier) branch(b []byte, count int, first, high []byte, depth int) error {
	elements, err := table(b, count)
	if err != nil {
		return err
	}
	if count == 0 {
		return errors.New("it leads nowhere")
	}
	order := binary.NativeEndian
	keys := make([][]byte, count)
	for i := range keys {
		e := elements[i*elementSize:]
		if keys[i], err = element(b, i, count, order.Uint32(e), order.Uint32(e[4:])); err != nil {
			return err
		}
		if err := inOrder(i, keys[i], keys[max(i-1, 0)], first, high); err != nil {
			return err
		}
	}
	for i, key := range keys {
		next := high
		if i+1 < count {
			next = keys[i+1]
		}
		if err := v.tree(order.Uint64(elements[i*elementSize+8:]), key, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) leaf(b []byte, count int, first, high []byte, depth int) error {
	elements, err := table(b, count)
	if err != nil {
		return err
	}
	if count == 0 && first != nil {
		return errors.New("it is empty")
	}
	order := binary.NativeEndian
	var previous []byte
	for i := range count {
		e := elements[i*elementSize:]
		flags, keySize := order.Uint32(e), order.Uint32(e[8:])
		kv, err := element(b, i, count, order.Uint32(e[4:]), keySize, order.Uint32(e[12:]))
		if err != nil {
			return err
		}
		key, value := kv[:keySize], kv[keySize:]
		if err := inOrder(i, key, previous, first, high); err != nil {
			return err
		}
		previous = key
		switch flags {
		case 0:
		case bucketFlag:
			err = v.bucket(value, depth)
		default:
			err = fmt.Errorf("element %d has the type %#x", i, flags)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket verifies the bucket in a leaf's value: its root page and its sequence
// number, and for a small bucket then a leaf page, instead of the root page.
func (v *verifier) bucket(value []byte, depth int) error {
	order := binary.NativeEndian
	if len(value) < 16 {
		return errors.New("a bucket in it is cut off")
	}
	if root := order.Uint64(value); root != 0 {
		return v.tree(root, nil, nil, depth+1)
	}
	inline := value[16:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafFlag || depth >= maxDepth {
		return errors.New("a small bucket in it has no leaf")
	}
	return v.leaf(inline, int(order.Uint16(inline[10:])), nil, nil, depth+1)
}

// freelist verifies a stored list of free pages. Only a file that nothing was
// committed to has one.
func (v *verifier) freelist(id uint64) error {
	flags, count, b, err := v.page(id, 0)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	list := b[pageHeader:]
	n := uint64(count)
	if flags == freelistFlag && count == 0xFFFF && len(list) >= 8 {
		n, list = order.Uint64(list), list[8:]
	}
	if flags != freelistFlag || n > uint64(len(list)/8) {
		return fmt.Errorf("page %d is not the list of free pages", id)
	}
	for i := range n {
		free := order.Uint64(list[i*8:])
		if free < 2 || free >= v.meta.end || v.seen[free/64]&(1<<(free%64)) != 0 {
			return fmt.Errorf("page %d is listed as free, and is not", free)
		}
		v.seen[free/64] |= 1 << (free % 64)
	}
	return nil
}

// inOrderAtMost bounds readInOrder: more than the memory of a small machine would
// push out what was read first.
const inOrderAtMost = 4 << 30

// readInOrder reads the file once from start to end, so that the system has it in
// memory. The walks through its pages would else read it from a cold disk in
// random order, which takes ten to thirty times as long.
func readInOrder(file io.ReaderAt, size int64) error {
	b := make([]byte, 1<<20)
	for at := int64(0); at < min(size, inOrderAtMost); at += int64(len(b)) {
		if _, err := file.ReadAt(b[:min(int64(len(b)), size-at)], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}
