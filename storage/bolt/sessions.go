// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/storage/record"
)

var _ session.Store = (*Store)(nil)

// SessionBySecret implements session.Store.
func (s *Store) SessionBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	return view(ctx, s, func(r reader) (session.Session, error) { return r.session(secret) })
}

// RecallBySecret implements session.Store.
func (s *Store) RecallBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	return s.SessionBySecret(ctx, secret)
}

// Session implements session.Store.
func (s *Store) Session(ctx context.Context, id string) (session.Session, error) {
	return view(ctx, s, func(r reader) (session.Session, error) { return r.sessionWith(id) })
}

// EndSession implements session.Store. It revokes the grants of a session that
// no longer exists, too, and voids its codes that were not redeemed.
func (s *Store) EndSession(ctx context.Context, id string) (session.Session, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (session.Session, error) {
		if err := t.endGrants(t.owned(&sessionGrants, id), online); err != nil {
			return session.Session{}, err
		}
		ended, err := t.endSession(id)
		if err != nil {
			return session.Session{}, err
		}
		return ended, t.tellEnded(ended)
	})
}

// endGrants revokes the grants among the entries that match, and voids the matching
// codes that were not redeemed.
func (t *txn) endGrants(entries []ownedKey, match func(grant.Grant) bool) error {
	for _, e := range entries {
		var err error
		switch e.of {
		case &codes:
			err = t.voidCode(e.key, match)
		case &grants:
			err = t.revokeGrant(e.key, match)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// online reports whether a grant ends with its session.
func online(g grant.Grant) bool { return !g.Offline }

// session returns the session whose secret has this hash, or session.ErrNotFound.
func (r reader) session(secret session.SecretHash) (s session.Session, err error) {
	err = r.find(&sessions, secret[:], (*record.Session)(&s), session.ErrNotFound)
	return s, err
}

// sessionWith returns the session with this sid, or session.ErrNotFound.
func (r reader) sessionWith(id string) (session.Session, error) {
	var secret session.SecretHash
	if err := r.find(&sessionIDs, []byte(id), (*record.Hash)(&secret), session.ErrNotFound); err != nil {
		return session.Session{}, err
	}
	return r.session(secret)
}

// putSession stores a session. One with the same sid and another secret is
// replaced.
func (t *txn) putSession(s session.Session) error {
	if _, err := t.endSession(s.ID); err != nil {
		return err
	}
	if err := t.ofPerson(s.Sub, &sessions, s.Secret[:]); err != nil {
		return err
	}
	if err := t.put(&sessions, s.Secret[:], s.Expires, (*record.Session)(&s)); err != nil {
		return err
	}
	return t.put(&sessionIDs, []byte(s.ID), never, (*record.Hash)(&s.Secret))
}

// useSession stores that a client got something in a session. An empty sid is ignored.
func (t *txn) useSession(id, clientID string, at time.Time) error {
	if id == "" {
		return nil
	}
	s, err := t.sessionWith(id)
	if err != nil {
		return err
	}
	used, changed := s.Used(clientID, at)
	if !changed {
		return nil
	}
	return t.put(&sessions, s.Secret[:], s.Expires, (*record.Session)(&used))
}

// endSession deletes a session, if it exists, and keeps its grants. It returns the session
// as it was: zero if it had expired or cannot be read.
func (t *txn) endSession(id string) (ended session.Session, err error) {
	var secret session.SecretHash
	found, err := t.get(&sessionIDs, []byte(id), (*record.Hash)(&secret))
	if !found || err != nil {
		return session.Session{}, err
	}
	return t.forgetSession(secret[:])
}

// forgetSession deletes a session by its key, and returns it as endSession does.
func (t *txn) forgetSession(key []byte) (ended session.Session, err error) {
	if _, err := t.get(&sessions, key, (*record.Session)(&ended)); errors.Is(err, record.ErrUnreadable) {
		ended = session.Session{}
	} else if err != nil {
		return session.Session{}, err
	}
	return ended, t.forget(&sessions, key)
}
