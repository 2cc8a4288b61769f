// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var _ notify.Store = (*Store)(nil)

// tell queues notices, for those receivers that may be told, as far as there is room. Those of
// one call have happened at once, in their order. What other transactions write at the same
// time may exceed the bound by a few.
func (t *txn) tell(all ...notify.Notice) {
	if t.s.options.Tells == nil {
		return
	}
	all = notify.Numbered(all)
	slices.SortStableFunc(all, func(a, b notify.Notice) int { return strings.Compare(a.Receiver, b.Receiver) }) // rows are locked in one order
	for _, n := range all {
		if t.s.options.Tells(n.Receiver) {
			t.putNotice(n)
		}
	}
}

// ofStream is the condition under which a signal is written: $1 and $2 are the client and the
// event; without a client, it always is.
const ofStream = "($1 = ''::bytea OR EXISTS (SELECT FROM streams WHERE key = $1 AND $2 = ANY(events)))"

// putNotice queues a notice.
func (t *txn) putNotice(n notify.Notice) {
	to := []byte(n.Receiver)
	clientID, isStream := signals.ClientOf(n.Receiver)
	if !isStream || signals.Event(n.Event).AboutStream() {
		clientID = ""
	}
	of, event := []byte(clientID), n.Event
	value := t.s.sealer.Seal(&record.Receivers, to, t.at.Add(notify.ReceiverKept), &record.Receiver{ID: n.Receiver})
	// A row that is about to expire is renewed, or the sweep would take it from its notices.
	t.put(`INSERT INTO receivers (key, value, node, until, expires, due) SELECT $3::bytea, $4::bytea, '', '-infinity', $5::timestamptz, $5::timestamptz WHERE `+ofStream+`
		ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires WHERE receivers.expires < EXCLUDED.expires - $6::interval`,
		of, event, to, value, expiryOf(value), notify.ReceiverKept-2*n.Kind.Kept())
	key := record.NoticeKey(n.Receiver, n.ID)
	value = t.s.sealer.Seal(&record.Notices, key, n.Expires(), (*record.Notice)(&n))
	t.put(`INSERT INTO notices (key, receiver, value, expires, due) SELECT $3::bytea, $4::bytea, $5::bytea, $6::timestamptz, $6::timestamptz WHERE `+ofStream+`
		AND (SELECT count(*) FROM (SELECT FROM notices WHERE receiver = $4 LIMIT $7) AS waiting) < $7`,
		of, event, key, to, value, expiryOf(value), n.Kind.MaxWaiting())
}

// tellEnded queues the notices of sessions that the transaction ends.
func (t *txn) tellEnded(ended ...session.Session) {
	all := notify.Ended(t.s.options.now(), ended...)
	t.tell(append(all, signals.Revoked(all, signals.SignedOut)...)...)
}

// tellOf queues the notices of a user's sessions and grants, of all clients or of one, and
// more, which come before the signals of the sessions.
func (t *txn) tellOf(sessions []session.Session, grants []grant.Grant, clientID string, why signals.Cause, more ...notify.Notice) {
	all := notify.Everywhere(t.s.options.now(), sessions, grants)
	if clientID != "" {
		all = notify.Of(clientID, all)
	}
	t.tell(slices.Concat(all, more, signals.Revoked(all, why))...)
}

// TakeReceivers implements notify.Store.
func (s *Store) TakeReceivers(ctx context.Context, most int) (taken []string, err error) {
	err = s.read(ctx, func(b *batch) {
		taken = nil
		b.notDurable()
		b.rows(`WITH due AS (
				SELECT key FROM receivers WHERE key IN (SELECT DISTINCT receiver FROM notices) AND until <= clock_timestamp()
				ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
			)
			UPDATE receivers SET node = $1, until = clock_timestamp() + $3::interval FROM due WHERE receivers.key = due.key
			RETURNING receivers.key, receivers.value`, []any{s.node, most, notify.Held},
			func(key, _ []byte) { taken = append(taken, string(key)) })
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// NextNotice implements notify.Store.
func (s *Store) NextNotice(ctx context.Context, receiver string) (notify.Notice, error) {
	return view(ctx, s, func(b *batch) func() (notify.Notice, error) {
		var n notify.Notice
		held, found := false, false
		b.notDurable()
		b.rows("UPDATE receivers SET until = clock_timestamp() + $3::interval WHERE key = $1 AND node = $2 RETURNING key, value",
			[]any{[]byte(receiver), s.node, notify.Held}, func(_, _ []byte) { held = true })
		b.rows("SELECT key, value FROM notices WHERE receiver = $1 ORDER BY key LIMIT 100", []any{[]byte(receiver)}, func(key, value []byte) {
			if found || s.expired(value) {
				return
			}
			var stored record.Notice
			if err := s.open(&record.Notices, key, value, &stored); err != nil {
				s.damage.Tell(s.log, &record.Notices, key, "the client is not told", err)
				return
			}
			n, found = notify.Notice(stored), true
		})
		return func() (notify.Notice, error) {
			switch {
			case !held:
				return notify.Notice{}, notify.ErrNotHeld
			case !found:
				return notify.Notice{}, notify.ErrNone
			}
			return n, nil
		}
	})
}

// SettleNotice implements notify.Store.
func (s *Store) SettleNotice(
	ctx context.Context, n notify.Notice, settle func(notify.Receiver, notify.Notice) (notify.Receiver, notify.Notice, bool),
) error {
	to, key := []byte(n.Receiver), record.NoticeKey(n.Receiver, n.ID)
	return s.write(ctx, func(t *txn) error {
		before, stored := notify.Receiver{ID: n.Receiver}, notify.Notice{}
		held := t.some("SELECT FROM receivers WHERE key = $1 AND node = $2 FOR UPDATE", to, s.node)
		t.one(&record.Receivers, (*record.Receiver)(&before), "SELECT key, value FROM receivers WHERE key = $1", to)
		found := t.one(&record.Notices, (*record.Notice)(&stored), "SELECT key, value FROM notices WHERE key = $1 FOR UPDATE", key)
		if err := t.look(); err != nil {
			return err
		}
		if !*held {
			return notify.ErrNotHeld
		}
		if !*found { // an operator has dropped it
			stored = n
		}
		after, changed, done := settle(before, stored)
		node, until := s.node, notify.Held
		if pause := after.Next.Sub(s.options.now()); pause > 0 {
			node, until = "", pause
		}
		value := s.sealer.Seal(&record.Receivers, to, t.at.Add(notify.ReceiverKept), (*record.Receiver)(&after))
		t.put("UPDATE receivers SET value = $2, expires = $3, node = $4, until = clock_timestamp() + $5::interval WHERE key = $1",
			to, value, expiryOf(value), node, until)
		switch {
		case !*found:
		case done:
			t.put("DELETE FROM notices WHERE key = $1", key)
		default:
			t.put("UPDATE notices SET value = $2 WHERE key = $1", key,
				s.sealer.Seal(&record.Notices, key, changed.Expires(), (*record.Notice)(&changed)))
		}
		return nil
	})
}

// LeaveReceiver implements notify.Store.
func (s *Store) LeaveReceiver(ctx context.Context, receiver string, pause time.Duration) error {
	return s.once(ctx, "UPDATE receivers SET node = '', until = clock_timestamp() + $3::interval WHERE key = $1 AND node = $2",
		[]byte(receiver), s.node, pause)
}

// leaveReceivers lets another server take the receivers of this one at once.
func (s *Store) leaveReceivers(ctx context.Context) error {
	return s.once(ctx, "UPDATE receivers SET node = '', until = '-infinity' WHERE node = $1", s.node)
}

// Noticed implements notify.Store.
func (s *Store) Noticed() <-chan struct{} { return s.noticed }

// wakeNotices says that notices have been written, perhaps.
func (s *Store) wakeNotices() {
	select {
	case s.noticed <- struct{}{}:
	default:
	}
}

// Receivers implements notify.Queue.
func (s *Store) Receivers(ctx context.Context) ([]notify.Standing, error) {
	return view(ctx, s, func(b *batch) func() ([]notify.Standing, error) {
		var all []notify.Standing
		at := map[string]int{}
		b.each("SELECT key, value FROM receivers ORDER BY key", nil, func(key, value []byte) error {
			var r record.Receiver
			err := s.sealer.Open(&record.Receivers, key, value, &r)
			at[string(key)] = len(all)
			all = append(all, notify.Standing{Receiver: notify.Receiver(r)})
			return err
		})
		b.queue.Queue("SELECT receiver, count(*) FROM notices GROUP BY receiver").Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var key []byte
				var n int
				if err := rows.Scan(&key, &n); err != nil {
					return err
				}
				if i, known := at[string(key)]; known {
					all[i].Waiting = n
				}
			}
			return rows.Err()
		})
		b.each("SELECT DISTINCT ON (receiver) key, value FROM notices ORDER BY receiver, key", nil, func(key, value []byte) error {
			var n record.Notice
			err := s.sealer.Open(&record.Notices, key, value, &n)
			if i, known := at[n.Receiver]; known && err == nil {
				all[i].Oldest = n.At
			}
			return nil // one that is damaged tells nothing
		})
		return func() ([]notify.Standing, error) { return all, nil }
	})
}

// RetryReceiver implements notify.Queue.
func (s *Store) RetryReceiver(ctx context.Context, receiver string) error {
	key := []byte(receiver)
	err := s.write(ctx, func(t *txn) error {
		var r notify.Receiver
		found := t.one(&record.Receivers, (*record.Receiver)(&r), "SELECT key, value FROM receivers WHERE key = $1 FOR UPDATE", key)
		if err := t.look(); err != nil {
			return err
		}
		if !*found {
			return notify.ErrNotFound
		}
		r.Failures, r.Next = 0, time.Time{}
		value := s.sealer.Seal(&record.Receivers, key, t.at.Add(notify.ReceiverKept), (*record.Receiver)(&r))
		t.put("UPDATE receivers SET value = $2, expires = $3, until = CASE WHEN node = '' THEN '-infinity' ELSE until END WHERE key = $1",
			key, value, expiryOf(value))
		return nil
	})
	if err == nil {
		s.wakeNotices()
	}
	return err
}

// DropNotices implements notify.Queue.
func (s *Store) DropNotices(ctx context.Context, receiver string) (n int, err error) {
	err = s.read(ctx, func(b *batch) {
		b.queue.Queue("DELETE FROM notices WHERE receiver = $1", []byte(receiver)).Exec(func(tag pgconn.CommandTag) error {
			n = int(tag.RowsAffected())
			return nil
		})
	})
	if err == nil {
		s.commits.Add(1)
	}
	return n, err
}

// NoticesWaiting implements notify.Queue.
func (s *Store) NoticesWaiting(ctx context.Context) (int, error) {
	return view(ctx, s, func(b *batch) func() (int, error) {
		var n int
		b.queue.Queue("SELECT count(*) FROM notices").QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return func() (int, error) { return n, nil }
	})
}
