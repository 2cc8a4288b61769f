// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"

	"github.com/jackc/pgx/v5"
)

var _ login.Store = (*Store)(nil)

// CreateAttempt implements login.Store.
func (s *Store) CreateAttempt(ctx context.Context, a login.Attempt, spend limit.Spend, now time.Time) error {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	refused, err := update(ctx, s, func(t *txn) (*limit.Exceeded, error) {
		var started record.Attempt
		fromForm := new(bool)
		if a.Form != ([32]byte{}) {
			t.lockForm(a.Form)
			fromForm = t.one(&record.Attempts, &started,
				"SELECT key, value FROM attempts WHERE key = (SELECT attempt FROM forms WHERE key = $1)", a.Form[:])
		}
		exists := t.some("SELECT FROM attempts WHERE key = $1 OR correlation = $2", []byte(a.ID), a.Correlation[:])
		if !a.Number.IsZero() {
			t.foreseeOwner(a.Number)
		}
		states := t.lockLimits(s.inOrder(spend.Keys()))
		if err := t.look(); err != nil {
			return nil, err
		}
		if *exists || *fromForm && started.Form == a.Form && started.Live(now) {
			return nil, login.ErrExists
		}
		if refused, err := t.spend(states, spend, a.Holder(), now); err != nil || refused != nil {
			return refused, err
		}
		t.createAttempt(a.Charged(spend, s.statesOf(states, spend), now), spend)
		return nil, nil
	})
	if err == nil && refused != nil {
		return refused
	}
	return err
}

// createAttempt queues a new attempt.
func (t *txn) createAttempt(a login.Attempt, spend limit.Spend) {
	stored := t.s.sealer.AttemptOf(a, spend)
	key := []byte(a.ID)
	value := t.s.sealer.Seal(&record.Attempts, key, a.Expires.Add(record.AttemptKept), &stored)
	t.put("INSERT INTO attempts (key, correlation, browser, value, expires, due) VALUES ($1, $2, $3, $4, $5, $5)",
		key, a.Correlation[:], a.Browser[:], value, expiryOf(value))
	t.leadForm(a)
	t.learn(&record.Attempts, key, value)
	t.learnt[len(t.learnt)-1].created = true
	t.learn(&record.Correlations, a.Correlation[:], key)
	if a.Method == login.OneTap { // another process may have its callback already
		t.changed = append(t.changed, t.s.attemptChange(a))
	}
}

// lockForm locks the row of a form, and makes one if there is none. Rows of forms are
// locked after those of attempts and before those of limits.
func (t *txn) lockForm(form [32]byte) {
	t.run(`INSERT INTO forms (key, attempt, expires, due) VALUES ($1, '', now() + $2::interval, now() + $2::interval)
		ON CONFLICT DO NOTHING`, form[:], record.AttemptKept)
	t.all(1, "SELECT FROM forms WHERE key = $1 FOR UPDATE", form[:])
}

// leadForm makes the attempt's form, whose row is locked, lead to it.
func (t *txn) leadForm(a login.Attempt) {
	if a.Form != ([32]byte{}) {
		t.put("UPDATE forms SET attempt = $2, expires = $3, due = $3 WHERE key = $1",
			a.Form[:], []byte(a.ID), t.s.toDatabase(a.Expires.Add(record.AttemptKept)).UTC())
	}
}

// byKey finds an attempt by its id.
const byKey = "key = $1"

// readAttempt returns the attempt that where finds, with what was noted.
func (s *Store) readAttempt(ctx context.Context, where string, arg []byte) (login.Attempt, error) {
	for {
		before := s.notes.settled()
		var after moment
		if where == byKey {
			after = s.memory.now(at(&record.Attempts, arg))
		}
		stored, err := view(ctx, s, func(b *batch) func() (record.Attempt, error) {
			var stored record.Attempt
			found := false
			b.each("SELECT key, value FROM attempts WHERE "+where, []any{arg}, func(key, value []byte) error {
				found = true
				s.memory.put(at(&record.Attempts, key), value, after)
				return s.sealer.Open(&record.Attempts, key, value, &stored)
			})
			return func() (record.Attempt, error) {
				if !found {
					return stored, login.ErrNotFound
				}
				s.memory.put(at(&record.Correlations, stored.Correlation[:]), []byte(stored.ID), moment{})
				return stored, nil
			}
		})
		if err != nil {
			return login.Attempt{}, err
		}
		a, busy, current := s.withNotes(stored.Attempt, before)
		if busy != nil {
			select {
			case <-busy:
			case <-ctx.Done():
				return login.Attempt{}, ctx.Err()
			}
		}
		if current {
			return a, nil
		}
	}
}

// withNotes returns an attempt that was read after a moment with what was noted of it.
func (s *Store) withNotes(a login.Attempt, before uint64) (_ login.Attempt, busy chan struct{}, current bool) {
	noted, busy, current := s.notes.since(a.ID, before)
	for _, n := range noted {
		_ = a.Apply(n) // a note that does not apply is dropped
	}
	return a, busy, current
}

// Attempt implements login.Store.
func (s *Store) Attempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.readAttempt(ctx, byKey, []byte(id))
}

// RecallAttempt implements login.Store.
func (s *Store) RecallAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	if stored, _, ok := s.remembered(id); ok {
		a, _, _ := s.withNotes(stored.Attempt, s.notes.settled()) // or without those that are being stored
		return a, nil
	}
	return s.Attempt(ctx, id)
}

// HeardAttempt implements login.Store.
func (s *Store) HeardAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	before := s.notes.settled()
	if stored, row, ok := s.remembered(id); ok && s.Listening() && s.memory.current(row) {
		if a, _, current := s.withNotes(stored.Attempt, before); current {
			return a, nil
		}
	}
	return s.Attempt(ctx, id)
}

// OpenAttempt implements login.Store.
func (s *Store) OpenAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	if s.memory.opens(at(&record.Attempts, []byte(id))) {
		return s.HeardAttempt(ctx, id)
	}
	return s.Attempt(ctx, id)
}

// AttemptByCorrelation implements login.Store.
func (s *Store) AttemptByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	a, err := s.readAttempt(ctx, "correlation = $1", correlation[:])
	if err == nil && a.Correlation != correlation {
		return login.Attempt{}, misled("attempts")
	}
	return a, err
}

// RecallByCorrelation implements login.Store.
func (s *Store) RecallByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	if id, known := s.memory.get(at(&record.Correlations, correlation[:])); known {
		if stored, _, ok := s.remembered(login.ID(id.value)); ok && stored.Correlation == correlation {
			a, _, _ := s.withNotes(stored.Attempt, s.notes.settled())
			return a, nil
		}
	}
	return s.AttemptByCorrelation(ctx, correlation)
}

// AttemptByForm implements login.Store.
func (s *Store) AttemptByForm(ctx context.Context, form [32]byte) (login.Attempt, error) {
	a, err := s.readAttempt(ctx, "key = (SELECT attempt FROM forms WHERE key = $1)", form[:])
	if err == nil && a.Form != form { // it serves another form's request now
		return login.Attempt{}, login.ErrNotFound
	}
	return a, err
}

// LiveAttempts implements login.Store.
func (s *Store) LiveAttempts(ctx context.Context, browser [32]byte, now time.Time) ([]login.ID, error) {
	return view(ctx, s, func(b *batch) func() ([]login.ID, error) {
		var live []login.ID
		b.s.liveAttempts(&b.queue, &live, browser, now)
		b.bringForeseen(ctx)
		return func() ([]login.ID, error) { return live, nil }
	})
}

// liveAttempts queues a query for the attempts of a browser that are live at now. live is
// not nil after it, also if there are none.
func (s *Store) liveAttempts(queue *pgx.Batch, live *[]login.ID, browser [32]byte, now time.Time) {
	queue.Queue("SELECT key, value FROM attempts WHERE browser = $1", browser[:]).Query(func(rows pgx.Rows) error {
		found := []login.ID{}
		for rows.Next() {
			var key, value []byte
			if err := rows.Scan(&key, &value); err != nil {
				return err
			}
			if s.expired(value) {
				continue
			}
			var stored record.Attempt
			if err := s.sealer.Open(&record.Attempts, key, value, &stored); err != nil {
				return err
			}
			if stored.Live(now) && stored.Browser == browser {
				found = append(found, stored.ID)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		*live = found
		return nil
	})
}

// step runs a change of an attempt: change gets the attempt, locked, with what was
// noted, and returns what becomes of it. expect queues what else the change will read.
// Notes that are in the change are gone when it was committed.
func step[T any](
	ctx context.Context, s *Store, id login.ID,
	expect func(*txn, record.Attempt), change func(t *txn, a login.Attempt) (login.Update, T, error),
) (T, error) {
	var none T
	noted, err := s.notes.take(ctx, id)
	if err != nil {
		return none, err
	}
	run := update[T]
	if _, _, known := s.remembered(id); known {
		run = guessing[T]
	}
	result, err := run(ctx, s, func(t *txn) (T, error) {
		var likely record.Attempt // what the attempt probably is, by which more is read at once
		if t.first {
			likely, _, _ = s.remembered(id)
		}
		var stored record.Attempt
		found := t.row(&record.Attempts, &stored, []byte(id))
		if expect != nil {
			expect(t, likely)
		}
		if err := t.look(); err != nil {
			return none, err
		}
		if !*found {
			return none, login.ErrNotFound
		}
		a := stored.Attempt
		for _, n := range noted {
			_ = a.Apply(n) // a note that does not apply is dropped
		}
		u, result, err := change(t, a)
		if err != nil {
			return none, err
		}
		return result, t.putStep(stored, u)
	})
	s.notes.settle(id, len(noted), err == nil || errors.Is(err, login.ErrNotFound))
	return result, err
}

// UpdateAttempt implements login.Store.
func (s *Store) UpdateAttempt(
	ctx context.Context, id login.ID, run func(login.Attempt) (login.Update, error),
) (login.Attempt, error) {
	var trying []string
	expect := func(t *txn, likely record.Attempt) {
		trying = nil
		t.trying(id, &trying) // which is read, so that nothing is guessed
		t.expectLocks(likely)
	}
	return step(ctx, s, id, expect, func(_ *txn, a login.Attempt) (login.Update, login.Attempt, error) {
		for _, d := range trying {
			if !a.State.Terminal() && a.State != login.Approved && !slices.Contains(a.Trying, d) {
				a.Trying = append(slices.Clone(a.Trying), d)
			}
		}
		u, err := run(a)
		return u, u.Attempt, err
	})
}

// ResumeAttempt implements login.Store. The row of the form before stays until it
// expires: to delete it would lock it after those of limits.
func (s *Store) ResumeAttempt(
	ctx context.Context, id login.ID, form [32]byte, spend limit.Spend, now time.Time, run func(login.Attempt) (login.Attempt, error),
) (login.Attempt, error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return login.Attempt{}, err
	}
	defer done()
	var states map[[32]byte]limit.State
	lock := func(t *txn, _ record.Attempt) {
		if form != ([32]byte{}) {
			t.lockForm(form)
		}
		states = t.lockLimits(s.inOrder(spend.Keys()))
	}
	return step(ctx, s, id, lock, func(t *txn, before login.Attempt) (u login.Update, after login.Attempt, err error) {
		after, err = run(before)
		if err != nil || reflect.DeepEqual(after, before) {
			return login.Update{Attempt: after}, after, err
		}
		refused, err := t.spend(states, spend, after.Holder(), now)
		if err != nil {
			return u, after, err
		}
		if refused != nil {
			return u, after, refused
		}
		if after.Form != before.Form {
			t.leadForm(after)
		}
		return login.Update{Attempt: after}, after, nil
	})
}

// ApproveAttempt implements login.Store.
func (s *Store) ApproveAttempt(
	ctx context.Context, id login.ID, number phone.Number,
	run func(login.Attempt, *subject.Person) (login.Approval, error),
) (login.Approval, error) {
	defer s.wakeNotices()
	var o *owners
	lock := func(t *txn, likely record.Attempt) {
		o = &owners{}
		if !number.IsZero() {
			o = t.lockNumber(number)
		}
		t.expectLocks(likely)
	}
	return step(ctx, s, id, lock, func(t *txn, a login.Attempt) (u login.Update, approval login.Approval, err error) {
		known, err := o.person()
		if err != nil {
			return u, approval, err
		}
		if approval, err = run(a, known); err != nil {
			return u, approval, err
		}
		switch noUser := approval.Person.Sub == ""; {
		case noUser:
			t.keepNumber(o)
		case number.IsZero():
			return u, approval, errNoNumber
		default:
			if err := t.putPerson(approval.Person, o); err != nil {
				return u, approval, err
			}
			t.foreseeConsent(approval.Person.Sub, a.ClientID)
		}
		return login.Update{Attempt: approval.Attempt, Effects: approval.Effects}, approval, nil
	})
}

// RedeemAttempt implements login.Store.
func (s *Store) RedeemAttempt(
	ctx context.Context, id login.ID, run func(login.Attempt) (login.NativeSignIn, error),
) (login.NativeSignIn, error) {
	return step(ctx, s, id, nil, func(t *txn, a login.Attempt) (u login.Update, signIn login.NativeSignIn, err error) {
		if signIn, err = run(a); err != nil {
			return u, signIn, err
		}
		if signIn.Redemption.Grant == nil || signIn.Redemption.Access == nil {
			return u, signIn, errors.New("postgres: a redeemed attempt needs a grant and an access token")
		}
		t.putLiving(signIn.Redemption.Grant.Sub)
		t.teach(*signIn.Redemption.Grant)
		t.redeem(signIn.Redemption)
		return login.Update{Attempt: signIn.Attempt}, signIn, nil
	})
}

// putStep queues what a step has made of a stored attempt, if it is anything new, with
// its effects.
func (t *txn) putStep(stored record.Attempt, u login.Update) error {
	id, after := stored.ID, u.Attempt
	renumbered := after.Number != stored.Number && !stored.Number.IsZero()
	if after.ID != id || after.Correlation != stored.Correlation || renumbered {
		return fmt.Errorf("postgres: a step has changed what attempt %s is", id)
	}
	changed, back := stored.Becomes(u)
	if !bytes.Equal(record.Encode(&record.Attempts, &changed), record.Encode(&record.Attempts, &stored)) {
		t.storeAttempt(changed)
	}
	if err := t.settleLimits(stored, after, u.Effects, back); err != nil {
		return err
	}
	t.settleDelivery(u.Effects.Drop)
	return nil
}

func (t *txn) storeAttempt(a record.Attempt) {
	key := []byte(a.ID)
	value := t.s.sealer.Seal(&record.Attempts, key, a.Expires.Add(record.AttemptKept), &a)
	t.put("UPDATE attempts SET value = $2, expires = $3 WHERE key = $1", key, value, expiryOf(value))
	t.learn(&record.Attempts, key, value)
	t.changed = append(t.changed, t.s.attemptChange(a.Attempt))
}
