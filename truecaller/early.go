// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A click on a one-tap link opens Truecaller and starts the attempt here. Over a slow
// network Truecaller's callback may arrive before the attempt. Such a callback stays
// in memory for a moment, within limits, until the attempt arrives (Receiver.Arrived).
const (
	earlyLife   = time.Minute
	earlyMax    = 1024 // requestIds
	earlyPerID  = 4    // callbacks of one; each is a few kilobytes at most
	minOurNonce = 43   // characters of our own nonces, 32 bytes as base64url
)

// early holds callbacks that arrived before their attempt. Beyond its limits, it drops
// the oldest.
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

// take removes and returns the callbacks of a requestId, in the order of arrival.
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

// waiting returns one callback of each requestId.
func (e *early) waiting() []Delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Delivery, 0, len(e.kept))
	for _, have := range e.kept {
		all = append(all, have.all[0])
	}
	return all
}

// expire removes callbacks whose attempt has not arrived in time: they hold tokens.
func (e *early) expire(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, have := range e.kept {
		if now.Sub(have.since) >= earlyLife {
			delete(e.kept, id)
		}
	}
}

// mayBeEarly reports whether a callback may belong to a link that was just opened: it
// has a requestId as long as our nonces, and no state.
func (rc *Receiver) mayBeEarly(app string, c Callback) bool {
	return rc.cfg.Apps[app].OneTap != nil &&
		c.State == "" &&
		len(c.RequestID) >= minOurNonce &&
		len(c.RequestID) <= maxNonce
}

// Arrived stores the callbacks that arrived before the attempt of a one-tap link. The
// attempt must be stored already.
func (rc *Receiver) Arrived(ctx context.Context, nonce string) {
	for _, d := range rc.early.take(nonce, time.Now()) {
		if _, _, err := rc.keep(ctx, d.App, d.Callback); err != nil {
			rc.cfg.Log.ErrorContext(ctx, "a callback that came before its attempt could not be stored",
				"app", d.App, "error", err)
		}
	}
}

// Recheck looks again for the attempts of callbacks that came before them: another
// process has stored one. It does not wait.
func (rc *Receiver) Recheck() {
	select {
	case rc.recheck <- struct{}{}:
	default:
	}
}

// arrivedElsewhere stores the callbacks whose attempt another process has stored.
func (rc *Receiver) arrivedElsewhere(ctx context.Context) {
	for _, d := range rc.early.waiting() {
		expected, err := rc.cfg.Recipient.Expects(ctx, d.App, d.Callback)
		if err != nil {
			rc.cfg.Log.ErrorContext(ctx, "the attempt of a callback cannot be looked up", "app", d.App, "error", err)
		}
		if expected {
			rc.Arrived(ctx, d.RequestID)
		}
	}
}
