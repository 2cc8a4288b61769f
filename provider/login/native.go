// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// Exchanger is Truecaller's OAuth interface. *truecaller.Client is one. The
// errors are those of package truecaller.
type Exchanger interface {
	// AdmitExchange is called before anything is written for a code. The error is a
	// *truecaller.Unavailable when Truecaller has not been answering. A permit that
	// is not used for an exchange is returned.
	AdmitExchange(app truecaller.App) (*truecaller.Permit, error)

	ExchangeCode(
		ctx context.Context, permit *truecaller.Permit, app truecaller.App, code, verifier string,
	) (token string, err error)
	FetchUserinfo(ctx context.Context, app truecaller.App, token string) (truecaller.Profile, error)
}

// nativeTime is how long Truecaller may take for a native sign-in, its token and
// its profile together. An application waits, and few wait longer.
const nativeTime = 10 * time.Second

// NativeRequest is what a native sign-in needs.
type NativeRequest struct {
	Code, Verifier redact.Text // Truecaller's authorization code, and its PKCE verifier
	App            string      // ID of the Truecaller app; it must have an OAuth client id
	ClientID       string
	Network        string // see limit.NetworkOf
	// Server says that the request comes from the application's own server, which
	// has authenticated. Its address is that of no user: the network's budget is
	// not spent, and the client's bounds it.
	Server bool
}

// UsedError says that the authorization code has been presented before.
type UsedError struct {
	Before Attempt // the attempt that it made; without an ID when that is forgotten
}

func (e *UsedError) Error() string {
	return fmt.Sprintf("login: the authorization code was used before, by attempt %s", e.Before.ID)
}

// ErrContested says that the authorization code was presented a second time while
// its first use was under way: that use gives nothing either (RFC 6749 §4.1.2).
var ErrContested = errors.New("login: the authorization code was presented a second time meanwhile")

// Native is a whole native sign-in: attempt, token, profile, and the grant that
// issue returns. issue gets the attempt as it will be after its use, with
// Attempt.GrantID for the grant and Attempt.Ended for the time, and the profile
// that approved it. It runs once, before the transaction that uses the attempt and
// stores the grant; when it fails, the attempt has failed and nothing is issued.
//
// A code is good for one attempt, whatever comes of it (invariant 9): the second
// gets a *UsedError, and ends the first if that is under way, which gets
// ErrContested. A refused budget is a *limit.Exceeded, and a Truecaller that
// has not been answering a *truecaller.Unavailable. In these cases nothing was
// written or sent. When Truecaller is the reason, the attempt has failed, and
// is returned together with the error of package truecaller. ErrState when the
// attempt expired first.
func (e *Engine) Native(
	ctx context.Context, r NativeRequest, issue func(Attempt, truecaller.Profile) (grant.Redemption, error),
) (NativeSignIn, error) {
	app, ok := e.cfg.Apps[r.App]
	if !ok || app.NativeClientID == "" {
		return NativeSignIn{}, fmt.Errorf("login: no Truecaller app %q with an OAuth client id", r.App)
	}
	permit, err := e.cfg.Exchanger.AdmitExchange(app)
	if err != nil {
		e.record(ctx, eventUnavailable, newNative(r))
		return NativeSignIn{}, err
	}
	defer permit.Return()
	a, err := e.startNative(ctx, r)
	if err != nil {
		return NativeSignIn{}, err
	}
	ctx = e.inAttempt(ctx, a.ID)
	e.hub.expect(a)
	defer e.hub.settle(a)
	profile, err := e.nativeProfile(ctx, permit, a, app, r)
	// What has become of the attempt is stored also when the caller has gone.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		failed, err := e.nativeFailed(ctx, a, err)
		return NativeSignIn{Attempt: failed}, e.contested(ctx, a.ID, err)
	}
	approved, err := e.approveNative(ctx, a, profile)
	if err != nil {
		return NativeSignIn{}, e.contested(ctx, a.ID, err)
	}
	now, grantID := time.Now(), grant.NewID()
	used := approved
	if err := used.use(grantID, now); err != nil {
		return NativeSignIn{}, err
	}
	redemption, err := issue(used, profile)
	if err != nil {
		failed, err := e.nativeFailed(ctx, approved, &issueError{err})
		return NativeSignIn{Attempt: failed}, e.contested(ctx, a.ID, err)
	}
	// Whether the code was presented again meanwhile is decided here.
	done, err := e.cfg.Store.RedeemAttempt(ctx, a.ID, func(a Attempt) (NativeSignIn, error) {
		if err := a.use(grantID, now); err != nil {
			return NativeSignIn{}, err
		}
		return NativeSignIn{Attempt: a, Redemption: redemption}, nil
	})
	if err != nil {
		return NativeSignIn{}, e.contested(ctx, a.ID, err)
	}
	e.record(ctx, eventDone, done.Attempt)
	return done, nil
}

// issueError is why an approved native attempt gives nothing.
type issueError struct{ error }

func (e *issueError) Unwrap() error { return e.error }

// contested returns ErrContested instead of err, if that says that the attempt has
// ended and its code was presented again.
func (e *Engine) contested(ctx context.Context, id ID, err error) error {
	if !errors.Is(err, ErrState) {
		return err
	}
	a, failed := e.cfg.Store.Attempt(ctx, id)
	if failed == nil && a.Reason == CodeReused {
		return ErrContested
	}
	return err
}

// contest ends the attempt of a code that is presented again, if it is under way,
// and returns it as it is then; without an ID when it is forgotten.
func (e *Engine) contest(ctx context.Context, correlation [32]byte) (Attempt, error) {
	before, err := e.cfg.Store.AttemptByCorrelation(ctx, correlation)
	if errors.Is(err, ErrNotFound) {
		return Attempt{}, nil
	}
	if err != nil {
		return Attempt{}, err
	}
	now := time.Now()
	ended, err := e.cfg.Store.UpdateAttempt(ctx, before.ID, func(a Attempt) (Update, error) {
		err := a.nativeFailed(CodeReused, now)
		return Update{Attempt: a}, err
	})
	if errors.Is(err, ErrState) { // it has ended by itself
		return e.cfg.Store.Attempt(ctx, before.ID)
	}
	if err != nil {
		return Attempt{}, err
	}
	e.record(ctx, eventFailed, ended)
	return ended, nil
}

func newNative(r NativeRequest) Attempt {
	return Attempt{
		ID:          ID(keys.RandomText(16)),
		Method:      Native,
		State:       Created,
		Correlation: nativeCorrelation(r),
		App:         r.App,
		ClientID:    r.ClientID,
		Network:     r.Network,
	}
}

func (e *Engine) startNative(ctx context.Context, r NativeRequest) (Attempt, error) {
	now := time.Now()
	a := newNative(r)
	a.Created, a.Expires = now, now.Add(e.cfg.Life)
	err := e.cfg.Store.CreateAttempt(ctx, a, e.nativeSpend(r), now)
	e.recordLimited(ctx, a, err)
	if errors.Is(err, ErrExists) {
		before, err := e.contest(ctx, a.Correlation)
		if err != nil {
			return Attempt{}, err
		}
		return Attempt{}, &UsedError{Before: before}
	}
	if err != nil {
		return Attempt{}, err
	}
	ctx = e.inAttempt(ctx, a.ID)
	e.record(ctx, eventStarted, a)
	e.cfg.Observer.Attempt(ctx, eventReturned, a)
	return a, nil
}

// nativeCorrelation is made of the code, for one app: only the hash of a code is
// stored.
func nativeCorrelation(r NativeRequest) [32]byte {
	return sha256.Sum256([]byte("native\x00" + r.App + "\x00" + string(r.Code)))
}

func (e *Engine) nativeProfile(
	ctx context.Context, permit *truecaller.Permit, a Attempt, app truecaller.App, r NativeRequest,
) (truecaller.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, nativeTime)
	defer cancel()
	token, err := e.cfg.Exchanger.ExchangeCode(ctx, permit, app, string(r.Code), string(r.Verifier))
	if err != nil {
		return truecaller.Profile{}, err
	}
	e.cfg.Store.NoteAttempt(ctx, a.ID, Note{Kind: NoteExchanged, At: time.Now()})
	p, err := e.cfg.Exchanger.FetchUserinfo(ctx, app, token)
	if err == nil && len(p.Numbers) != 1 {
		return truecaller.Profile{}, truecaller.ErrProfile // it has one by definition
	}
	return p, err
}

// approveNative decides whose sign-in it is: that of the number in the profile.
func (e *Engine) approveNative(ctx context.Context, a Attempt, p truecaller.Profile) (Attempt, error) {
	signIn := subject.SignIn{
		Number:  p.Numbers[0].Line(),
		Profile: p,
		At:      time.Now(),
		NewSub:  subject.NewSub(),
	}
	step := func(a Attempt, known *subject.Person) (Approval, error) {
		if err := a.approveNative(signIn.Number, signIn.At); err != nil {
			return Approval{}, err
		}
		return e.approvedAs(a, known, signIn, Effects{}), nil
	}
	approval, err := e.cfg.Store.ApproveAttempt(ctx, a.ID, signIn.Number, step)
	if err != nil {
		return Attempt{}, err
	}
	e.recordApproval(ctx, approval)
	return approval.Attempt, nil
}

// nativeReasons are why a native attempt fails, by Truecaller's error.
var nativeReasons = []struct {
	err error
	why Reason
}{
	{truecaller.ErrCodeRefused, CodeRefused},
	{truecaller.ErrClientIDRefused, Misconfigured},
	{truecaller.ErrExchangeUnavailable, Unavailable},
	{truecaller.ErrProfileUnavailable, Unavailable},
	{truecaller.ErrNoOpenID, NotGranted},
	{truecaller.ErrNoNumber, NotGranted},
	{truecaller.ErrUnverified, Unverified},
}

// nativeFailed ends the attempt because of cause, which it returns.
func (e *Engine) nativeFailed(ctx context.Context, a Attempt, cause error) (Attempt, error) {
	why := ProfileFailed
	for _, known := range nativeReasons {
		if errors.Is(cause, known.err) {
			why = known.why
			break
		}
	}
	if _, ok := errors.AsType[*issueError](cause); ok {
		why = NotIssued
	}
	level := slog.LevelInfo
	switch why {
	case Misconfigured, ProfileFailed, NotIssued:
		level = slog.LevelError
	case Unavailable:
		level = slog.LevelWarn
	}
	e.cfg.Log.Log(ctx, level, "a native sign-in failed",
		"attempt", a.ID, "app", a.App, "client", a.ClientID, "reason", why, "error", cause)
	now := time.Now()
	ended, err := e.cfg.Store.UpdateAttempt(ctx, a.ID, func(a Attempt) (Update, error) {
		err := a.nativeFailed(why, now)
		return Update{Attempt: a}, err
	})
	if err != nil {
		return Attempt{}, err
	}
	e.record(ctx, eventFailed, ended)
	return ended, cause
}
