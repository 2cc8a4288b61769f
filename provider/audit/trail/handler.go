// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"
	"unicode/utf8"

	"calleridp/provider/audit"
)

// Handler returns what makes lines of the events that audit.Log hands to it. A line with
// audit.MustBeDurable in its context is on the disk when Handle returns nil.
func (t *Trail) Handler() slog.Handler { return handler{t: t} }

type handler struct {
	t    *Trail
	with []byte // attributes of the logger, as members of a JSON object, each with a comma before it
}

// Enabled implements slog.Handler.
func (handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	body := make([]byte, 0, 512)
	body = append(body, `"event":`...)
	body = appendText(body, r.Message)
	body = append(body, `,"level":"`...)
	body = append(body, r.Level.String()...)
	body = append(body, '"')
	body = append(body, h.with...)
	r.Attrs(func(a slog.Attr) bool {
		body = appendAttr(body, a)
		return true
	})
	if len(body) > maxLine/2 { // no event has so much; a logger's attributes may
		body = fmt.Appendf(nil, `"event":%s,"level":%q,"shortened":true`, appendText(nil, r.Message), r.Level)
	}
	e := entry{at: r.Time, body: body}
	if audit.MustBeDurable(ctx) {
		return h.t.keep(ctx, e)
	}
	return h.t.add(e)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := h.with[:len(h.with):len(h.with)]
	for _, a := range attrs {
		with = appendAttr(with, a)
	}
	return handler{h.t, with}
}

// WithGroup implements slog.Handler. Lines are flat, and events have no groups.
func (h handler) WithGroup(string) slog.Handler { return h }

// reserved are the keys that the chain itself gives to a line.
var reserved = map[string]bool{"seq": true, "time": true, "server": true, "event": true, "level": true, "prev": true, "mac": true}

// appendAttr appends an attribute as a member of a JSON object, with a comma before it.
func appendAttr(b []byte, a slog.Attr) []byte {
	if a.Key == "" || reserved[a.Key] {
		return b
	}
	b = append(b, ',')
	b = appendText(b, a.Key)
	b = append(b, ':')
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		return appendText(b, v.String())
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindTime:
		return appendText(b, v.Time().UTC().Format(time.RFC3339Nano))
	default:
		if v.Any() == nil {
			return append(b, "null"...)
		}
		return appendText(b, v.String()) // errors, and whatever prints itself
	}
}

// appendText appends a JSON string. It takes the short way for text that needs no quoting.
func appendText(b []byte, s string) []byte {
	if len(s) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // not of a string
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
