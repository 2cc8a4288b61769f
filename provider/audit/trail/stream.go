// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"calleridp/provider/audit"
)

// Stream is a captured stream of lines, as of standard output or syslog.
type Stream struct {
	Key  Key
	Name string // of the stream, in findings
	In   io.Reader
	// Heads are those of the store. If nil, the store is not asked, and lines that were cut
	// off at the end are not missed.
	Heads []Head
}

// lineBegin is how each line begins. Syslog writes its own text before it.
var lineBegin = []byte(`{"seq":`)

// VerifyStream reads a captured stream and returns a report of each chain in it, in the
// order of their servers. It skips and counts lines that are none of the audit, because
// containers mix standard output and standard error: without its line, a chain has a gap.
//
// A server without files begins its chain anew at each start, and the store does not know
// it. Lines that are missing at the end of such a run are noted only.
func VerifyStream(ctx context.Context, v Stream) ([]Report, error) {
	all := map[string]*streamed{}
	of := func(server string) *streamed {
		if all[server] == nil {
			s := &streamed{v: v, chain: chain{v: Verification{Heads: v.Heads}, report: Report{Server: server, Files: 1}}}
			if i := slices.IndexFunc(v.Heads, func(h Head) bool { return h.Server == server }); i >= 0 {
				s.head, s.report.Head = &v.Heads[i], &v.Heads[i]
			}
			all[server] = s
		}
		return all[server]
	}
	s := newScanner(v.In)
	n, others := 0, 0
	for s.scan() {
		n++
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		_, text, ours := bytes.Cut(s.text, lineBegin)
		if !ours {
			others++
			continue
		}
		text = slices.Concat(lineBegin, bytes.TrimSuffix(text, []byte("\r")))
		where := Finding{File: v.Name, Line: n}
		l, err := genuine(v.Key, text)
		if err != nil {
			where.Text = "changed, cut off, or written by another program"
			of("").problem(where)
			continue
		}
		of(l.Server).line(l, where)
	}
	if s.err != nil {
		return nil, s.err
	}
	var reports []Report
	for _, c := range all {
		c.report.Last = c.at.seq
		c.ends()
		reports = append(reports, c.report)
	}
	if others > 0 && len(reports) > 0 {
		reports[0].Notes = append(reports[0].Notes, Finding{File: v.Name, Text: fmt.Sprintf("%d lines are not of the audit", others)})
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Server, b.Server) })
	return reports, nil
}

// streamed verifies the lines of one server in a stream.
type streamed struct {
	chain
	v    Stream
	runs map[string]bool // the macs of the first lines of chains
}

// line verifies how a genuine line follows the one before it.
func (c *streamed) line(l line, where Finding) {
	begins := l.Seq == 1 && l.Prev == ""
	if begins && c.runs[l.mac] {
		where.Text = "a chain that is in the stream already comes again"
		c.problem(where)
	}
	switch {
	case !c.begun:
		c.report.First, c.report.From = l.Seq, l.Time
		if !begins {
			where.Text = fmt.Sprintf("the stream begins with line %d; those before are not in it", l.Seq)
			c.note(where)
		}
	case begins:
		c.runEnds(where)
	case l.Seq <= c.at.seq:
		where.Text = fmt.Sprintf("line %d again or out of order, after line %d", l.Seq, c.at.seq)
		c.problem(where)
		return
	case l.Seq > c.at.seq+1:
		where.Text = fmt.Sprintf("lines %d to %d are missing before this one", c.at.seq+1, l.Seq-1)
		c.problem(where)
	case l.Prev != c.at.mac:
		where.Text = fmt.Sprintf("does not follow this line %d but another one", c.at.seq)
		c.problem(where)
	}
	if begins {
		if c.runs == nil {
			c.runs = map[string]bool{}
		}
		c.runs[l.mac] = true
	}
	c.begun, c.closed, c.at = true, l.Event == audit.Closed, l.place
	c.report.Lines++
	c.report.To = l.Time
	if c.head != nil && l.Seq == c.head.Seq {
		c.seen = true
		if l.mac != c.head.mac() {
			where.Text = fmt.Sprintf("is another line %d than the one that the store has seen", l.Seq)
			c.problem(where)
		}
	}
	if l.Event == audit.Lost {
		where.Text = "says that lines were lost before it"
		c.note(where)
	}
}

// runEnds notes a run of which lines may be missing at the end.
func (c *streamed) runEnds(where Finding) {
	if c.closed {
		return
	}
	where.Text = fmt.Sprintf("the run before ended with line %d without audit.closed: after a crash, or lines are missing at its end", c.at.seq)
	c.note(where)
}

// ends verifies that no line is missing at the end, as far as the store knows.
func (c *streamed) ends() {
	switch {
	case c.report.Lines == 0:
	case c.head != nil && c.at.seq < c.head.Seq:
		c.problem(Finding{Text: fmt.Sprintf("lines %d to %d are missing at the end: the store has seen line %d at %s; for a stream that was captured before then, add --without-store",
			c.at.seq+1, c.head.Seq, c.head.Seq, c.head.Time.UTC().Format(time.RFC3339))})
	case c.head == nil && !c.closed:
		c.note(Finding{Text: "the stream ends without audit.closed, and the store does not know this chain: lines may be missing at the end"})
	}
}
