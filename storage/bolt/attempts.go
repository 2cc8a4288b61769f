package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ login.Store = (*Store)(nil)

// attemptKept is how long an attempt stays after its end, so that late callbacks
// and the back button find it.
const attemptKept = time.Hour

// CreateAttempt implements login.Store.
func (s *Store) CreateAttempt(ctx context.Context, a login.Attempt, spend limit.Spend, now time.Time) error {
	return s.write(ctx, func(t *txn) error {
		if t.has(&attempts, []byte(a.ID)) || t.has(&correlations, a.Correlation[:]) {
			return login.ErrExists
		}
		taken, err := t.spend(spend, a.ID, now)
		if err != nil {
			return err
		}
		kept := record.Attempt{Attempt: a}
		if spend.Lock != (limit.Key{}) {
			kept.Lock = s.sealer.LimitKey(spend.Lock)
		}
		if err := t.take(taken); err != nil {
			return err
		}
		if err := t.put(&correlations, a.Correlation[:], never, (*record.Text)(&a.ID)); err != nil {
			return err
		}
		return t.put(&attempts, []byte(a.ID), a.Expires.Add(attemptKept), &kept)
	})
}

// Attempt implements login.Store.
func (s *Store) Attempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	noted := s.queue.of(attemptNotes(id))
	var a login.Attempt
	err := s.read(ctx, func(r reader) error {
		kept, err := r.attempt(id)
		if err != nil {
			return err
		}
		a = kept.Attempt
		for _, o := range noted {
			if r.missing(o) {
				o.peek(&a)
			}
		}
		return nil
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return a, nil
}

// AttemptByCorrelation implements login.Store.
func (s *Store) AttemptByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	var id login.ID
	err := s.read(ctx, func(r reader) error {
		found, err := r.get(&correlations, correlation[:], (*record.Text)(&id))
		if err == nil && !found {
			err = login.ErrNotFound
		}
		return err
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return s.Attempt(ctx, id)
}

// UpdateAttempt implements login.Store.
func (s *Store) UpdateAttempt(ctx context.Context, id login.ID, step func(*login.Attempt) (login.Effects, error)) (login.Attempt, error) {
	var after login.Attempt
	err := s.write(ctx, func(t *txn) (err error) {
		after, err = t.step(id, step)
		return err
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

// NoteAttempt implements login.Store. The change is on the disk after 100 ms at
// the latest. It happens also when ctx has ended.
func (s *Store) NoteAttempt(_ context.Context, id login.ID, step func(*login.Attempt) (login.Effects, error)) {
	var mu sync.Mutex // a step never runs beside itself, whoever reads meanwhile
	once := func(a *login.Attempt) (login.Effects, error) {
		mu.Lock()
		defer mu.Unlock()
		return step(a)
	}
	peek := func(a *login.Attempt) {
		defer func() { _ = recover() }() // the committer logs it
		next := *a
		if _, err := once(&next); err == nil {
			*a = next
		}
	}
	err := s.note(attemptNotes(id), peek, func(t *txn) error {
		_, err := t.step(id, once)
		return err
	})
	if err != nil {
		s.log.Error("a noted change was lost", "attempt", id, "error", err)
	}
}

// ApproveAttempt implements login.Store.
func (s *Store) ApproveAttempt(ctx context.Context, id login.ID, number phone.Number, step func(*login.Attempt, *subject.Person) (subject.Person, login.Effects, error)) (login.Attempt, error) {
	var after login.Attempt
	err := s.write(ctx, func(t *txn) error {
		kept, before, err := t.attemptToStep(id)
		if err != nil {
			return err
		}
		var known *subject.Person
		if !number.IsZero() {
			if known, err = t.personOf(number); err != nil {
				return err
			}
		}
		person, effects, err := step(&kept.Attempt, known)
		if err != nil {
			return err
		}
		if err := t.keepAttempt(id, kept, before, effects); err != nil {
			return err
		}
		after = kept.Attempt
		if person.Sub == "" {
			return nil
		}
		if number.IsZero() {
			return errors.New("bolt: a person cannot be bound to no number")
		}
		return t.putPerson(person, number)
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

// FinishAttempt implements login.Store.
func (s *Store) FinishAttempt(ctx context.Context, id login.ID, replaces string, step func(*login.Attempt) (session.Session, grant.Code, error)) (login.Attempt, error) {
	var after login.Attempt
	err := s.write(ctx, func(t *txn) error {
		kept, before, err := t.attemptToStep(id)
		if err != nil {
			return err
		}
		signedIn, code, err := step(&kept.Attempt)
		if err != nil {
			return err
		}
		if signedIn.ID == "" {
			return errors.New("bolt: a finished attempt needs a session")
		}
		if err := t.keepAttempt(id, kept, before, login.Effects{}); err != nil {
			return err
		}
		after = kept.Attempt
		if replaces != "" {
			if err := t.endSession(replaces); err != nil {
				return err
			}
		}
		if err := t.putSession(signedIn); err != nil || code.Grant.ID == "" {
			return err
		}
		return t.createCode(code)
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

// RedeemAttempt implements login.Store.
func (s *Store) RedeemAttempt(ctx context.Context, id login.ID, step func(*login.Attempt) (grant.Redemption, error)) (login.Attempt, error) {
	var after login.Attempt
	err := s.write(ctx, func(t *txn) error {
		kept, before, err := t.attemptToStep(id)
		if err != nil {
			return err
		}
		bought, err := step(&kept.Attempt)
		if err != nil {
			return err
		}
		if bought.Grant == nil || bought.Access == nil {
			return errors.New("bolt: a redeemed attempt needs a grant and an access token")
		}
		if err := t.keepAttempt(id, kept, before, login.Effects{}); err != nil {
			return err
		}
		after = kept.Attempt
		return t.redeem(bought)
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

// attempt reads an attempt.
func (r reader) attempt(id login.ID) (kept record.Attempt, err error) {
	found, err := r.get(&attempts, []byte(id), &kept)
	if err == nil && !found {
		err = login.ErrNotFound
	}
	return kept, err
}

// attemptToStep reads an attempt that a step may change, and returns it as bytes
// as well, as it is before the step.
func (t *txn) attemptToStep(id login.ID) (kept record.Attempt, before []byte, err error) {
	if kept, err = t.attempt(id); err != nil {
		return record.Attempt{}, nil, err
	}
	return kept, record.Encode(&record.Attempts, &kept), nil
}

func (t *txn) step(id login.ID, step func(*login.Attempt) (login.Effects, error)) (login.Attempt, error) {
	kept, before, err := t.attemptToStep(id)
	if err != nil {
		return login.Attempt{}, err
	}
	effects, err := step(&kept.Attempt)
	if err != nil {
		return login.Attempt{}, err
	}
	return kept.Attempt, t.keepAttempt(id, kept, before, effects)
}

// keepAttempt keeps what a step has made of an attempt, if it is anything new,
// and has the effects that it asked for.
func (t *txn) keepAttempt(id login.ID, kept record.Attempt, before []byte, e login.Effects) error {
	var was record.Attempt
	if err := record.Decode(&record.Attempts, before, &was); err != nil {
		return err
	}
	if kept.ID != id || kept.Correlation != was.Correlation || kept.Number != was.Number && !was.Number.IsZero() {
		return fmt.Errorf("bolt: a step has changed what attempt %s is", id)
	}
	if !bytes.Equal(record.Encode(&record.Attempts, &kept), before) {
		if err := t.put(&attempts, []byte(id), kept.Expires.Add(attemptKept), &kept); err != nil {
			return err
		}
	}
	if kept.Lock != [32]byte{} && (e.Unlock || !e.CoolDown.IsZero()) {
		if err := t.release(kept.Lock[:], id, e.CoolDown); err != nil {
			return err
		}
	}
	if e.Drop != "" {
		return t.del(&deliveries, []byte(e.Drop))
	}
	return nil
}

func attemptNotes(id login.ID) string { return "attempt " + string(id) }
