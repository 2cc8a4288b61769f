// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

// Marks are where a page's blocks go: a zero byte and the block's name. No value on a page
// contains this byte, because html/template replaces it.
const (
	countriesMark template.HTML = "\x00c"
	languagesMark template.HTML = "\x00l"
)

// blocks holds the blocks of a page by their names: the second bytes of their marks.
type blocks map[byte]*block

// block is a part of a page that is the same for every user, compressed once.
//
// The rest of the page is sent uncompressed, in stored blocks of the same gzip stream
// (RFC 1951 §3.2.4). That costs nothing at each request. It also defeats BREACH: an
// attacker who sees the length of a response, and can put text into the page, learns
// nothing, because no secret and no text of a user's is ever compressed.
type block struct {
	plain, deflated []byte
}

func newBlock(text string) *block {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // cannot happen: the level exists
	}
	w.Write([]byte(text)) // writing to a bytes.Buffer cannot fail
	w.Flush()             // to a byte boundary; the stream goes on
	return &block{plain: []byte(text), deflated: b.Bytes()}
}

// write sends a page with its blocks at their marks. An operator's template may leave a
// block out.
func (bs blocks) write(w http.ResponseWriter, r *http.Request, status int, page []byte) {
	if bytes.IndexByte(page, 0) < 0 {
		w.WriteHeader(status)
		w.Write(page) // an error means that the browser has gone
		return
	}
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	out := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(out)
	out.Reset()
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		bs.zip(out, page)
	} else {
		bs.parts(page, func(text []byte) { out.Write(text) }, func(b *block) { out.Write(b.plain) })
	}
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	w.Write(out.Bytes()) // an error means that the browser has gone
}

// parts calls text with what stands between the marks of a page, and shared with the blocks,
// in the page's order.
func (bs blocks) parts(page []byte, text func([]byte), shared func(*block)) {
	for {
		before, rest, marked := bytes.Cut(page, []byte{0})
		text(before)
		if !marked {
			return
		}
		if len(rest) > 0 && bs[rest[0]] != nil {
			shared(bs[rest[0]])
			rest = rest[1:]
		}
		page = rest
	}
}

// zip writes a page as one gzip member (RFC 1952 §2.3).
func (bs blocks) zip(out *bytes.Buffer, page []byte) {
	out.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}) // deflate, without name, time and system
	sum, length := uint32(0), 0
	add := func(text []byte) { sum, length = crc32.Update(sum, crc32.IEEETable, text), length+len(text) }
	bs.parts(page, func(text []byte) {
		store(out, text)
		add(text)
	}, func(b *block) {
		out.Write(b.deflated)
		add(b.plain)
	})
	out.Write([]byte{1, 0, 0, 0xff, 0xff}) // the last block, empty
	var trailer [8]byte
	binary.LittleEndian.PutUint32(trailer[:], sum)
	binary.LittleEndian.PutUint32(trailer[4:], uint32(length))
	out.Write(trailer[:])
}

// store writes text as stored blocks of at most 65535 bytes.
func store(out *bytes.Buffer, text []byte) {
	for len(text) > 0 {
		n := min(len(text), 0xffff)
		var header [5]byte
		binary.LittleEndian.PutUint16(header[1:], uint16(n))
		binary.LittleEndian.PutUint16(header[3:], ^uint16(n))
		out.Write(header[:])
		out.Write(text[:n])
		text = text[n:]
	}
}

// acceptsGzip parses Accept-Encoding (RFC 9110 §12.5.3).
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}
