// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"calleridp/durable"
	"calleridp/provider/audit"
	"calleridp/provider/clock"
)

const (
	// leap is the longest step between two files that a right clock is taken to make. A
	// longer one is a clock that was set, or a server that has had nothing to write.
	leap = 48 * time.Hour
	// settle is how long nothing is removed after a leap. It is shorter than leap by so much
	// that a server with a line now and then still removes files between two of them.
	settle = 24 * time.Hour
	// mostRemoved bounds how much of a chain a look for old files removes.
	mostRemoved = 24 * time.Hour
)

// remove removes files whose lines are all older than Keep: a line says so first, and the
// store learns which line is the oldest that is left. The newest file of its own chain
// always stays.
//
// A clock that jumps ahead makes every file old, and nothing brings them back. So the chain
// must have gone on under a clock for a day before files are removed by it, and each look
// removes a day of lines at most.
func (t *Trail) remove(ctx context.Context) {
	if err := t.removeOld(ctx, time.Now()); err != nil && ctx.Err() == nil {
		t.c.Log.Error("old files of the audit cannot be removed", "error", err)
	}
}

func (t *Trail) removeOld(ctx context.Context, now time.Time) error {
	chains, err := list(t.c.Dir)
	if err != nil {
		return err
	}
	if held, err := t.hold(ctx, chains, now); held || err != nil {
		return err
	}
	for server, files := range chains {
		for i, is := range files {
			if is.begun.Sub(files[0].begun) > mostRemoved {
				break
			}
			last := i+1 == len(files)
			if last && server == t.c.Server {
				break
			}
			ended := endedBy(files[i:], now)
			if last { // of a server that has another name now, or is gone
				info, err := os.Stat(path(t.c.Dir, is))
				if err != nil {
					return err
				}
				ended = info.ModTime()
			}
			if ended.IsZero() || now.Sub(ended) < t.c.Keep {
				break
			}
			if err := t.removeFile(ctx, is, last); err != nil {
				return err
			}
		}
	}
	return t.forget(ctx, now, chains)
}

// hold reports whether the clock has leapt less than settle ago, by the chain's files. If
// the newest of them is from before the leap, it writes a line, and so begins a file that
// later looks, and later runs, can go by.
func (t *Trail) hold(ctx context.Context, chains map[string][]file, now time.Time) (held bool, err error) {
	for _, files := range chains {
		held = held || leapt(files, now)
	}
	var newest time.Time
	for _, is := range chains[t.c.Server] { // a name may lie about its number
		if is.begun.After(newest) && !clock.Ahead(is.begun, now) {
			newest = is.begun
		}
	}
	if newest.IsZero() || now.Sub(newest) <= leap {
		return held, nil
	}
	t.c.Log.Warn("the clock is far ahead of the newest file of the audit: old files stay for a day; if the clock is wrong, put it right before then",
		"newest", newest, "clock", now)
	return true, t.keep(ctx, t.own(audit.Held, slog.LevelWarn, slog.Time("newest", newest), slog.Time("clock", now)))
}

// leapt reports whether a file was begun less than settle ago, and more than leap after the
// one before it.
func leapt(files []file, now time.Time) bool {
	for i, is := range files[:max(len(files)-1, 0)] {
		next := files[i+1].begun
		if next.Sub(is.begun) > leap && now.Sub(next) < settle && !clock.Ahead(next, now) {
			return true
		}
	}
	return false
}

// endedBy returns when the first of these files had its last line, at the latest; the zero
// time if none of them says so. Files that a fast clock has begun say nothing, nor do those
// of a slow one, which seem to be older than what they follow.
func endedBy(files []file, now time.Time) time.Time {
	is := files[0].begun
	for _, later := range files[1:] {
		if !clock.Ahead(later.begun, now) && (clock.Ahead(is, now) || !later.begun.Before(is)) {
			return later.begun
		}
	}
	return time.Time{}
}

// forget lets the store forget servers that are gone, with their folders, for so long that
// none of their lines would be left.
func (t *Trail) forget(ctx context.Context, now time.Time, here map[string][]file) error {
	heads, err := t.c.Heads.AuditHeads(ctx)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if h.Server == t.c.Server || len(here[h.Server]) > 0 || now.Sub(h.Time) < t.c.Keep {
			continue
		}
		if err := t.c.Heads.AdvanceAuditHead(ctx, Head{Server: h.Server, First: ^uint64(0)}); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes a file; last means that it is the newest one of its chain. One that a
// server may still write, which has been silent for long, stays.
//
// The store learns which lines are gone from the file's genuine lines, and not from names:
// else whoever can write into the folder could have lines count as removed that they have
// deleted, or let the store forget another server.
func (t *Trail) removeFile(ctx context.Context, is file, last bool) error {
	if last {
		done, err := t.silent(is.server)
		if err != nil {
			return nil
		}
		defer done()
	}
	end, err := t.scan(is)
	if err != nil {
		return err
	}
	attrs := []slog.Attr{slog.String("file", is.name)}
	if end.lines > 0 {
		attrs = append(attrs, slog.Uint64("from", is.first), slog.Uint64("to", end.seq))
	}
	if err := t.keep(ctx, t.own(audit.Removed, slog.LevelInfo, attrs...)); err != nil {
		return err
	}
	if end.lines > 0 {
		if err := t.c.Heads.AdvanceAuditHead(ctx, Head{Server: is.server, First: end.seq + 1}); err != nil {
			return err
		}
	}
	if is.server == t.c.Server && end.lines > 0 {
		t.mu.Lock()
		t.first = max(t.first, end.seq+1)
		t.mu.Unlock()
	}
	if err := os.Remove(path(t.c.Dir, is)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(t.c.Dir)
}

// silent returns an error if a server writes the chain of this name in the folder, and keeps
// one from starting until done is called.
func (t *Trail) silent(server string) (done func(), err error) {
	f, err := os.OpenFile(lockFile(t.c.Dir, server), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) { // no server has ever written here under this name
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := durable.Lock(f, 0); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
