package postgres

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"calleridp/provider/login"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
)

// A page that waits in one process hears of a change that another one makes. After a
// transaction has changed an attempt, the process notifies the others (LISTEN and
// NOTIFY), many changes at a time. That may be lost: the process may die before, and
// who listens may lose its connection. So each transaction also leaves what it has
// changed in outcomes, and the others look there: rarely while they listen, and more
// often while they cannot. Waiting pages cost the database nothing.
//
// Transactions do not notify by themselves, because PostgreSQL commits transactions
// that do so one after the other, each with its own fsync.

// channel is what processes listen to.
const channel = "calleridp"

// lookBack is how far back the store looks for changes: a transaction is seen when it
// is committed, and has the time at which it began.
const lookBack = 30 * time.Second

// Heard is what to do about the changes of other processes. Each may be called more
// than once for a change, and must not wait.
type Heard struct {
	// Attempt is called for a new or changed attempt, with the hash of its browser
	// (login.Attempt.Browser).
	Attempt func(id login.ID, browser [32]byte)
	// Keys is called when the signing keys have changed.
	Keys func()
}

// A change is the process that made it, and an attempt with its browser, or keysChange.
const keysChange = "keys"

func (s *Store) attemptChange(a login.Attempt) string {
	return s.node + " " + string(a.ID) + " " + base64.RawURLEncoding.EncodeToString(a.Browser[:])
}

// hear passes a change on, unless this process has made it.
func (s *Store) hear(change string, heard Heard) {
	node, rest, _ := strings.Cut(change, " ")
	id, browser, isAttempt := strings.Cut(rest, " ")
	hash, err := base64.RawURLEncoding.DecodeString(browser)
	switch {
	case node == s.node:
	case rest == keysChange:
		heard.Keys()
	case isAttempt && err == nil && len(hash) == 32:
		s.memory.forget(at(&record.Attempts, []byte(id)))
		heard.Attempt(login.ID(id), [32]byte(hash))
	}
}

// telling is what the other processes are not told yet.
type telling struct {
	mu      sync.Mutex
	changes []string
	wake    chan struct{}
}

// tell makes keepTelling tell the other processes.
func (s *Store) tell(changes []string) {
	if len(changes) == 0 {
		return
	}
	s.telling.mu.Lock()
	defer s.telling.mu.Unlock()
	s.telling.changes = append(s.telling.changes, changes...)
	select {
	case s.telling.wake <- struct{}{}:
	default:
	}
}

// keepTelling tells the other processes of changes, until the store is closed.
func (s *Store) keepTelling() {
	for {
		select {
		case <-s.closing:
			return
		case <-s.telling.wake:
		}
		s.telling.mu.Lock()
		changes := s.telling.changes
		s.telling.changes = nil
		s.telling.mu.Unlock()
		b := &pgx.Batch{}
		b.Queue("SELECT set_config('synchronous_commit', 'off', true)") // nothing of it has to be durable
		b.Queue("SELECT pg_notify($1, change) FROM unnest($2::text[]) AS change", channel, changes)
		ctx, cancel := s.untilStuck(context.Background())
		if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
			s.log.Debug("other processes were not notified of changes; they will find them", "changes", len(changes), "error", err)
		}
		cancel()
	}
}

// Listening reports whether the store hears of the changes of other processes at once.
func (s *Store) Listening() bool { return s.listening.Load() }

// Listen passes on what other processes change, until ctx is done.
func (s *Store) Listen(ctx context.Context, heard Heard) {
	l := &listener{s: s, heard: heard, seen: map[string]time.Time{}}
	for ctx.Err() == nil && !s.closed.Load() {
		err := l.listen(ctx)
		if s.listening.Swap(false) && ctx.Err() == nil {
			s.log.Warn("the connection that listens to other processes broke; until it is back, this one looks for their changes", "error", err)
		}
		l.look(ctx)
		select {
		case <-ctx.Done():
		case <-s.closing:
			return
		case <-time.After(s.options.LookEvery):
		}
	}
}

// listener hears of changes.
type listener struct {
	s     *Store
	heard Heard
	seen  map[string]time.Time // transactions in outcomes, and when they began
}

var errNotListening = errors.New("postgres: no connection can listen through a pooler")

// listen listens until the connection breaks.
func (l *listener) listen(ctx context.Context) error {
	dsn := l.s.options.ListenDSN
	if dsn == "" {
		if l.s.options.Pooler {
			return errNotListening
		}
		dsn = l.s.options.DSN
	}
	o := l.s.options
	o.DSN, o.Pooler = dsn, false
	config, err := o.pool()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	l.s.memory.listens()
	if !l.s.listening.Swap(true) {
		l.s.log.Info("listening to the changes of other processes")
	}
	l.look(ctx)
	for {
		waiting, cancel := context.WithTimeout(ctx, 10*l.s.options.LookEvery)
		n, err := conn.WaitForNotification(waiting)
		overdue := waiting.Err() != nil
		cancel()
		switch {
		case err == nil:
			l.s.hear(n.Payload, l.heard)
			continue
		case ctx.Err() != nil || !overdue || conn.IsClosed():
			return err
		}
		l.look(ctx)
		alive, cancel := context.WithTimeout(ctx, l.s.options.StatementTimeout)
		err = conn.Ping(alive)
		cancel()
		if err != nil {
			return err
		}
	}
}

// look passes on what others have changed since the last time.
func (l *listener) look(ctx context.Context) {
	var fresh []string
	var now time.Time
	err := l.s.read(ctx, func(b *batch) {
		fresh = nil
		b.queue.Queue("SELECT now()").QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
		b.queue.Queue("SELECT at, id, changed FROM outcomes WHERE at > now() - $1::interval AND changed IS NOT NULL", lookBack).Query(
			func(rows pgx.Rows) error {
				for rows.Next() {
					var at time.Time
					var id []byte
					var changes []string
					if err := rows.Scan(&at, &id, &changes); err != nil {
						return err
					}
					if _, seen := l.seen[string(id)]; !seen {
						l.seen[string(id)] = at
						fresh = append(fresh, changes...)
					}
				}
				return rows.Err()
			})
	})
	if err != nil {
		return // the next look finds it
	}
	for id, at := range l.seen {
		if now.Sub(at) > 2*lookBack {
			delete(l.seen, id)
		}
	}
	for _, change := range fresh {
		l.s.hear(change, l.heard)
	}
}
