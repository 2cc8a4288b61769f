package bolt

import (
	"context"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/storage/record"
)

var _ session.Store = (*Store)(nil)

// SessionBySecret implements session.Store.
func (s *Store) SessionBySecret(ctx context.Context, secret [32]byte) (session.Session, error) {
	var found session.Session
	err := s.read(ctx, func(r reader) (err error) {
		found, err = r.session(secret)
		return err
	})
	return found, err
}

// Session implements session.Store.
func (s *Store) Session(ctx context.Context, id string) (session.Session, error) {
	var found session.Session
	err := s.read(ctx, func(r reader) (err error) {
		found, err = r.sessionWith(id)
		return err
	})
	return found, err
}

// sessionWith is the session with this sid.
func (r reader) sessionWith(id string) (session.Session, error) {
	var secret [32]byte
	found, err := r.get(&sessionIDs, []byte(id), (*record.Hash)(&secret))
	switch {
	case err != nil:
		return session.Session{}, err
	case !found:
		return session.Session{}, session.ErrNotFound
	}
	return r.session(secret)
}

// EndSession implements session.Store. The grants of a session that is not there
// any more are revoked, too; its codes that nobody has redeemed yet are void.
func (s *Store) EndSession(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		if err := t.endGrants(t.owned(&sessionGrants, id)); err != nil {
			return err
		}
		return t.endSession(id)
	})
}

// endGrants revokes these grants and voids these codes, except those for offline
// access.
func (t *txn) endGrants(entries []ownedKey) error {
	for _, e := range entries {
		var err error
		switch e.of {
		case &codes:
			err = t.voidCode(e.key, online)
		case &grants:
			err = t.revokeGrant(e.key, online)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// online says whether a grant ends with its session.
func online(g grant.Grant) bool { return !g.Offline }

func (r reader) session(secret [32]byte) (session.Session, error) {
	var s session.Session
	found, err := r.get(&sessions, secret[:], (*record.Session)(&s))
	switch {
	case err != nil:
		return session.Session{}, err
	case !found:
		return session.Session{}, session.ErrNotFound
	}
	return s, nil
}

func (t *txn) putSession(s session.Session) error {
	if err := t.endSession(s.ID); err != nil { // with another secret, perhaps
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

// useSession notes that a session was used, if there is one to be named.
func (t *txn) useSession(id string, at time.Time) error {
	if id == "" {
		return nil
	}
	found, err := t.sessionWith(id)
	if err != nil || !at.After(found.LastUsed) {
		return err
	}
	found.LastUsed = at
	return t.put(&sessions, found.Secret[:], found.Expires, (*record.Session)(&found))
}

// endSession deletes a session and leaves its grants.
func (t *txn) endSession(id string) error {
	var secret [32]byte
	found, err := t.get(&sessionIDs, []byte(id), (*record.Hash)(&secret))
	if !found || err != nil {
		return err
	}
	return t.forget(&sessions, secret[:])
}
