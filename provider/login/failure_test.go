// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

var errDisk = errors.New("the disk is full")

// brokenStore is a store of which one operation fails, "" for none.
type brokenStore struct {
	login.Store
	op string
}

func (s *brokenStore) err(op string) error {
	if s.op == op {
		return errDisk
	}
	return nil
}

func (s *brokenStore) CreateAttempt(ctx context.Context, a login.Attempt, spend limit.Spend, now time.Time) error {
	if err := s.err("creating"); err != nil {
		return err
	}
	return s.Store.CreateAttempt(ctx, a, spend, now)
}

func (s *brokenStore) Attempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	if err := s.err("reading"); err != nil {
		return login.Attempt{}, err
	}
	return s.Store.Attempt(ctx, id)
}

func (s *brokenStore) AttemptByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	if err := s.err("finding"); err != nil {
		return login.Attempt{}, err
	}
	return s.Store.AttemptByCorrelation(ctx, correlation)
}

func (s *brokenStore) RecallAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.Attempt(ctx, id)
}

func (s *brokenStore) OpenAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.Attempt(ctx, id)
}

func (s *brokenStore) HeardAttempt(ctx context.Context, id login.ID) (login.Attempt, error) {
	return s.Attempt(ctx, id)
}

func (s *brokenStore) RecallByCorrelation(ctx context.Context, correlation [32]byte) (login.Attempt, error) {
	return s.AttemptByCorrelation(ctx, correlation)
}

func (s *brokenStore) AttemptByForm(ctx context.Context, form [32]byte) (login.Attempt, error) {
	if err := s.err("finding by form"); err != nil {
		return login.Attempt{}, err
	}
	return s.Store.AttemptByForm(ctx, form)
}

func (s *brokenStore) LiveAttempts(ctx context.Context, browser [32]byte, now time.Time) ([]login.ID, error) {
	if err := s.err("listing"); err != nil {
		return nil, err
	}
	return s.Store.LiveAttempts(ctx, browser, now)
}

func (s *brokenStore) LimitStates(ctx context.Context, keys ...limit.Key) ([]limit.State, error) {
	if err := s.err("reading limits"); err != nil {
		return nil, err
	}
	return s.Store.LimitStates(ctx, keys...)
}

func (s *brokenStore) UpdateAttempt(ctx context.Context, id login.ID, step func(login.Attempt) (login.Update, error)) (login.Attempt, error) {
	if err := s.err("updating"); err != nil {
		return login.Attempt{}, err
	}
	return s.Store.UpdateAttempt(ctx, id, step)
}

func (s *brokenStore) ApproveAttempt(
	ctx context.Context, id login.ID, number phone.Number, step func(login.Attempt, *subject.Person) (login.Approval, error),
) (login.Approval, error) {
	if err := s.err("approving"); err != nil {
		return login.Approval{}, err
	}
	return s.Store.ApproveAttempt(ctx, id, number, step)
}

func (s *brokenStore) FinishAttempt(ctx context.Context, id login.ID, step func(login.Attempt, *consent.Consent) (login.SignIn, error)) (login.SignIn, error) {
	if err := s.err("finishing"); err != nil {
		return login.SignIn{}, err
	}
	return s.Store.FinishAttempt(ctx, id, step)
}

func (s *brokenStore) RedeemAttempt(ctx context.Context, id login.ID, step func(login.Attempt) (login.NativeSignIn, error)) (login.NativeSignIn, error) {
	if err := s.err("redeeming"); err != nil {
		return login.NativeSignIn{}, err
	}
	return s.Store.RedeemAttempt(ctx, id, step)
}

// breakable gives the world's engine a store that can be broken.
func (w *world) breakable() *brokenStore {
	w.t.Helper()
	s := &brokenStore{Store: w.config.Store}
	w.config.Store = s
	var err error
	w.engine, err = login.New(w.config)
	w.must(err)
	return s
}

// failing is what is done while an operation of the store fails.
type failing struct {
	op, what string
	do       func() error
}

func (w *world) wantFailures(s *brokenStore, rows ...failing) {
	w.t.Helper()
	for _, row := range rows {
		s.op = row.op
		if err := row.do(); !errors.Is(err, errDisk) {
			w.t.Errorf("%s fails for %s: got %v, want %v", row.op, row.what, err, errDisk)
		}
	}
	s.op = ""
}

// What a store that fails leaves undone is said to be undone: a callback stays in the
// inbox, no push is sent, nobody is signed in, and the attempt is as it was.
func TestInvariant4_AFailureLosesNoCallback(t *testing.T) {
	w := newWorld(t)
	s := w.breakable()
	ctx := t.Context()
	other := dialled(t, "46701740607")
	w.wantFailures(s,
		failing{"creating", "a push", func() error { _, err := w.begin(); return err }},
		failing{"reading limits", "tries of a network", func() error { _, err := w.engine.NetworkTries(ctx, "192.0.2.7/32", login.Push); return err }},
		failing{"reading limits", "unsolved tries", func() error { _, err := w.engine.UnsolvedTries(ctx, "192.0.2.7/32", "demo"); return err }},
	)
	if w.phone.pushes() != 0 {
		t.Fatalf("got %d pushes of attempts that were not stored, want none", w.phone.pushes())
	}
	withForm := func(r *login.PushRequest) { r.Form = "the form" }
	a := w.start(withForm)
	token, declined, opened := w.callback(), w.callback(status("user_rejected")), w.callback(status("flow_invoked"))
	before := len(w.inbox())
	whole := profile(t, "asha", digits)
	w.wantFailures(s,
		failing{"reading", "the browser", func() error { _, err := w.engine.Get(ctx, a.ID, browser); return err }},
		failing{"listing", "the browser's live attempts", func() error { _, err := w.engine.HasLive(ctx, browser, ""); return err }},
		failing{"finding by form", "the same form again", func() error { _, err := w.begin(withForm); return err }},
		failing{"reading", "the same number again", func() error { _, err := w.begin(); return err }},
		failing{"finding", "expecting a callback", func() error { _, err := w.engine.Expects(ctx, "main", token.Callback); return err }},
		failing{"finding", "a token", func() error { return w.engine.Token(ctx, token) }},
		failing{"finding", "a profile", func() error { return w.engine.Profile(ctx, token, whole) }},
		failing{"approving", "a profile", func() error { return w.engine.Profile(ctx, token, whole) }},
		failing{"finding", "no profile", func() error { return w.engine.Failed(ctx, token, truecaller.ErrUnauthorized) }},
		failing{"updating", "no profile", func() error { return w.engine.Failed(ctx, token, truecaller.ErrUnauthorized) }},
		failing{"finding", "a decline", func() error { return w.engine.Progress(ctx, declined) }},
		failing{"updating", "a decline", func() error { return w.engine.Progress(ctx, declined) }},
		failing{"finding", "an opened dialog", func() error { return w.engine.Progress(ctx, opened) }},
		failing{"updating", "the user's cancelling", func() error { return w.engine.Cancel(ctx, a.ID, browser) }},
	)
	if left := len(w.inbox()); left != before {
		t.Errorf("got %d of %d callbacks left, want all", left, before)
	}
	w.expect(a.ID, login.Waiting, "")
	w.must(w.engine.Profile(ctx, token, whole))
	w.wantFailures(s, failing{"finishing", "continuing", func() error { _, err := w.finish(a.ID); return err }})
	w.expect(a.ID, login.Approved, "")
	if _, err := w.finish(a.ID); err != nil {
		t.Errorf("continuing afterwards: %v", err)
	}
	// A push that was refused, and whose end cannot be stored.
	w.phone.answer = refuses(truecaller.PushRefused)
	w.wantFailures(s, failing{"updating", "a refused push", func() error { _, err := w.begin(other); return err }})
}

// A code of the SDK that is presented while the store fails is not said to be used, and
// gives nothing.
func TestInvariant9_AFailureGivesNothingNatively(t *testing.T) {
	w, oauth := nativeWorld(t)
	s := w.breakable()
	exchange := func(suffix string) func() error {
		return func() error {
			a, err := w.native(code(suffix))
			if a.State == login.Done {
				t.Errorf("%s: got %s, want nothing", suffix, a.State)
			}
			return err
		}
	}
	w.wantFailures(s,
		failing{"creating", "a code", exchange("-a")},
		failing{"approving", "a code", exchange("-b")},
		failing{"redeeming", "a code", exchange("-c")},
	)
	if oauth.asked() != 2 {
		t.Errorf("Truecaller was asked %d times, want not for what was not stored", oauth.asked())
	}
	w.must2(w.native())
	w.wantFailures(s,
		failing{"finding", "a code that was used", exchange("")},
		failing{"updating", "a code that was used", exchange("")},
	)
	used := (*login.UsedError)(nil)
	if _, err := w.native(); !errors.As(err, &used) || used.Before.State != login.Done {
		t.Errorf("afterwards: got %v, want that it was used", err)
	}
	oauth.exchange = func(context.Context) error { return truecaller.ErrExchangeUnavailable }
	w.wantFailures(s, failing{"updating", "a code that Truecaller refuses", exchange("-d")})
}
