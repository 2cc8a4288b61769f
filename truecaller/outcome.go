package truecaller

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
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

// ledger logs callbacks without letting a flood fill the log. It logs every accepted
// callback. Of the others it logs the first of a kind since the last flush, and then
// their number. There are few kinds.
type ledger struct {
	log *slog.Logger

	mu   sync.Mutex
	more map[kindOfCallback]int
}

type kindOfCallback struct {
	app     string
	outcome CallbackOutcome
}

func newLedger(log *slog.Logger) *ledger {
	return &ledger{log: log, more: map[kindOfCallback]int{}}
}

// note logs one callback. It calls attrs only for a callback that it writes.
func (l *ledger) note(ctx context.Context, app string, o CallbackOutcome, attrs func() []slog.Attr) {
	if o != CallbackKept && !l.first(kindOfCallback{app, o}) {
		return
	}
	all := append([]slog.Attr{slog.String("app", app), slog.String("outcome", string(o))}, attrs()...)
	l.log.LogAttrs(ctx, callbackAnswers[o].level, "callback", all...)
}

func (l *ledger) first(kind kindOfCallback) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, seen := l.more[kind]
	if seen {
		l.more[kind] = n + 1
	} else {
		l.more[kind] = 0
	}
	return !seen
}

// flush logs how many callbacks of each kind were not logged.
func (l *ledger) flush(ctx context.Context) {
	l.mu.Lock()
	more := l.more
	l.more = map[kindOfCallback]int{}
	l.mu.Unlock()
	for kind, n := range more {
		if n > 0 {
			l.log.LogAttrs(ctx, callbackAnswers[kind.outcome].level, "more callbacks of the same kind",
				slog.String("app", kind.app), slog.String("outcome", string(kind.outcome)), slog.Int("count", n))
		}
	}
}
