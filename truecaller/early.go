package truecaller

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A one-tap link is opened within a click, and the same click tells us of it: the
// two take different ways, and over a slow network Truecaller's callback may be the
// first to arrive. Nobody expects it then. It is kept for a moment, in memory and
// bounded, until the attempt is there (Receiver.Arrived).
const (
	earlyLife   = time.Minute
	earlyMax    = 1024 // requestIds
	earlyPerID  = 4    // callbacks of one; each is a few kilobytes at most
	minOurNonce = 43   // characters of a nonce of ours, 32 bytes as base64url
)

// early are callbacks that came before their attempt. When there are too many, the
// oldest go.
type early struct {
	mu   sync.Mutex
	kept map[string]*earlyCallbacks // by requestId
	ring [earlyMax]string           // the requestIds, in the order in which they came
	next int
}

type earlyCallbacks struct {
	slot  int // in the ring
	since time.Time
	all   []Delivery
}

func newEarly() *early { return &early{kept: map[string]*earlyCallbacks{}} }

func (e *early) put(d Delivery) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if have := e.kept[d.RequestID]; have != nil {
		same := func(other Delivery) bool { return other.ID == d.ID }
		if len(have.all) < earlyPerID && !slices.ContainsFunc(have.all, same) {
			have.all = append(have.all, d)
		}
		return
	}
	if oldest := e.kept[e.ring[e.next]]; oldest != nil && oldest.slot == e.next {
		delete(e.kept, e.ring[e.next])
	}
	e.kept[d.RequestID] = &earlyCallbacks{slot: e.next, since: d.Received, all: []Delivery{d}}
	e.ring[e.next] = d.RequestID
	e.next = (e.next + 1) % earlyMax
}

// take returns those of a requestId, in the order in which they came, and forgets
// them.
func (e *early) take(requestID string, now time.Time) []Delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	have := e.kept[requestID]
	delete(e.kept, requestID)
	if have == nil || now.Sub(have.since) >= earlyLife {
		return nil
	}
	return have.all
}

// expire forgets those that nobody has come for: they hold tokens.
func (e *early) expire(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, have := range e.kept {
		if now.Sub(have.since) >= earlyLife {
			delete(e.kept, id)
		}
	}
}

// mayBeEarly says whether a callback could be for a link that was opened just now:
// a requestId as long as our nonces, and no state.
func (rc *Receiver) mayBeEarly(app string, c Callback) bool {
	return rc.cfg.Apps[app].OneTap != nil && c.State == "" && len(c.RequestID) >= minOurNonce && len(c.RequestID) <= maxNonce
}

// Arrived says that the attempt of a one-tap link is there now. Callbacks that came
// before it are kept like any other.
func (rc *Receiver) Arrived(ctx context.Context, nonce string) {
	for _, d := range rc.early.take(nonce, time.Now()) {
		if _, err := rc.keep(ctx, d.App, d.Callback); err != nil {
			rc.cfg.Log.ErrorContext(ctx, "a callback that came before its attempt could not be stored", "app", d.App, "error", err)
		}
	}
}
