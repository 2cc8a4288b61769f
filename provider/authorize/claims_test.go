// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"slices"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
)

// wantClaims checks which of the claims about a user an object has.
func wantClaims(t *testing.T, what string, object map[string]any, want ...string) {
	t.Helper()
	var got []string
	for _, name := range []string{"name", "given_name", "email", "email_verified", "phone_number", "phone_number_verified"} {
		if object[name] != nil {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const someClaims = `{"id_token":{"phone_number":{"essential":true}},"userinfo":{"name":null,"email":null}}`

// A claim that is requested by name is where it was requested, and nothing else of its
// scope is (OpenID Connect Core §5.5); also after a refresh.
func TestClaimsParameter(t *testing.T) {
	for _, where := range []client.ScopeClaims{client.ScopeClaimsBoth, client.ScopeClaimsAtUserinfo, client.ScopeClaimsInIDToken} {
		w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) { c.Clients[0].ScopeClaims = where })
		request := testworld.AuthRequest("app", "scope", "openid offline_access", "claims", someClaims)
		done, session := w.SignIn(request, testworld.Number)
		tokens := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code")))
		wantClaims(t, "ID token", tokens.Claims(t), "phone_number")
		wantClaims(t, "userinfo", w.Userinfo(tokens.Access).JSON(), "name", "email")
		next := testworld.TokensIn(t, w.Refresh("app", tokens.Refresh))
		wantClaims(t, "refreshed ID token", next.Claims(t), "phone_number")
		wantClaims(t, "userinfo after a refresh", w.Userinfo(next.Access).JSON(), "name", "email")

		// Of the authorization endpoint only where no other ID token comes.
		for rt, want := range map[client.ResponseType][]string{
			"id_token": {"phone_number"}, "id_token token": {"phone_number"}, "code id_token": nil, "code id_token token": nil,
		} {
			d := w.AuthorizeWith(session, "app", asking(rt, "", "claims", someClaims)...).Delivered()
			wantClaims(t, "ID token of "+string(rt), testworld.Claims(t, d.Get("id_token")), want...)
			if rt.AccessToken() {
				wantClaims(t, "userinfo of "+string(rt), w.Userinfo(d.Get("access_token")).JSON(), "name", "email")
			}
			if rt.Code() {
				back := testworld.TokensIn(t, w.Exchange("app", d.Get("code")))
				wantClaims(t, "ID token of the code of "+string(rt), back.Claims(t), "phone_number")
			}
		}
	}
}

// A client may name only claims of scopes that it may have, also when that changes later.
func TestClaimsOfScopesThatAClientMayNotHave(t *testing.T) {
	w := testworld.New(t)
	done, _ := w.SignIn(testworld.AuthRequest("narrow", "claims", `{"userinfo":{"name":null,"phone_number":null},"id_token":{"email":null}}`), testworld.Number)
	tokens := testworld.TokensIn(t, w.Exchange("narrow", testworld.Param(done.Response, "code")))
	wantClaims(t, "userinfo", w.Userinfo(tokens.Access).JSON(), "phone_number")
	wantClaims(t, "ID token", tokens.Claims(t))
}

// The user consents to what claims ask for, as to the scopes that the claims belong to.
func TestConsentToClaims(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	view, session := w.PromptedFor("third", "claims", someClaims)
	if got := strings.Join(view.Scopes, " "); got != "openid profile email phone" {
		t.Errorf("prompt: got the scopes %s, want those of the claims too", got)
	}
	if a := w.Allow(view.Request, session); a.Code() == "" {
		t.Fatalf("allowing: got %v, want a code", a)
	}
	for what, row := range map[string]struct {
		pairs []string
		want  string
	}{
		"the same":       {[]string{"claims", someClaims}, ""},
		"its scopes":     {[]string{"scope", "openid phone"}, ""},
		"one claim more": {[]string{"claims", `{"userinfo":{"address":null}}`}, "consent_required"},
	} {
		if got := w.AuthorizeWith(session, "third", append(row.pairs, "prompt", "none")...).Delivered().Get("error"); got != row.want {
			t.Errorf("%s, silently: got %q, want %q", what, got, row.want)
		}
	}
	// A response without a code is given again while the consent lasts.
	form := w.ConsentRequest(session, "third", asking("id_token", "", "claims", someClaims, "prompt", "consent")...)
	for range 2 {
		wantGiven(t, "allowing", "third", "id_token", "fragment", w.Allow(form, session).Delivered())
	}
}

// A sub that claims demand is the user's, or there is no response (OpenID Connect Core
// §5.5.1); so with an essential acr (§5.5.1.1).
func TestClaimsThatDemand(t *testing.T) {
	w := testworld.New(t)
	tokens, session := w.Tokens("app", "openid")
	own := tokens.Claims(t)
	if own["acr"] == nil || own["amr"] == nil {
		t.Errorf("ID token: got acr %v and amr %v, want both", own["acr"], own["amr"])
	}
	sub := func(s any) string { return `{"id_token":{"sub":{"value":"` + s.(string) + `"}}}` }
	acr := func(values string) string { return `{"id_token":{"acr":{"essential":true,"values":[` + values + `]}}}` }
	for what, row := range map[string]struct{ claims, want string }{
		"the user's sub":                  {sub(own["sub"]), ""},
		"another sub":                     {sub("x"), "login_required"},
		"an essential acr":                {acr(`"x","` + own["acr"].(string) + `"`), ""},
		"an essential acr without values": {acr(""), ""},
		"another essential acr":           {acr(`"x"`), "unmet_authentication_requirements"},
		"a voluntary acr":                 {`{"id_token":{"acr":{"values":["x"]}}}`, ""},
		"no JSON":                         {"name", "invalid_request"},
		"an array":                        {"[]", "invalid_request"},
		"two subs":                        {`{"id_token":{"sub":{"values":["a","b"]}}}`, "invalid_request"},
	} {
		if got := w.AuthorizeWith(session, "app", "prompt", "none", "claims", row.claims).Delivered().Get("error"); got != row.want {
			t.Errorf("%s: got %q, want %q", what, got, row.want)
		}
	}
	if got := w.AuthorizeWith(session, "app", "claims", sub("x"), "id_token_hint", tokens.ID).Delivered().Get("error"); got != "invalid_request" {
		t.Errorf("a hint and a sub that differ: got %q, want invalid_request", got)
	}
	// Another user than the demanded one signs in.
	done, _ := w.SignIn(testworld.AuthRequest("app", "claims", sub(own["sub"])), testworld.OtherNumber)
	if got := testworld.Param(done.Response, "error"); got != "login_required" {
		t.Errorf("another user: got %q, want login_required", got)
	}
	again, _ := w.SignIn(testworld.AuthRequest("app", "claims", sub(own["sub"])), testworld.Number)
	if testworld.Param(again.Response, "code") == "" {
		t.Errorf("the demanded user: got %+v, want a code", again.Response)
	}
}

// A client to which the user has not consented does not learn by a demanded sub who is
// signed in: the answer to a right guess is that to a wrong one.
func TestThreat_SubIsNoOracle(t *testing.T) {
	w := testworld.New(t)
	tokens, session := w.Tokens("app", "openid")
	asked := func(sub string) string {
		a := w.AuthorizeWith(session, "third", "prompt", "none", "claims", `{"id_token":{"sub":{"value":"`+sub+`"}}}`)
		return testworld.WithoutSessionState(a.Header.Get("Location"))
	}
	right, wrong := asked(tokens.Claims(t)["sub"].(string)), asked("x")
	if right != wrong || !strings.Contains(right, "error=login_required") {
		t.Errorf("the user's sub: got %s, want the %s of another", right, wrong)
	}
}

// A type without an access token stores none.
func TestNoAccessTokenWithoutTheType(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	for _, rt := range []client.ResponseType{"code", "id_token", "code id_token"} {
		w.AuthorizeWith(session, "app", asking(rt, "")...)
	}
	if a, g, err := w.Store.AccessToken(t.Context(), grant.HashToken("")); err == nil {
		t.Errorf("got the token %+v of %+v, want none", a, g)
	}
}
