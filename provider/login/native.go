package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// Exchanger is Truecaller's OAuth interface. *truecaller.Client is one. The
// errors are those of package truecaller.
type Exchanger interface {
	// AdmitExchange is asked before anything is written for a code. The error is a
	// *truecaller.Unavailable when Truecaller has not been answering. A permit that
	// is not used for an exchange is returned.
	AdmitExchange(app truecaller.App) (*truecaller.Permit, error)

	ExchangeCode(ctx context.Context, permit *truecaller.Permit, app truecaller.App, code, verifier string) (token string, err error)
	FetchUserinfo(ctx context.Context, app truecaller.App, token string) (truecaller.Profile, error)
}

// nativeTime is how long Truecaller may take for a native sign-in, its token and
// its profile together. An application waits, and few wait longer.
const nativeTime = 10 * time.Second

// StartNative is what a native sign-in needs.
type StartNative struct {
	Code, Verifier string // Truecaller's authorization code, and its PKCE verifier
	App            string // ID of the Truecaller app; it must have an OAuth client id
	ClientID       string
	Network        string // see limit.NetworkOf
	// Server says that the request comes from the application's own server, which
	// has authenticated. Its address is that of no person: the network's budget is
	// not spent, and the client's bounds it.
	Server bool
}

// UsedError says that the authorization code has been presented before.
type UsedError struct {
	Before Attempt // the attempt that it made; without an ID when that is forgotten by now
}

func (e *UsedError) Error() string {
	return fmt.Sprintf("login: the authorization code was used before, by attempt %s", e.Before.ID)
}

// Native is a whole native sign-in: attempt, token, profile, and what made says
// that it buys. made gets the attempt as it is used and the profile that
// approved it; it may run more than once, and its last result counts.
//
// A code is good for one attempt, whatever comes of it (invariant 9): the second
// gets a *UsedError. A refused budget is a *limit.Exceeded, and a Truecaller that
// has not been answering a *truecaller.Unavailable. In these cases nothing was
// written or sent. When Truecaller is the reason, the attempt has failed, and
// is returned together with the error of package truecaller. ErrState when the
// attempt's time was over first.
func (e *Engine) Native(ctx context.Context, s StartNative, made func(Attempt, truecaller.Profile) grant.Redemption) (Attempt, error) {
	app, ok := e.Apps[s.App]
	if !ok || app.NativeClientID == "" {
		return Attempt{}, fmt.Errorf("login: no Truecaller app %q with an OAuth client id", s.App)
	}
	permit, err := e.Exchanger.AdmitExchange(app)
	if err != nil {
		e.audit(ctx, eventUnavailable, newNative(s))
		return Attempt{}, err
	}
	defer permit.Return()
	a, err := e.startNative(ctx, s)
	if err != nil {
		return Attempt{}, err
	}
	e.hub.expect(a)
	defer e.hub.settle(a)
	profile, err := e.nativeProfile(ctx, permit, a, app, s)
	// What has become of the attempt is noted also when the caller has gone.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return e.nativeFailed(ctx, a, err)
	}
	if err := e.approveNative(ctx, a, profile); err != nil {
		return Attempt{}, err
	}
	a, err = e.Store.RedeemAttempt(ctx, a.ID, func(a *Attempt) (grant.Redemption, error) {
		if err := a.use(time.Now()); err != nil {
			return grant.Redemption{}, err
		}
		return made(*a, profile), nil
	})
	if err != nil {
		return Attempt{}, err
	}
	e.audit(ctx, eventDone, a)
	return a, nil
}

func newNative(s StartNative) Attempt {
	return Attempt{
		ID: ID(randomText(16)), Method: Native, State: Created,
		Correlation: nativeCorrelation(s), App: s.App, ClientID: s.ClientID, Network: s.Network,
	}
}

func (e *Engine) startNative(ctx context.Context, s StartNative) (Attempt, error) {
	now := time.Now()
	a := newNative(s)
	a.Created, a.Expires = now, now.Add(e.Life)
	charges := e.shared(s.Network, s.ClientID)
	if s.Server {
		charges = charges[1:] // the first is the network's
	}
	err := e.Store.CreateAttempt(ctx, a, limit.Spend{Charges: charges}, now)
	e.limited(ctx, a, err)
	if errors.Is(err, ErrExists) {
		before, err := e.Store.AttemptByCorrelation(ctx, a.Correlation)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Attempt{}, err
		}
		return Attempt{}, &UsedError{Before: before}
	}
	if err != nil {
		return Attempt{}, err
	}
	e.audit(ctx, eventStarted, a)
	return a, nil
}

// nativeCorrelation is made of the code, for one app: what is kept of a code is
// its hash.
func nativeCorrelation(s StartNative) [32]byte {
	return sha256.Sum256([]byte("native\x00" + s.App + "\x00" + s.Code))
}

func (e *Engine) nativeProfile(ctx context.Context, permit *truecaller.Permit, a Attempt, app truecaller.App, s StartNative) (truecaller.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, nativeTime)
	defer cancel()
	token, err := e.Exchanger.ExchangeCode(ctx, permit, app, s.Code, s.Verifier)
	if err != nil {
		return truecaller.Profile{}, err
	}
	now := time.Now() // the step may run more than once
	e.Store.NoteAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) { return Effects{}, a.exchanged(now) })
	p, err := e.Exchanger.FetchUserinfo(ctx, app, token)
	if err == nil && len(p.Numbers) != 1 {
		return truecaller.Profile{}, truecaller.ErrProfile // it has one by definition
	}
	return p, err
}

// approveNative decides whose sign-in it is: that of the number in the profile.
func (e *Engine) approveNative(ctx context.Context, a Attempt, p truecaller.Profile) error {
	changedHands := false
	decided, err := e.Store.ApproveAttempt(ctx, a.ID, p.Numbers[0], func(a *Attempt, known *subject.Person) (subject.Person, Effects, error) {
		now := time.Now()
		if err := a.approveNative(p.Numbers[0], now); err != nil {
			return subject.Person{}, Effects{}, err
		}
		person, isNew := e.Policy.Resolve(known, a.Number, p, now)
		changedHands = isNew && known != nil
		a.approvedBy(person)
		return person, Effects{}, nil
	})
	if err != nil {
		return err
	}
	if changedHands {
		e.audit(ctx, eventChangedHands, decided)
	}
	e.audit(ctx, eventApproved, decided)
	return nil
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

// nativeFailed ends the attempt for cause, which it returns.
func (e *Engine) nativeFailed(ctx context.Context, a Attempt, cause error) (Attempt, error) {
	why := ProfileFailed
	for _, known := range nativeReasons {
		if errors.Is(cause, known.err) {
			why = known.why
			break
		}
	}
	level := slog.LevelInfo
	switch why {
	case Misconfigured, ProfileFailed:
		level = slog.LevelError
	case Unavailable:
		level = slog.LevelWarn
	}
	e.Log.Log(ctx, level, "a native sign-in failed", "attempt", a.ID, "app", a.App, "client", a.ClientID, "reason", why, "error", cause)
	ended, err := e.Store.UpdateAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
		return Effects{}, a.nativeFailed(why, time.Now())
	})
	if err != nil {
		return Attempt{}, err
	}
	e.audit(ctx, eventFailed, ended)
	return ended, cause
}
