// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/storage/record"
)

var _ session.Store = (*Store)(nil)

// SessionBySecret implements session.Store.
func (s *Store) SessionBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	return view(ctx, s, func(b *batch) func() (session.Session, error) {
		var found session.Session
		exists := b.see(&record.Sessions, (*record.Session)(&found), secret[:])
		b.bringPerson(ctx, "SELECT sub FROM sessions WHERE key = $1", secret[:])
		return func() (session.Session, error) {
			if !*exists {
				return session.Session{}, session.ErrNotFound
			}
			s.memory.put(place{record.SessionIDs.Name, found.ID}, secret[:], moment{})
			return found, nil
		}
	})
}

// RecallBySecret implements session.Store.
func (s *Store) RecallBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	row, known := s.memory.get(at(&record.Sessions, secret[:]))
	if !known || row.value == nil || s.expired(row.value) {
		return s.SessionBySecret(ctx, secret)
	}
	var found session.Session
	if err := s.sealer.Open(&record.Sessions, secret[:], row.value, (*record.Session)(&found)); err != nil {
		return s.SessionBySecret(ctx, secret)
	}
	return found, ctx.Err()
}

// Session implements session.Store.
func (s *Store) Session(ctx context.Context, id string) (session.Session, error) {
	return view(ctx, s, func(b *batch) func() (session.Session, error) {
		var found session.Session
		exists := b.sessionWith(&found, id, "")
		return func() (session.Session, error) {
			switch {
			case !*exists:
				return session.Session{}, session.ErrNotFound
			case found.ID != id:
				return session.Session{}, misled("sessions")
			}
			return found, nil
		}
	})
}

// sessionWith queues a query for the session with this sid.
func (b *batch) sessionWith(into *session.Session, id, lock string) (found *bool) {
	return b.one(&record.Sessions, (*record.Session)(into), "SELECT key, value FROM sessions WHERE sid = $1"+lock, []byte(id))
}

// guessSession guesses the session with this sid.
func (t *txn) guessSession(into *session.Session, id string) (found *bool) {
	key, known := t.s.memory.get(place{record.SessionIDs.Name, id})
	if !known || key.value == nil {
		t.unknown = true
		return new(bool)
	}
	return t.row(&record.Sessions, (*record.Session)(into), key.value)
}

// EndSession implements session.Store. It revokes the grants of a session that no
// longer exists, too, and deletes its codes that were not redeemed.
func (s *Store) EndSession(ctx context.Context, id string) (session.Session, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (ended session.Session, err error) {
		ending := t.endingSessions("sid", []byte(id))
		_, end := t.grantsOf("sid", []byte(id))
		if err := t.look(); err != nil {
			return session.Session{}, err
		}
		end(online)
		t.endSession(id)
		t.tellEnded(*ending...)
		for _, s := range *ending {
			ended = s
		}
		return ended, nil
	})
}

// endingSessions queues a query that locks the sessions of an owner, which the transaction
// deletes, and returns those of them that have not expired and can be read. column is sid
// or sub, or key for one session.
func (t *txn) endingSessions(column string, owner []byte) *[]session.Session {
	return t.sessionsWhere(column+" = $1", owner, func(s session.Session) bool {
		return column == "key" || s.ID == string(owner) || s.Sub == string(owner)
	})
}

// sessionsWhere is endingSessions for a condition with one argument, of those that are.
func (t *txn) sessionsWhere(condition string, arg any, is func(session.Session) bool) *[]session.Session {
	var found []session.Session
	t.rows("SELECT key, value FROM sessions WHERE "+condition+" ORDER BY key FOR UPDATE", []any{arg}, func(key, value []byte) {
		var s session.Session
		if !t.s.expired(value) && t.s.sealer.Open(&record.Sessions, key, value, (*record.Session)(&s)) == nil && is(s) {
			found = append(found, s)
		}
	})
	return &found
}

// endSession queues the end of a session, and keeps its grants.
func (t *txn) endSession(id string) {
	t.put("DELETE FROM sessions WHERE sid = $1", []byte(id))
	if key, known := t.s.memory.get(place{record.SessionIDs.Name, id}); known && key.value != nil {
		t.learn(&record.Sessions, key.value, nil)
	}
}

// dropSession queues the end of the session with this secret, and keeps its grants.
func (t *txn) dropSession(secret session.SecretHash) {
	t.put("DELETE FROM sessions WHERE key = $1", secret[:])
	t.learn(&record.Sessions, secret[:], nil)
}

// putSession queues a new session. One with the same sid and another secret is
// replaced.
func (t *txn) putSession(s session.Session) {
	key := s.Secret[:]
	value := t.s.sealer.Seal(&record.Sessions, key, s.Expires, (*record.Session)(&s))
	t.put(`INSERT INTO sessions (key, sid, sub, value, expires, due) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (sid) DO UPDATE SET key = EXCLUDED.key, sub = EXCLUDED.sub, value = EXCLUDED.value, expires = EXCLUDED.expires, due = EXCLUDED.due`,
		key, []byte(s.ID), []byte(s.Sub), value, expiryOf(value))
	t.learn(&record.Sessions, key, value)
	t.learn(&record.SessionIDs, []byte(s.ID), key)
}

// storeSession queues a changed session.
func (t *txn) storeSession(s session.Session) {
	key := s.Secret[:]
	value := t.s.sealer.Seal(&record.Sessions, key, s.Expires, (*record.Session)(&s))
	t.put("UPDATE sessions SET value = $2 WHERE key = $1", key, value)
	t.learn(&record.Sessions, key, value)
}

// replaced queues a query that locks the session which a sign-in replaces, if it does.
func (t *txn) replaced(secret session.SecretHash) *[]session.Session {
	switch {
	case secret == (session.SecretHash{}):
		return new([]session.Session)
	case !t.guesses:
		return t.endingSessions("key", secret[:])
	}
	var before session.Session
	if !*t.row(&record.Sessions, (*record.Session)(&before), secret[:]) {
		return new([]session.Session)
	}
	return &[]session.Session{before}
}

// replaceSession queues the end of the session that a sign-in replaces, and returns the new
// one, which continues it.
func (t *txn) replaceSession(replaced *[]session.Session, signIn login.SignIn) session.Session {
	s := signIn.Session
	for _, before := range *replaced {
		s = s.Continues(before)
		if before.Sub != s.Sub {
			t.tellEnded(before)
		}
	}
	if signIn.Replaces != (session.SecretHash{}) {
		t.dropSession(signIn.Replaces)
	}
	return s
}
