// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A write transaction is two round trips: BEGIN with everything that it reads and
// locks, then everything that it writes with COMMIT. One that guesses what it would read
// is one, see guess.go.
//
// The last batch also inserts a row into outcomes, under an id that no other
// transaction has. If the connection breaks before the server has answered, that row
// is the transaction's outcome: a server that needs it inserts the same row, and the
// index lets one of the two in, after it has waited for a transaction that is still
// running. It holds across a failover, where transaction numbers are used again. Who asks
// always writes, and so waits for the synchronous replica in its turn: PostgreSQL shows a
// commit that has not reached the replica, if the connection that waited for it has ended.

// outcomeKept is how long outcomes stay.
const outcomeKept = time.Hour

// errAgain makes a transaction run again: a row that it needs was deleted while it
// waited for it.
var errAgain = errors.New("postgres: a row was deleted concurrently")

// ErrUnknown says that a change may or may not have been stored: the connection broke
// while it was committed, and the database could not be asked afterwards.
var ErrUnknown error = unavailableError("postgres: the outcome of a commit is unknown")

// txn is a write transaction while it runs one operation.
type txn struct {
	batch   // what look sends
	writes  pgx.Batch
	conn    *pgxpool.Conn // nil when it was given back
	caller  context.Context
	ctx     context.Context // see untilStuck
	cancel  context.CancelFunc
	mode    string
	begun   bool
	first   bool      // run of the operation
	at      time.Time // by the database's clock
	changed []string  // see wake.go

	// See guess.go.
	guesses bool      // instead of reading
	unknown bool      // the memory does not have all that is needed
	guards  []guessed // rows that the operation has decided by
	learnt  []lesson  // for the memory
	lives   []string  // users whom it keeps from being deleted

	// The locks of an attempt, if the memory has named them: see limits.go.
	expected    map[[32]byte]limit.State
	expectedFor [][32]byte
}

// put queues a statement that writes. All of them are sent with COMMIT, in lockOrder and
// updates last: none may depend on one that was queued before it for another table, or on
// an update.
func (t *txn) put(sql string, args ...any) { t.writes.Queue(sql, args...) }

// look sends what is queued to be read, in one round trip. An error ends the
// transaction, and what the queries write to must not be read then: if the caller has
// gone, they may still run. A guess reads nothing.
func (t *txn) look() error {
	if t.guesses {
		if t.unknown || len(t.queue.QueuedQueries) > 0 {
			return errGuess
		}
		return nil
	}
	b := &pgx.Batch{}
	if !t.begun {
		b.Queue("BEGIN ISOLATION LEVEL " + t.mode)
		b.Queue("SELECT now()").QueryRow(func(row pgx.Row) error { return row.Scan(&t.at) })
	}
	b.QueuedQueries = append(b.QueuedQueries, t.queue.QueuedQueries...)
	t.queue = pgx.Batch{}
	t.begun = true
	t.s.trip(t.ctx)
	conn, under := t.conn, t.ctx
	ended := going(t.caller, func() error { return conn.SendBatch(under, b).Close() })
	select {
	case err := <-ended:
		return err
	case <-t.caller.Done():
		left := &txn{batch: batch{s: t.s}, conn: t.conn, ctx: t.ctx, cancel: t.cancel}
		t.conn, t.cancel = nil, func() {}
		go func() {
			<-ended
			left.end()
		}()
		return t.caller.Err()
	}
}

// commit sends what is queued to be written. unknown is true if nothing tells whether
// it was committed.
func (t *txn) commit(id []byte) (unknown bool, err error) {
	b := t.ordered()
	if t.guesses {
		b.QueuedQueries = append([]*pgx.QueuedQuery{{SQL: "BEGIN ISOLATION LEVEL " + t.mode}}, b.QueuedQueries...)
	}
	if len(t.writes.QueuedQueries) > 0 {
		b.Queue("INSERT INTO outcomes (at, id, committed, changed) VALUES ($1, $2, true, $3)", t.at, id, t.changed)
	}
	var tag pgconn.CommandTag
	b.Queue("COMMIT").Exec(func(got pgconn.CommandTag) error {
		tag = got
		return nil
	})
	t.s.trip(t.ctx)
	err = t.conn.SendBatch(t.ctx, b).Close()
	switch {
	case err == nil && tag.String() == "COMMIT":
		return false, nil
	case err == nil:
		return false, fmt.Errorf("postgres: a transaction ended with %s", tag)
	case len(t.writes.QueuedQueries) == 0: // nothing was committed, and what was read may not be of one moment
		return false, err
	}
	return unknownOutcome(err), err
}

// write runs an operation in a transaction of its own, as often as needed, and returns
// when it is durable or has left nothing behind. The result is that of the run that
// was committed. If ctx is done first, nothing has happened.
func (s *Store) write(ctx context.Context, run func(*txn) error) error {
	return s.writeAt(ctx, s.options.Isolation.String(), run)
}

func (s *Store) writeAt(ctx context.Context, mode string, run func(*txn) error) error {
	first := true
	return s.again(ctx, func(ctx context.Context) error {
		t := &txn{batch: batch{s: s}, mode: mode, first: first}
		first = false
		return s.runOnce(ctx, t, run)
	})
}

// guess is write for an operation that the memory may have the rows for. If they have
// changed meanwhile, or the operation refuses, it runs again and reads.
func (s *Store) guess(ctx context.Context, run func(*txn) error) error {
	mode := s.options.Isolation.String()
	guesses, first := true, true
	return s.again(ctx, func(ctx context.Context) error {
		if guesses {
			guesses = false
			err := s.runOnce(ctx, &txn{batch: batch{s: s}, mode: mode, first: true, guesses: true}, run)
			if err == nil || ctx.Err() != nil || !isOfGuess(err) {
				return err
			}
		}
		t := &txn{batch: batch{s: s}, mode: mode, first: first}
		first = false
		return s.runOnce(ctx, t, run)
	})
}

// isOfGuess reports whether an operation that has guessed may have another result when it
// reads. Not if the database could not be asked, or has not answered what became of it.
func isOfGuess(err error) bool {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown) || errors.Is(err, ErrClosed) {
		return false
	}
	switch kindOf(err) {
	case final, deleted, notHeld:
		return true
	case conflict: // it has not waited long enough for another whole wait for the same lock
		refused, ok := errors.AsType[*pgconn.PgError](err)
		return !ok || refused.Code != codeLockTimeout
	}
	return false
}

// runOnce runs an operation in a transaction.
func (s *Store) runOnce(ctx context.Context, t *txn, run func(*txn) error) error {
	if t.guesses {
		t.at = s.toDatabase(s.options.now()).UTC().Truncate(time.Microsecond) // the database's precision
		err := run(t)
		if err == nil {
			err = t.look() // nothing is left to be read
		}
		if err != nil {
			return err
		}
		run = func(*txn) error { return nil }
	}
	begun := time.Now()
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	t.conn, t.caller = conn, ctx
	t.ctx, t.cancel = s.untilStuck(ctx)
	defer t.end()
	id := make([]byte, 16)
	rand.Read(id)
	unknown, err := t.attempt(ctx, run, id)
	broken := t.conn != nil && t.conn.Conn().IsClosed()
	t.end()
	if err != nil && unknown {
		err = s.outcome(t.at, id, err)
		broken = false
	}
	t.remember(err == nil)
	if len(t.writes.QueuedQueries) > 0 {
		s.committed(ctx, begun, err)
	}
	if err == nil {
		s.tell(t.changed)
	}
	if err != nil && broken {
		return errLost{err}
	}
	return err
}

// committed reports a transaction that wrote.
func (s *Store) committed(ctx context.Context, begun time.Time, err error) {
	if s.options.Committed != nil {
		s.options.Committed(ctx, err != nil, time.Since(begun))
	}
}

// attempt runs an operation once, and commits what it has queued under id.
func (t *txn) attempt(ctx context.Context, run func(*txn) error, id []byte) (unknown bool, err error) {
	if err := run(t); err != nil {
		return false, err
	}
	if !t.guesses && (!t.begun || len(t.queue.QueuedQueries) > 0) {
		if err := t.look(); err != nil {
			return false, err
		}
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	unknown, err = t.commit(id)
	if err == nil && len(t.writes.QueuedQueries) > 0 {
		t.s.commits.Add(1)
		t.s.wrote()
	}
	return unknown, err
}

// end gives the connection back, and ends a transaction that was not committed.
func (t *txn) end() {
	if t.conn == nil {
		return
	}
	raw := t.conn.Conn().PgConn()
	if !raw.IsClosed() && raw.TxStatus() != 'I' {
		t.s.trip(t.ctx)
		raw.Exec(t.ctx, "ROLLBACK").ReadAll() // else the pool closes the connection
	}
	t.conn.Release()
	t.conn = nil
	t.cancel()
}

// update is write for an operation that returns a value: it returns that of the run
// that was committed, and the zero T on an error.
func update[T any](ctx context.Context, s *Store, run func(*txn) (T, error)) (T, error) {
	return returning(ctx, s.write, run)
}

// guessing is guess for an operation that returns a value, as update is write.
func guessing[T any](ctx context.Context, s *Store, run func(*txn) (T, error)) (T, error) {
	return returning(ctx, s.guess, run)
}

func returning[T any](ctx context.Context, write func(context.Context, func(*txn) error) error, run func(*txn) (T, error)) (T, error) {
	var committed, none T
	err := write(ctx, func(t *txn) (err error) {
		committed, err = run(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return committed, nil
}

// errLost makes an operation run again that has lost its connection, or found none, and
// has not committed anything.
type errLost struct{ cause error }

func (e errLost) Error() string { return e.cause.Error() }
func (e errLost) Unwrap() error { return e.cause }

// outcome finds out what became of a transaction whose connection broke during its
// commit: nil if it was committed, an error after which it runs again if not.
func (s *Store) outcome(at time.Time, id []byte, cause error) error {
	s.log.Warn("the connection to the database broke during a commit; its outcome is looked up", "error", cause)
	s.lookups.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), s.options.RecoverFor)
	defer cancel()
	var committed bool
	err := s.again(ctx, func(ctx context.Context) error {
		b := &pgx.Batch{}
		b.Queue(`INSERT INTO outcomes (at, id, committed) VALUES ($1, $2, false)
			ON CONFLICT (at, id) DO UPDATE SET committed = outcomes.committed RETURNING committed`, at, id).QueryRow(func(row pgx.Row) error {
			return row.Scan(&committed)
		})
		return s.send(ctx, b)
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w (then: %w)", ErrUnknown, cause, err)
	case committed:
		s.commits.Add(1)
		return nil
	}
	return errLost{cause}
}

// again runs an operation until it succeeds, fails for a reason that another run does
// not change, or has taken too long. What goes by is an ErrUnavailable then.
func (s *Store) again(ctx context.Context, run func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	begun := time.Now()
	for tries := 0; ; tries++ {
		err := run(ctx)
		if err == nil {
			s.reached(nil)
			return nil
		}
		kind := kindOf(err)
		switch {
		case kind == deleted:
			return subject.ErrNotFound
		case kind == notHeld:
			return login.ErrNotHeld
		case kind == final, kind == denied && !s.opened.Load():
			return err
		case s.closed.Load():
			return ErrClosed
		case !kind.isWorthAnotherRun(), time.Since(begun) > s.options.RecoverFor:
			s.note(kind, err)
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		switch kind {
		case conflict:
			s.retries.Add(1)
		case readOnly:
			s.pool.Reset() // after a failover, another host may be the one to write to
		case lost:
			if tries > 0 {
				s.note(kind, err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause(tries, kind)):
		}
	}
}

// pause returns how long to wait before another run: longer each time, and never as
// long as another one. Conflicts end with the other transaction, soon.
func pause(tries int, kind errorKind) time.Duration {
	longest := 200 * time.Millisecond
	if kind == conflict {
		longest = 20 * time.Millisecond
	}
	most := min(time.Millisecond<<min(tries, 8), longest)
	n, err := rand.Int(rand.Reader, big.NewInt(int64(most)))
	if err != nil {
		return most
	}
	return time.Duration(n.Int64())
}
