// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"calleridp/provider/audit"
)

// Finding is what Verify has to say of one place.
type Finding struct {
	File string `json:"file,omitempty"` // "": of the whole chain
	Line int    `json:"line,omitempty"` // in the file, from 1; 0: of the whole file
	Text string `json:"text"`
}

func (f Finding) String() string {
	switch {
	case f.File == "":
		return f.Text
	case f.Line == 0:
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// Report is what Verify has found of one chain.
type Report struct {
	Server string    `json:"server"`
	Files  int       `json:"files"`
	Lines  int       `json:"lines"` // genuine ones
	First  uint64    `json:"first"` // number of the first line
	Last   uint64    `json:"last"`
	From   time.Time `json:"from,omitzero"` // time of the first line
	To     time.Time `json:"to,omitzero"`
	// Head is what the store knows of the chain; nil: nothing, or it was not asked.
	Head *Head `json:"head,omitempty"`

	Problems []Finding `json:"problems"` // what was changed, or is missing
	Notes    []Finding `json:"notes"`    // what the server itself has declared
	More     int       `json:"more"`     // problems beyond the first of them
}

// storeBehind is how much older than the newest line a head may be. A server tells the store
// every headEvery; after a crash, lines of so long follow the head.
const storeBehind = time.Minute

// mostProblems bounds how many problems a report lists.
const mostProblems = 100

// Verification is what Verify needs.
type Verification struct {
	Key Key
	Dir string
	// Heads are those of the store, taken before the files are read. If nil, the store is
	// not asked, and lines that were cut off at the end are not missed.
	Heads []Head
	// Whole means that Dir must have the files of every chain in Heads: there is one folder
	// only. Otherwise that of Server must be there.
	Whole  bool
	Server string
}

// Verify reads all files of a folder and returns a report of each chain, in the order of
// their servers. The error is one of reading; what is wrong with the lines is in the
// reports.
func Verify(ctx context.Context, v Verification) ([]Report, error) {
	chains, err := list(v.Dir)
	if errors.Is(err, os.ErrNotExist) && len(v.Heads) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	var reports []Report
	for server, files := range chains {
		c := chain{v: v, report: Report{Server: server, Files: len(files)}}
		if err := c.verify(ctx, files); err != nil {
			return nil, err
		}
		reports = append(reports, c.report)
	}
	for _, h := range v.Heads {
		if len(chains[h.Server]) > 0 {
			continue
		}
		c := chain{v: v, report: Report{Server: h.Server, Head: &h}}
		if v.Whole || h.Server == v.Server {
			c.problem(Finding{Text: fmt.Sprintf("lines %d to %d are missing: there is no file of this server; the store has seen line %d at %s",
				h.First, h.Seq, h.Seq, h.Time.UTC().Format(time.RFC3339))})
		} else {
			c.note(Finding{Text: fmt.Sprintf("not verified: the files of this server are in another folder, its own, up to line %d or later", h.Seq)})
		}
		reports = append(reports, c.report)
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Server, b.Server) })
	return reports, nil
}

// chain verifies the lines of one server.
type chain struct {
	v      Verification
	report Report
	head   *Head

	at      place // the last genuine line
	begun   bool  // there was one
	closed  bool  // it says that the server stopped
	foreign int   // lines since then that are not genuine
	torn    map[string]torn
	seen    bool // the head's line
}

func (c *chain) problem(f Finding) {
	if len(c.report.Problems) == mostProblems {
		c.report.More++
		return
	}
	c.report.Problems = append(c.report.Problems, f)
}

func (c *chain) note(f Finding) { c.report.Notes = append(c.report.Notes, f) }

func (c *chain) verify(ctx context.Context, files []file) error {
	if i := slices.IndexFunc(c.v.Heads, func(h Head) bool { return h.Server == c.report.Server }); i >= 0 {
		c.head = &c.v.Heads[i]
		c.report.Head = c.head
	}
	if err := c.declarations(files); err != nil {
		return err
	}
	for i, is := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.file(is, i == len(files)-1); err != nil {
			return err
		}
	}
	c.report.Last = c.at.seq
	c.ends()
	return nil
}

// declarations reads which torn ends the first lines of files declare.
func (c *chain) declarations(files []file) error {
	c.torn = map[string]torn{}
	for _, is := range files {
		f, err := os.Open(path(c.v.Dir, is))
		if err != nil {
			return err
		}
		s := newScanner(f)
		if s.scan() && s.whole {
			if l, err := genuine(c.v.Key, s.text); err == nil && l.Event == audit.FileBegun && l.Server == is.server {
				for _, t := range l.Torn {
					c.torn[t.File] = t
				}
			}
		}
		f.Close()
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

// file verifies the lines of a file.
func (c *chain) file(is file, newest bool) error {
	f, err := os.Open(path(c.v.Dir, is))
	if err != nil {
		return err
	}
	defer f.Close()
	declared, ends := c.torn[is.name]
	s := newScanner(f)
	n := 0
	for s.scan() {
		n++
		where := Finding{File: is.name, Line: n}
		if ends && s.at >= declared.At {
			return c.tornEnd(f, is, declared, where)
		}
		switch l, err := genuine(c.v.Key, s.text); {
		case !s.whole && !s.long && newest && !c.closed:
			where.Text = "an unfinished line at the end, as after a crash; the next start declares it"
			c.note(where)
		case !s.whole || err != nil || l.Server != is.server:
			where.Text = "changed, or written by another program"
			c.problem(where)
			c.foreign++
		default:
			c.line(l, is, where)
		}
	}
	if s.err == nil && ends { // it is shorter than it was
		c.problem(Finding{File: is.name, Text: fmt.Sprintf("its end is missing: after a crash it had %d bytes from offset %d on that were no line", declared.Bytes, declared.At)})
	}
	if n == 0 {
		c.note(Finding{File: is.name, Text: "is empty"})
	}
	return s.err
}

// line verifies how a genuine line follows the one before it.
func (c *chain) line(l line, is file, where Finding) {
	first := where.Line == 1
	if first != (l.Event == audit.FileBegun) || first && l.File != is.name {
		where.Text = "does not belong here: it is a line of another place, or the file was renamed or has lost its first line"
		c.problem(where)
	}
	switch missing := int64(l.Seq - c.at.seq - 1); {
	case !c.begun:
		c.report.First, c.report.From = l.Seq, l.Time
		if c.head != nil && l.Seq > max(c.head.First, 1) {
			where.Text = fmt.Sprintf("lines %d to %d are missing before this one", max(c.head.First, 1), l.Seq-1)
			c.problem(where)
		}
	case l.Seq <= c.at.seq:
		where.Text = fmt.Sprintf("line %d again or out of order, after line %d", l.Seq, c.at.seq)
		c.problem(where)
		c.foreign = 0
		return
	case missing > int64(c.foreign):
		where.Text = fmt.Sprintf("lines %d to %d are missing before this one", c.at.seq+1, l.Seq-1)
		c.problem(where)
	case missing < int64(c.foreign): // more than the changed lines: inserted ones; each is a problem already
	case missing == 0 && l.Prev != c.at.mac:
		where.Text = fmt.Sprintf("does not follow this line %d but another one: two servers have written this chain, or one with an older store", c.at.seq)
		c.problem(where)
	}
	c.begun, c.foreign, c.closed = true, 0, l.Event == audit.Closed
	c.at = l.place
	c.report.Lines++
	c.report.To = l.Time
	if c.head != nil && l.Seq == c.head.Seq {
		c.seen = true
		if l.mac != c.head.mac() {
			where.Text = fmt.Sprintf("is another line %d than the one that the store has seen", l.Seq)
			c.problem(where)
		}
	}
	switch l.Event {
	case audit.Lost:
		where.Text = "says that lines were lost before it"
		c.note(where)
	case audit.Gap:
		where.Text = "says that the server found lines missing when it started"
		c.note(where)
	case audit.Restored:
		where.Text = fmt.Sprintf("says that the store was restored from the backup of %s, which knew line %d; the files had line %d. Lines that were cut off behind that one before are not missed",
			l.Taken.UTC().Format(time.RFC3339), l.Known, l.Found)
		c.note(where)
	}
}

// tornEnd compares what was torn with what the server has declared of it.
func (c *chain) tornEnd(f *os.File, is file, declared torn, where Finding) error {
	if _, err := f.Seek(declared.At, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if n != declared.Bytes || base64.RawURLEncoding.EncodeToString(sum.Sum(nil)) != declared.SHA256 {
		where.Text = "what a crash has left here was changed"
		c.problem(where)
		return nil
	}
	where.Text = fmt.Sprintf("%d bytes that a crash has left, as the server has declared", n)
	c.note(where)
	return nil
}

// ends verifies that no line is missing at the end, as far as the store knows.
func (c *chain) ends() {
	if c.head != nil && c.at.seq > c.head.Seq && c.report.To.Sub(c.head.Time) > storeBehind {
		c.note(Finding{Text: fmt.Sprintf("the store is older than the files: it knows line %d, of %s. It was restored from a backup, or could not be written. Lines that were cut off behind line %d are not missed",
			c.head.Seq, c.head.Time.UTC().Format(time.RFC3339), c.at.seq)})
	}
	switch {
	case c.v.Heads == nil:
		return
	case c.head == nil && c.report.Lines > 0:
		c.note(Finding{Text: "the store knows nothing of this server; lines may be missing at the end"})
	case c.head == nil:
	case c.at.seq < c.head.Seq:
		c.problem(Finding{Text: fmt.Sprintf("lines %d to %d are missing at the end: the store has seen line %d at %s",
			c.at.seq+1, c.head.Seq, c.head.Seq, c.head.Time.UTC().Format(time.RFC3339))})
	case !c.seen && c.begun && c.head.Seq >= c.report.First && len(c.report.Problems) == 0:
		c.problem(Finding{Text: fmt.Sprintf("line %d, which the store has seen, is missing", c.head.Seq)})
	}
}
