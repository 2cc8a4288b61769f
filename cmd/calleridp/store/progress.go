// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"calleridp/storage/transfer"
)

// progress shows how far a copy has come: on a terminal in one line that changes each
// second, elsewhere in a line every ten.
type progress struct {
	out      io.Writer
	terminal bool
	every    time.Duration
	shown    time.Time
	open     bool // the line on the terminal has not ended
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	p := &progress{out: out, terminal: terminal, every: 10 * time.Second}
	if terminal {
		p.every = time.Second
	}
	return p
}

// show shows a state, unless the last one was shown a moment ago.
func (p *progress) show(s transfer.Progress) {
	now := time.Now()
	if now.Sub(p.shown) < p.every {
		return
	}
	p.shown = now
	doing := "copying"
	if s.Verifying {
		doing = "reading back"
	}
	text := fmt.Sprintf("%s %s: %d of %d", doing, strings.ReplaceAll(s.Kind, "_", " "), s.Done, s.Of)
	if p.terminal {
		p.open = true
		fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// line writes a line that stays.
func (p *progress) line(format string, args ...any) {
	p.end()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// end ends the line on the terminal.
func (p *progress) end() {
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.open = false
	}
}
