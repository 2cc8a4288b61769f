// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Pusher makes Truecaller send a push to a number. *truecaller.Client is one.
type Pusher interface {
	// Admit is called before anything is written for a push. The error is a
	// *truecaller.Unavailable when Truecaller has not been answering. A permit
	// that is not used for a push is returned.
	Admit(app truecaller.App) (*truecaller.Permit, error)

	// Push uses the permit. Its errors are *truecaller.PushError; any other error
	// means that the outcome is unknown. It must have timeouts of its own, because
	// ctx is never cancelled.
	Push(
		ctx context.Context, permit *truecaller.Permit, app truecaller.App, n phone.Number, state string,
	) (requestID string, err error)
}

// Deliveries is what the engine needs of the inbox: dropping a delivery that no
// attempt waits for. The others go with the change that they cause (Effects.Drop).
type Deliveries interface {
	DropDelivery(ctx context.Context, id string) error
}

// Config is what an Engine needs.
type Config struct {
	Store  Store
	Inbox  Deliveries
	Pusher Pusher
	// Exchanger is needed where an app has an OAuth client id, for native
	// applications; else nil.
	Exchanger Exchanger
	Apps      map[string]truecaller.App // by App.ID

	// Arrived is called for each new one-tap attempt with its nonce, because
	// Truecaller's callback may have come before it (truecaller.Receiver.Arrived). If
	// nil, it is not called.
	Arrived func(ctx context.Context, nonce string)

	// Life is how long an attempt may take, from the submitted number to the
	// browser's return to the client. Zero: five minutes.
	Life time.Duration
	// Lock is how long no second push goes to the same number, unless Truecaller
	// has answered the first (invariant 7). Zero: five minutes.
	Lock time.Duration
	// AfterApproval is how long a number stays locked after its holder approved, for
	// other browsers than the one that was approved: the next prompt would look like
	// the last one. Zero: the approval releases the lock.
	AfterApproval time.Duration
	// CoolDown is how long a number refuses browsers that it does not know and that
	// have solved no challenge, after its holder declined or did not answer twice. Each
	// further push that is not approved doubles it, up to LongestCoolDown; zero: sixteen
	// times CoolDown. A decline in a known browser closes its lane like that, for CoolDown.
	// Zero: a decline releases the lock, and there is no cool-down.
	CoolDown, LongestCoolDown time.Duration
	// AfterDecline is how long a decline keeps the lock, for every browser and in whichever
	// browser it was. Zero: as long as Lock.
	AfterDecline time.Duration

	Limits Limits         // each must allow something; there is no unlimited one
	Policy subject.Policy // zero: a number is a new user's only when its Truecaller id says so

	// Log is for operators; Audit is the account of who tried what. Neither ever
	// sees a whole number or a secret (invariant 10).
	Log   *slog.Logger
	Audit audit.Recorder

	Observer Observer // if nil, no events are counted
	Tracer   Tracer   // if nil, no attempts are followed
}

// Engine moves attempts. It is safe for concurrent use. It keeps nothing but
// the list of waiting pages, so that another process can go on at any point.
type Engine struct {
	cfg Config
	hub *hub
}

// New checks the configuration and returns an engine. There is nothing to close.
func New(c Config) (*Engine, error) {
	const usual = 5 * time.Minute
	if c.Life == 0 {
		c.Life = usual
	}
	if c.Lock == 0 {
		c.Lock = usual
	}
	if c.AfterDecline == 0 {
		c.AfterDecline = c.Lock
	}
	if c.LongestCoolDown == 0 {
		c.LongestCoolDown = 16 * c.CoolDown
	}
	switch {
	case c.Store == nil || c.Inbox == nil || c.Pusher == nil || c.Log == nil || c.Audit == nil:
		return nil, errors.New("login: Store, Inbox, Pusher, Log and Audit are required")
	case len(c.Apps) == 0:
		return nil, errors.New("login: no Truecaller app")
	case c.Life < 0 || c.Lock < 0 || c.AfterApproval < 0 || c.AfterDecline < 0 || c.CoolDown < 0:
		return nil, errors.New("login: Life, Lock, AfterApproval, AfterDecline and CoolDown cannot be negative")
	case c.LongestCoolDown < c.CoolDown:
		return nil, errors.New("login: LongestCoolDown is less than CoolDown")
	}
	for id, app := range c.Apps {
		if app.NativeClientID != "" && c.Exchanger == nil {
			return nil, fmt.Errorf("login: app %q has an OAuth client id, and there is no Exchanger", id)
		}
	}
	c.Limits = c.Limits.withDefaults()
	if err := c.Limits.check(); err != nil {
		return nil, err
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	e := &Engine{cfg: c}
	e.hub = newHub(e.timeIsOver)
	return e, nil
}

// PushRequest is what a new attempt needs.
type PushRequest struct {
	Number   phone.Number
	App      string // ID of the Truecaller app
	ClientID string
	Browser  BrowserSecret
	Network  string // see limit.NetworkOf
	// Before are the secrets that the browser had before, if any: locks that its earlier
	// attempts took are its own.
	Before []BrowserSecret
	// Device is the ID of the browser if it has signed in with this number before: it has
	// a lane of its own, which the tries of others do not close. "": it has none.
	Device  string
	Solved  Solved // the challenge that the browser has solved, if any
	Request []byte // the authorization request it serves, opaque
	// Form is unique to the page from which the number was submitted. While an attempt
	// is live that the same browser has started with the same form and number, Start
	// returns that one. "": the form is not recognised.
	Form redact.Text
}

// formHash returns Attempt.Form.
func (r PushRequest) formHash() [32]byte {
	if r.Form == "" {
		return [32]byte{}
	}
	browser, form := hashOf(r.Browser), sha256.Sum256([]byte(r.Form))
	return sha256.Sum256(slices.Concat([]byte("form"), browser[:], form[:], []byte(r.Number.Digits())))
}

// Start creates an attempt and makes Truecaller send a push. It returns when
// Truecaller has responded or has taken too long, and the attempt says which. A
// refused budget or a held lock is a *limit.Exceeded, and a Truecaller that has
// not been answering a *truecaller.Unavailable: nothing was sent, and only what a
// refused try costs was written.
//
// A browser whose own live attempt holds the number's lock gets that one, which now
// serves this request: the prompt on the phone is its own. If that prompt names another
// Truecaller app, the error is an *OtherApp.
//
// The attempt is durable before the push, so that a callback that overtakes the
// response finds it, and a crash leaves a record. A browser that goes away
// meanwhile changes nothing: what was sent was sent. Tries and Pushes of a new attempt
// are in its record, not in what Start returns.
func (e *Engine) Start(ctx context.Context, r PushRequest) (Attempt, error) {
	app, ok := e.cfg.Apps[r.App]
	switch {
	case !ok || app.WithoutPush:
		return Attempt{}, fmt.Errorf("login: no Truecaller app %q that pushes", r.App)
	case r.Browser == "":
		return Attempt{}, errors.New("login: an attempt needs a browser's secret (invariant 2)")
	}
	r.Number = r.Number.Line() // a line has one lock and one budget, however it is spelled
	ctx = context.WithoutCancel(ctx)
	var late *overtaken
	for range mostOvertaken {
		a, err := e.startPush(ctx, r, app)
		if !errors.As(err, &late) {
			return a, err
		}
	}
	return Attempt{}, late.refused
}

// startPush is Start once. An *overtaken error says that it may have another outcome now.
func (e *Engine) startPush(ctx context.Context, r PushRequest, app truecaller.App) (Attempt, error) {
	now := time.Now()
	state := keys.RandomText(32)
	a := Attempt{
		ID:          ID(keys.RandomText(16)),
		Method:      Push,
		State:       Created,
		Browser:     hashOf(r.Browser),
		Form:        r.formHash(),
		Correlation: sha256.Sum256([]byte(state)),
		App:         r.App,
		ClientID:    r.ClientID,
		Network:     r.Network,
		Request:     r.Request,
		Created:     now,
		Expires:     now.Add(e.cfg.Life),
	}
	if err := a.push(r.Number, now); err != nil {
		return Attempt{}, err
	}
	// Before the budgets are spent and the number is locked, for nothing.
	permit, err := e.cfg.Pusher.Admit(app)
	if err != nil {
		if sent, err := e.sentBefore(ctx, a, now); !errors.Is(err, ErrNotFound) {
			return sent, err
		}
		e.record(ctx, eventUnavailable, a)
		return Attempt{}, err
	}
	defer permit.Return()
	spend := e.pushSpend(a, r, now)
	err = e.cfg.Store.CreateAttempt(ctx, a, spend, now)
	if errors.Is(err, ErrExists) { // the other half of a double click was faster
		return e.sentBefore(ctx, a, now)
	}
	own, free, wrong := e.ownLocked(ctx, err, now)
	switch {
	case wrong != nil:
		return Attempt{}, wrong
	case own.ID != "" && own.serves(a):
		return own, nil
	case own.ID != "" && own.App != a.App:
		return Attempt{}, &OtherApp{Attempt: own.ID, App: own.App, RetryAt: free}
	case own.ID != "":
		share, number := e.ofPhone(r)
		if a.Tries, wrong = e.triesAfterResume(ctx, now, e.cfg.Limits.networks(r.Network, r.Device != ""), slices.Concat(share, number)); wrong != nil {
			return Attempt{}, wrong
		}
		after, failed := e.resume(ctx, own, a, spend.Asker, now)
		if errors.Is(failed, ErrState) {
			failed = &overtaken{refused: err}
		}
		return after, failed
	}
	if err != nil {
		e.recordLimited(ctx, a, err)
		return Attempt{}, err
	}
	ctx = e.inAttempt(ctx, a.ID)
	e.record(ctx, eventStarted, a)
	e.hub.expect(a)

	requestID, err := e.cfg.Pusher.Push(ctx, permit, app, r.Number, state)
	return e.pushed(ctx, a, requestID, err)
}

// sentBefore returns the live attempt that the same form has started in the same
// browser, or ErrNotFound.
func (e *Engine) sentBefore(ctx context.Context, a Attempt, now time.Time) (Attempt, error) {
	if a.Form == ([32]byte{}) {
		return Attempt{}, ErrNotFound
	}
	before, err := e.cfg.Store.AttemptByForm(ctx, a.Form)
	if err == nil && !before.Live(now) {
		return Attempt{}, ErrNotFound
	}
	return before, err
}

// OneTapRequest is what a new one-tap attempt needs.
type OneTapRequest struct {
	Nonce    redact.Text // 32 random bytes as base64url; the requestNonce of the link
	App      string      // ID of the Truecaller app; it must offer one-tap
	ClientID string
	Browser  BrowserSecret
	Network  string // see limit.NetworkOf
	Request  []byte // the authorization request it serves, opaque
}

// StartOneTap creates an attempt whose link the browser opens by itself: nothing
// is sent. A refused budget is a *limit.Exceeded and nothing was written. There
// is no lock and no budget of a number, because none is known. A nonce starts
// one attempt (invariant 6): when the same browser presents it again while that
// attempt is live, as a double click does, it gets that one; else ErrState.
func (e *Engine) StartOneTap(ctx context.Context, r OneTapRequest) (Attempt, error) {
	app, ok := e.cfg.Apps[r.App]
	switch {
	case !ok || app.OneTap == nil:
		return Attempt{}, fmt.Errorf("login: no Truecaller app %q that offers one-tap", r.App)
	case r.Browser == "":
		return Attempt{}, errors.New("login: an attempt needs a browser's secret (invariant 2)")
	case len(r.Nonce) < 43 || len(r.Nonce) > 64:
		return Attempt{}, errors.New("login: a nonce is 32 bytes as base64url (invariant 6)")
	}
	ctx = context.WithoutCancel(ctx)
	now := time.Now()
	a := Attempt{
		ID:          ID(keys.RandomText(16)),
		Method:      OneTap,
		State:       Created,
		Browser:     hashOf(r.Browser),
		Correlation: sha256.Sum256([]byte(r.Nonce)),
		App:         r.App,
		ClientID:    r.ClientID,
		Network:     r.Network,
		Request:     r.Request,
		Created:     now,
		Expires:     now.Add(e.cfg.Life),
	}
	if known, err := e.tapped(ctx, a.Correlation, r.Browser, now); !errors.Is(err, ErrNotFound) {
		return known, err
	}
	if err := a.handOut(r.Nonce, now); err != nil {
		return Attempt{}, err
	}
	err := e.cfg.Store.CreateAttempt(ctx, a, e.oneTapSpend(r), now)
	if errors.Is(err, ErrExists) { // the other half of a double click was faster
		return e.tapped(ctx, a.Correlation, r.Browser, now)
	}
	if err != nil {
		e.recordLimited(ctx, a, err)
		return Attempt{}, err
	}
	ctx = e.inAttempt(ctx, a.ID)
	e.record(ctx, eventStarted, a)
	e.hub.expect(a)
	if e.cfg.Arrived != nil {
		e.cfg.Arrived(ctx, string(r.Nonce))
	}
	return a, nil
}

// tapped returns the live attempt that this browser has started with a nonce.
// ErrNotFound when the nonce was never used, ErrState when it is used up.
func (e *Engine) tapped(
	ctx context.Context, correlation [32]byte, browser BrowserSecret, now time.Time,
) (Attempt, error) {
	known, err := e.cfg.Store.AttemptByCorrelation(ctx, correlation)
	switch {
	case err != nil:
		return Attempt{}, err
	case known.Method != OneTap || known.startedBy(browser) != nil || known.expire(now) || known.State.Terminal():
		return Attempt{}, ErrState
	}
	return known, nil
}

// pushed records what became of the push.
func (e *Engine) pushed(ctx context.Context, a Attempt, requestID string, err error) (Attempt, error) {
	if err == nil {
		return e.waits(ctx, a, requestID, false), nil
	}
	kind := truecaller.PushUnknown
	if failed, ok := errors.AsType[*truecaller.PushError](err); ok {
		kind = failed.Kind
	}
	logged := []any{"attempt", a.ID, "app", a.App, "outcome", kind, "error", err}
	var why Reason
	switch kind {
	case truecaller.PushNoAccount:
		// The user must not be able to tell (invariant 7).
		e.cfg.Log.InfoContext(ctx, "the push reaches no phone", logged...)
		return e.waits(ctx, a, "", true), nil
	case truecaller.PushUnknown:
		// It may have been sent. A callback with our state will tell.
		e.cfg.Log.WarnContext(ctx, "the push may or may not have been sent", logged...)
		return e.waits(ctx, a, "", false), nil
	case truecaller.PushAppKeyRejected:
		why = Misconfigured
		e.cfg.Log.ErrorContext(ctx, "Truecaller does not accept the appKey: check the app's key in the configuration, "+
			"and that it is of type Web in Truecaller's portal", logged...)
	case truecaller.PushRefused:
		why = Refused
		e.cfg.Log.ErrorContext(ctx, "Truecaller refused the push", logged...)
	default:
		why = Unavailable
		e.cfg.Log.WarnContext(ctx, "Truecaller did not take the push", logged...)
	}
	now := time.Now()
	ended, err := e.cfg.Store.UpdateAttempt(ctx, a.ID, func(a Attempt) (Update, error) {
		err := a.refused(why, now)
		return Update{Attempt: a, Effects: Effects{Unlock: true, Push: e.ended(limit.Unsent, now)}}, err
	})
	if errors.Is(err, ErrState) {
		// A callback, the browser or the time was faster; the record is the truth.
		return e.cfg.Store.Attempt(ctx, a.ID)
	}
	if err != nil {
		return Attempt{}, err
	}
	e.hub.settle(a)
	e.record(ctx, eventFailed, ended)
	return ended, nil
}

// waits notes that the push was taken, and returns the attempt as it then is
// unless something faster has moved it further. A crash may lose the note: an
// attempt that is found in pushing afterwards waits like any other.
func (e *Engine) waits(ctx context.Context, a Attempt, requestID string, undeliverable bool) Attempt {
	taken := Note{Kind: NoteAccepted, At: time.Now(), RequestID: redact.Text(requestID), Undeliverable: undeliverable}
	e.cfg.Store.NoteAttempt(ctx, a.ID, taken)
	a.State, a.RequestID, a.Undeliverable = Waiting, redact.Text(requestID), undeliverable
	if !undeliverable {
		e.cfg.Observer.Attempt(ctx, eventPushed, a)
	}
	return a
}

// timeIsOver is called by the hub when the time of an attempt that this process
// knows is over. The record says by itself that it has expired: it is written only so
// that one of the processes that know it records it, and once.
func (e *Engine) timeIsOver(id ID) {
	ctx, now := e.inAttempt(context.Background(), id), time.Now()
	after, err := e.cfg.Store.UpdateAttempt(ctx, id, func(a Attempt) (Update, error) {
		if a.State.Terminal() || !a.expire(now) {
			return Update{}, ErrState
		}
		return Update{Attempt: a}, nil
	})
	switch {
	case err == nil:
		e.record(ctx, eventExpired, after)
	case !errors.Is(err, ErrState) && !errors.Is(err, ErrNotFound):
		e.cfg.Log.WarnContext(ctx, "that an attempt has expired is not recorded", "attempt", id, "error", err)
	}
}
