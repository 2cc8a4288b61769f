package authorize_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/login"
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
			if target, query := a.Redirect(); query.Has("code") && query.Get("code") == "" {
				t.Errorf("%s with %s: got %s, want a code in it", decision, what, target)
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
