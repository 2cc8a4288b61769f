package trail

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

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
			ended, next := time.Time{}, uint64(0)
			switch {
			case i+1 < len(files):
				ended, next = endedBy(files[i:], now), files[i+1].first
			case server == t.c.Server:
				continue
			default: // of a server that has another name now, or is gone
				info, err := os.Stat(path(t.c.Dir, is))
				if err != nil {
					return err
				}
				ended, next = info.ModTime(), ^uint64(0)
			}
			if ended.IsZero() || now.Sub(ended) < t.c.Keep {
				break
			}
			if err := t.removeFile(ctx, is, next); err != nil {
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
	own := chains[t.c.Server]
	if len(own) == 0 {
		return held, nil
	}
	newest := own[len(own)-1].begun
	if now.Sub(newest) <= leap {
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

// removeFile removes a file; next is the number of the line after it. One that a server may
// still write, which has been silent for long, stays.
func (t *Trail) removeFile(ctx context.Context, is file, next uint64) error {
	if next == ^uint64(0) {
		idle, err := t.silent(is.server)
		if err != nil {
			return nil
		}
		defer idle()
	}
	attrs := []slog.Attr{slog.String("file", is.name), slog.Uint64("from", is.first)}
	if next != ^uint64(0) {
		attrs = append(attrs, slog.Uint64("to", next-1))
	}
	if err := t.keep(ctx, t.own(audit.Removed, slog.LevelInfo, attrs...)); err != nil {
		return err
	}
	if err := t.c.Heads.AdvanceAuditHead(ctx, Head{Server: is.server, First: next}); err != nil {
		return err
	}
	if is.server == t.c.Server {
		t.mu.Lock()
		t.first = max(t.first, next)
		t.mu.Unlock()
	}
	if err := os.Remove(path(t.c.Dir, is)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(t.c.Dir)
}

// silent returns an error if a server writes the chain of this name in the folder, and keeps
// one from starting until done is called.
func (t *Trail) silent(server string) (done func(), err error) {
	f, err := os.OpenFile(lockFile(t.c.Dir, server), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
