// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ login.Store = (*Store)(nil)

// CreateAttempt implements login.Store.
func (s *Store) CreateAttempt(ctx context.Context, a login.Attempt, spend limit.Spend, now time.Time) error {
	refused, err := update(ctx, s, func(t *txn) (*limit.Exceeded, error) {
		if t.has(&attempts, []byte(a.ID)) || t.has(&correlations, a.Correlation[:]) {
			return nil, login.ErrExists
		}
		if started, err := t.byForm(a.Form); err == nil && started.Live(now) {
			return nil, login.ErrExists
		} else if err != nil && !errors.Is(err, login.ErrNotFound) {
			return nil, err
		}
		states, refused, err := t.spend(spend, a.Holder(), now)
		if err != nil || refused != nil {
			return refused, err
		}
		stored := s.sealer.AttemptOf(a.Charged(spend, states, now), spend)
		if err := t.put(&correlations, a.Correlation[:], never, (*record.Text)(&a.ID)); err != nil {
			return nil, err
		}
		if a.Form != ([32]byte{}) {
			if err := t.put(&forms, a.Form[:], never, (*record.Text)(&a.ID)); err != nil {
				return nil, err
			}
		}
		if a.Browser != ([32]byte{}) {
			if err := t.mark(&browserAttempts, browserKey(a)); err != nil {
				return nil, err
			}
		}
		return nil, t.put(&attempts, []byte(a.ID), a.Expires.Add(record.AttemptKept), &stored)
	})
	if err == nil && refused != nil {
		return refused
	}
	return err
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

// RecallAttempt implements login.Store.
func (s *Store) RecallAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.Attempt(ctx, id)
}

// HeardAttempt implements login.Store.
func (s *Store) HeardAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.Attempt(ctx, id)
}

// RecallByCorrelation implements login.Store.
func (s *Store) RecallByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	return s.AttemptByCorrelation(ctx, correlation)
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

// OpenAttempt implements login.Store.
func (s *Store) OpenAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.Attempt(ctx, id)
}

// AttemptByForm implements login.Store.
func (s *Store) AttemptByForm(ctx context.Context, form [32]byte) (login.Attempt, error) {
	started, err := view(ctx, s, func(r reader) (login.Attempt, error) { return r.byForm(form) })
	if err != nil {
		return login.Attempt{}, err
	}
	return s.Attempt(ctx, started.ID) // with what was noted
}

// byForm reads the latest attempt that a form has started.
func (r reader) byForm(form [32]byte) (login.Attempt, error) {
	var id record.Text
	if err := r.find(&forms, form[:], &id, login.ErrNotFound); err != nil {
		return login.Attempt{}, err
	}
	stored, err := r.attempt(login.ID(id))
	return stored.Attempt, err
}

// LiveAttempts implements login.Store.
func (s *Store) LiveAttempts(ctx context.Context, browser [32]byte, now time.Time) ([]login.ID, error) {
	return view(ctx, s, func(r reader) ([]login.ID, error) { return r.liveAttempts(browser, now) })
}

func (r reader) liveAttempts(browser [32]byte, now time.Time) (live []login.ID, err error) {
	cursor := r.tx.Bucket(browserAttempts.id).Cursor()
	for k, _ := cursor.Seek(browser[:]); bytes.HasPrefix(k, browser[:]); k, _ = cursor.Next() {
		stored, err := r.attempt(login.ID(k[len(browser):]))
		switch {
		case errors.Is(err, login.ErrNotFound): // the sweep is about to forget it
		case err != nil:
			return nil, err
		case stored.Live(now):
			live = append(live, stored.ID)
		}
	}
	return live, nil
}

// browserKey returns the key of an entry in the index from browsers to attempts.
func browserKey(a login.Attempt) []byte { return append(a.Browser[:], a.ID...) }

// forgetAttempt deletes the entries that lead to an attempt about to be deleted.
func (t *txn) forgetAttempt(a login.Attempt) error {
	if err := t.forgetForm(a); err != nil {
		return err
	}
	if err := t.del(&browserAttempts, browserKey(a)); err != nil {
		return err
	}
	return t.del(&correlations, a.Correlation[:])
}

// forgetForm deletes the entry that leads from the attempt's form to it, if the form
// has started no later one.
func (t *txn) forgetForm(a login.Attempt) error {
	var latest record.Text
	found, err := t.get(&forms, a.Form[:], &latest)
	if err != nil || !found || login.ID(latest) != a.ID {
		return err
	}
	return t.del(&forms, a.Form[:])
}

// UpdateAttempt implements login.Store.
func (s *Store) UpdateAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.Update, error),
) (login.Attempt, error) {
	return update(ctx, s, func(t *txn) (login.Attempt, error) { return t.updateAttempt(id, step) })
}

// ResumeAttempt implements login.Store.
func (s *Store) ResumeAttempt(
	ctx context.Context, id login.ID, _ [32]byte, spend limit.Spend, now time.Time, step func(login.Attempt) (login.Attempt, error),
) (login.Attempt, error) {
	return update(ctx, s, func(t *txn) (login.Attempt, error) {
		stored, err := t.attempt(id)
		if err != nil {
			return login.Attempt{}, err
		}
		after, err := step(stored.Attempt)
		if err != nil || reflect.DeepEqual(after, stored.Attempt) {
			return after, err
		}
		_, refused, err := t.spend(spend, after.Holder(), now)
		if err != nil {
			return login.Attempt{}, err
		}
		if refused != nil {
			return login.Attempt{}, refused
		}
		if after.Form != stored.Form {
			if err := t.forgetForm(stored.Attempt); err != nil {
				return login.Attempt{}, err
			}
			if after.Form != ([32]byte{}) {
				if err := t.put(&forms, after.Form[:], never, (*record.Text)(&id)); err != nil {
					return login.Attempt{}, err
				}
			}
		}
		return after, t.putStep(stored, login.Update{Attempt: after})
	})
}

// NoteAttempt implements login.Store. The change is on the disk after 100 ms at
// the latest. It happens also when ctx has ended.
func (s *Store) NoteAttempt(_ context.Context, id login.ID, n login.Note) {
	apply := func(a login.Attempt) (login.Update, error) {
		err := a.Apply(n)
		return login.Update{Attempt: a}, err
	}
	err := s.queue.add(&op{
		key:  attemptNotes(id),
		note: n,
		run: func(t *txn) error {
			_, err := t.updateAttempt(id, apply)
			return err
		},
	})
	if err != nil {
		s.log.Error("a noted change was lost", "attempt", id, "error", err)
	}
}

// ApproveAttempt implements login.Store.
func (s *Store) ApproveAttempt(
	ctx context.Context, id login.ID, number phone.Number,
	step func(login.Attempt, *subject.Person) (login.Approval, error),
) (login.Approval, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (approval login.Approval, err error) {
		stored, err := t.attempt(id)
		if err != nil {
			return approval, err
		}
		var known *subject.Person
		if !number.IsZero() {
			if known, err = t.personOf(number); err != nil {
				return approval, err
			}
		}
		if approval, err = step(stored.Attempt, known); err != nil {
			return approval, err
		}
		noUser := approval.Person.Sub == ""
		if !noUser && number.IsZero() {
			return approval, errors.New("bolt: a user cannot be bound to no number")
		}
		u := login.Update{Attempt: approval.Attempt, Effects: approval.Effects}
		if err := t.putStep(stored, u); err != nil || noUser {
			return approval, err
		}
		return approval, t.putPerson(approval.Person, number)
	})
}

// FinishAttempt implements login.Store.
func (s *Store) FinishAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt, *consent.Consent) (login.SignIn, error),
) (login.SignIn, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (signIn login.SignIn, err error) {
		stored, err := t.attempt(id)
		if err != nil {
			return signIn, err
		}
		allowed, err := t.consent(stored.Sub, stored.ClientID)
		if err != nil {
			return signIn, err
		}
		if signIn, err = step(stored.Attempt, allowed); err != nil {
			return signIn, err
		}
		if signIn.Session.ID == "" {
			return signIn, errors.New("bolt: a finished attempt needs a session")
		}
		switch person, err := t.person(signIn.Session.Sub); {
		case err != nil:
			return signIn, err
		case person != nil && person.SignOuts != signIn.Attempt.SignOuts:
			return signIn, login.ErrSignedOut
		}
		if err := t.putStep(stored, login.Update{Attempt: signIn.Attempt}); err != nil {
			return signIn, err
		}
		if signIn.Others, err = t.liveAttempts(signIn.Attempt.Browser, signIn.Attempt.Ended); err != nil {
			return signIn, err
		}
		signIn.Others = slices.DeleteFunc(signIn.Others, func(other login.ID) bool { return other == id })
		if signIn.Replaces != (session.SecretHash{}) {
			before, err := t.forgetSession(signIn.Replaces[:])
			if err != nil {
				return signIn, err
			}
			signIn.Session = signIn.Session.Continues(before)
			if before.Sub != signIn.Session.Sub {
				if err := t.tellEnded(before); err != nil {
					return signIn, err
				}
			}
		}
		if err := t.putSession(signIn.Session); err != nil || signIn.Code.Grant.ID == "" {
			return signIn, err
		}
		if err := t.tell(signals.Established(t.now, signIn.Code.Grant)...); err != nil {
			return signIn, err
		}
		return signIn, t.createCode(signIn.Code)
	})
}

// RedeemAttempt implements login.Store.
func (s *Store) RedeemAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.NativeSignIn, error),
) (login.NativeSignIn, error) {
	return update(ctx, s, func(t *txn) (signIn login.NativeSignIn, err error) {
		stored, err := t.attempt(id)
		if err != nil {
			return signIn, err
		}
		if signIn, err = step(stored.Attempt); err != nil {
			return signIn, err
		}
		if signIn.Redemption.Grant == nil || signIn.Redemption.Access == nil {
			return signIn, errors.New("bolt: a redeemed attempt needs a grant and an access token")
		}
		if err := t.putStep(stored, login.Update{Attempt: signIn.Attempt}); err != nil {
			return signIn, err
		}
		if err := t.learn(*signIn.Redemption.Grant); err != nil {
			return signIn, err
		}
		return signIn, t.redeem(signIn.Redemption)
	})
}

// attempt reads an attempt.
func (r reader) attempt(id login.ID) (stored record.Attempt, err error) {
	err = r.find(&attempts, []byte(id), &stored, login.ErrNotFound)
	return stored, err
}

// updateAttempt runs a step, and stores what it returns.
func (t *txn) updateAttempt(id login.ID, step func(login.Attempt) (login.Update, error)) (login.Attempt, error) {
	stored, err := t.attempt(id)
	if err != nil {
		return login.Attempt{}, err
	}
	u, err := step(stored.Attempt)
	if err != nil {
		return login.Attempt{}, err
	}
	return u.Attempt, t.putStep(stored, u)
}

// putStep stores what a step has made of a stored attempt, if it is anything new,
// with its effects.
func (t *txn) putStep(stored record.Attempt, u login.Update) error {
	id, after := stored.ID, u.Attempt
	renumbered := after.Number != stored.Number && !stored.Number.IsZero()
	if after.ID != id || after.Correlation != stored.Correlation || renumbered {
		return fmt.Errorf("bolt: a step has changed what attempt %s is", id)
	}
	if drop := u.Effects.Drop; drop != "" && !t.has(&deliveries, []byte(drop)) {
		return login.ErrNotHeld
	}
	changed, back := stored.Becomes(u)
	if !bytes.Equal(record.Encode(&record.Attempts, &changed), record.Encode(&record.Attempts, &stored)) {
		if err := t.put(&attempts, []byte(id), after.Expires.Add(record.AttemptKept), &changed); err != nil {
			return err
		}
	}
	if release, changes := u.Effects.Release(after.Holder()); changes {
		if err := t.releaseBoth(stored, release); err != nil {
			return err
		}
	}
	if stored.Cooling != [32]byte{} && u.Effects.Push.How != limit.Unanswered {
		if err := t.changeLimit(stored.Cooling, func(s limit.State) limit.State { return u.Effects.Push.After(s, after.Holder()) }); err != nil {
			return err
		}
	}
	for _, paid := range back {
		err := t.changeLimit(paid.Key, func(s limit.State) limit.State { return u.Effects.Push.GiveBack(s, paid.Each) })
		if err != nil {
			return err
		}
	}
	if u.Effects.Drop != "" {
		return t.del(&deliveries, []byte(u.Effects.Drop))
	}
	return nil
}

// releaseBoth releases the locks of an attempt, or keeps them for longer.
func (t *txn) releaseBoth(stored record.Attempt, r limit.Release) error {
	after := r.After
	if stored.Block != [32]byte{} {
		if err := t.changeLimit(stored.Block, func(s limit.State) limit.State { return after(s, t.now) }); err != nil {
			return err
		}
		after = r.AfterInLane
	}
	if stored.Lock == [32]byte{} {
		return nil
	}
	return t.changeLimit(stored.Lock, func(s limit.State) limit.State { return after(s, t.now) })
}

func attemptNotes(id login.ID) string { return "attempt " + string(id) }
