// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/truecaller"
)

func TestTokenExchange(t *testing.T) {
	w, _ := testworld.NewNative(t)
	a := w.Post("/token", testworld.ExchangeRequest("native", "requested_token_type", testworld.AccessTokenType))
	out := testworld.TokensIn(t, a)
	for name, want := range map[string]string{
		"Cache-Control": "no-store",
		"Pragma":        "no-cache",
		"Content-Type":  "application/json",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	testworld.WantMembers(t, "the token response", out.JSON(), map[string]any{
		"issued_token_type": testworld.AccessTokenType,
		"token_type":        "Bearer",
		"expires_in":        3600.0,
		"scope":             "openid profile email phone address offline_access",
		"session_state":     nil,
	})
	if out.Refresh == "" {
		t.Errorf("got %v, want a refresh token", a)
	}
	for _, event := range []string{"attempt.started", "attempt.done"} {
		if line := logged(w, event); !strings.Contains(line, `"client":"native"`) || !strings.Contains(line, `"app":"nat"`) {
			t.Errorf("%s: got %s, want the client and its app", event, line)
		}
	}
	id := out.Claims(t)
	testworld.WantMembers(t, "the ID token", id, map[string]any{
		"iss":                   testworld.Issuer,
		"aud":                   "native",
		"azp":                   "native",
		"phone_number":          testworld.Number,
		"phone_number_verified": true,
		"name":                  "Asha Rao",
		"given_name":            "Asha",
		"picture":               "https://img.example/a.png",
		"gender":                "female",
		"email":                 "asha@example.com",
		"email_verified":        false,
		"acr":                   claims.ACRNative,
		"sid":                   nil,
		"nonce":                 nil,
		"truecaller":            nil,
	})
	if id["at_hash"] == nil || id["auth_time"] == nil || strings.Contains(id["sub"].(string), "90071992547409931") {
		t.Errorf("ID token: got %v, want at_hash, auth_time and a sub without Truecaller's", id)
	}

	// Userinfo and a refreshed ID token say the same about the user.
	info := w.Userinfo(out.Access)
	own := []string{"iss", "aud", "azp", "exp", "iat", "auth_time", "acr", "amr", "at_hash"}
	if want := without(id, own...); info.StatusCode != 200 || !reflect.DeepEqual(info.JSON(), want) {
		t.Errorf("userinfo: got %v, want 200 with %v", info, want)
	}
	refresh := testworld.RefreshRequest(out.Refresh)
	refresh.Set("client_id", "native")
	refreshed := testworld.TokensIn(t, w.Post("/token", refresh))
	own = []string{"exp", "iat", "at_hash"}
	if got, want := without(refreshed.Claims(t), own...), without(id, own...); !reflect.DeepEqual(got, want) {
		t.Errorf("refreshed ID token: got\n%v\nwant\n%v", got, want)
	}
	if got := refreshed.JSON()["issued_token_type"]; got != nil {
		t.Errorf("issued_token_type of a refresh: got %v, want none", got)
	}

	// It is revoked like any other.
	w.Post("/revoke", url.Values{"token": {refreshed.Refresh}, "client_id": {"native"}}).
		WantStatus(t, "revocation", 200)
	w.Userinfo(refreshed.Access).WantStatus(t, "userinfo after the revocation", 401)
}

// auditOf returns the attributes of the first such event.
func auditOf(t *testing.T, w *testworld.World, event string) map[string]any {
	t.Helper()
	var attributes map[string]any
	if err := json.Unmarshal([]byte(logged(w, event)), &attributes); err != nil {
		t.Fatalf("%s in the log: got %v", event, err)
	}
	return attributes
}

// logged returns the first line of an event.
func logged(w *testworld.World, event string) string {
	for line := range strings.Lines(w.Log.Text()) {
		if strings.Contains(line, `"`+event+`"`) {
			return line
		}
	}
	return ""
}

// A confidential client authenticates as everywhere, and may introspect its
// tokens.
func TestTokenExchangeOfABackend(t *testing.T) {
	w, _ := testworld.NewNative(t)
	basic := testworld.Basic("backend", testworld.Secret)
	for what, row := range map[string]struct {
		form url.Values
		auth testworld.Change
	}{
		"basic":                        {testworld.ExchangeRequest("backend", "client_id", "-", "subject_token", "a"), basic},
		"basic, client_id in the body": {testworld.ExchangeRequest("backend", "subject_token", "b"), basic},
		"post":                         {testworld.ExchangeRequest("backend", "client_secret", testworld.Secret, "subject_token", "c"), testworld.Unchanged},
	} {
		t.Run(what, func(t *testing.T) {
			out := testworld.TokensIn(t, w.Post("/token", row.form, row.auth))
			seen := w.Introspect(out.Access, "backend", testworld.Secret).JSON()
			testworld.WantMembers(t, "introspection", seen, map[string]any{
				"active":    true,
				"client_id": "backend",
				"sid":       nil,
				"acr":       claims.ACRNative,
			})
			if amr, ok := seen["amr"].([]any); !ok || len(amr) != 1 || amr[0] != "user" {
				t.Errorf("introspection: got amr %v, want user", seen["amr"])
			}
		})
	}
}

// Granted is what was requested, as far as the client may have it and Truecaller
// returned a value for it. Without a scope it is openid.
func TestTokenExchangeScopes(t *testing.T) {
	bare := func(p *truecaller.Profile) {
		*p = truecaller.Profile{OAuthSub: p.OAuthSub, Numbers: p.Numbers}
	}
	for _, row := range []struct {
		what, client, scope string
		change              func(*truecaller.Profile)
		want                string
	}{
		{"no scope", "native", "-", nil, "openid"},
		{"one", "native", "phone", nil, "phone"},
		{"unknown ones are ignored", "native", "openid groups phone", nil, "openid phone"},
		{"the client may not have more", "native-narrow", testworld.AllScopes, nil, "openid phone"},
		{"Truecaller returns the number alone", "native", testworld.AllScopes, bare, "openid phone offline_access"},
		{"Truecaller returns no address", "native", testworld.AllScopes, func(p *truecaller.Profile) { p.Addresses = nil }, "openid profile email phone offline_access"},
		{"Truecaller returns no e-mail", "native", "openid email", func(p *truecaller.Profile) { p.Email = "" }, "openid"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w, oauth := testworld.NewNative(t)
			if row.change != nil {
				row.change(&oauth.Profile)
			}
			out := w.NativeTokens(row.client, "scope", row.scope)
			if got := out.JSON()["scope"]; got != row.want {
				t.Errorf("scope: got %v, want %s", got, row.want)
			}
			if (out.ID != "") != strings.Contains(row.want, "openid") ||
				(out.Refresh != "") != strings.Contains(row.want, "offline") {
				t.Errorf("got %v, want the tokens of the scopes %s", out, row.want)
			}
		})
	}
	w, _ := testworld.NewNative(t)
	for _, scope := range []string{"groups", "profile"} {
		w.Post("/token", testworld.ExchangeRequest("native-narrow", "scope", scope)).
			WantOAuthError(t, "scope "+scope, 400, "invalid_scope")
	}
}

// A user is the same however they sign in. What Truecaller returned for another
// application is not given to this one.
func TestTokenExchangeAndTheWebKnowOnePerson(t *testing.T) {
	w, oauth := testworld.NewNative(t)
	oauth.Profile = truecaller.Profile{OAuthSub: oauth.Profile.OAuthSub, Numbers: oauth.Profile.Numbers}
	first := w.NativeTokens("native").Claims(t)
	w.StorePushed(testworld.Profile(t, testworld.Number)) // the profile with everything
	out := w.NativeTokens("native", "subject_token", "another")
	second := out.Claims(t)
	if first["sub"] != second["sub"] {
		t.Errorf("sub after a push: got %v, want %v", second["sub"], first["sub"])
	}
	if second["email"] != nil || second["name"] != nil || out.JSON()["scope"] != "openid phone offline_access" {
		t.Errorf("after a push: got %v with %v, want the number alone", out, second)
	}
	person, err := w.Store.Person(t.Context(), second["sub"].(string))
	if err != nil || person.Profile.Email != "asha@example.com" || person.Profile.JobTitle != "Engineer" ||
		person.TruecallerID == "" || person.OAuthSub == "" {
		t.Errorf("stored person: got %+v, %v, want the pushed profile and both IDs", person, err)
	}
	pair := w.NativeTokens("native-pair", "subject_token", "third").Claims(t)
	if pair["sub"] == second["sub"] || pair["sub"] == "" {
		t.Errorf("a pairwise client's sub: got %v, want another than %v", pair["sub"], second["sub"])
	}
}

// A second use of a code revokes what the first one issued, whichever client
// presents it (RFC 6749 §4.1.2): a thief that was faster keeps nothing.
func TestInvariant9_ASecondUseOfATruecallerCodeRevokes(t *testing.T) {
	for _, again := range []string{"native", "native-too"} {
		w, oauth := testworld.NewNative(t)
		out := w.NativeTokens("native")
		w.Post("/token", testworld.ExchangeRequest(again)).WantOAuthError(t, "again by "+again, 400, "invalid_request")
		w.Userinfo(out.Access).WantStatus(t, "userinfo after "+again, 401)
		refresh := testworld.RefreshRequest(out.Refresh)
		refresh.Set("client_id", "native")
		w.Post("/token", refresh).WantStatus(t, "refreshing after "+again, 400)
		if codes := oauth.Codes(); len(codes) != 1 {
			t.Errorf("codes sent to Truecaller: got %v, want one", codes)
		}
		event := auditOf(t, w, "grant.reused")
		for name, value := range map[string]any{"kind": "truecaller_code", "client": again, "sub": out.Claims(t)["sub"]} {
			if event[name] != value {
				t.Errorf("%s of the audit: got %v, want %v", name, event[name], value)
			}
		}
		if event["attempt"] == nil || event["grant"] == nil {
			t.Errorf("audit: got %v, want the attempt and the grant", event)
		}
	}
	w, oauth := testworld.NewNative(t)
	// A code that failed is not good later either, and there is nothing to revoke.
	oauth.ExchangeErr = truecaller.ErrExchangeUnavailable
	w.Post("/token", testworld.ExchangeRequest("native", "subject_token", "other"))
	oauth.ExchangeErr = nil
	w.Post("/token", testworld.ExchangeRequest("native", "subject_token", "other")).
		WantOAuthError(t, "after a failure", 400, "invalid_request")
	w.WantNotLogged(testworld.SDKCode, testworld.Verifier)
}

// One that comes while the first is under way gives neither of them anything.
func TestInvariant9_ATruecallerCodeThatIsContestedGivesNothing(t *testing.T) {
	for _, again := range []string{"native", "native-too"} {
		w, oauth := testworld.NewNative(t)
		oauth.Meanwhile = func() {
			oauth.Meanwhile = nil
			w.Post("/token", testworld.ExchangeRequest(again)).WantOAuthError(t, "the second, by "+again, 400, "invalid_request")
		}
		w.Post("/token", testworld.ExchangeRequest("native")).WantOAuthError(t, "the first", 400, "invalid_request")
		if codes := oauth.Codes(); len(codes) != 1 || logged(w, "attempt.done") != "" || logged(w, "grant.reused") != "" {
			t.Errorf("got the codes %v sent to Truecaller and the log\n%s\nwant one, no attempt that is done, and no grant", codes, w.Log.Text())
		}
	}
}

// A reached limit gives 429 and the time to try again; the code is still good. An
// application's own server does not use up the limit of its address.
func TestInvariant7_TokenExchangeUsesUpLimits(t *testing.T) {
	one := limit.Rate{Burst: 1, Period: time.Hour}
	addr := netip.MustParseAddr("192.0.2.7")
	w, oauth := testworld.NewNative(t, func(c *testworld.Config) {
		c.Login.Limits.Number, c.Login.Limits.Network = one, one
		c.Provider.ClientAddr = func(*http.Request) netip.Addr { return addr }
	})
	w.NativeTokens("native", "subject_token", "first")
	a := w.Post("/token", testworld.ExchangeRequest("native"))
	a.WantOAuthError(t, "the second sign-in of an hour", 429, "temporarily_unavailable")
	var seconds int
	if _, err := fmt.Sscan(a.Header.Get("Retry-After"), &seconds); err != nil || seconds < 3590 || seconds > 3600 {
		t.Errorf("Retry-After: got %q, want an hour", a.Header.Get("Retry-After"))
	}
	if codes := oauth.Codes(); len(codes) != 1 {
		t.Errorf("codes sent to Truecaller: got %v, want one", codes)
	}
	addr = netip.MustParseAddr("198.51.100.9")
	w.NativeTokens("native")
	for i := range 3 {
		form := testworld.ExchangeRequest("backend", "client_id", "-", "subject_token", fmt.Sprint("backend", i))
		w.Post("/token", form, testworld.Basic("backend", testworld.Secret)).WantStatus(t, "a backend's sign-in", 200)
	}
	w.WantLogged(`"network":"192.0.2.7/32"`, `"network":"198.51.100.9/32"`, `"method":"native"`, `"limit":"silent_network"`)
}

// Discovery lists the grant where it is configured, and nowhere else.
func TestTokenExchangeIsListedWhereItIsConfigured(t *testing.T) {
	plain := testworld.New(t)
	plain.Post("/token", testworld.ExchangeRequest("public")).
		WantOAuthError(t, "without native apps", 400, "unsupported_grant_type")
	listed := func(w *testworld.World) bool {
		return strings.Contains(w.Get("/.well-known/openid-configuration").Text, testworld.ExchangeGrant)
	}
	w, _ := testworld.NewNative(t)
	if listed(plain) || !listed(w) {
		t.Errorf("listed: got %v without native apps and %v with one, want false and true", listed(plain), listed(w))
	}
	a := w.Post("/token", url.Values{"grant_type": {"password"}}, testworld.Basic("app", testworld.Secret))
	if !strings.Contains(a.Text, testworld.ExchangeGrant) {
		t.Errorf("another grant type: got %v, want a description with %s", a, testworld.ExchangeGrant)
	}
}
