// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"log/slog"
	"os"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/tracing"
)

// Level is the level of the log, which may change while the server runs.
type Level struct{ own, libraries slog.LevelVar }

// Set changes the level.
func (l *Level) Set(level slog.Level) {
	l.own.Set(level)
	l.libraries.Set(max(level, slog.LevelWarn))
}

// NewLog returns the log that the configuration describes, on standard error, and its level.
// It also receives what libraries log by themselves, from warnings up.
func NewLog(s config.Settings) (*slog.Logger, *Level) {
	level := &Level{}
	level.Set(s.LogLevel)
	from := func(level slog.Leveler) *slog.Logger {
		options := &slog.HandlerOptions{Level: level}
		if s.Log.Format == "text" {
			return slog.New(withRequestID{slog.NewTextHandler(os.Stderr, options)})
		}
		return slog.New(withRequestID{slog.NewJSONHandler(os.Stderr, options)})
	}
	slog.SetDefault(from(&level.libraries))
	return from(&level.own), level
}

type requestIDKey struct{}

// WithRequestID returns a handler that adds to each event the id of the request during
// which it happened.
func WithRequestID(h slog.Handler) slog.Handler { return withRequestID{h} }

// RequestID returns the id of the request to which ctx belongs, "" for none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// withRequestID adds to each event the id of the request during which it
// happened, and that of its trace if one is recorded.
type withRequestID struct{ slog.Handler }

func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if id := tracing.ID(ctx); id != "" {
		r.AddAttrs(slog.String("trace", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs)}
}

func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name)}
}
