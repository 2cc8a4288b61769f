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
		t.createAttempt(a, spend)
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
	t.s.hints.put(a.ID, hintOf(stored))
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

// attempt queues a query for an attempt that where finds.
func (b *batch) attempt(stored *record.Attempt, where string, arg any) (found *bool) {
	return b.one(&record.Attempts, stored, "SELECT key, value FROM attempts WHERE "+where+"", arg)
}

// readAttempt returns the attempt that where finds, with what was noted.
func (s *Store) readAttempt(ctx context.Context, where string, arg any) (login.Attempt, error) {
	for {
		before := s.notes.settled()
		stored, err := view(ctx, s, func(b *batch) func() (record.Attempt, error) {
			var stored record.Attempt
			found := b.attempt(&stored, where, arg)
			return func() (record.Attempt, error) {
				if !*found {
					return stored, login.ErrNotFound
				}
				return stored, nil
			}
		})
		if err != nil {
			return login.Attempt{}, err
		}
		s.hints.put(stored.ID, hintOf(stored))
		noted, busy, current := s.notes.since(stored.ID, before)
		if busy != nil {
			select {
			case <-busy:
			case <-ctx.Done():
				return login.Attempt{}, ctx.Err()
			}
		}
		if !current {
			continue
		}
		a := stored.Attempt
		for _, n := range noted {
			_ = a.Apply(n) // a note that does not apply is dropped
		}
		return a, nil
	}
}

// Attempt implements login.Store.
func (s *Store) Attempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.readAttempt(ctx, "key = $1", []byte(id))
}

// AttemptByCorrelation implements login.Store.
func (s *Store) AttemptByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	a, err := s.readAttempt(ctx, "correlation = $1", correlation[:])
	if err == nil && a.Correlation != correlation {
		return login.Attempt{}, misled("attempts")
	}
	return a, err
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
		b.each("SELECT key, value FROM attempts WHERE browser = $1", []any{browser[:]}, func(key, value []byte) error {
			var stored record.Attempt
			err := b.s.sealer.Open(&record.Attempts, key, value, &stored)
			if err == nil && stored.Live(now) && stored.Browser == browser {
				live = append(live, stored.ID)
			}
			return err
		})
		return func() ([]login.ID, error) { return live, nil }
	})
}

// step runs a change of an attempt: change gets the attempt, locked, with what was
// noted, and returns what becomes of it. expect queues what else the change will read.
// Notes that are in the change are gone when it was committed.
func step[T any](
	ctx context.Context, s *Store, id login.ID,
	expect func(*txn, hint), change func(t *txn, a login.Attempt) (login.Update, T, error),
) (T, error) {
	var none T
	noted, err := s.notes.take(ctx, id)
	if err != nil {
		return none, err
	}
	result, err := update(ctx, s, func(t *txn) (T, error) {
		var hint hint
		if t.first {
			hint = s.hints.get(id)
		}
		var stored record.Attempt
		found := t.one(&record.Attempts, &stored, "SELECT key, value FROM attempts WHERE key = $1 FOR UPDATE", []byte(id))
		if expect != nil {
			expect(t, hint)
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
	expect := func(t *txn, h hint) {
		trying = nil
		t.trying(id, &trying)
		t.expectLocks(h)
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
	lock := func(t *txn, _ hint) {
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
	var o *owners
	lock := func(t *txn, h hint) {
		o = &owners{}
		if !number.IsZero() {
			o = t.lockNumber(number)
		}
		t.expectLocks(h)
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
			t.putPerson(approval.Person, o)
		}
		return login.Update{Attempt: approval.Attempt, Effects: approval.Effects}, approval, nil
	})
}

// FinishAttempt implements login.Store.
func (s *Store) FinishAttempt(
	ctx context.Context, id login.ID, run func(login.Attempt) (login.SignIn, error),
) (login.SignIn, error) {
	var early struct {
		consent consentOf
		uses    *codeUses
		person  subject.Person
		exists  *bool
	}
	guess := func(t *txn, h hint) {
		early.uses, early.consent = nil, consentOf{h.sub, h.clientID}
		early.person, early.exists = subject.Person{}, nil
		if h.sub != "" {
			early.exists = t.person(&early.person, h.sub, " FOR KEY SHARE")
			early.uses = &codeUses{}
			early.uses.foundConsent = t.consent(&early.uses.consent, h.sub, h.clientID, " FOR NO KEY UPDATE")
		}
	}
	return step(ctx, s, id, guess, func(t *txn, a login.Attempt) (u login.Update, signIn login.SignIn, err error) {
		if signIn, err = run(a); err != nil {
			return u, signIn, err
		}
		if signIn.Session.ID == "" {
			return u, signIn, errors.New("postgres: a finished attempt needs a session")
		}
		u.Attempt = signIn.Attempt
		if early.exists == nil || early.consent.sub != signIn.Session.Sub {
			early.person = subject.Person{}
			early.exists = t.person(&early.person, signIn.Session.Sub, " FOR KEY SHARE")
			if err := t.look(); err != nil {
				return u, signIn, err
			}
		}
		if *early.exists && early.person.SignOuts != signIn.Attempt.SignOuts {
			return u, signIn, login.ErrSignedOut
		}
		if signIn.Replaces != "" {
			t.endSession(signIn.Replaces)
		}
		t.putLiving(signIn.Session.Sub)
		code := signIn.Code
		if code.Grant.ID == "" {
			t.putSession(signIn.Session)
			return u, signIn, nil
		}
		if code.Grant.Sub != signIn.Session.Sub {
			t.putLiving(code.Grant.Sub)
		}
		ownSession := code.Grant.SID == signIn.Session.ID
		uses := early.uses
		if uses == nil || early.consent != (consentOf{code.Grant.Sub, code.Grant.ClientID}) || code.Grant.SID != "" && !ownSession {
			rest := code
			if ownSession {
				rest.Grant.SID = ""
			}
			uses = t.codeUses(rest, true)
			if err := t.look(); err != nil {
				return u, signIn, err
			}
		}
		stored := signIn.Session
		if ownSession && code.Grant.Created.After(stored.LastUsed) {
			stored.LastUsed = code.Grant.Created
		}
		t.putSession(stored)
		return u, signIn, t.createCode(code, uses)
	})
}

// consentOf names a consent.
type consentOf struct{ sub, clientID string }

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
	t.s.hints.put(a.ID, hintOf(a))
	t.changed = append(t.changed, t.s.attemptChange(a.Attempt))
}

// settleLimits queues what the effects of a step change of the attempt's locks, of
// its cool-down, and of the budgets that it gets something back from.
func (t *txn) settleLimits(stored record.Attempt, after login.Attempt, e login.Effects, back []record.Paid) error {
	release, changes := e.Release(after.Holder())
	cools := stored.Cooling != [32]byte{} && e.Push.How != limit.Unanswered
	if !changes && !cools && len(back) == 0 {
		return nil
	}
	states := t.expected
	if states == nil || !slices.Equal(hintOf(stored).locks(), t.expectedFor) {
		states = t.lockLocks(hintOf(stored))
		if err := t.look(); err != nil {
			return err
		}
	}
	if changes {
		t.releaseBoth(states, stored, release)
	}
	for _, paid := range back {
		t.changeLimit(states, paid.Key, e.Push.GiveBack(states[paid.Key], paid.Each))
	}
	if cools {
		t.changeLimit(states, stored.Cooling, e.Push.After(states[stored.Cooling], after.Holder()))
	}
	return nil
}

// releaseBoth releases the locks of an attempt, or keeps them for longer.
func (t *txn) releaseBoth(states map[[32]byte]limit.State, stored record.Attempt, r limit.Release) {
	after, now := r.After, t.s.fromDatabase(t.at)
	if stored.Block != [32]byte{} {
		t.changeLimit(states, stored.Block, after(states[stored.Block], now))
		after = r.AfterInLane
	}
	if stored.Lock != [32]byte{} {
		t.changeLimit(states, stored.Lock, after(states[stored.Lock], now))
	}
}

// expectLocks locks the locks, the cool-down and the budgets of an attempt, which its
// change probably settles.
func (t *txn) expectLocks(h hint) {
	t.expected, t.expectedFor = t.lockLocks(h), h.locks()
}

// lockLocks queues what locks the rows of hint.locks.
func (t *txn) lockLocks(h hint) map[[32]byte]limit.State {
	held := h.locks()
	slices.SortFunc(held, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return t.lockLimits(held)
}
