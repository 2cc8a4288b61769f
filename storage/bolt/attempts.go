package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

var _ login.Store = (*Store)(nil)

// attemptKept is how long an attempt stays after its end, so that late
// callbacks and the Back button find it.
const attemptKept = time.Hour

type attemptRecord struct {
	Method        string    `json:"m"`
	State         string    `json:"s"`
	Reason        string    `json:"r,omitempty"`
	Browser       []byte    `json:"b"`
	Correlation   []byte    `json:"c"`
	RequestID     string    `json:"q,omitempty"`
	App           string    `json:"a"`
	Number        string    `json:"n,omitempty"`
	ClientID      string    `json:"ci"`
	Network       string    `json:"nw,omitempty"`
	Request       []byte    `json:"rq,omitempty"`
	Created       time.Time `json:"t"`
	Expires       time.Time `json:"e"`
	Ended         time.Time `json:"d,omitzero"`
	Undeliverable bool      `json:"u,omitempty"`
	Sub           string    `json:"sub,omitempty"`
	AuthTime      time.Time `json:"at,omitzero"`
	Trying        []string  `json:"tr,omitempty"`
}

func (s *Store) CreateAttempt(ctx context.Context, a login.Attempt, spend limit.Spend, now time.Time) error {
	return s.write(ctx, func(tx *txn) error {
		if err := tx.spend(spend, string(a.ID), now); err != nil {
			return err
		}
		if err := tx.put(bCorrelations, a.Correlation[:], string(a.ID), a.Expires.Add(attemptKept)); err != nil {
			return err
		}
		return tx.putAttempt(a)
	})
}

func (s *Store) Attempt(_ context.Context, id login.ID) (a login.Attempt, err error) {
	err = s.read(func(r reader) error {
		a, err = r.attempt(id)
		return err
	})
	return a, err
}

func (s *Store) AttemptByCorrelation(_ context.Context, correlation [32]byte) (a login.Attempt, err error) {
	err = s.read(func(r reader) error {
		var id string
		if err := r.get(bCorrelations, correlation[:], &id); err != nil {
			return orNotFound(err, login.ErrNotFound)
		}
		a, err = r.attempt(login.ID(id))
		return err
	})
	return a, err
}

func (s *Store) UpdateAttempt(ctx context.Context, id login.ID, step func(*login.Attempt) (login.Effects, error)) (after login.Attempt, err error) {
	err = s.write(ctx, func(tx *txn) (err error) {
		after, err = tx.step(id, step)
		return err
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

func (s *Store) NoteAttempt(ctx context.Context, id login.ID, step func(*login.Attempt) (login.Effects, error)) {
	// Nothing is reported: the next look at the attempt tells.
	_ = s.note(ctx, func(tx *txn) error {
		_, err := tx.step(id, step)
		return err
	})
}

func (t *txn) step(id login.ID, step func(*login.Attempt) (login.Effects, error)) (login.Attempt, error) {
	a, err := t.attempt(id)
	if err != nil {
		return login.Attempt{}, err
	}
	effects, err := step(&a)
	if err != nil {
		return login.Attempt{}, err
	}
	if err := t.effects(a, effects); err != nil {
		return login.Attempt{}, err
	}
	return a, t.putAttempt(a)
}

func (s *Store) ApproveAttempt(ctx context.Context, id login.ID, step func(*login.Attempt, *subject.Person) (subject.Person, login.Effects, error)) (after login.Attempt, err error) {
	err = s.write(ctx, func(tx *txn) error {
		a, err := tx.attempt(id)
		if err != nil {
			return err
		}
		known, err := tx.personOf(a.Number)
		if err != nil {
			return err
		}
		person, effects, err := step(&a, known)
		if err != nil {
			return err
		}
		if person.Sub != "" {
			if err := tx.putPerson(person); err != nil {
				return err
			}
		}
		if err := tx.effects(a, effects); err != nil {
			return err
		}
		after = a
		return tx.putAttempt(a)
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

func (s *Store) FinishAttempt(ctx context.Context, id login.ID, replaces string, step func(*login.Attempt) (session.Session, grant.Code, error)) (after login.Attempt, err error) {
	err = s.write(ctx, func(tx *txn) error {
		a, err := tx.attempt(id)
		if err != nil {
			return err
		}
		newSession, code, err := step(&a)
		if err != nil {
			return err
		}
		if replaces != "" {
			if err := tx.dropSession(replaces); err != nil {
				return err
			}
		}
		if err := tx.putSession(newSession); err != nil {
			return err
		}
		if err := tx.putCode(code); err != nil {
			return err
		}
		after = a
		return tx.putAttempt(a)
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return after, nil
}

func (t *txn) effects(a login.Attempt, e login.Effects) error {
	if e.Unlock {
		if err := t.unlock(a.Number, string(a.ID), time.Time{}); err != nil {
			return err
		}
	}
	if !e.CoolDown.IsZero() {
		if err := t.unlock(a.Number, string(a.ID), e.CoolDown); err != nil {
			return err
		}
	}
	if e.Drop != "" {
		return t.drop(bInbox, []byte(e.Drop))
	}
	return nil
}

func (r reader) attempt(id login.ID) (login.Attempt, error) {
	var v attemptRecord
	if err := r.get(bAttempts, []byte(id), &v); err != nil {
		return login.Attempt{}, orNotFound(err, login.ErrNotFound)
	}
	number, err := numberOf(v.Number)
	if err != nil {
		return login.Attempt{}, err
	}
	a := login.Attempt{
		ID: id, Method: login.Method(v.Method), State: login.State(v.State), Reason: login.Reason(v.Reason),
		RequestID: v.RequestID, App: v.App, Number: number, ClientID: v.ClientID, Network: v.Network,
		Request: v.Request, Created: v.Created, Expires: v.Expires, Ended: v.Ended,
		Undeliverable: v.Undeliverable, Sub: v.Sub, AuthTime: v.AuthTime, Trying: v.Trying,
	}
	copy(a.Browser[:], v.Browser)
	copy(a.Correlation[:], v.Correlation)
	return a, nil
}

// putAttempt keeps the attempt, if it differs from what is kept.
func (t *txn) putAttempt(a login.Attempt) error {
	v := attemptRecord{
		Method: string(a.Method), State: string(a.State), Reason: string(a.Reason),
		Browser: a.Browser[:], Correlation: a.Correlation[:], RequestID: a.RequestID, App: a.App,
		Number: a.Number.Digits(), ClientID: a.ClientID, Network: a.Network, Request: a.Request,
		Created: a.Created, Expires: a.Expires, Ended: a.Ended, Undeliverable: a.Undeliverable,
		Sub: a.Sub, AuthTime: a.AuthTime, Trying: a.Trying,
	}
	var kept json.RawMessage
	if t.get(bAttempts, []byte(a.ID), &kept) == nil {
		if same, err := json.Marshal(v); err == nil && bytes.Equal(same, kept) {
			return nil
		}
	}
	return t.put(bAttempts, []byte(a.ID), v, a.Expires.Add(attemptKept))
}

func numberOf(digits string) (phone.Number, error) {
	if digits == "" {
		return phone.Number{}, nil
	}
	n, err := phone.FromDigits(digits)
	if err != nil {
		return phone.Number{}, fmt.Errorf("bolt: a stored number: %w", err)
	}
	return n, nil
}

func orNotFound(err, notFound error) error {
	if errors.Is(err, errMissing) {
		return notFound
	}
	return err
}

// limitRecord is a lock (Holder is the attempt that has it) or a budget (TAT).
// Either is over at its expiry.
type limitRecord struct {
	Holder string    `json:"h,omitempty"`
	Until  time.Time `json:"u,omitzero"`
}

const limitPurpose keys.Purpose = "limit key"

func (r reader) limitKey(k limit.Key) []byte {
	sum := r.s.master.MAC(limitPurpose, []byte(k.Kind), []byte(k.ID))
	return sum[:]
}

// spend takes the lock and all budgets, or nothing (invariant 7).
func (t *txn) spend(spend limit.Spend, holder string, now time.Time) error {
	type taking struct {
		key   []byte
		value limitRecord
	}
	var all []taking
	if spend.Lock != (limit.Key{}) {
		key := t.limitKey(spend.Lock)
		var held limitRecord
		switch err := t.get(bLimits, key, &held); {
		case err == nil && held.Until.After(now):
			return &limit.Exceeded{Kind: spend.Lock.Kind, RetryAt: held.Until}
		case err != nil && !errors.Is(err, errMissing):
			return err
		}
		all = append(all, taking{key, limitRecord{Holder: holder, Until: now.Add(spend.LockFor)}})
	}
	for _, charge := range spend.Charges {
		key := t.limitKey(charge.Key)
		var budget limitRecord
		if err := t.get(bLimits, key, &budget); err != nil && !errors.Is(err, errMissing) {
			return err
		}
		decision := charge.Rate.Take(budget.Until, now)
		if !decision.Allowed {
			return &limit.Exceeded{Kind: charge.Key.Kind, RetryAt: decision.RetryAt}
		}
		all = append(all, taking{key, limitRecord{Until: decision.TAT}})
	}
	for _, take := range all {
		if err := t.put(bLimits, take.key, take.value, take.value.Until); err != nil {
			return err
		}
	}
	return nil
}

// unlock ends the lock that holder has on the number, now or at until. A lock
// that somebody else has taken since stays.
func (t *txn) unlock(n phone.Number, holder string, until time.Time) error {
	key := t.limitKey(limit.Key{Kind: limit.Lock, ID: n.Digits()})
	var held limitRecord
	switch err := t.get(bLimits, key, &held); {
	case errors.Is(err, errMissing):
		return nil
	case err != nil:
		return err
	case held.Holder != holder:
		return nil
	}
	if until.IsZero() {
		return t.drop(bLimits, key)
	}
	return t.put(bLimits, key, limitRecord{Holder: holder, Until: until}, until)
}
