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
	"calleridp/truecaller/phone"
)

var _ login.Store = (*Store)(nil)

// attemptKept is how long an attempt stays after its end, so that late callbacks
// and the back button find it.
const attemptKept = time.Hour

// attemptRecord is an attempt and the lock that it took.
type attemptRecord struct {
	login.Attempt
	Lock [32]byte // its key in limits; zero: it took none
}

func (a *attemptRecord) fields(c *codec) {
	text(c, &a.ID)
	text(c, &a.Method)
	text(c, &a.State)
	text(c, &a.Reason)
	c.hash(&a.Browser)
	c.hash(&a.Correlation)
	text(c, &a.RequestID)
	text(c, &a.App)
	c.phone(&a.Number)
	text(c, &a.ClientID)
	text(c, &a.Network)
	c.bytes(&a.Request)
	c.time(&a.Created)
	c.time(&a.Expires)
	c.time(&a.Ended)
	c.flag(&a.Undeliverable)
	texts(c, &a.Trying)
	text(c, &a.Sub)
	c.time(&a.AuthTime)
	c.time(&a.Invoked)
	c.hash(&a.Lock)
	left := int64(a.Tries.Left)
	c.int64(&left)
	a.Tries.Left = int(left)
	c.time(&a.Tries.Next)
}

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
		record := attemptRecord{Attempt: a}
		if spend.Lock != (limit.Key{}) {
			record.Lock = s.limitKey(spend.Lock)
		}
		if err := t.take(taken); err != nil {
			return err
		}
		if err := t.put(&correlations, a.Correlation[:], never, func(c *codec) { text(c, &a.ID) }); err != nil {
			return err
		}
		return t.put(&attempts, []byte(a.ID), a.Expires.Add(attemptKept), record.fields)
	})
}

// Attempt implements login.Store.
func (s *Store) Attempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	noted := s.queue.of(attemptNotes(id))
	var a login.Attempt
	err := s.read(ctx, func(r reader) error {
		record, _, err := r.attempt(id)
		if err != nil {
			return err
		}
		a = record.Attempt
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
		found, err := r.get(&correlations, correlation[:], func(c *codec) { text(c, &id) })
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
		record, before, err := t.attempt(id)
		if err != nil {
			return err
		}
		var known *subject.Person
		if !number.IsZero() {
			if known, err = t.personOf(number); err != nil {
				return err
			}
		}
		person, effects, err := step(&record.Attempt, known)
		if err != nil {
			return err
		}
		if err := t.keepAttempt(id, record, before, effects); err != nil {
			return err
		}
		after = record.Attempt
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
		record, before, err := t.attempt(id)
		if err != nil {
			return err
		}
		signedIn, code, err := step(&record.Attempt)
		if err != nil {
			return err
		}
		if signedIn.ID == "" {
			return errors.New("bolt: a finished attempt needs a session")
		}
		if err := t.keepAttempt(id, record, before, login.Effects{}); err != nil {
			return err
		}
		after = record.Attempt
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
		record, before, err := t.attempt(id)
		if err != nil {
			return err
		}
		bought, err := step(&record.Attempt)
		if err != nil {
			return err
		}
		if bought.Grant == nil || bought.Access == nil {
			return errors.New("bolt: a redeemed attempt needs a grant and an access token")
		}
		if err := t.keepAttempt(id, record, before, login.Effects{}); err != nil {
			return err
		}
		after = record.Attempt
		return t.redeem(bought)
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

// attempt reads an attempt, and the bytes that it was read from.
func (r reader) attempt(id login.ID) (record attemptRecord, plain []byte, err error) {
	value := r.tx.Bucket(attempts.id).Get([]byte(id))
	if value == nil || !r.alive(value) {
		return attemptRecord{}, nil, login.ErrNotFound
	}
	plain, err = r.open(&attempts, []byte(id), value, record.fields)
	return record, plain, err
}

func (t *txn) step(id login.ID, step func(*login.Attempt) (login.Effects, error)) (login.Attempt, error) {
	record, before, err := t.attempt(id)
	if err != nil {
		return login.Attempt{}, err
	}
	effects, err := step(&record.Attempt)
	if err != nil {
		return login.Attempt{}, err
	}
	return record.Attempt, t.keepAttempt(id, record, before, effects)
}

// keepAttempt keeps what a step has made of an attempt, if it is anything new,
// and has the effects that it asked for.
func (t *txn) keepAttempt(id login.ID, record attemptRecord, before []byte, e login.Effects) error {
	var was attemptRecord
	if err := decode(before, was.fields); err != nil {
		return err
	}
	if record.ID != id || record.Correlation != was.Correlation || record.Number != was.Number && !was.Number.IsZero() {
		return fmt.Errorf("bolt: a step has changed what attempt %s is", id)
	}
	if after := encode(record.fields); !bytes.Equal(after, before) {
		if err := t.putPlain(&attempts, []byte(id), record.Expires.Add(attemptKept), after); err != nil {
			return err
		}
	}
	if record.Lock != [32]byte{} && (e.Unlock || !e.CoolDown.IsZero()) {
		if err := t.release(record.Lock[:], id, e.CoolDown); err != nil {
			return err
		}
	}
	if e.Drop != "" {
		return t.del(&deliveries, []byte(e.Drop))
	}
	return nil
}

func attemptNotes(id login.ID) string { return "attempt " + string(id) }
