// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

// Note writes a line about a callback, or counts it if the interval has one of the same
// network with the same attributes in by. It calls details only for a line that it writes.
func (s *Sums) Note(ctx context.Context, level slog.Level, message string, by []slog.Attr, details func() []slog.Attr) {
	if level >= slog.LevelWarn {
		s.observer.Line(level)
	}
	h := writer{Handler: s.log.Handler()}
	if !h.Enabled(ctx, level) {
		return
	}
	l := line{
		kind:  kind{level, message},
		by:    append(by[:len(by):len(by)], networkAttr(ctx)...),
		first: 1,
		most:  mostNetworks,
	}
	if !s.admit(h, l) {
		return
	}
	record := slog.NewRecord(time.Now(), level, message, 0)
	record.AddAttrs(by...)
	record.AddAttrs(details()...)
	_ = h.Handle(ctx, record)
}

// Logger returns the log for the whole program. It sums up warnings and errors by
// message, by the logger's own attributes, and by the network of the request during which
// they happen. So no line that an attacker can cause is forgotten. It writes the first ten
// of each, because their causes may differ.
func (s *Sums) Logger() *slog.Logger {
	return slog.New(handler{writer{Handler: s.log.Handler()}, s})
}

type handler struct {
	writer
	sums *Sums
}

// Enabled implements slog.Handler. Handle counts also what it does not write.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.writer.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		h.sums.observer.Line(r.Level)
		if !h.writer.Enabled(ctx, r.Level) {
			return nil
		}
		l := line{kind: kind{r.Level, r.Message}, by: networkAttr(ctx), first: mostAlike, most: mostNetworks}
		if !h.sums.admit(h.writer, l) {
			return nil
		}
	}
	return h.writer.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := []byte(h.with)
	for _, attr := range attrs {
		with = strconv.AppendQuote(with, attr.Key)
		with = append(with, '=')
		with = strconv.AppendQuote(with, attr.Value.Resolve().String())
	}
	return handler{writer{h.writer.WithAttrs(attrs), string(with)}, h.sums}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	with := append(strconv.AppendQuote([]byte(h.with), name), '.')
	return handler{writer{h.writer.WithGroup(name), string(with)}, h.sums}
}
