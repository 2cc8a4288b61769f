// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"calleridp/keys"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
)

// batch holds queries that are sent together, in one round trip. At READ COMMITTED,
// each sees what was committed before it runs: after a query that waits for a lock,
// the next ones see what the holder has committed.
type batch struct {
	s     *Store
	queue pgx.Batch
}

// one queues a query for the key and the value of one record. found is set when the
// batch is sent.
func (b *batch) one(k *record.Kind, into record.Record, sql string, args ...any) (found *bool) {
	found = new(bool)
	b.each(sql, args, func(key, value []byte) error {
		*found = true
		return b.s.sealer.Open(k, key, value, into)
	})
	return found
}

// see queues a query for one record by its key, which the memory then has.
func (b *batch) see(k *record.Kind, into record.Record, key []byte) (found *bool) {
	return b.rowOf(k, into, key, "")
}

// rowOf queues a query for one record by its key, with a lock, which the memory then has.
func (b *batch) rowOf(k *record.Kind, into record.Record, key []byte, lock string) (found *bool) {
	p := at(k, key)
	after := b.s.memory.now(p)
	found = new(bool)
	b.queue.Queue("SELECT value FROM "+k.Name+" WHERE key = $1"+lock, key).Query(func(rows pgx.Rows) error {
		var value []byte
		for rows.Next() {
			if err := rows.Scan(&value); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		b.s.memory.put(p, value, after)
		if *found = len(value) > 0 && !b.s.expired(value); !*found { // a place, see migrations
			return nil
		}
		return b.s.sealer.Open(k, key, value, into)
	})
	return found
}

// each queues a query for the keys and the values of records that have not expired.
func (b *batch) each(sql string, args []any, do func(key, value []byte) error) {
	b.queue.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key, value []byte
			if err := rows.Scan(&key, &value); err != nil {
				return err
			}
			if len(value) == 0 || b.s.expired(value) { // a place, see migrations
				continue
			}
			if err := do(key, value); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// some queues a query, and reports whether it gives a row.
func (b *batch) some(sql string, args ...any) (found *bool) {
	found = new(bool)
	b.queue.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			*found = true
		}
		return rows.Err()
	})
	return found
}

// run queues a statement for its effect.
func (b *batch) run(sql string, args ...any) { b.queue.Queue(sql, args...) }

// read sends a batch that only reads, again if the connection was lost. After an error,
// what the queries write to must not be read: if the caller has gone, they may still run.
func (s *Store) read(ctx context.Context, queue func(*batch)) error {
	return s.again(ctx, func(ctx context.Context) error {
		b := &batch{s: s}
		queue(b)
		return s.send(ctx, &b.queue)
	})
}

// once runs a statement that may run any number of times, in a transaction of its own.
// After a run that was lost, it may find nothing left to do, in a commit that the
// synchronous replica lacks (see outcome). So it then writes something else, and waits.
func (s *Store) once(ctx context.Context, sql string, args ...any) error {
	lost := false
	err := s.read(ctx, func(b *batch) {
		b.run(sql, args...)
		if lost {
			b.run("INSERT INTO outcomes (at, id, committed) VALUES (now(), $1, true)", []byte(keys.RandomText(16)))
		}
		lost = true
	})
	if err == nil {
		s.commits.Add(1)
		s.wrote()
	}
	return err
}

// view returns what load makes of the queries that it queues.
func view[T any](ctx context.Context, s *Store, load func(*batch) func() (T, error)) (T, error) {
	var result func() (T, error)
	err := s.read(ctx, func(b *batch) { result = load(b) })
	if err != nil {
		var none T
		return none, err
	}
	return result()
}

// expiryOf returns the expiry that a sealed value has.
func expiryOf(value []byte) time.Time { return time.Unix(0, record.Expiry(value)).UTC() }
