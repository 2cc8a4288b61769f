// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
)

func TestConsentComesAfterApprovalAndBeforeTheCode(t *testing.T) {
	w := testworld.New(t)
	id := w.Approved(testworld.AuthRequest("third", "scope", "openid phone email"), testworld.Number)
	before := w.Store.Stats().Operations
	view, session := w.Prompted(id)
	if view.Client.Name != "Third party" || view.Number != "+46•••••0605" ||
		!reflect.DeepEqual(view.Scopes, []string{"openid", "email", "phone"}) ||
		view.FormAction != "https://third.example" {
		t.Errorf("prompt: got %+v, want the client, the masked number, three scopes and the form action", view)
	}
	if !w.SignedIn(session) {
		t.Error("session while the prompt is open: got none, want one that signs in")
	}
	// A reload, or the second half of a double click, prompts for the same again.
	again, sameSession := w.Prompted(id)
	if sameSession.Value != session.Value || !reflect.DeepEqual(again.Scopes, view.Scopes) {
		t.Errorf("continuing again: got %+v, want the same session and scopes", again)
	}
	if page, err := w.View(id); err != nil || page.State != login.Approved {
		t.Errorf("view of the attempt while the prompt is open: got %+v, %v, want state %v", page, err, login.Approved)
	}
	if _, err := w.ContinueElsewhere(id, "another browser"); !errors.Is(err, login.ErrNotYours) {
		t.Errorf("continuing in another browser: got %v, want %v", err, login.ErrNotYours)
	}

	a := w.Allow(view.Request, session)
	at, query := a.Redirect()
	if a.StatusCode != 303 || at != testworld.RedirectURI("third") || query.Get("state") != "the-state" ||
		query.Get("iss") != testworld.Issuer {
		t.Fatalf("allowing: got %v, want a redirect with state and iss", a)
	}
	// One operation for the session, one for what SignedIn requested, one for the
	// consent with its code: no code before it.
	if n := w.Store.Stats().Operations - before; n != 3 {
		t.Errorf("operations: got %d, want 3", n)
	}
	// A second press, or the page behind the prompt, gives the same response until
	// the code is used.
	for what, sealed := range map[string]string{"again": view.Request, "in the other page": again.Request} {
		w.Allow(sealed, session).WantRedirect(t, "allowing "+what, a.Header.Get("Location"))
	}
	done, err := w.ContinueWith(session, id)
	if err != nil || done.Consent != nil || testworld.Param(done.Response, "code") != query.Get("code") {
		t.Errorf("continuing after the consent: got %+v, %v, want the same code", done, err)
	}
	claims := testworld.TokensIn(t, w.Exchange("third", query.Get("code"))).Claims(t)
	if claims["phone_number"] != testworld.Number || claims["nonce"] != "the-nonce" {
		t.Errorf("ID token: got %v, want phone_number and nonce", claims)
	}
	if b := w.Allow(view.Request, session); b.StatusCode != 410 || b.Code() != "" {
		t.Errorf("allowing after the code was used: got %v, want 410", b)
	}
	if _, err := w.Continue(id); !errors.Is(err, login.ErrState) {
		t.Errorf("continuing after the code was used: got %v, want %v", err, login.ErrState)
	}
	events := w.Events("consent.given")
	if len(events) != 1 {
		t.Fatalf("audit: got %v, want one consent.given", events)
	}
	testworld.WantMembers(t, "the audit", events[0], map[string]any{
		"sub": w.Claim(session, "sub"), "sid": w.Claim(session, "sid"), "client": "third", "scope": "openid email phone",
	})
}

// Consent is remembered for the user, the client and the scopes.
func TestConsentIsRemembered(t *testing.T) {
	w := testworld.New(t)
	view, session := w.PromptedFor("third", "scope", "openid phone")
	if a := w.Allow(view.Request, session); a.Code() == "" {
		t.Fatalf("allowing: got %v, want a code", a)
	}
	_, other := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	for _, row := range []struct {
		what, client string
		cookie       *http.Cookie
		pairs        []string
		want         string // as outcome returns it
	}{
		{"the same", "third", session, []string{"scope", "openid phone"}, "code"},
		{"less", "third", session, []string{"scope", "openid"}, "code"},
		{"the same, silently", "third", session, []string{"scope", "openid phone", "prompt", "none"}, "code"},
		{"more", "third", session, []string{"scope", "openid phone email"}, "consent"},
		{"more, silently", "third", session, []string{"scope", "openid phone email", "prompt", "none"}, "consent_required"},
		{"offline access", "third", session, []string{"scope", "openid offline_access"}, "consent"},
		{"prompt=consent", "third", session, []string{"scope", "openid phone", "prompt", "consent"}, "consent"},
		{"another person", "third", other, []string{"scope", "openid phone"}, "consent"},
		{"a client that always asks", "wary", session, nil, "consent"},
		{"a client that always asks, silently", "wary", session, []string{"prompt", "none"}, "consent_required"},
		{"one of our own", "app", session, nil, "code"},
		{"one of our own, prompt=consent", "app", session, []string{"prompt", "consent"}, "consent"},
	} {
		t.Run(row.what, func(t *testing.T) {
			if got := outcome(t, w.AuthorizeWith(row.cookie, row.client, row.pairs...)); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
	// Nor does a new sign-in prompt again.
	done, _ := w.SignIn(testworld.AuthRequest("third", "scope", "openid phone"), testworld.Number)
	if testworld.Param(done.Response, "code") == "" {
		t.Errorf("a new sign-in: got %+v, want a code", done)
	}
	// Two consents add up.
	if a := w.Allow(w.ConsentRequest(session, "third", "scope", "openid email"), session); a.Code() == "" {
		t.Fatalf("allowing email: got %v, want a code", a)
	}
	if a := w.AuthorizeWith(session, "third", "scope", "openid phone email"); a.Code() == "" {
		t.Errorf("phone and email after both were allowed: got %v, want a code", a)
	}
	kept, err := w.Store.Consent(t.Context(), w.Claim(session, "sub"), "third")
	if err != nil || !reflect.DeepEqual(kept.Scopes, []string{"openid", "phone", "email"}) {
		t.Errorf("stored consent: got %+v, %v, want openid phone email", kept, err)
	}
}

// Looking at the prompt, however often, writes nothing.
func TestInvariant1_TheConsentPromptIsNotStored(t *testing.T) {
	w := testworld.New(t)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	w.WantNothingStored("five prompts", func() {
		for range 5 {
			if sealed := w.ConsentRequest(session, "third"); strings.Contains(sealed, "third.example") {
				t.Fatalf("sealed request: got %s, want nothing that can be read", sealed)
			}
		}
	})
}

func TestConsentIsRefused(t *testing.T) {
	w := testworld.New(t)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	sealed := w.ConsentRequest(session, "third")
	a := w.Decide(sealed, "deny", testworld.Cookie(session))
	at, _ := a.Redirect()
	if got := outcome(t, a); got != "access_denied" || at != testworld.RedirectURI("third") {
		t.Errorf("denying: got %v, want access_denied at %s", a, testworld.RedirectURI("third"))
	}
	if _, err := w.Store.Consent(t.Context(), w.Claim(session, "sub"), "third"); !errors.Is(err, consent.ErrNotFound) {
		t.Errorf("stored consent: got error %v, want %v", err, consent.ErrNotFound)
	}
	w.WantLogged("consent.denied")
	// Another number: the same request from the start.
	id := w.SubmitApproved(w.Decide(sealed, "another", testworld.Cookie(session)), testworld.OtherNumber)
	if view, _ := w.Prompted(id); view.Number != "+46•••••0606" {
		t.Errorf("prompt after another number: got %+v, want +46•••••0606", view)
	}
	// A form_post request gets its response by a form.
	sealed = w.ConsentRequest(session, "third", "response_mode", "form_post")
	w.Allow(sealed, session).WantPage(t, "allowing with form_post", "formpost")
}

// The prompt belongs to the browser that is signed in, and to its user.
func TestConsentBelongsToTheBrowserThatSignedIn(t *testing.T) {
	w := testworld.New(t)
	view, session := w.PromptedFor("third")
	_, stranger := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	mine, theirs := testworld.Cookie(session), testworld.Cookie(stranger)
	madeUp := testworld.Cookie(&http.Cookie{Name: session.Name, Value: "x"})
	for what, row := range map[string]struct {
		response testworld.Response
		status   int
		kind     string
	}{
		"no session":                 {w.Decide(view.Request, "allow"), 400, "request_expired"},
		"a made-up session":          {w.Decide(view.Request, "allow", madeUp), 400, "request_expired"},
		"another user":               {w.Decide(view.Request, "allow", theirs), 403, "not_your_browser"},
		"another user denies":        {w.Decide(view.Request, "deny", theirs), 403, "not_your_browser"},
		"from another site":          {w.Decide(view.Request, "allow", mine, testworld.CrossSite), 403, "cross_origin"},
		"not sealed":                 {w.Decide("x", "allow", mine), 400, "bad_request"},
		"changed":                    {w.Decide(view.Request[1:], "allow", mine), 400, "bad_request"},
		"too old":                    {w.Decide(testworld.Aged(t, keys.PurposeConsentRequest, view.Request), "allow", mine), 400, "request_expired"},
		"neither allowed nor denied": {w.Decide(view.Request, "perhaps", mine), 400, "bad_request"},
		"by GET":                     {w.Get("/consent", session), 405, "method_not_allowed"},
	} {
		t.Run(what, func(t *testing.T) {
			row.response.WantErrorPage(t, "deciding", row.status, row.kind)
		})
	}
	// Neither form accepts the sealed request of the other.
	signIn := w.Submission(w.Authorize("third"), "").Request
	w.Allow(signIn, session).WantStatus(t, "a sealed sign-in as a consent request", 400)
	_, err := w.Flow.Submit(t.Context(), authorize.Submission{
		Request: view.Request,
		Phone:   testworld.Number,
		Browser: testworld.Browser,
	})
	if !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("a sealed consent request as a sign-in: got %v, want %v", err, endpoint.ErrBadRequest)
	}
	// After the same user has signed in again in another tab, the prompt is still
	// valid. An older session of theirs cannot decide a newer prompt.
	late, newer := w.PromptedFor("third", "prompt", "login")
	w.Allow(late.Request, session).WantStatus(t, "a newer prompt in an older session", 403)
	if a := w.Allow(view.Request, newer); a.Code() == "" {
		t.Errorf("an older prompt in a newer session: got %v, want a code", a)
	}
	if _, err := w.Store.EndSession(t.Context(), w.Claim(newer, "sid")); err != nil {
		t.Fatal(err)
	}
	w.Allow(late.Request, newer).WantStatus(t, "an ended session", 400)
}

// The client or its redirect URI may be gone when the decision arrives.
func TestConsentLooksAtTheClientAgain(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("brief")
	c.Consent = client.ConsentRemember
	w.AddClient(c)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	sealed := w.ConsentRequest(session, "app", "client_id", c.ID)
	w.RemoveClient(c.ID)
	if a := w.Allow(sealed, session); a.StatusCode != 400 || a.Code() != "" {
		t.Errorf("allowing after the client was removed: got %v, want 400", a)
	}
}

// What users have allowed a client that was removed does not count for the next
// client with its ID.
func TestConsentEndsWithTheClient(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("brief")
	c.Consent = client.ConsentRemember
	c, _ = w.AddClient(c)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	allow := func(scope string) {
		t.Helper()
		pairs := []string{"client_id", c.ID, "scope", scope}
		if a := w.Allow(w.ConsentRequest(session, "app", pairs...), session); a.Code() == "" {
			t.Fatalf("allowing %s: got %v, want a code", scope, a)
		}
		if a := w.AuthorizeWith(session, "app", pairs...); a.Code() == "" {
			t.Fatalf("%s after it was allowed: got %v, want a code", scope, a)
		}
	}
	allow("openid phone email")
	w.RemoveClient(c.ID)
	c, _ = w.AddClient(c)
	allow("openid")
	allow("openid phone")
}

// A form that was changed on the way is a bad request. So is one whose client may not
// have the response any more; its page is in the language of the request.
func TestConsentRefusesFormsThatAreNotRight(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("brief")
	c.Consent = client.ConsentRemember
	w.AddClient(c)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	sealed := w.ConsentRequest(session, "app", "client_id", "brief", "ui_locales", "sv")
	for what, form := range map[string]string{
		"changed":   strings.ToUpper(sealed),
		"cut":       sealed[:len(sealed)-1],
		"lengthier": sealed + "A",
		"empty":     "",
	} {
		w.Allow(form, session).WantErrorPage(t, what, 400, "bad_request")
	}
	w.RemoveClient("brief")
	a := w.Allow(sealed, session)
	a.WantErrorPage(t, "a client that is gone", 400, "bad_request")
	if _, view := a.Page(); !reflect.DeepEqual(view["UILocales"], []any{"sv"}) {
		t.Errorf("a client that is gone: got %v, want the page in sv", view)
	}
}
