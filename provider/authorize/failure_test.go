// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/provider/subject"
)

type brokenPeople struct {
	subject.Store
	*testworld.Breaks
}

func (p brokenPeople) Person(ctx context.Context, sub string) (subject.Person, error) {
	if err := p.Err("finding the user"); err != nil {
		return subject.Person{}, err
	}
	return p.Store.Person(ctx, sub)
}

type brokenConsents struct {
	consent.Store
	*testworld.Breaks
}

func (c brokenConsents) Consent(ctx context.Context, sub, clientID string) (consent.Consent, error) {
	if err := c.Err("reading the consent"); err != nil {
		return consent.Consent{}, err
	}
	return c.Store.Consent(ctx, sub, clientID)
}

func (c brokenConsents) Allow(ctx context.Context, sub, clientID string, approve func(*consent.Consent) consent.Approval) (consent.Approval, error) {
	if err := c.Err("keeping the consent"); err != nil {
		return consent.Approval{}, err
	}
	if c.Err("a code that is gone again") != nil {
		return consent.Approval{}, grant.ErrExists
	}
	return c.Store.Allow(ctx, sub, clientID, approve)
}

type brokenGrants struct {
	grant.Store
	*testworld.Breaks
}

func (g brokenGrants) CreateCode(ctx context.Context, c grant.Code) error {
	if err := g.Err("making the code"); err != nil {
		return err
	}
	return g.Store.CreateCode(ctx, c)
}

func (g brokenGrants) RecallCode(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	return g.Code(ctx, hash)
}

func (g brokenGrants) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	if err := g.Err("reading the code"); err != nil {
		return grant.Code{}, nil, err
	}
	return g.Store.Code(ctx, hash)
}

type brokenEngine struct {
	provider.Engine
	*testworld.Breaks
}

func (e brokenEngine) Get(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error) {
	if err := e.Err("finding the attempt"); err != nil {
		return login.Attempt{}, err
	}
	return e.Engine.Get(ctx, id, browser)
}

func (e brokenEngine) HasLive(ctx context.Context, browser login.BrowserSecret, except login.ID) (bool, error) {
	if err := e.Err("finding live attempts"); err != nil {
		return false, err
	}
	return e.Engine.HasLive(ctx, browser, except)
}

func (e brokenEngine) Recall(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error) {
	return e.Get(ctx, id, browser)
}

func (e brokenEngine) Heard(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error) {
	return e.Get(ctx, id, browser)
}

func (e brokenEngine) Start(ctx context.Context, r login.PushRequest) (login.Attempt, error) {
	if err := e.Err("starting"); err != nil {
		return login.Attempt{}, err
	}
	return e.Engine.Start(ctx, r)
}

func (e brokenEngine) StartOneTap(ctx context.Context, r login.OneTapRequest) (login.Attempt, error) {
	if err := e.Err("starting one-tap"); err != nil {
		return login.Attempt{}, err
	}
	return e.Engine.StartOneTap(ctx, r)
}

func (e brokenEngine) Finish(
	ctx context.Context, r login.FinishRequest, signIn func(login.Attempt, *consent.Consent) (login.SignIn, error),
) (login.SignIn, error) {
	if err := e.Err("finishing"); err != nil {
		return login.SignIn{}, err
	}
	in, err := e.Engine.Finish(ctx, r, signIn)
	if err == nil && e.Err("another request was faster") != nil {
		return login.SignIn{}, login.ErrState
	}
	return in, err
}

func (e brokenEngine) NetworkTries(ctx context.Context, network string, method login.Method) (login.Tries, error) {
	if err := e.Err("counting tries"); err != nil {
		return login.Tries{}, err
	}
	return e.Engine.NetworkTries(ctx, network, method)
}

func (e brokenEngine) UnsolvedTries(ctx context.Context, network, clientID string) (login.Tries, error) {
	if err := e.Err("counting unsolved tries"); err != nil {
		return login.Tries{}, err
	}
	return e.Engine.UnsolvedTries(ctx, network, clientID)
}

// newBreakable returns a world in which one operation can be made to fail.
func newBreakable(t *testing.T, change ...func(*testworld.Config)) (*testworld.World, *testworld.Breaks) {
	t.Helper()
	b := &testworld.Breaks{}
	breakable := func(c *testworld.Config) {
		p := &c.Provider
		p.Sessions = testworld.BrokenSessions{Store: p.Sessions, Breaks: b}
		p.People = brokenPeople{p.People, b}
		p.Consents = brokenConsents{p.Consents, b}
		p.Grants = brokenGrants{p.Grants, b}
		c.WrapEngine = func(e *login.Engine) provider.Engine { return brokenEngine{e, b} }
	}
	return testworld.New(t, append(change, breakable)...), b
}

// Where a part of ours fails, the user gets the error page. No client gets a refusal or
// a code, and no user counts as signed in or signed out.
func TestOurFailureIsNoAnswer(t *testing.T) {
	w, b := newBreakable(t, challenge(authorize.ChallengeAuto))
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	sealed := w.ConsentRequest(session, "third")
	signIn := w.Submission(w.Authorize("app"), testworld.Number).Request
	get := func(clientID string, pairs ...string) func() testworld.Response {
		return func() testworld.Response { return w.AuthorizeWith(session, clientID, pairs...) }
	}
	bare := func() testworld.Response { return w.Authorize("app") }
	decide := func(decision string) func() testworld.Response {
		return func() testworld.Response { return w.Decide(sealed, decision, testworld.Cookie(session)) }
	}
	account := func() testworld.Response { return w.Get("/account") }
	reopen := func(page string) func() testworld.Response {
		return func() testworld.Response { return w.Reopen(authorize.Reopening{Request: page}, session) }
	}
	for _, row := range []struct {
		op, what string
		do       func() testworld.Response
	}{
		{"finding the session", "a request", get("app")},
		{"finding the session", "prompt=none", get("app", "prompt", "none")},
		{"finding the session", "allowing", decide("allow")},
		{"finding the session", "denying", decide("deny")},
		{"finding the session", "showing the consent prompt again", reopen(sealed)},
		{"finding the user", "a request", get("app")},
		{"finding the user", "prompt=none", get("app", "prompt", "none")},
		{"finding the user", "the consent prompt", get("third")},
		{"finding the user", "showing the consent prompt again", reopen(sealed)},
		{"reading the consent", "a request", get("third")},
		{"reading the consent", "prompt=none", get("third", "prompt", "none")},
		{"keeping the consent", "allowing", decide("allow")},
		{"making the code", "a request", get("app")},
		{"making the code", "prompt=none", get("app", "prompt", "none")},
		{"counting tries", "the sign-in page", bare},
		{"counting tries", "the account's sign-in page", account},
		{"counting tries", "another user's sign-in", decide("another")},
		{"counting tries", "showing the sign-in page again", reopen(signIn)},
		{"counting unsolved tries", "the sign-in page", bare},
	} {
		b.Op = row.op
		a := row.do()
		a.WantErrorPage(t, row.op+" fails for "+row.what, 500, "internal")
		if to := a.Header.Get("Location"); to != "" || len(a.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s fails for %s: got a redirect to %q or a cookie, want none", row.op, row.what, to)
		}
	}
	b.Op = ""
	if a := w.Allow(sealed, session); a.Code() == "" {
		t.Errorf("allowing afterwards: got %v, want a code", a)
	}
	b.Op = "reading the code"
	w.Allow(sealed, session).WantErrorPage(t, "allowing again, while codes cannot be read", 500, "internal")
}

// A request that comes after another one of the same browser is no failure.
func TestTheOtherHalfOfADoubleClick(t *testing.T) {
	w, b := newBreakable(t)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	sealed := w.ConsentRequest(session, "third")
	b.Op = "a code that is gone again" // the session has ended, and its unused code with it
	w.Allow(sealed, session).WantErrorPage(t, "allowing", 410, "finished")
	b.Op = ""
	id := w.Approved(testworld.AuthRequest("app"), testworld.Number)
	b.Op = "another request was faster"
	done, err := w.Continue(id)
	b.Op = ""
	again, _ := w.Finish(id)
	if err != nil || testworld.Param(done.Response, "code") == "" || !reflect.DeepEqual(done.Response, again.Response) || done.Session != again.Session {
		t.Errorf("the slower half: got %+v, %v, want the response of the faster one, %+v", done, err, again)
	}
}

// The pages of an attempt do not report our failure as its end, and use nothing up.
func TestOurFailureEndsNoAttempt(t *testing.T) {
	w, b := newBreakable(t, challenge(authorize.ChallengeAuto))
	ctx := t.Context()
	live := w.Submit(w.Authorize("app"), testworld.OtherNumber)
	id := w.Approved(testworld.AuthRequest("third", "scope", "openid phone"), testworld.Number)
	page := w.Submission(w.Authorize("app"), "+46701740607")
	tap := signInView(t, w.Authorize("tap"))
	proceed := func() error { _, err := w.Continue(id); return err }
	view := func(id login.ID) func() error {
		return func() error { _, err := w.View(id); return err }
	}
	again := func() error { _, err := w.Flow.Again(ctx, live, testworld.Browser, false); return err }
	submit := func() error { _, err := w.Flow.Submit(ctx, page); return err }
	oneTap := func() error {
		_, err := w.Flow.StartOneTap(ctx, authorize.OneTapSubmission{Request: tap.Request, Nonce: tap.OneTap.Nonce, Browser: testworld.Browser, Network: testworld.Network})
		return err
	}
	owns := func() error {
		_, err := w.Flow.BrowserFor(ctx, authorize.SentForm{Cookie: testworld.Browser, Request: page.Request, Input: "x", Network: testworld.Network})
		return err
	}
	remember := func() error { _, err := w.Flow.Remember(ctx, id, testworld.Browser, nil); return err }
	leave := func() error { _, err := w.Flow.Leave(ctx, live, testworld.Browser); return err }
	type row struct {
		op, what string
		do       func() error
	}
	check := func(rows ...row) {
		t.Helper()
		for _, row := range rows {
			b.Op = row.op
			if err := row.do(); !errors.Is(err, testworld.ErrDisk) {
				t.Errorf("%s fails for %s: got %v, want %v", row.op, row.what, err, testworld.ErrDisk)
			}
		}
		b.Op = ""
	}
	check(
		row{"finding the attempt", "continuing", proceed},
		row{"finding the attempt", "the waiting page", view(live)},
		row{"finding the attempt", "trying again", again},
		row{"finding the attempt", "leaving", leave},
		row{"finding the attempt", "remembering", remember},
		row{"finding live attempts", "a form", owns},
		row{"finishing", "continuing", proceed},
		row{"counting tries", "trying again", again},
		row{"starting", "a number", submit},
		row{"starting one-tap", "a link", oneTap},
	)
	if view, err := w.View(id); err != nil || view.State != login.Approved {
		t.Fatalf("afterwards: got %+v, %v, want it approved still", view, err)
	}
	prompt, session := w.Prompted(id)
	check(
		row{"finding live attempts", "continuing again", proceed},
		row{"finding the session", "continuing again", proceed},
		row{"finding the session", "the waiting page", view(id)},
		row{"reading the code", "continuing again", proceed},
		row{"reading the code", "the waiting page", view(id)},
		row{"reading the consent", "continuing again", proceed},
	)
	if a := w.Allow(prompt.Request, session); a.Code() == "" {
		t.Errorf("allowing afterwards: got %v, want a code", a)
	}
	// The device cookie's user cannot be found: the number is not taken for a stranger's.
	devices, err := w.Flow.Remember(ctx, id, testworld.Browser, nil)
	if err != nil || len(devices) != 2 {
		t.Fatalf("remembering: got %q, %v, want one device and a greeting", devices, err)
	}
	page.Phone, page.Devices = testworld.Number, devices
	check(row{"finding the user", "a number of a known device", submit})
	page.Phone, page.Known = "", true
	check(row{"finding the user", "the number of a greeting", submit})
}
