// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"calleridp/keys"
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

// lookBack is how far back the store looks for changes when it knows no snapshot of
// before: at its start, and after the database's.
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
			s.log.Debug("other servers were not notified of changes; they will find them by polling", "changes", len(changes), "error", err)
		}
		cancel()
	}
}

// Listening reports whether the store is notified of the changes of other servers at once.
func (s *Store) Listening() bool { return s.listening.Load() }

// Listen passes on what other processes change, until ctx is done.
func (s *Store) Listen(ctx context.Context, heard Heard) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listener{s: s, heard: heard, now: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		select {
		case <-ctx.Done():
		case <-s.closing:
			cancel()
		}
	})
	wg.Go(func() { l.keepLooking(ctx) })
	l.keepListening(ctx)
}

// listener receives notifications of changes.
type listener struct {
	s     *Store
	heard Heard
	now   chan struct{} // look at once

	// What was seen, as a pg_snapshot of the server that started then; "": nothing.
	seen    string
	started time.Time
}

var (
	errNotListening = errors.New("postgres: no connection can listen through a pooler")
	errDeaf         = errors.New("postgres: the connection that listens gets no notifications; a pooler in transaction mode delivers none: give storage.listen_dsn_file an address that goes around it")
)

const (
	// listenPause is the longest wait between two tries to listen.
	listenPause = 30 * time.Second
	// lookSlower is how much rarer the store looks for changes while it listens.
	lookSlower = 10
)

// keepListening listens, again after each failure. Meanwhile keepLooking looks more
// often.
func (l *listener) keepListening(ctx context.Context) {
	s := l.s
	pause, failing := s.options.LookEvery, false
	for ctx.Err() == nil {
		err := l.listen(ctx)
		listened := s.listening.Swap(false)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNotListening):
			s.log.Info("this server polls for the changes of others, because its connections go through a pooler", "every", s.options.LookEvery.String())
			<-ctx.Done()
			return
		case listened:
			pause, failing = s.options.LookEvery, false
			fallthrough
		case !failing:
			failing = true
			s.log.Warn("this server cannot listen to the others; it polls for their changes meanwhile", "error", err)
		}
		s.listenFailures.Add(1)
		l.lookSoon()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, max(listenPause, s.options.LookEvery))
	}
}

// listen listens until the connection breaks, or delivers nothing.
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
	defer func() {
		closing, cancel := l.s.untilStuck(ctx)
		defer cancel()
		conn.Close(closing)
	}()
	beginning, cancel := l.s.untilStuck(ctx)
	_, err = conn.Exec(beginning, "LISTEN "+channel)
	cancel()
	if err != nil {
		return err
	}
	l.s.memory.listens()
	for {
		if err := l.probe(ctx, conn); err != nil {
			return err
		}
		if !l.s.Listening() {
			holding, cancel := l.s.untilStuck(ctx)
			err := holdServer(holding, conn)
			cancel()
			if err != nil {
				return err
			}
			l.s.listening.Store(true)
			l.s.log.Info("listening to the changes of other servers")
			l.lookSoon() // for what was changed before
		}
		if _, err := l.hearUntil(ctx, conn, lookSlower*l.s.options.LookEvery, ""); err != nil {
			return err
		}
	}
}

// probe notifies the process itself, over another connection, and waits until it hears
// of it: a pooler accepts LISTEN and delivers nothing.
func (l *listener) probe(ctx context.Context, conn *pgx.Conn) error {
	most := min(max(lookSlower*l.s.options.LookEvery, 2*time.Second), 5*time.Second)
	token := l.s.node + " probe " + keys.RandomText(6)
	b := &batch{s: l.s}
	b.notDurable()
	b.run("SELECT pg_notify($1, $2)", channel, token)
	sending, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := l.s.claims.pool.SendBatch(sending, &b.queue).Close(); err != nil {
		return err
	}
	heard, err := l.hearUntil(ctx, conn, most, token)
	if err == nil && !heard {
		return errDeaf
	}
	return err
}

// hearUntil passes on what is heard for so long, or until this text has been.
func (l *listener) hearUntil(ctx context.Context, conn *pgx.Conn, most time.Duration, text string) (heard bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(waiting)
		switch {
		case err == nil && text != "" && n.Payload == text:
			return true, nil
		case err == nil:
			l.s.hear(n.Payload, l.heard)
		case ctx.Err() != nil || waiting.Err() == nil || conn.IsClosed():
			return false, err
		default:
			return false, nil
		}
	}
}

// lookSoon makes keepLooking look at once.
func (l *listener) lookSoon() {
	select {
	case l.now <- struct{}{}:
	default:
	}
}

// keepLooking looks for changes until ctx is done.
func (l *listener) keepLooking(ctx context.Context) {
	for {
		l.look(ctx)
		every := l.s.options.LookEvery
		if l.s.Listening() {
			every *= lookSlower
		}
		select {
		case <-ctx.Done():
			return
		case <-l.now:
		case <-time.After(every):
		}
	}
}

// Queries for changes. The first finds those that the snapshot $1 did not see, so that
// one is found whose transaction was committed after a later one; the second, those of
// the last time. A row of a transaction that this server has not begun comes from a dump
// of another one: without the last condition it would be found each time.
const (
	unseenChanges = `o.xid >= pg_snapshot_xmin($1::text::pg_snapshot) AND NOT pg_visible_in_snapshot(o.xid, $1::text::pg_snapshot)
		AND o.xid < pg_snapshot_xmax(pg_current_snapshot())`
	lastChanges = `o.at > now() - $1::interval`
)

// look passes on what others have changed since the last time. It costs one look into an
// index while nothing has changed.
func (l *listener) look(ctx context.Context) {
	where, arg := unseenChanges, any(l.seen)
	if l.seen == "" {
		where, arg = lastChanges, lookBack
	}
	var found []string
	var seen string
	var started time.Time
	err := l.s.read(ctx, func(b *batch) {
		found = nil
		b.queue.Queue(`SELECT pg_current_snapshot()::text, pg_postmaster_start_time(), o.changed
			FROM (SELECT) one LEFT JOIN outcomes o ON o.changed IS NOT NULL AND `+where, arg).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var changes []string
				if err := rows.Scan(&seen, &started, &changes); err != nil {
					return err
				}
				found = append(found, changes...)
			}
			return rows.Err()
		})
	})
	if err != nil {
		return // the next look finds it
	}
	if l.seen != "" && !started.Equal(l.started) {
		// Another server, perhaps, which counts its transactions from an earlier one on.
		l.seen = ""
		l.look(ctx)
		return
	}
	l.seen, l.started = seen, started
	for _, change := range found {
		l.s.hear(change, l.heard)
	}
}
