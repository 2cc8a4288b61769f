package postgres

import (
	"context"
	"fmt"
	"time"

	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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
	and := ""
	if k.Expires() {
		and = " AND expires > now()"
	}
	p := at(k, key)
	after := b.s.memory.now(p)
	found = new(bool)
	b.queue.Queue("SELECT value FROM "+k.Name+" WHERE key = $1"+and+lock, key).Query(func(rows pgx.Rows) error {
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
		if *found = len(value) > 0; !*found { // a place, see migrations
			return nil
		}
		return b.s.sealer.Open(k, key, value, into)
	})
	return found
}

// each queues a query for the keys and the values of records.
func (b *batch) each(sql string, args []any, do func(key, value []byte) error) {
	b.queue.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var key, value []byte
			if err := rows.Scan(&key, &value); err != nil {
				return err
			}
			if len(value) == 0 { // a place, see migrations
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

// read sends a batch that only reads, again if the connection was lost.
func (s *Store) read(ctx context.Context, queue func(*batch)) error {
	return s.again(ctx, func(ctx context.Context) error {
		b := &batch{s: s}
		queue(b)
		return s.send(ctx, &b.queue)
	})
}

// once runs a statement that may run any number of times, in a transaction of its own.
func (s *Store) once(ctx context.Context, sql string, args ...any) error {
	err := s.read(ctx, func(b *batch) { b.run(sql, args...) })
	if err == nil {
		s.commits.Add(1)
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

// send sends a batch on a connection of the pool.
func (s *Store) send(ctx context.Context, b *pgx.Batch) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx, cancel := s.untilStuck(ctx)
	defer cancel()
	s.trip(ctx)
	err = conn.SendBatch(ctx, b).Close()
	if err != nil && conn.Conn().IsClosed() {
		return errLost{err}
	}
	return err
}

// acquire takes a connection from the pool.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := s.pool.Acquire(ctx)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case s.closed.Load():
		return nil, ErrClosed
	}
	return nil, errLost{fmt.Errorf("postgres: no connection: %w", err)}
}

// untilStuck returns the context of what is under way. It is done when the database
// must have given up, and does not answer: a caller that goes away would break a
// connection that the next one needs, and a commit that is on its way is waited for.
func (s *Store) untilStuck(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.options.StatementTimeout+5*time.Second)
}

// expiryOf returns the expiry that a sealed value has.
func expiryOf(value []byte) time.Time { return time.Unix(0, record.Expiry(value)).UTC() }
