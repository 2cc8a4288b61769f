// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"calleridp/provider/login"
	"calleridp/storage/record"
	"calleridp/truecaller"

	"github.com/jackc/pgx/v5"
)

var _ truecaller.Inbox = (*Store)(nil)

// A delivery is held by the process that its row names, until a time of the database's
// clock that holds.go moves on. Who holds it no more cannot settle it, because
// settle_delivery names the process, too.

// PutDelivery implements truecaller.Inbox. It keeps the first of several deliveries
// with the same ID, if that can be read.
func (s *Store) PutDelivery(ctx context.Context, d truecaller.Delivery) (held bool, err error) {
	key := []byte(d.ID)
	value := s.sealer.Seal(&record.Deliveries, key, d.Received.Add(record.DeliveryKept), (*record.Delivery)(&d))
	var stored []byte
	var since time.Time
	begun := time.Now()
	err = s.read(ctx, func(b *batch) {
		stored, since = nil, time.Now()
		b.rows(`INSERT INTO deliveries (key, value, node, until, expires, due, attempt) VALUES ($1, $2, $3, clock_timestamp() + $4::interval, $5, $5, $6)
			ON CONFLICT (key) DO UPDATE SET node = EXCLUDED.node, until = clock_timestamp() + $4::interval
			WHERE deliveries.node IN ('', EXCLUDED.node) OR deliveries.until <= clock_timestamp()
			RETURNING key, value`, []any{key, value, s.node, deliveryTaken, expiryOf(value), attemptOf(d)}, func(_, value []byte) { stored = append([]byte{}, value...) })
		b.attemptWith("$1", attemptOf(d))
	})
	if err != nil {
		return false, err
	}
	if stored == nil {
		// Another server holds it, and its commit may not have reached the synchronous
		// replica yet. ON CONFLICT has locked the row, though, and so this one has waited for
		// the replica: a lock is in the log, too.
		s.claims.lose(d.ID)
		return false, nil
	}
	s.commits.Add(1)
	s.committed(ctx, begun, nil)
	s.claims.holds()
	var first record.Delivery
	if bytes.Equal(stored, value) || s.open(&record.Deliveries, key, stored, &first) == nil {
		s.claims.take(d.ID, since)
		return true, nil
	}
	// What was there has expired, or cannot be read.
	err = s.once(ctx, "UPDATE deliveries SET value = $2, expires = $3, due = $3 WHERE key = $1 AND node = $4", key, value, expiryOf(value), s.node)
	return err == nil, err
}

// Deliveries implements truecaller.Inbox. All of them expire an hour after they were
// received, so they are due in the order in which they were received.
func (s *Store) Deliveries(ctx context.Context, max int) (all []truecaller.Delivery, err error) {
	var damaged [][]byte
	for seen, more := 0, true; more && len(all) < max; {
		n := 0
		err := s.deliveriesAfter(ctx, seen, max, func(key, value []byte) {
			n++
			var d truecaller.Delivery
			switch err := s.open(&record.Deliveries, key, value, (*record.Delivery)(&d)); {
			case errors.Is(err, errExpired): // the sweep is about to delete it
			case err != nil:
				s.damage.Tell(s.log, &record.Deliveries, key, "the inbox goes on without it, and Truecaller may send it again", err)
				damaged = append(damaged, key)
				s.claims.lose(string(key))
			case len(all) < max:
				all = append(all, d)
			}
		})
		if err != nil {
			return nil, err
		}
		seen, more = seen+n, n == max
	}
	slices.SortFunc(all, func(a, b truecaller.Delivery) int { return a.Received.Compare(b.Received) })
	if len(damaged) > 0 { // a newer version of the program may read it
		err = s.once(ctx, "UPDATE deliveries SET node = '', until = clock_timestamp() + $3::interval WHERE key = ANY($1) AND node = $2",
			damaged, s.node, deliveryTaken)
	}
	return all, err
}

// deliveriesAfter takes what no process holds, and passes on up to most deliveries that this
// process holds, in the order in which they are due, without the first ones.
func (s *Store) deliveriesAfter(ctx context.Context, first, most int, each func(key, value []byte)) error {
	type row struct{ key, value []byte }
	var page []row
	err := s.read(ctx, func(b *batch) {
		page = nil
		b.run(`WITH free AS (
				SELECT key FROM deliveries WHERE until <= clock_timestamp() AND node <> $1
				ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
			)
			UPDATE deliveries SET node = $1, until = clock_timestamp() + $3::interval FROM free WHERE deliveries.key = free.key`,
			s.node, most, deliveryTaken)
		b.rows("SELECT key, value FROM deliveries WHERE node = $1 ORDER BY due, key OFFSET $2 LIMIT $3", []any{s.node, first, most},
			func(key, value []byte) { page = append(page, row{key, value}) })
	})
	if err != nil {
		return err
	}
	if len(page) > 0 {
		s.claims.holds()
	}
	for _, r := range page {
		each(r.key, r.value)
	}
	return nil
}

// rows queues a query for keys and values, also of damaged rows.
func (b *batch) rows(sql string, args []any, do func(key, value []byte)) {
	b.queue.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key, value []byte
			if err := rows.Scan(&key, &value); err != nil {
				return err
			}
			do(key, value)
		}
		return rows.Err()
	})
}

// HoldDelivery implements truecaller.Inbox. It asks nothing about a delivery that was
// stored a moment ago: the first try to fetch its profile follows at once.
func (s *Store) HoldDelivery(ctx context.Context, id string) (held bool, err error) {
	if s.claims.justTook(id) {
		return true, ctx.Err()
	}
	var still bool
	err = s.read(ctx, func(b *batch) {
		still = false
		b.notDurable()
		b.rows("UPDATE deliveries SET until = clock_timestamp() + $3::interval WHERE key = $1 AND node = $2 RETURNING key, value",
			[]any{[]byte(id), s.node, deliveryTaken}, func(_, _ []byte) { still = true })
		b.attemptWith("(SELECT attempt FROM deliveries WHERE key = $1)", []byte(id))
	})
	if err != nil {
		return false, err
	}
	return still, nil
}

// attemptWith queues a query for the attempt with a correlation, which the memory then has:
// whether it still waits for the token is asked next (invariant 8), and another process may
// have approved it with the same callback.
func (b *batch) attemptWith(correlation string, arg []byte) {
	b.rows("SELECT key, value FROM attempts WHERE correlation = "+correlation, []any{arg}, func(key, value []byte) {
		b.s.memory.put(at(&record.Attempts, key), bytes.Clone(value), moment{})
	})
}

// attemptOf returns what the column attempt has: the correlation of the attempt to which a
// delivery brings a token, else nothing.
func attemptOf(d truecaller.Delivery) []byte {
	if d.AccessToken == "" {
		return []byte{}
	}
	correlation := d.Correlation()
	return correlation[:]
}

// trying queues a query for the deliveries of an attempt that bring a token, whichever server
// holds them: another process's note of them may not be stored yet.
func (b *batch) trying(id login.ID, into *[]string) {
	b.rows("SELECT key, value FROM deliveries WHERE attempt = (SELECT correlation FROM attempts WHERE key = $1) AND attempt <> ''",
		[]any{[]byte(id)}, func(key, value []byte) {
			var d record.Delivery
			if err := b.s.open(&record.Deliveries, key, value, &d); err == nil {
				*into = append(*into, d.ID)
			}
		})
}

// settleDelivery queues the deletion of a delivery whose work the transaction finishes.
// It ends the transaction if another process holds it.
func (t *txn) settleDelivery(id string) {
	if id != "" {
		t.s.claims.lose(id)
		t.put("SELECT settle_delivery($1, $2)", []byte(id), t.s.node)
	}
}

// DropDelivery implements truecaller.Inbox.
func (s *Store) DropDelivery(ctx context.Context, id string) error {
	s.claims.lose(id)
	return s.once(ctx, "DELETE FROM deliveries WHERE key = $1 AND node = $2", []byte(id), s.node)
}

// InboxSize returns how many deliveries are stored.
func (s *Store) InboxSize(ctx context.Context) (int, error) {
	return view(ctx, s, func(b *batch) func() (int, error) {
		var n int
		b.queue.Queue("SELECT count(*) FROM deliveries").QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return func() (int, error) { return n, nil }
	})
}
