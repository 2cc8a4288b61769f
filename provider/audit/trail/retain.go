package trail

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"calleridp/provider/audit"
)

// remove removes files whose lines are all older than Keep: a line says so first, and the
// store learns which line is the oldest that is left. The newest file of its own chain
// always stays.
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
	for server, files := range chains {
		for i, is := range files {
			ended, next := time.Time{}, uint64(0)
			switch {
			case i+1 < len(files):
				ended, next = files[i+1].begun, files[i+1].first
			case server == t.c.Server:
				continue
			default: // of a server that has another name now, or is gone
				info, err := os.Stat(path(t.c.Dir, is))
				if err != nil {
					return err
				}
				ended, next = info.ModTime(), ^uint64(0)
			}
			if now.Sub(ended) < t.c.Keep {
				break
			}
			if err := t.removeFile(ctx, is, next); err != nil {
				return err
			}
		}
	}
	return t.forget(ctx, now, chains)
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

// removeFile removes a file; next is the number of the line after it.
func (t *Trail) removeFile(ctx context.Context, is file, next uint64) error {
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
