// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// essential returns the parameter claims that demands one of these classes.
func essential(acrs ...string) string {
	return `{"id_token":{"acr":{"essential":true,"values":["` + strings.Join(acrs, `","`) + `"]}}}`
}

// oneTap signs the user of testworld.Number in by one-tap.
func oneTap(t *testing.T, w *testworld.World, pairs ...string) (authorize.Finished, *http.Cookie) {
	t.Helper()
	started, err := w.Flow.StartOneTap(t.Context(), oneTapForm(t, w.Authorize("tap", pairs...)))
	if err != nil {
		t.Fatal(err)
	}
	nonce := nonceOf(t, w, started.Attempt)
	d := w.Deliver(truecaller.Delivery{ID: nonce, App: "tap", Received: time.Now(), Callback: truecaller.Callback{RequestID: nonce, AccessToken: "token"}})
	if err := w.Engine.Profile(t.Context(), d, testworld.Profile(t, testworld.Number)); err != nil {
		t.Fatal(err)
	}
	return w.Finish(started.Attempt)
}

// wantACR wants this acr, which must be the same in the ID token, in the refreshed one, at
// introspection and after a silent renewal.
func wantACR(t *testing.T, w *testworld.World, clientID, code, want string, session *http.Cookie) {
	t.Helper()
	tokens := testworld.TokensIn(t, w.Exchange(clientID, code))
	next := testworld.TokensIn(t, w.Refresh(clientID, tokens.Refresh))
	silent := w.CodeTokens(session, clientID, "prompt", "none")
	for what, got := range map[string]any{
		"ID token":           tokens.Claims(t)["acr"],
		"refreshed ID token": next.Claims(t)["acr"],
		"silent renewal":     silent.Claims(t)["acr"],
		"introspection":      w.Introspect(next.Access, clientID, testworld.Secret).JSON()["acr"],
		"another client's":   w.CodeTokens(session, "es256").Claims(t)["acr"],
	} {
		if got != want {
			t.Errorf("%s: got acr %v, want %s", what, got, want)
		}
	}
}

// acr says how the user signed in, for as long as anything comes of that sign-in (OpenID
// Connect Core §2, §12.2; RFC 9470 §6.2).
func TestACRIsTheMethod(t *testing.T) {
	w := testworld.New(t)
	scope := []string{"scope", "openid offline_access"}
	done, session := w.SignIn(testworld.AuthRequest("app", scope...), testworld.Number)
	wantACR(t, w, "app", testworld.Param(done.Response, "code"), claims.ACRPush, session)
	done, session = oneTap(t, w, scope...)
	wantACR(t, w, "tap", testworld.Param(done.Response, "code"), claims.ACROneTap, session)
}

// A session of another class than the demanded one does not serve the request; the page then
// offers only what does (OpenID Connect Core §5.5.1.1).
func TestEssentialACR(t *testing.T) {
	w := testworld.New(t)
	_, pushed := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	_, tapped := oneTap(t, w)
	for _, row := range []struct {
		what, client, claims string
		session              *http.Cookie
		page                 bool   // a sign-in page
		silent               string // the error with prompt=none
	}{
		{"push after push", "tap", essential(claims.ACRPush), pushed, false, ""},
		{"push after one-tap", "tap", essential(claims.ACRPush), tapped, true, "login_required"},
		{"one-tap after push", "tap", essential(claims.ACROneTap), pushed, true, "login_required"},
		{"either", "tap", essential("x", claims.ACROneTap, claims.ACRPush), pushed, false, ""},
		{"native", "tap", essential(claims.ACRNative), pushed, false, "unmet_authentication_requirements"},
		{"unknown", "tap", essential("x"), pushed, false, "unmet_authentication_requirements"},
		{"no text", "tap", `{"id_token":{"acr":{"essential":true,"value":7}}}`, pushed, false, "unmet_authentication_requirements"},
		{"one-tap, of a client without", "app", essential(claims.ACROneTap), pushed, false, "unmet_authentication_requirements"},
		{"one-tap, of a client without, after one-tap", "app", essential(claims.ACROneTap), tapped, false, ""},
	} {
		if got := w.AuthorizeWith(row.session, row.client, "claims", row.claims, "prompt", "none").Delivered().Get("error"); got != row.silent {
			t.Errorf("%s, prompt=none: got %q, want %q", row.what, got, row.silent)
		}
		got := w.AuthorizeWith(row.session, row.client, "claims", row.claims)
		page, _ := got.Page()
		refused := got.Delivered().Get("error")
		if (page == "signin") != row.page || (refused != "") != (row.silent == "unmet_authentication_requirements") {
			t.Errorf("%s: got %s, want a page %v", row.what, got, row.page)
		}
	}
	if got := w.Authorize("app", "claims", essential(claims.ACROneTap)).Delivered().Get("error"); got != "unmet_authentication_requirements" {
		t.Errorf("without a session: got %q", got)
	}
	if got := w.AuthorizeWith(pushed, "app", "claims", essential(claims.ACROneTap), "prompt", "login").Delivered().Get("error"); got != "unmet_authentication_requirements" {
		t.Errorf("prompt=login: got %q", got)
	}
}

// What the page offers follows what the client demands, and what it prefers.
func TestACRChoosesTheMethods(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		for i, known := range c.Clients {
			if known.ID == "tap" {
				preferring := known
				preferring.ID, preferring.DefaultACRValues = "prefers", []string{claims.ACRPush}
				c.Clients = append(c.Clients[:i+1], append([]client.Client{preferring}, c.Clients[i+1:]...)...)
				break
			}
		}
	})
	for _, row := range []struct {
		what, client  string
		pairs         []string
		push, offered bool
	}{
		{"nothing", "tap", nil, true, true},
		{"a push demanded", "tap", []string{"claims", essential(claims.ACRPush)}, true, false},
		{"one-tap demanded", "tap", []string{"claims", essential(claims.ACROneTap)}, false, true},
		{"both demanded", "tap", []string{"claims", essential(claims.ACROneTap, claims.ACRPush)}, true, true},
		{"a push preferred", "tap", []string{"acr_values", "x " + claims.ACRPush + " " + claims.ACROneTap}, true, false},
		{"one-tap preferred", "tap", []string{"acr_values", claims.ACROneTap + " " + claims.ACRPush}, true, true},
		{"an unknown one preferred", "tap", []string{"acr_values", "x  y"}, true, true},
		{"a push preferred by a voluntary claim", "tap", []string{"claims", `{"id_token":{"acr":{"value":"` + claims.ACRPush + `"}}}`, "acr_values", claims.ACROneTap}, true, false},
		{"a push preferred by registration", "prefers", []string{"redirect_uri", "https://tap.example/cb"}, true, false},
		{"acr_values override it", "prefers", []string{"redirect_uri", "https://tap.example/cb", "acr_values", claims.ACROneTap}, true, true},
	} {
		got := w.Authorize(row.client, row.pairs...)
		_, view := got.Page()
		if view["WithoutPush"] != !row.push || (view["OneTap"] != nil) != row.offered {
			t.Errorf("%s: got %s, want push %v and one-tap %v", row.what, got, row.push, row.offered)
		}
	}
}

// A form cannot be bent to another method than the page offers, and an attempt that began for
// an earlier request does not pass for what the newest one demands.
func TestThreat_EssentialACRHolds(t *testing.T) {
	w := testworld.New(t)
	page := w.Authorize("tap", "claims", essential(claims.ACROneTap))
	if _, err := w.Flow.Submit(t.Context(), w.Submission(page, testworld.Number)); err == nil {
		t.Error("a number in a page for one-tap alone: got an attempt")
	}
	form := oneTapForm(t, w.Authorize("tap"))
	form.Request = testworld.SealedRequest(t, w.Authorize("tap", "claims", essential(claims.ACRPush)), "signin")
	if _, err := w.Flow.StartOneTap(t.Context(), form); err == nil {
		t.Error("a one-tap link in a page for a push alone: got an attempt")
	}
}

// Whatever brought an attempt of another class to a request that demands one: the client gets
// an error and no code, and there is no session.
func TestThreat_AnotherMethodIsRefusedAtTheEnd(t *testing.T) {
	w := testworld.New(t)
	id := w.Approved(testworld.AuthRequest("app", "claims", essential(claims.ACRPush)), testworld.Number)
	if _, err := w.Store.UpdateAttempt(t.Context(), id, func(a login.Attempt) (login.Update, error) {
		a.Method = login.OneTap
		return login.Update{Attempt: a}, nil
	}); err != nil {
		t.Fatal(err)
	}
	done, err := w.Continue(id)
	if err != nil || testworld.Param(done.Response, "error") != "unmet_authentication_requirements" || testworld.Param(done.Response, "code") != "" || done.Session != "" {
		t.Errorf("got %+v, %v, want unmet_authentication_requirements", done, err)
	}
}

// Who signs in anew while a consent prompt is open may decide on it, but a session of another
// class gives nothing to a client that demands one.
func TestThreat_AnotherMethodIsRefusedAtTheConsentPrompt(t *testing.T) {
	w := testworld.New(t)
	_, tapped := oneTap(t, w)
	sealed := w.ConsentRequest(tapped, "tap", "claims", essential(claims.ACROneTap), "prompt", "consent")
	_, pushed := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	got := w.Allow(sealed, pushed)
	if got.Delivered().Get("error") != "unmet_authentication_requirements" || got.Code() != "" {
		t.Errorf("after a push: got %s, want unmet_authentication_requirements", got)
	}
	if got := w.Allow(sealed, tapped); got.Code() == "" {
		t.Errorf("in the session of the prompt: got %s, want a code", got)
	}
}
