// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"log/slog"
	"net/http"
)

// CallbackOutcome is the outcome of a request at a callback path.
type CallbackOutcome string

// The outcomes of callbacks.
const (
	CallbackKept        CallbackOutcome = "accepted"     // an attempt waits for it; stored in the inbox
	CallbackUnknown     CallbackOutcome = "unknown"      // no live attempt waits for it
	CallbackMalformed   CallbackOutcome = "malformed"    // not what Truecaller sends
	CallbackTooLarge    CallbackOutcome = "too_large"    // more than MaxCallback
	CallbackCompressed  CallbackOutcome = "compressed"   //
	CallbackSlow        CallbackOutcome = "slow"         // its body did not arrive in time
	CallbackCutOff      CallbackOutcome = "cut_off"      // its body did not arrive whole
	CallbackWrongPath   CallbackOutcome = "wrong_path"   // no app, or not its secret
	CallbackWrongMethod CallbackOutcome = "wrong_method" // not a POST
	CallbackNotKept     CallbackOutcome = "not_stored"   // our own failure
	CallbackBadEndpoint CallbackOutcome = "bad_endpoint" // accepted, but names a foreign profile host (invariant 5)
)

// callbackAnswers are the responses to callbacks: the status and text for the sender,
// and the level of the log line (invariant 4).
var callbackAnswers = map[CallbackOutcome]struct {
	status int
	text   string
	level  slog.Level
}{
	CallbackKept:        {http.StatusOK, "", slog.LevelInfo},
	CallbackUnknown:     {http.StatusOK, "", slog.LevelInfo},
	CallbackMalformed:   {http.StatusBadRequest, "malformed callback", slog.LevelWarn},
	CallbackTooLarge:    {http.StatusRequestEntityTooLarge, "the callback is too large", slog.LevelWarn},
	CallbackCompressed:  {http.StatusUnsupportedMediaType, "callbacks are not compressed", slog.LevelWarn},
	CallbackSlow:        {http.StatusRequestTimeout, "the callback took too long", slog.LevelWarn},
	CallbackCutOff:      {http.StatusBadRequest, "the callback could not be read", slog.LevelInfo},
	CallbackWrongPath:   {http.StatusNotFound, "404 page not found", slog.LevelInfo},
	CallbackWrongMethod: {http.StatusMethodNotAllowed, "callbacks are POSTed", slog.LevelInfo},
	CallbackNotKept:     {http.StatusInternalServerError, "not stored", slog.LevelError},
}

// CallbackLog writes lines about callbacks, which an attacker can send at will. It may
// count a line instead, if it has written one with the same attributes in by.
// *audit.Sums is one.
type CallbackLog interface {
	// Note calls details only for a line that it writes.
	Note(ctx context.Context, level slog.Level, message string, by []slog.Attr, details func() []slog.Attr)
}

// note logs a callback. Every accepted one has a line: an attempt waits for it.
func (rc *Receiver) note(r *http.Request, app string, o CallbackOutcome, err error) {
	ctx, level := r.Context(), callbackAnswers[o].level
	by := []slog.Attr{slog.String("app", app), slog.String("outcome", string(o))}
	details := func() []slog.Attr {
		attrs := []slog.Attr{slog.String("from", rc.cfg.From(r))}
		if err != nil {
			attrs = append(attrs, slog.Any("error", err))
		}
		return attrs
	}
	if o == CallbackKept {
		rc.cfg.Log.LogAttrs(ctx, level, "callback", append(by, details()...)...)
		return
	}
	rc.cfg.Callbacks.Note(ctx, level, "callback", by, details)
}
