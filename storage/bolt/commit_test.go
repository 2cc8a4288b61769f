// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// stall makes the committer wait inside an operation, so that what is queued
// meanwhile forms one batch.
func stall(t *testing.T, s *Store) (release func()) {
	t.Helper()
	inside, hold := make(chan struct{}), make(chan struct{})
	go s.write(context.Background(), func(*txn) error {
		close(inside)
		<-hold
		return nil
	})
	<-inside
	return sync.OnceFunc(func() { close(hold) })
}

// queued waits until n operations are queued.
func queued(s *Store, n int) {
	for {
		s.queue.mu.Lock()
		have := len(s.queue.ops)
		s.queue.mu.Unlock()
		if have >= n {
			return
		}
		runtime.Gosched()
	}
}

// An operation that fails after it has written leaves nothing behind, and the
// others of its batch do not notice. So does one that panics, or ends the
// committer's goroutine.
func TestFailuresInABatch(t *testing.T) {
	s := open(t, Options{})
	refused := errors.New("refused")
	runs := map[string]func(*txn) error{
		"good":    func(*txn) error { return nil },
		"fails":   func(*txn) error { return refused },
		"panics":  func(*txn) error { panic("on purpose") },
		"good 2":  func(*txn) error { return nil },
		"panics2": func(*txn) error { panic("on purpose") },
	}
	before := s.Stats()
	release := stall(t, s)
	errs := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, then := range runs {
		wg.Go(func() {
			err := s.write(context.Background(), func(t *txn) error {
				if err := t.putClient(client.Client{ID: name}); err != nil {
					return err
				}
				return then(t)
			})
			mu.Lock()
			errs[name] = err
			mu.Unlock()
		})
	}
	queued(s, len(runs))
	release()
	wg.Wait()
	for name := range runs {
		_, err := s.Client(context.Background(), name)
		good := name == "good" || name == "good 2"
		if good != (errs[name] == nil) || good != (err == nil) {
			t.Errorf("%s: %v; reading what it wrote: %v", name, errs[name], err)
		}
	}
	if !errors.Is(errs["fails"], refused) {
		t.Errorf("the error of an operation comes back as %v", errs["fails"])
	}
	after := s.Stats()
	if commits, ops := after.Commits-before.Commits, after.Operations-before.Operations; commits != 1 || ops != 2 {
		t.Errorf("%d commits with %d operations, want 1 with 2", commits, ops)
	}

	err := s.write(context.Background(), func(*txn) error {
		runtime.Goexit()
		return nil
	})
	if err == nil {
		t.Error("an operation that ended the committer's goroutine has succeeded")
	}
	if err := s.CreateClient(context.Background(), client.Client{ID: "afterwards"}); err != nil {
		t.Error(err)
	}
}

// Writers who come together share commits.
func TestGroupCommit(t *testing.T) {
	s := open(t, Options{})
	release := stall(t, s)
	before := s.Stats().Commits
	var wg sync.WaitGroup
	const n = 64
	for i := range n {
		wg.Go(func() {
			if _, err := s.PutDelivery(context.Background(), truecaller.Delivery{ID: fmt.Sprint(i), Received: time.Now()}); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, n)
	release()
	wg.Wait()
	if commits := s.Stats().Commits - before; commits != 1 {
		t.Errorf("%d writers at once needed %d commits", n, commits)
	}
}

// A batch is bounded, and keeps its order.
func TestLargeBatches(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	a := login.Attempt{ID: "a", State: login.Pushing, Expires: time.Now().Add(time.Minute)}
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	release := stall(t, s)
	before := s.Stats()
	const n = 3 * batchMax
	for i := range n {
		s.NoteAttempt(ctx, a.ID, accepted(fmt.Sprint(i+1)))
	}
	release()
	var seen string
	got, err := s.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
		seen = string(a.RequestID)
		return login.Update{Attempt: a}, nil
	})
	if err != nil || string(got.RequestID) != fmt.Sprint(n) || seen != string(got.RequestID) {
		t.Errorf("got %q, %v; want the last note", string(got.RequestID), err)
	}
	after := s.Stats()
	if commits := after.Commits - before.Commits; commits < 3 || commits > 4 {
		t.Errorf("got %d commits, want 3 or 4", commits)
	}
	// Each note has changed what the one before had written.
	if operations := after.Operations - before.Operations; operations != n {
		t.Errorf("got %d operations that wrote, want %d", operations, n)
	}
}

// accepted is the note that Truecaller took the push.
func accepted(requestID string) login.Note {
	return login.Note{Kind: login.NoteAccepted, At: time.Now(), RequestID: redact.Text(requestID)}
}

// Who stops waiting while his operation is queued takes it back: it never runs.
// Once it is being applied, he is told how it ended.
func TestTakenBack(t *testing.T) {
	s := open(t, Options{})
	release := stall(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		result <- s.write(ctx, func(*txn) error {
			t.Error("an operation ran after its caller was told that it did not")
			return nil
		})
	}()
	queued(s, 1)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) { // the committer still stalls
		t.Errorf("error %v", err)
	}
	release()

	ctx, cancel = context.WithCancel(context.Background())
	err := s.write(ctx, func(t *txn) error {
		cancel()
		return t.putClient(client.Client{ID: "late"})
	})
	if err != nil {
		t.Errorf("an operation that was applied: %v", err)
	}
	if _, err := s.Client(context.Background(), "late"); err != nil {
		t.Error(err)
	}
}

// A note waits for a durable operation to ride along with, but not for long.
func TestNotesRideAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{})
		ctx := context.Background()
		a := login.Attempt{ID: "a", State: login.Pushing, Expires: time.Now().Add(24 * time.Hour)}
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		note := func(id string) {
			s.NoteAttempt(ctx, a.ID, accepted(id))
			synctest.Wait()
		}
		commits := s.Stats().Commits
		expect := func(more uint64) {
			t.Helper()
			synctest.Wait()
			if got := s.Stats().Commits - commits; got != more {
				t.Fatalf("%d commits, want %d", got, more)
			}
		}
		note("1")
		time.Sleep(noteDelay / 2)
		note("2")
		expect(0)
		time.Sleep(noteDelay / 2)
		expect(1)
		time.Sleep(time.Hour)
		expect(1)

		note("3")
		if _, err := s.PutDelivery(ctx, truecaller.Delivery{ID: "d", Received: time.Now()}); err != nil {
			t.Fatal(err)
		}
		expect(2)
		time.Sleep(time.Hour)
		expect(2)
	})
}

// A read applies a note exactly if its snapshot does not have it, also while the
// commit has happened and the note is not forgotten yet.
func TestNotesAreSeenOnce(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	a := login.Attempt{ID: "a", State: login.Pushing, Expires: time.Now().Add(time.Minute)}
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	release := stall(t, s)
	s.NoteAttempt(ctx, a.ID, accepted("1"))
	noted := s.queue.of(attemptNotes(a.ID))
	if len(noted) != 1 {
		t.Fatalf("%d notes", len(noted))
	}
	check := func(r reader, missing bool, stored string) error {
		kept, err := r.attempt(a.ID)
		if string(kept.RequestID) != stored || r.missing(noted[0]) != missing {
			t.Errorf("a snapshot has %q, and the note is missing in it: %v", string(kept.RequestID), r.missing(noted[0]))
		}
		return err
	}
	err := s.read(ctx, func(before reader) error {
		if err := check(before, true, ""); err != nil {
			return err
		}
		release()
		if err := s.CreateClient(ctx, client.Client{ID: "c"}); err != nil {
			return err
		}
		if err := check(before, true, ""); err != nil {
			return err
		}
		return s.read(ctx, func(after reader) error { return check(after, false, "1") })
	})
	if err != nil {
		t.Error(err)
	}
	if n := s.queue.pending.count.Load(); n != 0 || len(s.queue.all()) != 0 {
		t.Errorf("%d notes are not forgotten", n)
	}
}

// What changes nothing costs no commit.
func TestNothingToWrite(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	a := login.Attempt{ID: "a", Expires: time.Now().Add(time.Minute)}
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Commits
	for _, do := range []func() error{
		func() error {
			_, err := s.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
				return login.Update{Attempt: a, Effects: login.Effects{Unlock: true}}, nil
			})
			return err
		},
		func() error { _, err := s.EndSession(ctx, "absent"); return err },
		func() error { return s.DropAccessToken(ctx, [32]byte{1}) },
		func() error { _, err := s.sweep(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	refuse := func(login.Attempt) (login.Update, error) { return login.Update{}, login.ErrState }
	if _, err := s.UpdateAttempt(ctx, a.ID, refuse); err != login.ErrState {
		t.Error(err)
	}
	if got := s.Stats().Commits - before; got != 0 {
		t.Errorf("%d commits", got)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, readErr := s.Client(ctx, "c")
	for _, err := range []error{readErr, s.CreateClient(ctx, client.Client{ID: "c"}), s.DropDelivery(ctx, "d"), s.Backup(ctx, anySize, nil)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("error %v", err)
		}
	}
	s.NoteAttempt(ctx, "a", accepted("1"))
	s.options.SweepEvery = time.Nanosecond
	s.Run(ctx) // ends by itself
}

// Each change that a caller waits for is reported once, when it is durable; reading and what
// is refused are not.
func TestCommitted(t *testing.T) {
	var reported []bool
	s := open(t, Options{Committed: func(_ context.Context, failed bool, took time.Duration) {
		if took <= 0 {
			t.Errorf("it took %s", took)
		}
		reported = append(reported, failed)
	}})
	ctx := t.Context()
	c := client.Client{ID: "a"}
	if err := s.CreateClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(ctx, c); err == nil {
		t.Error("a client was created twice")
	}
	if _, err := s.Client(ctx, "a"); err != nil {
		t.Error(err)
	}
	if fmt.Sprint(reported) != "[false]" {
		t.Errorf("reported %v, want one change that did not fail", reported)
	}
}
