// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"calleridp/provider/audit"
)

// Reader is an audit.Reader over the files of a folder, those of all servers in it. It is
// safe for concurrent use, also while a server writes them.
type Reader struct {
	dir string
	key Key
}

// NewReader returns a reader of a folder.
func NewReader(dir string, key Key) *Reader { return &Reader{dir, key} }

const (
	// mostLines is the largest page, and usualLines the one of a query without a limit.
	mostLines, usualLines = 1000, 100
	// mostLooked is how many lines are looked at for a page.
	mostLooked = 50_000
	// clockSlack is by how much a line may be older than one before it: clocks are set.
	clockSlack = 2 * time.Hour
)

// spot is where a page ended in a chain: in which file, and from which offset on it has
// everything.
type spot struct {
	First uint64 `json:"f"`
	At    int64  `json:"a"`
}

// Lines implements audit.Reader.
func (r *Reader) Lines(ctx context.Context, q audit.Query) (audit.Page, error) {
	if q.Limit <= 0 {
		q.Limit = usualLines
	}
	q.Limit = min(q.Limit, mostLines)
	spots, err := parseCursor(q.Cursor)
	if err != nil {
		return audit.Page{}, err
	}
	chains, err := list(r.dir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return audit.Page{}, err
	}
	var all []*backwards
	defer func() {
		for _, b := range all {
			b.close()
		}
	}()
	for _, server := range slices.Sorted(maps.Keys(chains)) {
		b := &backwards{r: r, q: q, m: newMatcher(q), files: chains[server], server: server}
		if s, ok := spots[server]; ok || q.Cursor != "" {
			if err := b.from(s); err != nil {
				return audit.Page{}, err
			}
		}
		all = append(all, b)
	}
	var page audit.Page
	looked := 0
	for len(page.Lines) < q.Limit && looked < mostLooked {
		if err := ctx.Err(); err != nil {
			return audit.Page{}, err
		}
		var newest *backwards
		for _, b := range all {
			n, err := b.fill(mostLooked - looked)
			looked += n
			if err != nil {
				return audit.Page{}, err
			}
			if b.has && (newest == nil || b.line.Time.After(newest.line.Time)) {
				newest = b
			}
		}
		if newest == nil {
			break
		}
		page.Lines = append(page.Lines, newest.take())
	}
	next := map[string]spot{}
	for _, b := range all {
		if !b.done || b.has {
			next[b.server] = b.spot()
		}
	}
	if len(next) > 0 {
		page.Next = formatCursor(next)
	}
	return page, nil
}

func formatCursor(spots map[string]spot) string {
	text, _ := json.Marshal(spots) // of texts and numbers
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseCursor returns where to go on, by server.
func parseCursor(cursor string) (map[string]spot, error) {
	if cursor == "" {
		return nil, nil
	}
	var spots map[string]spot
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(text, &spots) != nil {
		return nil, audit.ErrCursor
	}
	return spots, nil
}

// backwards reads a chain from its newest line to the oldest.
type backwards struct {
	r      *Reader
	q      audit.Query
	m      matcher
	server string
	files  []file // what is left, the newest last

	f     *os.File // of the last of files
	start int64    // offset of rest
	rest  []byte   // what was read and not looked at: up to the end of a line

	has  bool
	line audit.Line // if has: the next one
	size int64      // of line, with its end
	done bool
}

// from goes on where a page has ended.
func (b *backwards) from(s spot) error {
	for len(b.files) > 0 && b.files[len(b.files)-1].first > s.First {
		b.files = b.files[:len(b.files)-1]
	}
	if len(b.files) == 0 || b.files[len(b.files)-1].first != s.First { // it was removed meanwhile, or all was read
		return nil
	}
	if err := b.open(); err != nil || b.f == nil {
		return err
	}
	if s.At < 0 || s.At > b.start {
		return audit.ErrCursor
	}
	end := make([]byte, 1)
	if s.At > 0 {
		if _, err := b.f.ReadAt(end, s.At-1); err != nil {
			return err
		}
		if end[0] != '\n' {
			return audit.ErrCursor
		}
	}
	b.start = s.At
	return nil
}

// spot is where the next page goes on.
func (b *backwards) spot() spot {
	if len(b.files) == 0 {
		return spot{}
	}
	at := b.start + int64(len(b.rest))
	if b.has {
		at += b.size
	}
	if b.f == nil { // it was not opened yet
		at = 0
		if info, err := os.Stat(path(b.r.dir, b.files[len(b.files)-1])); err == nil {
			at = info.Size()
		}
	}
	return spot{b.files[len(b.files)-1].first, at}
}

func (b *backwards) take() audit.Line {
	b.has = false
	return b.line
}

// fill looks for the next line that is wanted, at most that many, and returns how many it
// looked at.
func (b *backwards) fill(most int) (looked int, err error) {
	for !b.has && !b.done && looked < most {
		text, ok, err := b.previous()
		if err != nil {
			return looked, err
		}
		if !ok {
			b.done = true
			break
		}
		looked++
		l, matches := b.m.match(text)
		if !matches { // an old line ends nothing: a slow clock, or an attacker, hides none before it
			continue
		}
		_, err = genuine(b.r.key, text)
		l.Genuine = err == nil && l.Server == b.server
		l.Text = bytes.Clone(text)
		b.line, b.has, b.size = l, true, int64(len(text))+1
	}
	return looked, nil
}

// open opens the last of files at its last whole line.
func (b *backwards) open() error {
	f, err := os.Open(path(b.r.dir, b.files[len(b.files)-1]))
	if errors.Is(err, os.ErrNotExist) { // it has just been removed
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	b.f, b.start, b.rest = f, info.Size(), nil
	return nil
}

func (b *backwards) close() {
	if b.f != nil {
		b.f.Close()
		b.f = nil
	}
}

// previous returns the line before, without its end. What has no end is none.
func (b *backwards) previous() (text []byte, ok bool, err error) {
	for {
		if b.f == nil {
			if len(b.files) == 0 {
				return nil, false, nil
			}
			if b.tooNew() {
				b.files = b.files[:len(b.files)-1]
				continue
			}
			if err := b.open(); err != nil {
				return nil, false, err
			}
			if b.f == nil {
				b.files = b.files[:len(b.files)-1]
				continue
			}
		}
		if text, ok := b.cut(); ok {
			if text == nil {
				continue
			}
			return text, true, nil
		}
		if b.start == 0 {
			b.close()
			b.rest, b.files = nil, b.files[:len(b.files)-1]
			continue
		}
		if err := b.more(); err != nil {
			return nil, false, err
		}
	}
}

// tooNew reports whether all lines of the next file are too new.
func (b *backwards) tooNew() bool {
	return !b.q.Until.IsZero() && b.files[len(b.files)-1].begun.After(b.q.Until.Add(clockSlack))
}

// cut takes the last line from rest. It returns nil for what is not a line.
func (b *backwards) cut() (text []byte, ok bool) {
	if len(b.rest) == 0 {
		return nil, false
	}
	if b.rest[len(b.rest)-1] != '\n' { // an unfinished line at the end of the file, or one that is too long
		i := bytes.LastIndexByte(b.rest, '\n')
		if i < 0 && b.start > 0 && len(b.rest) <= maxLine {
			return nil, false
		}
		b.rest = b.rest[:i+1]
		return nil, true
	}
	i := bytes.LastIndexByte(b.rest[:len(b.rest)-1], '\n')
	if i < 0 && b.start > 0 {
		if len(b.rest) <= maxLine+1 {
			return nil, false
		}
		b.rest = b.rest[:0]
		return nil, true
	}
	text = b.rest[i+1 : len(b.rest)-1]
	b.rest = b.rest[:i+1]
	return text, true
}

// more reads what is before rest.
func (b *backwards) more() error {
	n := min(b.start, maxLine)
	next := make([]byte, n, int(n)+len(b.rest))
	if _, err := b.f.ReadAt(next, b.start-n); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	b.start -= n
	b.rest = append(next, b.rest...)
	return nil
}

// matcher finds the lines that a query wants.
type matcher struct {
	q    audit.Query
	have [][]byte // texts that each of them has
}

func newMatcher(q audit.Query) matcher {
	m := matcher{q: q}
	for _, one := range [][2]string{{"client", q.Client}, {"sub", q.Subject}, {"operator", q.Operator}} {
		if one[1] != "" {
			m.have = append(m.have, appendText(fmt.Appendf(nil, "%q:", one[0]), one[1]))
		}
	}
	return m
}

// match reports whether a line is wanted.
func (m *matcher) match(text []byte) (l audit.Line, wanted bool) {
	if slices.ContainsFunc(m.have, func(t []byte) bool { return !bytes.Contains(text, t) }) {
		return audit.Line{}, false
	}
	var said struct {
		Seq      uint64     `json:"seq"`
		Time     time.Time  `json:"time"`
		Server   string     `json:"server"`
		Event    audit.Name `json:"event"`
		Client   string     `json:"client"`
		Subject  string     `json:"sub"`
		Operator string     `json:"operator"`
	}
	if json.Unmarshal(text, &said) != nil {
		return audit.Line{}, false
	}
	q := m.q
	wanted = (q.Since.IsZero() || !said.Time.Before(q.Since)) &&
		(q.Until.IsZero() || said.Time.Before(q.Until)) &&
		(q.Client == "" || q.Client == said.Client) &&
		(q.Subject == "" || q.Subject == said.Subject) &&
		(q.Operator == "" || q.Operator == said.Operator) &&
		(len(q.Events) == 0 || slices.ContainsFunc(q.Events, func(n audit.Name) bool {
			return n == said.Event || strings.HasSuffix(string(n), ".") && strings.HasPrefix(string(said.Event), string(n))
		}))
	return audit.Line{Server: said.Server, Seq: said.Seq, Time: said.Time, Event: said.Event}, wanted
}
