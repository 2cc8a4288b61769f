// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Log returns a DurableRecorder that hands events to the log's handler, whatever the log's
// level. It sums up events by Description.Per. If sums is nil, it writes every event. What
// RecordDurable promises is what the handler promises of a context for which MustBeDurable
// is true.
func Log(l *slog.Logger, sums *Sums) DurableRecorder {
	r := logRecorder{writer{Handler: l.Handler()}, sums}
	if sums != nil {
		r.writer.with = "recorder " + strconv.FormatInt(sums.recorders.Add(1), 10)
	}
	return r
}

type logRecorder struct {
	writer writer
	sums   *Sums
}

type durableKey struct{}

// MustBeDurable reports whether a handler must return only once the line is durable, or with an
// error: the caller waits for it.
func MustBeDurable(ctx context.Context) bool { return ctx.Value(durableKey{}) != nil }

// Record implements Recorder.
func (r logRecorder) Record(ctx context.Context, e Event) {
	d := describe(e)
	if r.sums != nil {
		r.sums.observer.Event(e.Name)
		if len(d.Per) > 0 && !r.sums.admit(r.writer, d.line(e)) {
			return
		}
	}
	_ = r.write(ctx, d, e) // as a Logger does; there is no one to report it to
}

// RecordDurable implements DurableRecorder. It writes every event, because
// the caller needs the line of this one.
func (r logRecorder) RecordDurable(ctx context.Context, e Event) error {
	if r.sums != nil {
		r.sums.observer.Event(e.Name)
	}
	return r.write(context.WithValue(ctx, durableKey{}, true), describe(e), e)
}

// describe returns what the catalogue says of an event.
func describe(e Event) Description {
	d, known := descriptions[e.Name]
	if !known { // all that it holds is better than nothing
		d.Keys = everyKey
	}
	return d
}

// write calls the handler directly, because a Logger drops what is below its level.
func (r logRecorder) write(ctx context.Context, d Description, e Event) error {
	e.operator = Operator(ctx)
	record := slog.NewRecord(time.Now(), d.Level, string(e.Name), 0)
	for _, key := range d.Keys {
		name, optional := strings.CutSuffix(key, "?")
		if value := e.value(name); !optional || !empty(value) {
			record.AddAttrs(slog.Attr{Key: name, Value: value})
		}
	}
	if e.operator != "" && !slices.Contains(d.Keys, "operator?") {
		record.AddAttrs(slog.String("operator", e.operator))
	}
	return r.writer.Handle(ctx, record)
}

// line is what Sums needs of an event.
func (d Description) line(e Event) line {
	l := line{kind: kind{d.Level, string(d.Name)}, first: 1, most: mostTold}
	for _, key := range d.Per {
		value := e.value(key)
		if key == "network" {
			value, l.most = slog.StringValue(networkOf(e.Network)), mostNetworks
		}
		l.by = append(l.by, slog.Attr{Key: key, Value: value})
	}
	return l
}

var descriptions = func() map[Name]Description {
	all := make(map[Name]Description, len(Events))
	for _, d := range Events {
		all[d.Name] = d
	}
	return all
}()

// everyKey lists all keys that value knows.
var everyKey = []string{
	"change?", "kind?", "endpoint?", "attempt?", "method?", "number?", "client?", "network?", "app?", "limit?", "reserved?", "grant?", "scope?",
	"reason?", "error?", "sub?", "by?", "sid?", "of?", "kid?", "alg?", "force?", "fields?", "operator?",
}

func (e Event) value(key string) slog.Value {
	switch key {
	case "change":
		return slog.StringValue(string(e.Change))
	case "attempt":
		return slog.StringValue(e.Attempt)
	case "method":
		return slog.StringValue(e.Method)
	case "number": // it masks itself
		return slog.AnyValue(e.Number).Resolve()
	case "network":
		return slog.StringValue(e.Network)
	case "app":
		return slog.StringValue(e.App)
	case "endpoint":
		return slog.StringValue(e.Endpoint)
	case "client":
		return slog.StringValue(e.Client)
	case "sub":
		return slog.StringValue(e.Subject)
	case "sid":
		return slog.StringValue(e.Session)
	case "by":
		return slog.StringValue(e.Actor)
	case "grant":
		return slog.StringValue(e.Grant)
	case "scope":
		return slog.StringValue(e.Scope)
	case "reason":
		return slog.StringValue(e.Reason)
	case "error":
		return slog.AnyValue(e.Err)
	case "limit":
		return slog.StringValue(e.Limit)
	case "reserved":
		return slog.BoolValue(e.Reserved)
	case "kind":
		return slog.StringValue(e.Kind)
	case "of":
		return slog.StringValue(e.Of)
	case "kid":
		return slog.StringValue(e.Key)
	case "alg":
		return slog.StringValue(e.Alg)
	case "force":
		return slog.BoolValue(e.Force)
	case "fields":
		return slog.StringValue(e.Fields)
	case "operator":
		return slog.StringValue(e.operator)
	}
	panic("audit: the catalogue names an unknown key " + key)
}

func empty(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindString:
		return v.String() == ""
	case slog.KindBool:
		return !v.Bool()
	}
	return v.Any() == nil
}
