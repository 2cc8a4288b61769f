package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/session"
)

// What the browser that started an attempt may do with it. Each needs the
// secret of that browser's cookie (invariant 2).

// ErrNotYours says that the browser is not the one that started the attempt
// (invariant 2).
var ErrNotYours = errors.New("login: the attempt belongs to another browser")

// startedBy is nil when browser is the secret of the browser that started the
// attempt, else ErrNotYours. It compares in constant time.
func (a *Attempt) startedBy(browser string) error {
	hash := sha256.Sum256([]byte(browser))
	if browser == "" || subtle.ConstantTimeCompare(hash[:], a.Browser[:]) != 1 {
		return ErrNotYours
	}
	return nil
}

// Get returns the attempt as it is now. ErrNotFound when there is none,
// ErrNotYours when another browser started it.
func (e *Engine) Get(ctx context.Context, id ID, browser string) (Attempt, error) {
	a, err := e.Store.Attempt(ctx, id)
	if err != nil {
		return Attempt{}, err
	}
	if err := a.startedBy(browser); err != nil {
		return Attempt{}, err
	}
	a.expire(time.Now())
	return a, nil
}

// Finish uses an approved attempt, once. made gives the session and the code
// that it buys, which are kept in the same transaction (invariant 9); a zero code
// is none, for a client that the person has not allowed yet. made may run more
// than once, and its last result counts. replaces is the ID of the session
// that the browser had before, "" for none. ErrState when the attempt is not
// approved, any more or yet. An error of made is returned as it is, and the
// attempt stays approved.
func (e *Engine) Finish(ctx context.Context, id ID, browser, replaces string, made func(Attempt) (session.Session, grant.Code, error)) (Attempt, error) {
	a, err := e.Store.FinishAttempt(ctx, id, replaces, func(a *Attempt) (session.Session, grant.Code, error) {
		if err := a.startedBy(browser); err != nil {
			return session.Session{}, grant.Code{}, err
		}
		if err := a.use(time.Now()); err != nil {
			return session.Session{}, grant.Code{}, err
		}
		return made(*a)
	})
	if err != nil {
		return Attempt{}, err
	}
	e.hub.settle(a)
	e.audit(ctx, eventDone, a)
	return a, nil
}

// Cancel ends the attempt by the person's wish. The number stays locked,
// because the request is still open on the phone. It is harmless when the
// attempt has ended.
func (e *Engine) Cancel(ctx context.Context, id ID, browser string) error {
	return e.stop(ctx, id, browser, Cancelled)
}

// Abandon is Cancel for a reason of the caller's: a sign-in that may not go on,
// for example because the client asked for another person than the one who
// approved.
func (e *Engine) Abandon(ctx context.Context, id ID, browser string, why Reason) error {
	return e.stop(ctx, id, browser, why)
}

func (e *Engine) stop(ctx context.Context, id ID, browser string, why Reason) error {
	a, err := e.Store.UpdateAttempt(ctx, id, func(a *Attempt) (Effects, error) {
		if err := a.startedBy(browser); err != nil {
			return Effects{}, err
		}
		return Effects{}, a.cancel(why, time.Now())
	})
	if errors.Is(err, ErrState) {
		return nil
	}
	if err != nil {
		return err
	}
	e.hub.settle(a)
	e.audit(ctx, eventRejected, a)
	return nil
}

// Watch watches the attempt for a browser with this secret in its cookie, "" for
// none. Look at the attempt after Watch and after each hint. A hint is never more
// than that: it says nothing to whoever does not own the attempt, and which other
// attempts have changed is told of those alone that the same secret has started
// (invariant 2).
func (e *Engine) Watch(id ID, browser string) Watcher {
	a, err := e.Store.Attempt(context.Background(), id)
	if err != nil {
		a = Attempt{ID: id}
	}
	var hash browserHash
	if browser != "" {
		hash = sha256.Sum256([]byte(browser))
	}
	return e.hub.watch(a, hash)
}

// Watching is the number of attempts that this process keeps in memory: those
// that are live and those that are watched.
func (e *Engine) Watching() int { return e.hub.size() }

// Pages is the number of pages that wait at this process now.
func (e *Engine) Pages() int { return e.hub.watchers() }
