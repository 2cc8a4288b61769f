package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Pusher asks Truecaller to ask the holder of a number. *truecaller.Client is
// one. Its errors are *truecaller.PushError.
type Pusher interface {
	Push(ctx context.Context, app truecaller.App, n phone.Number, state string) (requestID string, err error)
}

// Deliveries is what the engine needs of the inbox: forgetting a delivery that
// nobody waits for. The others go with the change they cause (Effects.Drop).
type Deliveries interface {
	DropDelivery(ctx context.Context, id string) error
}

// Limits are the budgets of pushes. A zero Rate allows nothing.
type Limits struct {
	Number, Network, Client, Deployment limit.Rate
}

// Config is what an Engine needs. All fields are required but Policy.
type Config struct {
	Store  Store
	Inbox  Deliveries
	Pusher Pusher
	Apps   map[string]truecaller.App // by App.ID

	// Life is how long an attempt may take, from the submitted number to the
	// browser's return to the client.
	Life time.Duration
	// Lock is how long no second push goes to the same number, unless Truecaller
	// has answered the first (invariant 7).
	Lock   time.Duration
	Limits Limits
	Policy subject.Policy

	// Log is for operators; Audit is the append-only account of who tried what.
	// Neither ever sees a whole number or a secret.
	Log   *slog.Logger
	Audit *slog.Logger
}

// Engine moves attempts. It is safe for concurrent use; it keeps nothing but
// the list of waiting pages, so that another process could go on at any point.
type Engine struct {
	Config
	hub *hub
}

// New checks the configuration and makes an engine.
func New(c Config) (*Engine, error) {
	switch {
	case c.Store == nil || c.Inbox == nil || c.Pusher == nil || c.Log == nil || c.Audit == nil:
		return nil, errors.New("login: Store, Inbox, Pusher, Log and Audit are required")
	case len(c.Apps) == 0:
		return nil, errors.New("login: no Truecaller app")
	case c.Life <= 0 || c.Lock <= 0:
		return nil, errors.New("login: Life and Lock must be positive")
	}
	return &Engine{Config: c, hub: newHub()}, nil
}

// ErrNotYours says that the browser is not the one that started the attempt
// (invariant 2).
var ErrNotYours = errors.New("login: the attempt belongs to another browser")

// Start is what a new attempt needs.
type Start struct {
	Number   phone.Number
	App      string // ID of the Truecaller app
	ClientID string
	Browser  string // the secret of the browser cookie
	Network  string // see limit.NetworkOf
	Request  []byte // the authorization request it serves, opaque
}

// Start creates an attempt and asks Truecaller to push. It returns when
// Truecaller has answered or has taken too long, and the attempt says which. A
// refused budget or a held lock is a *limit.Exceeded, and nothing was written
// or sent.
//
// The attempt is durable before the push, so that a callback that overtakes the
// answer finds it. Cancelling ctx after that changes nothing: what was sent was
// sent.
func (e *Engine) Start(ctx context.Context, s Start) (Attempt, error) {
	app, ok := e.Apps[s.App]
	if !ok {
		return Attempt{}, fmt.Errorf("login: no Truecaller app %q", s.App)
	}
	now := time.Now()
	state := randomText(32)
	a := Attempt{
		ID:          ID(randomText(16)),
		Method:      Push,
		State:       Created,
		Browser:     sha256.Sum256([]byte(s.Browser)),
		Correlation: sha256.Sum256([]byte(state)),
		App:         s.App,
		ClientID:    s.ClientID,
		Network:     s.Network,
		Request:     s.Request,
		Created:     now,
		Expires:     now.Add(e.Life),
	}
	if err := a.push(s.Number, now); err != nil {
		return Attempt{}, err
	}
	if err := e.Store.CreateAttempt(ctx, a, e.spend(s), now); err != nil {
		if exceeded := (*limit.Exceeded)(nil); errors.As(err, &exceeded) {
			e.Audit.Info("sign-in refused", "limit", exceeded.Kind, "number", s.Number, "client", s.ClientID, "network", s.Network)
		}
		return Attempt{}, err
	}
	e.audit("sign-in started", a)
	e.hub.wakeAt(a.ID, a.Expires)

	requestID, err := e.Pusher.Push(context.WithoutCancel(ctx), app, s.Number, state)
	return e.pushed(context.WithoutCancel(ctx), a, requestID, err)
}

// pushed records what became of the push.
func (e *Engine) pushed(ctx context.Context, a Attempt, requestID string, err error) (Attempt, error) {
	kind := truecaller.PushFailure("")
	if err != nil {
		kind = truecaller.PushUnknown // the outcome is unknown unless the error says more
		if failed := (*truecaller.PushError)(nil); errors.As(err, &failed) {
			kind = failed.Kind
		}
		level := slog.LevelWarn
		if kind == truecaller.PushNoAccount {
			level = slog.LevelInfo
		}
		e.Log.Log(ctx, level, "the push did not go through", "attempt", a.ID, "outcome", kind, "error", err)
	}
	why := NoReason
	switch kind {
	case "", truecaller.PushUnknown, truecaller.PushNoAccount:
		// Waiting looks the same for all three (invariant 7). This may be lost in
		// a crash: see the package documentation of Store.NoteAttempt.
		undeliverable := kind == truecaller.PushNoAccount
		e.Store.NoteAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
			return Effects{}, a.accepted(requestID, undeliverable, time.Now())
		})
		a.State, a.RequestID, a.Undeliverable = Waiting, requestID, undeliverable
		return a, nil
	case truecaller.PushAppKeyRejected:
		why = Misconfigured
		e.Log.ErrorContext(ctx, "Truecaller refused the appKey: check truecaller.app_key, and that the app is of type Web in Truecaller's portal",
			"app", a.App)
	case truecaller.PushRefused:
		why = Refused
	default:
		why = Unavailable
	}
	ended, err := e.update(ctx, a.ID, func(a *Attempt) (Effects, error) {
		return Effects{Unlock: true}, a.fail(why, time.Now())
	})
	if errors.Is(err, ErrState) { // a callback overtook the answer, or it expired
		return e.Store.Attempt(ctx, a.ID)
	}
	return ended, err
}

func (e *Engine) spend(s Start) limit.Spend {
	number := s.Number.Digits()
	return limit.Spend{
		Lock:    limit.Key{Kind: limit.Lock, ID: number},
		LockFor: e.Lock,
		Charges: []limit.Charge{
			{Key: limit.Key{Kind: limit.Number, ID: number}, Rate: e.Limits.Number},
			{Key: limit.Key{Kind: limit.Network, ID: s.Network}, Rate: e.Limits.Network},
			{Key: limit.Key{Kind: limit.Client, ID: s.ClientID}, Rate: e.Limits.Client},
			{Key: limit.Key{Kind: limit.Deployment}, Rate: e.Limits.Deployment},
		},
	}
}

// Get returns the attempt as it is now, to the browser that started it
// (invariant 2), else ErrNotYours.
func (e *Engine) Get(ctx context.Context, id ID, browser string) (Attempt, error) {
	a, err := e.Store.Attempt(ctx, id)
	if err != nil {
		return Attempt{}, err
	}
	hash := sha256.Sum256([]byte(browser))
	if browser == "" || subtle.ConstantTimeCompare(hash[:], a.Browser[:]) != 1 {
		return Attempt{}, ErrNotYours
	}
	a.expire(time.Now())
	return a, nil
}

// Finish uses an approved attempt, once: made gives the session and the code
// that it buys, which are kept in the same transaction (invariant 9). made may
// run more than once and must give the same each time. replaces is the ID of
// the session the browser had before, "" for none. ErrState when the attempt is
// not approved.
func (e *Engine) Finish(ctx context.Context, id ID, browser, replaces string, made func(Attempt) (session.Session, grant.Code, error)) (Attempt, error) {
	if _, err := e.Get(ctx, id, browser); err != nil {
		return Attempt{}, err
	}
	a, err := e.Store.FinishAttempt(ctx, id, replaces, func(a *Attempt) (session.Session, grant.Code, error) {
		if err := a.use(time.Now()); err != nil {
			return session.Session{}, grant.Code{}, err
		}
		return made(*a)
	})
	if err == nil {
		e.audit("signed in", a)
		e.hub.wake(id)
	}
	return a, err
}

// Abandon ends an approved attempt whose sign-in may not go on, for example
// because the client asked for another person. It is done, and gives nothing.
func (e *Engine) Abandon(ctx context.Context, id ID, browser string, why Reason) error {
	return e.stop(ctx, id, browser, why)
}

// Cancel ends the attempt by the person's wish. The number stays locked: the
// request is still open on the phone. It is harmless when the attempt has ended.
func (e *Engine) Cancel(ctx context.Context, id ID, browser string) error {
	return e.stop(ctx, id, browser, Cancelled)
}

func (e *Engine) stop(ctx context.Context, id ID, browser string, why Reason) error {
	if _, err := e.Get(ctx, id, browser); err != nil {
		return err
	}
	a, err := e.update(ctx, id, func(a *Attempt) (Effects, error) {
		return Effects{}, a.reject(why, time.Now())
	})
	if errors.Is(err, ErrState) {
		return nil
	}
	if err == nil {
		e.audit("sign-in ended", a)
	}
	return err
}

// Watch returns a channel that receives a hint after each change of the attempt
// and when it expires, and a function that ends it.
func (e *Engine) Watch(id ID) (<-chan struct{}, func()) { return e.hub.watch(id) }

func (e *Engine) update(ctx context.Context, id ID, step func(*Attempt) (Effects, error)) (Attempt, error) {
	a, err := e.Store.UpdateAttempt(ctx, id, step)
	if err == nil {
		e.hub.wake(id)
	}
	return a, err
}

func (e *Engine) audit(what string, a Attempt) {
	args := []any{"attempt", a.ID, "state", a.State, "number", a.Number, "client", a.ClientID, "network", a.Network, "app", a.App}
	if a.Reason != NoReason {
		args = append(args, "reason", a.Reason)
	}
	if a.Sub != "" {
		args = append(args, "sub", a.Sub)
	}
	e.Audit.Info(what, args...)
}

// randomText is n random bytes as base64url.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
