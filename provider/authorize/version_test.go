// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
)

// wantNoFailure fails the test if a response is our own failure.
func wantNoFailure(t *testing.T, what string, a testworld.Response) {
	t.Helper()
	if a.StatusCode >= http.StatusInternalServerError {
		t.Errorf("%s: got %v, want no failure of ours", what, a)
	}
}

// wantRefused fails the test if err is not nil and has no page of its own.
func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if _, problem := errors.AsType[*authorize.Refusal](err); err != nil && !problem &&
		!errors.Is(err, endpoint.ErrBadRequest) && !errors.Is(err, endpoint.ErrRequestExpired) && !errors.Is(err, login.ErrState) {
		t.Errorf("%s: got %v, want nothing, or an error that has a page", what, err)
	}
}

// wantWholeCode fails the test if a code has not all that a code of this version has.
func wantWholeCode(t *testing.T, w *testworld.World, what string, code redact.Text) {
	t.Helper()
	c, _, err := w.Store.Code(t.Context(), grant.HashCode(code))
	if code == "" || err != nil || c.Grant.ID == "" || c.Grant.Sub == "" || !grant.IsChallenge(c.Challenge) {
		t.Errorf("%s: got the code %q, stored as %+v, %v; want one with a grant, a user and a challenge", what, string(code), c, err)
	}
}

// Whoever takes a sealed request up again needs its PKCE challenge as much as the
// authorization request did: a form that names it otherwise gives no code without one.
func TestThreat_ASealedRequestWithoutPKCEIsRefused(t *testing.T) {
	sealed := func(t *testing.T, purpose keys.Purpose, form, path string) map[string]string {
		t.Helper()
		found := map[string]string{}
		for what, sealed := range testworld.OtherVersions(t, purpose, form) {
			if strings.HasPrefix(what, `"`+path+`"`) {
				found[what] = sealed
			}
		}
		if len(found) < 4 {
			t.Fatalf("got %d changes of %s, want some", len(found), path)
		}
		return found
	}
	w := testworld.New(t)
	page := w.Authorize("app")
	for what, sealed := range sealed(t, keys.PurposeAuthorizationRequest, w.Submission(page, "").Request, "p") {
		s := w.Submission(page, testworld.Number)
		s.Request = sealed
		if _, err := w.Flow.Submit(t.Context(), s); !errors.Is(err, endpoint.ErrBadRequest) {
			t.Errorf("submitting %s: got %v, want %v", what, err, endpoint.ErrBadRequest)
		}
	}
	view, session := w.PromptedFor("third")
	for what, sealed := range sealed(t, keys.PurposeConsentRequest, view.Request, "q.p") {
		if a := w.Allow(sealed, session); a.Code() != "" || a.StatusCode != http.StatusBadRequest {
			t.Errorf("allowing %s: got %v, want 400", what, a)
		}
	}
	if w.Allow(view.Request, session).Code() == "" {
		t.Error("the form of this version: got no code")
	}
}

// A page that was opened before an update, or before one was taken back, sends what
// another version of the program has sealed. The user is told to start again.
func TestFormsOfAnotherVersion(t *testing.T) {
	w := testworld.New(t)
	signIn := oneTapForm(t, w.Authorize("tap", "scope", "openid phone", "max_age", "9", "ui_locales", "sv"))
	for what, sealed := range testworld.OtherVersions(t, keys.PurposeAuthorizationRequest, signIn.Request) {
		wantNoFailure(t, "reopening with "+what, w.Reopen(authorize.Reopening{Request: sealed}))
		_, err := w.Flow.Submit(t.Context(), authorize.Submission{Request: sealed, Phone: "x", Browser: testworld.Browser, Network: testworld.Network})
		wantRefused(t, "submitting with "+what, err)
		_, err = w.Flow.NewOneTap(t.Context(), sealed)
		wantRefused(t, "another link with "+what, err)
	}
	for what, sealed := range testworld.OtherVersions(t, keys.PurposeOneTapNonce, signIn.Nonce) {
		form := signIn
		form.Nonce = sealed
		_, err := w.Flow.StartOneTap(t.Context(), form)
		wantRefused(t, "one-tap with "+what, err)
	}

	view, session := w.PromptedFor("third")
	for what, sealed := range testworld.OtherVersions(t, keys.PurposeConsentRequest, view.Request) {
		wantNoFailure(t, "reopening the prompt with "+what, w.Reopen(authorize.Reopening{Request: sealed}, session))
		for _, decision := range []string{"another", "deny", "allow"} {
			a := w.Decide(sealed, decision, testworld.Cookie(session))
			wantNoFailure(t, decision+" with "+what, a)
			target, query := a.Redirect()
			if query.Has("code") && a.Code() == "" {
				t.Errorf("%s with %s: got %s, want a code in it", decision, what, target)
			}
			if a.Code() == "" {
				continue
			}
			// Forms of one prompt have one code: another prompt shows what this form makes.
			// That of a session has no origin (q.o).
			fresh := testworld.OtherVersion(t, keys.PurposeConsentRequest, w.ConsentRequest(session, "third", "prompt", "consent"), what)
			if fresh != "" {
				wantWholeCode(t, w, decision+" with "+what, redact.Text(w.Allow(fresh, session).Code()))
			}
		}
	}
	if a := w.Allow(view.Request, session); a.StatusCode >= 500 {
		t.Errorf("the form of this version: got %v, want no failure of ours", a)
	}
}

// An attempt whose request another version has written cannot go on. Its page says so.
func TestAttemptsOfAnotherVersion(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("app", "max_age", "9"), testworld.Number)
	a, err := w.Store.Attempt(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(a.Request, &fields); err != nil {
		t.Fatal(err)
	}
	for what, request := range testworld.OtherFields(fields) {
		for _, state := range []login.State{login.Waiting, login.Approved, login.Failed} {
			other := a
			other.ID, other.State = login.ID(keys.RandomText(16)), state
			other.Form, other.Correlation, other.Request = [32]byte{}, [32]byte([]byte(keys.RandomText(32))[:32]), request
			if err := w.Store.CreateAttempt(t.Context(), other, limit.Spend{}, a.Created); err != nil {
				t.Fatal(err)
			}
			what := string(state) + ", " + what
			_, err := w.Flow.View(t.Context(), other.ID, testworld.Browser)
			wantRefused(t, "view, "+what, err)
			_, err = w.Continue(other.ID)
			wantRefused(t, "continuing, "+what, err)
			_, err = w.Flow.Again(t.Context(), other.ID, testworld.Browser, false)
			wantRefused(t, "again, "+what, err)
			_, err = w.Flow.Leave(t.Context(), other.ID, testworld.Browser)
			wantRefused(t, "leaving, "+what, err)
		}
	}
}
