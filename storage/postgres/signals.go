// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"slices"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
)

var _ signals.Store = (*Store)(nil)

// Stream implements signals.Store.
func (s *Store) Stream(ctx context.Context, clientID string) (signals.Stream, error) {
	return view(ctx, s, func(b *batch) func() (signals.Stream, error) {
		var stream signals.Stream
		found := b.one(&record.Streams, (*record.Stream)(&stream), "SELECT key, value FROM streams WHERE key = $1", []byte(clientID))
		return func() (signals.Stream, error) {
			if !*found {
				return signals.Stream{}, signals.ErrNotFound
			}
			return stream, nil
		}
	})
}

// Streams implements signals.Store.
func (s *Store) Streams(ctx context.Context) ([]signals.Stream, error) {
	return view(ctx, s, func(b *batch) func() ([]signals.Stream, error) {
		var all []signals.Stream
		b.each("SELECT key, value FROM streams ORDER BY key", nil, func(key, value []byte) error {
			var stream signals.Stream
			err := b.s.sealer.Open(&record.Streams, key, value, (*record.Stream)(&stream))
			all = append(all, stream)
			return err
		})
		return func() ([]signals.Stream, error) { return all, nil }
	})
}

// ChangeStream implements signals.Store.
func (s *Store) ChangeStream(
	ctx context.Context, clientID string, change func(*signals.Stream) (signals.Update, error),
) (signals.Update, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (u signals.Update, err error) {
		key, lane := []byte(clientID), []byte(signals.Lane(clientID))
		t.run("INSERT INTO streams (key, events, value) VALUES ($1, '{}', '') ON CONFLICT DO NOTHING", key)
		t.all(1, "SELECT FROM streams WHERE key = $1 FOR UPDATE", key)
		before, to := &signals.Stream{}, notify.Receiver{ID: string(lane)}
		found := t.one(&record.Streams, (*record.Stream)(before), "SELECT key, value FROM streams WHERE key = $1", key)
		t.one(&record.Receivers, (*record.Receiver)(&to), "SELECT key, value FROM receivers WHERE key = $1 FOR UPDATE", lane)
		if err := t.look(); err != nil {
			return u, err
		}
		if !*found {
			before = nil
		}
		if u, err = change(before); err != nil {
			return signals.Update{}, err
		}
		t.changeStream(clientID, u, to)
		return u, nil
	})
}

// changeStream queues what becomes of a locked stream, and of its receiver.
func (t *txn) changeStream(clientID string, u signals.Update, to notify.Receiver) {
	key, lane := []byte(clientID), []byte(signals.Lane(clientID))
	if u.Drop {
		t.put("DELETE FROM notices WHERE receiver = $1", lane)
	}
	if u.Stream == nil {
		first, end := rangeOf(record.RemovedPrefix(clientID))
		t.put("DELETE FROM streams WHERE key = $1", key)
		t.put("DELETE FROM removed_subjects WHERE key >= $1 AND key < $2", first, end)
		t.put("DELETE FROM receivers WHERE key = $1", lane)
		return
	}
	t.put("UPDATE streams SET events = $2, value = $3 WHERE key = $1", key, eventsOf(*u.Stream),
		t.s.sealer.Seal(&record.Streams, key, never, (*record.Stream)(u.Stream)))
	to.Failures, to.Next = 0, never
	value := t.s.sealer.Seal(&record.Receivers, lane, t.at.Add(notify.ReceiverKept), (*record.Receiver)(&to))
	t.put(`INSERT INTO receivers (key, value, node, until, expires, due) VALUES ($1, $2, '', '-infinity', $3, $3)
		ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires,
		until = CASE WHEN receivers.node = '' THEN '-infinity' ELSE receivers.until END`, lane, value, expiryOf(value))
	for _, n := range notify.Numbered(u.Tell) {
		t.putNotice(n)
	}
}

// eventsOf returns the events that a stream takes when they happen, as their column has them.
func eventsOf(s signals.Stream) []string {
	events := []string{}
	for _, e := range signals.Supported {
		if s.Takes(e) {
			events = append(events, string(e))
		}
	}
	return events
}

// PollNotices implements signals.Store.
func (s *Store) PollNotices(ctx context.Context, clientID string, done []string, most int) ([]notify.Notice, int, error) {
	lane := signals.Lane(clientID)
	if len(done) > 0 {
		keys := make([][]byte, len(done))
		for i, id := range done {
			keys[i] = record.NoticeKey(lane, id)
		}
		if err := s.once(ctx, "DELETE FROM notices WHERE key = ANY($1)", keys); err != nil {
			return nil, 0, err
		}
	}
	waiting := 0
	first, err := view(ctx, s, func(b *batch) func() ([]notify.Notice, error) {
		var first []notify.Notice
		b.queue.Queue("SELECT count(*) FROM notices WHERE receiver = $1 AND expires > now()", []byte(lane)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&waiting)
		})
		b.rows("SELECT key, value FROM notices WHERE receiver = $1 AND expires > now() ORDER BY key LIMIT $2", []any{[]byte(lane), most}, func(key, value []byte) {
			var n notify.Notice
			if err := s.open(&record.Notices, key, value, (*record.Notice)(&n)); err != nil {
				s.damage.Tell(s.log, &record.Notices, key, "the client is not told", err)
				return
			}
			first = append(first, n)
		})
		return func() ([]notify.Notice, error) { return first, nil }
	})
	return first, waiting, err
}

// RemoveSubject implements signals.Store. Those that one client removes at the same time may
// exceed the bound by a few.
func (s *Store) RemoveSubject(ctx context.Context, clientID string, subject [32]byte) error {
	return s.write(ctx, func(t *txn) error {
		first, end := rangeOf(record.RemovedPrefix(clientID))
		key, n := record.RemovedKey(clientID, subject), 0
		t.queue.Queue("SELECT count(*) FROM removed_subjects WHERE key >= $1 AND key < $2 AND key <> $3", first, end, key).QueryRow(func(row pgx.Row) error {
			return row.Scan(&n)
		})
		if err := t.look(); err != nil {
			return err
		}
		if n >= signals.MaxRemoved {
			return signals.ErrTooMany
		}
		t.put("INSERT INTO removed_subjects (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
			key, t.s.sealer.Seal(&record.RemovedSubjects, key, never, &record.Tombstone{}))
		return nil
	})
}

// AddSubject implements signals.Store.
func (s *Store) AddSubject(ctx context.Context, clientID string, subject [32]byte) error {
	return s.once(ctx, "DELETE FROM removed_subjects WHERE key = $1", record.RemovedKey(clientID, subject))
}

// SubjectRemoved implements signals.Store.
func (s *Store) SubjectRemoved(ctx context.Context, clientID string, subject [32]byte) (bool, error) {
	return view(ctx, s, func(b *batch) func() (bool, error) {
		found := b.some("SELECT FROM removed_subjects WHERE key = $1", record.RemovedKey(clientID, subject))
		return func() (bool, error) { return *found, nil }
	})
}

// teach queues what a grant makes of a client's knowledge, if the client has a stream.
func (t *txn) teach(g grant.Grant) {
	if t.s.options.Tells == nil || !t.s.options.Tells(signals.Lane(g.ClientID)) {
		return
	}
	for _, k := range signals.Learnt(g) {
		key := record.KnownKey(k)
		t.put(`INSERT INTO known (key, value) SELECT $1::bytea, $2::bytea WHERE EXISTS (SELECT FROM streams WHERE key = $3 AND value <> '')
			ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value`,
			key, t.s.sealer.Seal(&record.KnownBy, key, never, (*record.Known)(&k)), []byte(g.ClientID))
	}
}

// knowing is what is stored of who knows a user, beside sessions and grants.
type knowing struct {
	known    []subject.Known
	consents []consent.Consent
}

// knowing queues queries for who knows a user; what cannot be read tells nothing.
func (t *txn) knowing(sub string) *knowing {
	k := &knowing{}
	if t.s.options.Tells == nil {
		return k
	}
	t.knownOf(sub, &k.known)
	t.consentsOf(sub, func(c consent.Consent) { k.consents = append(k.consents, c) })
	return k
}

// knownOf queues a query for the clients that know a user.
func (t *txn) knownOf(sub string, into *[]subject.Known) {
	first, end := rangeOf(record.KnownPrefix(sub))
	t.rows("SELECT key, value FROM known WHERE key >= $1 AND key < $2 ORDER BY key", []any{first, end}, func(key, value []byte) {
		var k subject.Known
		if t.s.sealer.Open(&record.KnownBy, key, value, (*record.Known)(&k)) == nil {
			*into = append(*into, k)
		}
	})
}

// by returns the clients that know the user.
func (k *knowing) by(sessions []session.Session, grants []grant.Grant) []signals.Knower {
	return signals.Knowers(k.known, sessions, grants, k.consents)
}

// forgetKnown queues that clients no longer know a user: all of them, or one.
func (t *txn) forgetKnown(sub, clientID string) {
	if clientID == "" {
		first, end := rangeOf(record.KnownPrefix(sub))
		t.put("DELETE FROM known WHERE key >= $1 AND key < $2", first, end)
		return
	}
	var keys [][]byte
	for _, phone := range []bool{false, true} {
		keys = append(keys, record.KnownKey(subject.Known{Sub: sub, ClientID: clientID, Phone: phone}))
	}
	t.put("DELETE FROM known WHERE key = ANY($1)", keys)
}

// loseNumber queues that a user's number belongs to another one now, and the end of the
// user's sessions: what vouched for them is another's. It reads, so a guess ends here.
func (t *txn) loseNumber(p subject.Person, o *owners) error {
	if t.guesses {
		return errGuess
	}
	sessions := slices.DeleteFunc(slices.Clone(*o.sessions), func(s session.Session) bool { return s.Sub != p.Sub })
	grants := slices.DeleteFunc(slices.Clone(*o.grants), func(g grant.Grant) bool { return g.Sub != p.Sub })
	knowing := t.knowing(p.Sub)
	if err := t.look(); err != nil {
		return err
	}
	lost := signals.Lost(t.s.options.now(), p.Sub, knowing.by(sessions, grants))
	t.tellOf(sessions, grants, "", signals.NumberLost, lost...)
	o.end(func(g grant.Grant) bool { return g.Sub == p.Sub && online(g) })
	t.put("DELETE FROM sessions WHERE sub = $1", []byte(p.Sub))
	p.NumberLost = true
	p.SignOuts++
	t.storePerson(p)
	return nil
}

// rangeOf returns the first key with a prefix, and the first one after them.
func rangeOf(prefix []byte) (first, end []byte) {
	end = append([]byte{}, prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			break
		}
	}
	return prefix, end
}
