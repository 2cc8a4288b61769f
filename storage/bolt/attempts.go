package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ login.Store = (*Store)(nil)

// attemptKept is how long an attempt stays after it expires, so that late
// callbacks and the back button find it.
const attemptKept = time.Hour

// CreateAttempt implements login.Store.
func (s *Store) CreateAttempt(ctx context.Context, a login.Attempt, spend limit.Spend, now time.Time) error {
	return s.write(ctx, func(t *txn) error {
		if t.has(&attempts, []byte(a.ID)) || t.has(&correlations, a.Correlation[:]) {
			return login.ErrExists
		}
		if err := t.spend(spend, a.ID, now); err != nil {
			return err
		}
		stored := record.Attempt{Attempt: a}
		if spend.Lock != (limit.Key{}) {
			stored.Lock = s.sealer.LimitKey(spend.Lock)
		}
		if err := t.put(&correlations, a.Correlation[:], never, (*record.Text)(&a.ID)); err != nil {
			return err
		}
		return t.put(&attempts, []byte(a.ID), a.Expires.Add(attemptKept), &stored)
	})
}

// Attempt implements login.Store.
func (s *Store) Attempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	noted := s.queue.of(attemptNotes(id))
	return view(ctx, s, func(r reader) (login.Attempt, error) {
		stored, err := r.attempt(id)
		if err != nil {
			return login.Attempt{}, err
		}
		a := stored.Attempt
		for _, o := range noted {
			if r.missing(o) {
				_ = a.Apply(o.note) // a note that does not apply is dropped
			}
		}
		return a, nil
	})
}

// AttemptByCorrelation implements login.Store.
func (s *Store) AttemptByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	id, err := view(ctx, s, func(r reader) (id login.ID, err error) {
		err = r.find(&correlations, correlation[:], (*record.Text)(&id), login.ErrNotFound)
		return id, err
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return s.Attempt(ctx, id)
}

// UpdateAttempt implements login.Store.
func (s *Store) UpdateAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.Update, error),
) (login.Attempt, error) {
	u, err := update(ctx, s, func(t *txn) (login.Update, error) {
		return stepped(t, id, step, func(u login.Update) (login.Attempt, login.Effects) { return u.Attempt, u.Effects })
	})
	return u.Attempt, err
}

// NoteAttempt implements login.Store. The change is on the disk after 100 ms at
// the latest. It happens also when ctx has ended.
func (s *Store) NoteAttempt(_ context.Context, id login.ID, n login.Note) {
	err := s.queue.add(&op{key: attemptNotes(id), note: n, run: func(t *txn) error {
		_, err := stepped(t, id,
			func(a login.Attempt) (login.Attempt, error) { err := a.Apply(n); return a, err },
			func(a login.Attempt) (login.Attempt, login.Effects) { return a, login.Effects{} })
		return err
	}})
	if err != nil {
		s.log.Error("a noted change was lost", "attempt", id, "error", err)
	}
}

// ApproveAttempt implements login.Store.
func (s *Store) ApproveAttempt(
	ctx context.Context, id login.ID, number phone.Number,
	step func(login.Attempt, *subject.Person) (login.Approval, error),
) (login.Approval, error) {
	return update(ctx, s, func(t *txn) (login.Approval, error) {
		var known *subject.Person
		if !number.IsZero() {
			var err error
			if known, err = t.personOf(number); err != nil {
				return login.Approval{}, err
			}
		}
		approval, err := stepped(t, id, func(a login.Attempt) (login.Approval, error) {
			p, err := step(a, known)
			if err == nil && p.Person.Sub != "" && number.IsZero() {
				err = errors.New("bolt: a user cannot be bound to no number")
			}
			return p, err
		}, func(p login.Approval) (login.Attempt, login.Effects) { return p.Attempt, p.Effects })
		if err != nil || approval.Person.Sub == "" {
			return approval, err
		}
		return approval, t.putPerson(approval.Person, number)
	})
}

// FinishAttempt implements login.Store.
func (s *Store) FinishAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.SignIn, error),
) (login.SignIn, error) {
	return update(ctx, s, func(t *txn) (login.SignIn, error) {
		signIn, err := stepped(t, id, func(a login.Attempt) (login.SignIn, error) {
			s, err := step(a)
			if err == nil && s.Session.ID == "" {
				err = errors.New("bolt: a finished attempt needs a session")
			}
			return s, err
		}, func(s login.SignIn) (login.Attempt, login.Effects) { return s.Attempt, login.Effects{} })
		if err != nil {
			return login.SignIn{}, err
		}
		if signIn.Replaces != "" {
			if err := t.endSession(signIn.Replaces); err != nil {
				return signIn, err
			}
		}
		if err := t.putSession(signIn.Session); err != nil || signIn.Code.Grant.ID == "" {
			return signIn, err
		}
		return signIn, t.createCode(signIn.Code)
	})
}

// RedeemAttempt implements login.Store.
func (s *Store) RedeemAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.NativeSignIn, error),
) (login.NativeSignIn, error) {
	return update(ctx, s, func(t *txn) (login.NativeSignIn, error) {
		signIn, err := stepped(t, id, func(a login.Attempt) (login.NativeSignIn, error) {
			s, err := step(a)
			if err == nil && (s.Redemption.Grant == nil || s.Redemption.Access == nil) {
				err = errors.New("bolt: a redeemed attempt needs a grant and an access token")
			}
			return s, err
		}, func(s login.NativeSignIn) (login.Attempt, login.Effects) { return s.Attempt, login.Effects{} })
		if err != nil {
			return login.NativeSignIn{}, err
		}
		return signIn, t.redeem(signIn.Redemption)
	})
}

// attempt reads an attempt.
func (r reader) attempt(id login.ID) (stored record.Attempt, err error) {
	err = r.find(&attempts, []byte(id), &stored, login.ErrNotFound)
	return stored, err
}

// stepped runs a step on an attempt and stores the attempt, if it is anything new,
// with the effects. of returns both from what the step has returned.
func stepped[T any](
	t *txn, id login.ID, step func(login.Attempt) (T, error), of func(T) (login.Attempt, login.Effects),
) (T, error) {
	var none T
	stored, err := t.attempt(id)
	if err != nil {
		return none, err
	}
	was := stored
	before := record.Encode(&record.Attempts, &was)
	decided, err := step(stored.Attempt)
	if err != nil {
		return none, err
	}
	after, effects := of(decided)
	if after.ID != id || after.Correlation != was.Correlation || after.Number != was.Number && !was.Number.IsZero() {
		return none, fmt.Errorf("bolt: a step has changed what attempt %s is", id)
	}
	stored.Attempt = after
	if !bytes.Equal(record.Encode(&record.Attempts, &stored), before) {
		if err := t.put(&attempts, []byte(id), after.Expires.Add(attemptKept), &stored); err != nil {
			return none, err
		}
	}
	if stored.Lock != [32]byte{} && (effects.Unlock || !effects.CoolDown.IsZero()) {
		if err := t.release(stored.Lock[:], id, effects.CoolDown); err != nil {
			return none, err
		}
	}
	if effects.Drop != "" {
		return decided, t.del(&deliveries, []byte(effects.Drop))
	}
	return decided, nil
}

func attemptNotes(id login.ID) string { return "attempt " + string(id) }
