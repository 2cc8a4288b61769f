package ui

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
)

// A block is a part of a page that is the same for everybody, compressed once.
//
// The rest of the page is sent as it is, in stored blocks of the same gzip
// stream (RFC 1951 §3.2.4). That costs nothing at each request, and an attacker
// who sees how long an answer is, and can put text of his own into it, learns
// nothing: neither secrets nor what somebody typed are ever compressed (BREACH).
type block struct {
	plain, deflated []byte
}

func newBlock(text string) *block {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // there is such a level
	}
	w.Write([]byte(text)) // a bytes.Buffer takes everything
	w.Flush()             // ends at a byte, and the stream goes on
	return &block{plain: []byte(text), deflated: b.Bytes()}
}

// write sends a page with its block at the mark. An operator's own template may
// have no use for it.
func (b *block) write(w http.ResponseWriter, r *http.Request, status int, page []byte) {
	before, after, marked := bytes.Cut(page, []byte(blockMark))
	if !marked {
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
		b.zip(out, before, after)
	} else {
		out.Write(before)
		out.Write(b.plain)
		out.Write(after)
	}
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	w.Write(out.Bytes()) // an error means that the browser has gone
}

// zip makes one gzip member (RFC 1952 §2.3) of a page.
func (b *block) zip(out *bytes.Buffer, before, after []byte) {
	out.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}) // deflate; no name, no time, no system
	store(out, before)
	out.Write(b.deflated)
	store(out, after)
	out.Write([]byte{1, 0, 0, 0xff, 0xff}) // the last block, empty
	sum := crc32.ChecksumIEEE(before)
	sum = crc32.Update(sum, crc32.IEEETable, b.plain)
	sum = crc32.Update(sum, crc32.IEEETable, after)
	var trailer [8]byte
	binary.LittleEndian.PutUint32(trailer[:], sum)
	binary.LittleEndian.PutUint32(trailer[4:], uint32(len(before)+len(b.plain)+len(after)))
	out.Write(trailer[:])
}

// store writes text in stored blocks, which hold at most 65535 bytes each.
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

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3).
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
