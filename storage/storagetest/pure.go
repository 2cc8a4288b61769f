// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// Pure returns the engine with every callback run twice on the same arguments. It
// is for the tests of packages that call stores: a callback whose two results
// differ is not pure, and fails the test. For a benchmark it returns the engine as
// it is.
func Pure(t testing.TB, e Engine) Engine {
	if _, measures := t.(*testing.B); measures {
		return e
	}
	return pure{e, t}
}

type pure struct {
	Engine
	t testing.TB
}

// twice runs a callback twice, and returns what the second run returned.
func twice[T any](t testing.TB, what string, call func() (T, error)) (T, error) {
	first, firstErr := call()
	second, secondErr := call()
	if !reflect.DeepEqual(first, second) || !reflect.DeepEqual(firstErr, secondErr) {
		t.Errorf("a callback of %s is not pure: it returned %+v, %v; then %+v, %v", what, first, firstErr, second, secondErr)
	}
	return second, secondErr
}

func (p pure) UpdateAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.Update, error),
) (login.Attempt, error) {
	return p.Engine.UpdateAttempt(ctx, id, func(a login.Attempt) (login.Update, error) {
		return twice(p.t, "UpdateAttempt", func() (login.Update, error) { return step(a) })
	})
}

func (p pure) ResumeAttempt(
	ctx context.Context, id login.ID, form [32]byte, spend limit.Spend, now time.Time, step func(login.Attempt) (login.Attempt, error),
) (login.Attempt, error) {
	return p.Engine.ResumeAttempt(ctx, id, form, spend, now, func(a login.Attempt) (login.Attempt, error) {
		return twice(p.t, "ResumeAttempt", func() (login.Attempt, error) { return step(a) })
	})
}

func (p pure) ApproveAttempt(
	ctx context.Context, id login.ID, n phone.Number,
	step func(login.Attempt, *subject.Person) (login.Approval, error),
) (login.Approval, error) {
	return p.Engine.ApproveAttempt(ctx, id, n, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
		return twice(p.t, "ApproveAttempt", func() (login.Approval, error) { return step(a, known) })
	})
}

func (p pure) FinishAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt, *consent.Consent) (login.SignIn, error),
) (login.SignIn, error) {
	return p.Engine.FinishAttempt(ctx, id, func(a login.Attempt, allowed *consent.Consent) (login.SignIn, error) {
		return twice(p.t, "FinishAttempt", func() (login.SignIn, error) { return step(a, allowed) })
	})
}

func (p pure) RedeemAttempt(
	ctx context.Context, id login.ID, step func(login.Attempt) (login.NativeSignIn, error),
) (login.NativeSignIn, error) {
	return p.Engine.RedeemAttempt(ctx, id, func(a login.Attempt) (login.NativeSignIn, error) {
		return twice(p.t, "RedeemAttempt", func() (login.NativeSignIn, error) { return step(a) })
	})
}

func (p pure) UseCode(
	ctx context.Context, hash grant.CodeHash, use func(grant.Code, *grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	return p.Engine.UseCode(ctx, hash, func(c grant.Code, g *grant.Grant) grant.Redemption {
		r, _ := twice(p.t, "UseCode", func() (grant.Redemption, error) { return use(c, g), nil })
		return r
	})
}

func (p pure) UseGrant(
	ctx context.Context, id string, use func(grant.Grant) grant.Redemption,
) (grant.Redemption, error) {
	return p.Engine.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption {
		r, _ := twice(p.t, "UseGrant", func() (grant.Redemption, error) { return use(g), nil })
		return r
	})
}

func (p pure) Allow(
	ctx context.Context, sub, clientID string, approve func(*consent.Consent) consent.Approval,
) (consent.Approval, error) {
	return p.Engine.Allow(ctx, sub, clientID, func(known *consent.Consent) consent.Approval {
		a, _ := twice(p.t, "Allow", func() (consent.Approval, error) { return approve(known), nil })
		return a
	})
}
