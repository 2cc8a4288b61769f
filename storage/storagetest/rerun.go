// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"fmt"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
)

// Rerun holds an engine to what the contracts say of callbacks that run more than
// once: the value of the run that was committed is returned and stored, and
// nothing of the others. again runs an operation so that the engine repeats its
// transaction at least once.
func Rerun(t *testing.T, fresh func(t *testing.T) Place, again func(e Engine, operation func())) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, w *world, again func(func()))
	}{
		{"UpdateAttempt", rerunUpdate},
		{"ResumeAttempt", rerunResume},
		{"ApproveAttempt", rerunApprove},
		{"FinishAttempt", rerunFinish},
		{"RedeemAttempt", rerunRedeem},
		{"UseCode", rerunUseCode},
		{"UseGrant", rerunUseGrant},
		{"Allow", rerunAllow},
	} {
		t.Run(part.name, func(t *testing.T) {
			w := newWorld(t, fresh(t))
			part.test(t, w, func(operation func()) {
				again(w.Engine, func() {
					w.runs = 0
					operation()
				})
				if w.runs < 2 {
					t.Fatalf("the callback ran %d times: the test shows nothing", w.runs)
				}
			})
		})
	}
}

// run counts the runs of a callback, and returns the number of this one as text.
func (w *world) run() string {
	w.runs++
	return fmt.Sprint("run ", w.runs)
}

func rerunUpdate(t *testing.T, w *world, again func(func())) {
	a := w.create()
	again(func() {
		got, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
			a.RequestID += redact.Text(w.run())
			return login.Effects{}, nil
		})
		w.must(err)
		stored, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		w.same(stored, got)
		if want := fmt.Sprint("run ", w.runs); string(got.RequestID) != want {
			t.Errorf("got %q, want %q: each run starts from the stored state", string(got.RequestID), want)
		}
	})
}

func rerunResume(t *testing.T, w *world, again func(func())) {
	a := w.create()
	form := newHash()
	again(func() {
		got, err := w.ResumeAttempt(w.ctx, a.ID, form, limit.Spend{}, w.now, func(a login.Attempt) (login.Attempt, error) {
			a.ClientID += w.run()
			a.Form = form
			return a, nil
		})
		w.must(err)
		if want := a.ClientID + fmt.Sprint("run ", w.runs); got.ClientID != want {
			t.Errorf("got %q, want %q: each run starts from the stored state", got.ClientID, want)
		}
		w.reads(got)(w.AttemptByForm(w.ctx, form))
	})
}

func rerunApprove(t *testing.T, w *world, again func(func())) {
	a := w.create()
	p := w.person(a.Number)
	again(func() {
		var subs []string
		got, err := w.ApproveAttempt(w.ctx, a.ID, a.Number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
			if known != nil {
				t.Error("a run sees what another one has stored")
			}
			p := p
			p.Sub = newID()
			p.Profile.FirstName = w.run()
			subs = append(subs, p.Sub)
			a.State, a.Sub = login.Approved, p.Sub
			return login.Approval{Attempt: a, Person: p, ChangedHands: true, Effects: login.Effects{Unlock: true}}, nil
		})
		w.must(err)
		if !got.ChangedHands {
			t.Errorf("got %+v, want the value of the callback", got)
		}
		stored, err := w.PersonOf(w.ctx, a.Number)
		w.must(err)
		w.same(stored, got.Person)
		attempt, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		w.same(attempt, got.Attempt)
		for _, sub := range subs {
			if _, err := w.Person(w.ctx, sub); (err == nil) != (sub == got.Person.Sub) {
				t.Errorf("the user of a run: %v; the one that was committed: %v", err, sub == got.Person.Sub)
			}
		}
	})
}

func rerunFinish(t *testing.T, w *world, again func(func())) {
	a := w.create()
	again(func() {
		var all []login.SignIn
		got, err := w.FinishAttempt(w.ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State, a.GrantID = login.Done, w.run()
			s := w.session()
			signIn := login.SignIn{Attempt: a, Session: s, Code: w.code(s.ID)}
			all = append(all, signIn)
			return signIn, nil
		})
		w.must(err)
		stored, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		w.same(stored, got.Attempt)
		for _, run := range all {
			committed := run.Session.ID == got.Session.ID
			_, err := w.Session(w.ctx, run.Session.ID)
			if (err == nil) != committed || w.gone(run.Code) == committed {
				t.Errorf("the session of a run: %v, its code gone: %v; committed: %v", err, w.gone(run.Code), committed)
			}
		}
	})
}

func rerunRedeem(t *testing.T, w *world, again func(func())) {
	a := w.create()
	again(func() {
		var all []login.NativeSignIn
		got, err := w.RedeemAttempt(w.ctx, a.ID, func(a login.Attempt) (login.NativeSignIn, error) {
			a.State, a.GrantID = login.Done, w.run()
			g := w.grant("")
			signIn := login.NativeSignIn{Attempt: a, Redemption: grant.Redemption{Grant: &g, Access: w.token(g), Current: g}}
			all = append(all, signIn)
			return signIn, nil
		})
		w.must(err)
		stored, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		w.same(stored, got.Attempt)
		for _, run := range all {
			w.redeemed(run.Redemption, got.Redemption)
		}
	})
}

func rerunUseCode(t *testing.T, w *world, again func(func())) {
	c := w.code("")
	w.must(w.CreateCode(w.ctx, c))
	again(func() {
		var all []grant.Redemption
		got, err := w.UseCode(w.ctx, c.Hash, func(c grant.Code, g *grant.Grant) grant.Redemption {
			if c.Redeemed || g != nil {
				t.Error("a run sees what another one has stored")
			}
			w.run()
			c.Redeemed = true
			r := grant.Redemption{Code: &c, Grant: &c.Grant, Access: w.token(c.Grant), Current: c.Grant, Refused: grant.ErrScope}
			all = append(all, r)
			return r
		})
		w.must(err)
		if got.Refused != grant.ErrScope {
			t.Errorf("got the refusal %v, want that of the callback", got.Refused)
		}
		for _, run := range all {
			w.redeemed(run, got)
		}
	})
}

func rerunUseGrant(t *testing.T, w *world, again func(func())) {
	c := w.code("")
	w.redeem(c)
	again(func() {
		var all []grant.Redemption
		got, err := w.UseGrant(w.ctx, c.Grant.ID, func(g grant.Grant) grant.Redemption {
			if g.Nonce != "" {
				t.Error("a run sees what another one has stored")
			}
			g.Nonce = w.run()
			r := grant.Redemption{Grant: &g, Access: w.token(g), Current: g}
			all = append(all, r)
			return r
		})
		w.must(err)
		stored, err := w.Grant(w.ctx, c.Grant.ID)
		w.must(err)
		w.same(stored, got.Current)
		for _, run := range all {
			w.redeemed(run, got)
		}
	})
}

func rerunAllow(t *testing.T, w *world, again func(func())) {
	sub := newID()
	again(func() {
		var all []consent.Approval
		got, err := w.Allow(w.ctx, sub, "shop", func(known *consent.Consent) consent.Approval {
			if known != nil {
				t.Error("a run sees what another one has stored")
			}
			c := w.code("")
			c.Grant.Sub = sub
			a := consent.Approval{Consent: consent.Widen(nil, sub, "shop", []string{w.run()}, w.now), Code: c}
			all = append(all, a)
			return a
		})
		w.must(err)
		stored, err := w.Consent(w.ctx, sub, "shop")
		w.must(err)
		w.same(stored, got.Consent)
		for _, run := range all {
			if committed := run.Code.Hash == got.Code.Hash; w.gone(run.Code) == committed {
				t.Errorf("the code of a run is gone: %v; committed: %v", !committed, committed)
			}
		}
	})
}

// token returns a new access token of a grant.
func (w *world) token(g grant.Grant) *grant.AccessToken {
	return &grant.AccessToken{Hash: newHash(), GrantID: g.ID, Scopes: g.Scopes, Issued: w.now, Expires: w.now.Add(time.Minute)}
}

// redeemed checks that the token of a run is stored if it was committed, and else
// not.
func (w *world) redeemed(run, committed grant.Redemption) {
	w.t.Helper()
	_, _, err := w.AccessToken(w.ctx, run.Access.Hash)
	if want := run.Access.Hash == committed.Access.Hash; (err == nil) != want {
		w.t.Errorf("the token of a run: %v; committed: %v", err, want)
	}
}
