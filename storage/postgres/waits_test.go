// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"

	"github.com/jackc/pgx/v5"
)

// holder holds what the database answers, as one that hangs does.
type holder struct {
	mu       sync.Mutex
	held     chan struct{} // nil: nothing is held
	commits  bool          // only the answers to commits are held
	waiting  chan struct{} // gets a value when something is held
	broken   atomic.Int64  // connections that were closed meanwhile
	counting atomic.Bool
}

func newHolder() *holder { return &holder{waiting: make(chan struct{}, 100)} }

func (h *holder) hold(commits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held, h.commits = make(chan struct{}), commits
	for len(h.waiting) > 0 {
		<-h.waiting
	}
	h.counting.Store(true)
}

func (h *holder) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.held)
	h.held = nil
	h.counting.Store(false)
}

func (h *holder) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return &heldConn{Conn: conn, holder: h}, err
}

type heldConn struct {
	net.Conn
	holder *holder
	commit atomic.Bool // was sent last
}

func (c *heldConn) Write(p []byte) (int, error) {
	c.commit.Store(bytes.Contains(p, []byte("COMMIT\x00")))
	return c.Conn.Write(p)
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.holder.mu.Lock()
	held := c.holder.held
	if c.holder.commits && !c.commit.Load() {
		held = nil
	}
	c.holder.mu.Unlock()
	if held != nil && err == nil {
		c.holder.waiting <- struct{}{}
		<-held
	}
	return n, err
}

func (c *heldConn) Close() error {
	if c.holder.counting.Load() {
		c.holder.broken.Add(1)
	}
	return c.Conn.Close()
}

// A caller that goes away does not wait for a database that hangs, and leaves neither
// a broken connection nor a transaction behind. A commit that was sent is waited for.
func TestCallersThatGoAway(t *testing.T) {
	h := newHolder()
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn), Pooler: true, dial: h.dial, MaxConnections: 4})
	a := newAttempt()
	if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		run  func(ctx context.Context) error
	}{
		{"reading", func(ctx context.Context) error {
			_, err := s.Attempt(ctx, a.ID)
			return err
		}},
		{"changing", func(ctx context.Context) error { return count(ctx, s, a.ID) }},
	} {
		h.hold(false)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- row.run(ctx) }()
		<-h.waiting
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want %v", row.name, err, context.Canceled)
			}
		case <-time.After(30 * time.Second): // less than the store waits for an answer
			t.Errorf("%s: the caller waits for a database that hangs", row.name)
		}
		if n := h.broken.Load(); n != 0 {
			t.Errorf("%s: %d connections were closed", row.name, n)
		}
		h.release()
		until(t, "all connections are free", func() bool { return s.pool.Stat().AcquiredConns() == 0 })
		if err := count(t.Context(), s, a.ID); err != nil { // waits for no lock that was left
			t.Errorf("%s: afterwards: %v", row.name, err)
		}
	}
	if n := counted(t, s, a.ID); n != 2 {
		t.Errorf("the attempt was changed %d times, want twice", n)
	}

	h.hold(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- count(ctx, s, a.ID) }()
	<-h.waiting
	cancel()
	h.release()
	if err := <-done; err != nil {
		t.Errorf("a commit that was sent: %v", err)
	}
	if n := counted(t, s, a.ID); n != 3 {
		t.Errorf("the attempt was changed %d times, want 3", n)
	}
}

// When all connections are in use, an operation waits for so long and no longer.
func TestWaitingForTheConnectionPool(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t)), MaxConnections: 2, PoolTimeout: 10 * time.Millisecond})
	for range 2 {
		conn, err := s.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	before := s.Stats().Waits
	if _, err := s.Clients(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("reading: %v, want %v", err, ErrUnavailable)
	}
	if err := s.CreateAttempt(t.Context(), newAttempt(), limit.Spend{}, time.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("writing: %v, want %v", err, ErrUnavailable)
	}
	if s.Healthy() != nil {
		t.Errorf("it is not the database: %v", s.Healthy())
	}
	if n := s.Stats().Waits - before; n != 2 {
		t.Errorf("%d waits were counted, want 2", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Clients(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
}

// At SERIALIZABLE, sign-ins that spend from the same budget do not refuse one another
// within a process, and none is refused for good by those of other processes.
func TestSignInsShareABudget(t *testing.T) {
	dsn := database(t)
	o := Options{DSN: redact.Text(dsn), Isolation: Serializable}
	all := limit.Charge{Key: limit.Key{Kind: limit.Deployment}, Rate: limit.Rate{Burst: 1000, Period: time.Hour}}
	begin := func(t *testing.T, stores ...*Store) {
		var wg sync.WaitGroup
		for i := range 96 {
			wg.Go(func() {
				a := newAttempt()
				err := stores[i%len(stores)].CreateAttempt(context.Background(), a, limit.Spend{Asker: []limit.Charge{all}}, time.Now())
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	one := open(t, o)
	begin(t, one)
	if n := one.Stats().Retries; n != 0 {
		t.Errorf("%d transactions of one process ran again", n)
	}
	two, three := open(t, o), open(t, o)
	begin(t, one, two, three)
	states, err := one.LimitStates(t.Context(), all.Key)
	if err != nil {
		t.Fatal(err)
	}
	spent := time.Until(states[0].Until).Round(time.Second)
	if want := 2 * 96 * time.Hour / 1000; (spent - want).Abs() > time.Minute {
		t.Errorf("%s of the budget are spent, want %s", spent, want)
	}
	t.Logf("%d, %d and %d transactions ran again", one.Stats().Retries, two.Stats().Retries, three.Stats().Retries)
}

// The answer to what a caller has asked who goes away comes when nobody expects it: for one,
// to the last notes, for which Close waits only so long.
func TestAnAnswerThatNobodyWaitsFor(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	a := newAttempt()
	if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE attempts"); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		left <- s.write(ctx, func(t *txn) error {
			_, err := t.note(map[login.ID][]login.Note{a.ID: nil})
			return err
		})
	}()
	until(t, "it waits for the table", func() bool {
		var waits bool
		err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'attempts'::regclass)").Scan(&waits)
		return err == nil && waits
	})
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the caller has gone", err)
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	until(t, "it is answered", func() bool { return s.pool.Stat().AcquiredConns() == 0 })
}
