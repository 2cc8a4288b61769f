// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"calleridp/provider/consent"
)

// What the browser that started an attempt may do with it. Each needs the
// secret of that browser's cookie (invariant 2).

// Get returns the attempt as it is now. ErrNotFound when there is none,
// ErrNotYours when another browser started it.
func (e *Engine) Get(ctx context.Context, id ID, browser BrowserSecret) (Attempt, error) {
	return get(ctx, id, browser, e.cfg.Store.Attempt)
}

// Recall is Get, perhaps out of date (Store.RecallAttempt). An attempt that it returns as
// approved has the request and the user for good; whether it was used since, Finish
// decides. One that it returns as done is done.
func (e *Engine) Recall(ctx context.Context, id ID, browser BrowserSecret) (Attempt, error) {
	return get(ctx, id, browser, e.cfg.Store.RecallAttempt)
}

// Heard is Get for a page that watches the attempt (Watch): it may be without a change
// of which the page gets a hint soon.
func (e *Engine) Heard(ctx context.Context, id ID, browser BrowserSecret) (Attempt, error) {
	return get(ctx, id, browser, e.cfg.Store.HeardAttempt)
}

// Open is Get for a page that watches the attempt, perhaps as Heard (Store.OpenAttempt).
func (e *Engine) Open(ctx context.Context, id ID, browser BrowserSecret) (Attempt, error) {
	return get(ctx, id, browser, e.cfg.Store.OpenAttempt)
}

func get(ctx context.Context, id ID, browser BrowserSecret, read func(context.Context, ID) (Attempt, error)) (Attempt, error) {
	a, err := read(ctx, id)
	if err != nil {
		return Attempt{}, err
	}
	if err := a.startedBy(browser); err != nil {
		return Attempt{}, err
	}
	a.expire(time.Now())
	return a, nil
}

// HasLive reports whether the browser has a live attempt besides except. A secret
// without one is not used again: another user may have noted it.
func (e *Engine) HasLive(ctx context.Context, browser BrowserSecret, except ID) (bool, error) {
	live, err := e.cfg.Store.LiveAttempts(ctx, hashOf(browser), time.Now())
	live = slices.DeleteFunc(live, func(id ID) bool { return id == except })
	return len(live) > 0, err
}

// FinishRequest says which attempt a browser finishes, and what it will get.
type FinishRequest struct {
	ID      ID
	Browser BrowserSecret
	Outcome Outcome // a new one
}

// Finish uses an approved attempt, once. signIn returns the session and the code
// that it gives, which are stored in the same transaction (invariant 9); a zero
// code is none, for a client that the user has not allowed yet. signIn gets the
// attempt as it is after its use, at Attempt.Ended, and what the user allows the client,
// nil for nothing; it may run more than once and must be pure. The result is that of the
// run that was committed.
//
// ErrState when the attempt is not approved, any more or yet. An error of signIn
// is returned as it is, and the attempt stays approved.
func (e *Engine) Finish(ctx context.Context, r FinishRequest, signIn func(Attempt, *consent.Consent) (SignIn, error)) (SignIn, error) {
	sealed, err := r.Outcome.seal(r.ID, r.Browser)
	if err != nil {
		return SignIn{}, err
	}
	now := time.Now()
	ctx = e.inAttempt(ctx, r.ID)
	done, err := e.cfg.Store.FinishAttempt(ctx, r.ID, func(a Attempt, allowed *consent.Consent) (SignIn, error) {
		if err := a.startedBy(r.Browser); err != nil {
			return SignIn{}, err
		}
		if err := a.use(r.Outcome.GrantID, now); err != nil {
			return SignIn{}, err
		}
		a.Outcome = sealed
		s, err := signIn(a, allowed)
		s.Attempt = a
		return s, err
	})
	if err != nil {
		return SignIn{}, err
	}
	e.hub.settle(done.Attempt)
	e.record(ctx, eventDone, done.Attempt)
	return done, nil
}

// Cancel ends the attempt because the user wants it. The number stays locked,
// because the request is still open on the phone. It is harmless when the
// attempt has ended.
func (e *Engine) Cancel(ctx context.Context, id ID, browser BrowserSecret) error {
	return e.stop(ctx, id, browser, Cancelled)
}

// Abandon is Cancel for a reason of the caller's: a sign-in that may not go on,
// for example because the client requires another user than the one who approved.
func (e *Engine) Abandon(ctx context.Context, id ID, browser BrowserSecret, why Reason) error {
	return e.stop(ctx, id, browser, why)
}

func (e *Engine) stop(ctx context.Context, id ID, browser BrowserSecret, why Reason) error {
	now := time.Now()
	ctx = e.inAttempt(ctx, id)
	a, err := e.cfg.Store.UpdateAttempt(ctx, id, func(a Attempt) (Update, error) {
		if err := a.startedBy(browser); err != nil {
			return Update{}, err
		}
		err := a.cancel(why, now)
		return Update{Attempt: a}, err
	})
	if errors.Is(err, ErrState) {
		return nil
	}
	if err != nil {
		return err
	}
	e.hub.settle(a)
	e.record(ctx, eventRejected, a)
	return nil
}

// Watch watches the attempt for a browser with this secret in its cookie, "" for
// none. Look at the attempt after Watch and after each hint. A browser that did not
// start the attempt hears of nothing and takes no page's place, and a watcher hears
// only of other attempts that the same secret has started (invariant 2).
func (e *Engine) Watch(ctx context.Context, id ID, browser BrowserSecret) Watcher {
	a, err := e.cfg.Store.RecallAttempt(ctx, id) // for who started it, and when it expires
	if err == nil && a.startedBy(browser) != nil {
		return Watcher{Others: func() []ID { return nil }, End: func() {}}
	}
	if err != nil {
		a = Attempt{ID: id}
	}
	var hash browserHash
	if browser != "" {
		hash = hashOf(browser)
	}
	return e.hub.watch(a, hash)
}

// Changed wakes the pages that wait here for an attempt, or for another one of its
// browser (Attempt.Browser), because another process has changed it.
func (e *Engine) Changed(id ID, browser [sha256.Size]byte) {
	e.hub.wake(Attempt{ID: id, Browser: browser})
}

// Watching returns the number of attempts that this process keeps in memory: those
// that are live and those that are watched.
func (e *Engine) Watching() int { return e.hub.size() }

// Pages returns the number of pages that wait at this process now: their watches
// have begun and not ended.
func (e *Engine) Pages() int { return e.hub.watchers() }
