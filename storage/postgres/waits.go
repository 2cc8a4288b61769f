// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Every wait has an end. For a connection of the pool it is Options.PoolTimeout. What
// was sent has until the database must have given up (untilStuck); then the connection
// is closed. A caller may go away earlier, and waits no longer: the query that was
// sent ends by itself, because to break it off would close a connection, and a storm of
// callers that go away would close them all. Only a commit is waited for, and its
// outcome looked up, because nothing else tells what has happened.

// stuckAfter is how long after its statement timeout an answer of the database is
// waited for.
const stuckAfter = 5 * time.Second

// acquire takes a connection from the pool.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, s.options.PoolTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(waiting)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case s.closed.Load():
		return nil, ErrClosed
	case errors.Is(err, context.DeadlineExceeded) && s.allInUse():
		return nil, fmt.Errorf("%w: none of the %d connections was free within %s: the database is slow, or there are too few of them (storage.max_connections)",
			ErrUnavailable, s.options.MaxConnections, s.options.PoolTimeout)
	}
	return nil, errLost{fmt.Errorf("postgres: no connection: %w", err)}
}

func (s *Store) allInUse() bool {
	stat := s.pool.Stat()
	return stat.AcquiredConns() == stat.MaxConns()
}

// untilStuck returns the context of what is under way. It is done when the database
// must have given up, and does not answer.
func (s *Store) untilStuck(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.options.StatementTimeout+s.options.stuckAfter)
}

// send sends a batch on a connection of the pool. If the caller goes away, the batch
// ends by itself.
func (s *Store) send(ctx context.Context, b *pgx.Batch) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	s.trip(ctx)
	ended := going(ctx, func() error {
		defer conn.Release()
		under, cancel := s.untilStuck(ctx)
		defer cancel()
		err := conn.SendBatch(under, b).Close()
		if err != nil && conn.Conn().IsClosed() {
			return errLost{err}
		}
		return err
	})
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// going runs f, and returns where its error will be. If ctx is never done, f has ended.
func going(ctx context.Context, f func() error) <-chan error {
	ended := make(chan error, 1)
	if ctx.Done() == nil {
		ended <- f()
	} else {
		go func() { ended <- f() }()
	}
	return ended
}

// takeTurn waits for the turn to spend from budgets that many sign-ins share, at
// SERIALIZABLE. There, of the transactions that wait for a row all but the first are
// refused and run again, together: a crowd would take the square of its size. At READ
// COMMITTED they queue for the row. Another process does not take part, so a
// transaction meets at most one of each.
func (s *Store) takeTurn(ctx context.Context) (done func(), err error) {
	if s.options.Isolation != Serializable {
		return func() {}, nil
	}
	waiting, cancel := context.WithTimeout(ctx, s.options.PoolTimeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-waiting.Done():
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%w: too many sign-ins begin at once", ErrUnavailable)
}
