// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"
)

// Current returns the live session of a browser's cookie. ok is false, and the
// session zero, if the cookie is missing or its session has ended.
func Current(ctx context.Context, store Store, secret Secret) (s Session, ok bool, err error) {
	s, ok, err = Unexpired(ctx, store, secret)
	if !ok || !s.Live(time.Now()) {
		return Session{}, false, err
	}
	return s, true, nil
}

// Recalled is Current, perhaps out of date (Store.RecallBySecret): the session may have
// ended. Who goes on with it must not succeed then.
func Recalled(ctx context.Context, store Store, secret Secret) (s Session, ok bool, err error) {
	s, ok, err = unexpired(ctx, store.RecallBySecret, secret)
	if !ok || !s.Live(time.Now()) {
		return Session{}, false, err
	}
	return s, true, nil
}

// Unexpired returns the session of a browser's cookie for ending or replacing it, and
// for nothing else: also one that was created ahead of the clock. Such a session is not
// live now, but would be once the clock has reached it. ok is false, and the session
// zero, when the cookie is missing, or its session has ended or expired.
func Unexpired(ctx context.Context, store Store, secret Secret) (s Session, ok bool, err error) {
	return unexpired(ctx, store.SessionBySecret, secret)
}

func unexpired(
	ctx context.Context, find func(context.Context, SecretHash) (Session, error), secret Secret,
) (s Session, ok bool, err error) {
	if secret == "" {
		return Session{}, false, nil
	}
	s, err = find(ctx, secret.Hash())
	if errors.Is(err, ErrNotFound) {
		return Session{}, false, nil
	}
	if err != nil || s.Expired(time.Now()) {
		return Session{}, false, err
	}
	return s, true, nil
}
