package session

import (
	"context"
	"errors"
	"time"
)

// Current returns the live session of a browser's cookie. ok is false, and the
// session zero, when the cookie is missing, or its session has ended or expired.
func Current(ctx context.Context, store Store, secret Secret) (s Session, ok bool, err error) {
	if secret == "" {
		return Session{}, false, nil
	}
	s, err = store.SessionBySecret(ctx, secret.Hash())
	if errors.Is(err, ErrNotFound) {
		return Session{}, false, nil
	}
	if err != nil || !s.Live(time.Now()) {
		return Session{}, false, err
	}
	return s, true, nil
}
