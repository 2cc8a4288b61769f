// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// Each parameter of the token endpoint absent, empty, repeated, malformed and over-long leads
// to the error that its section names, in the form of RFC 6749 §5.2. What is refused has cost
// neither the code nor the refresh token, but a second use.
func TestTokenRequestBySection(t *testing.T) {
	w := testworld.New(t)
	tokens, session := w.Tokens("app", "openid offline_access")
	code := w.Code(session, "app")
	long := strings.Repeat("x", 6000)
	redeeming, refreshing := testworld.CodeRequest("app", code), testworld.RefreshRequest(tokens.Refresh)
	for _, row := range []struct {
		section   string
		of        url.Values
		parameter string
		values    []string // none: absent
		want      string
	}{
		{"RFC 6749 §3.2", redeeming, "grant_type", nil, "invalid_request"},
		{"RFC 6749 §3.2", redeeming, "grant_type", []string{""}, "invalid_request"}, // as if omitted
		{"RFC 6749 §5.2", redeeming, "grant_type", []string{"cheese"}, "unsupported_grant_type"},
		{"RFC 6749 §5.2", redeeming, "grant_type", []string{"password"}, "unsupported_grant_type"},
		{"RFC 6749 §5.2", redeeming, "grant_type", []string{"client_credentials"}, "unsupported_grant_type"},
		{"RFC 6749 §5.2", redeeming, "grant_type", []string{"Authorization_Code"}, "unsupported_grant_type"},
		{"RFC 6749 §5.2", redeeming, "grant_type", []string{long}, "unsupported_grant_type"},
		{"RFC 6749 §3.2", redeeming, "grant_type", []string{"authorization_code", "authorization_code"}, "invalid_request"},

		{"RFC 6749 §4.1.3", redeeming, "code", nil, "invalid_request"},
		{"RFC 6749 §3.2", redeeming, "code", []string{""}, "invalid_request"},
		{"RFC 6749 §5.2", redeeming, "code", []string{"x"}, "invalid_grant"},
		{"RFC 6749 §5.2", redeeming, "code", []string{code + "="}, "invalid_grant"},
		{"RFC 6749 §5.2", redeeming, "code", []string{" " + code}, "invalid_grant"},
		{"RFC 6749 §5.2", redeeming, "code", []string{tokens.Refresh}, "invalid_grant"},
		{"RFC 6749 §5.2", redeeming, "code", []string{long}, "invalid_grant"},
		{"RFC 6749 §3.2", redeeming, "code", []string{code, code}, "invalid_request"},
		{"RFC 6749 §3.2", redeeming, "code", []string{code, "x"}, "invalid_request"},

		{"RFC 6749 §4.1.3", redeeming, "redirect_uri", nil, "invalid_request"},
		{"RFC 6749 §4.1.3", redeeming, "redirect_uri", []string{"https://app.example/cb?with=query"}, "invalid_grant"}, // another registered one
		{"RFC 6749 §4.1.3", redeeming, "redirect_uri", []string{"https://APP.example/cb"}, "invalid_grant"},
		{"RFC 6749 §4.1.3", redeeming, "redirect_uri", []string{long}, "invalid_grant"},
		{"RFC 6749 §3.2", redeeming, "redirect_uri", []string{"https://app.example/cb", "https://app.example/cb"}, "invalid_request"},

		{"RFC 7636 §4.6", redeeming, "code_verifier", nil, "invalid_grant"},
		{"RFC 7636 §4.6", redeeming, "code_verifier", []string{""}, "invalid_grant"},
		{"RFC 7636 §4.6", redeeming, "code_verifier", []string{testworld.Verifier + "x"}, "invalid_grant"},
		{"RFC 7636 §4.6", redeeming, "code_verifier", []string{testworld.PKCEChallenge(testworld.Verifier)}, "invalid_grant"},
		{"RFC 7636 §4.6", redeeming, "code_verifier", []string{long}, "invalid_grant"},
		{"RFC 6749 §3.2", redeeming, "code_verifier", []string{testworld.Verifier, testworld.Verifier}, "invalid_request"},

		{"RFC 6749 §6", refreshing, "refresh_token", nil, "invalid_request"},
		{"RFC 6749 §3.2", refreshing, "refresh_token", []string{""}, "invalid_request"},
		{"RFC 6749 §5.2", refreshing, "refresh_token", []string{"x"}, "invalid_grant"},
		{"RFC 6749 §5.2", refreshing, "refresh_token", []string{tokens.Refresh + "x"}, "invalid_grant"},
		{"RFC 6749 §5.2", refreshing, "refresh_token", []string{code}, "invalid_grant"},
		{"RFC 6749 §5.2", refreshing, "refresh_token", []string{long}, "invalid_grant"},
		{"RFC 6749 §3.2", refreshing, "refresh_token", []string{tokens.Refresh, tokens.Refresh}, "invalid_request"},
		{"RFC 6749 §6", refreshing, "scope", []string{"openid phone"}, "invalid_scope"},
		{"RFC 6749 §3.3", refreshing, "scope", []string{"openid  offline_access"}, "invalid_scope"},
		{"RFC 6749 §3.3", refreshing, "scope", []string{long}, "invalid_scope"},
		{"RFC 6749 §3.2", refreshing, "scope", []string{"openid", "openid"}, "invalid_request"},

		{"RFC 8707 §2.2", redeeming, "resource", []string{"https://api.example"}, "invalid_target"},
		{"RFC 6749 §2.3", redeeming, "client_secret", []string{testworld.Secret}, "invalid_request"}, // beside the header
		{"RFC 6749 §3.2", redeeming, "cheese", []string{"x", "y"}, "invalid_request"},
	} {
		form := url.Values{}
		maps.Copy(form, row.of)
		delete(form, row.parameter)
		if row.values != nil {
			form[row.parameter] = row.values
		}
		got := w.Post("/token", form, testworld.Basic("app", testworld.Secret))
		if got.Member("error") != row.want || got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s=%.60q: got %s, want %s", row.section, row.parameter, row.values, got, row.want)
		}
		wantRefusal(t, got)
	}
	testworld.TokensIn(t, w.Exchange("app", code))
	testworld.TokensIn(t, w.Refresh("app", tokens.Refresh, "cheese", "x")) // unrecognized parameters are ignored
}

// wantRefusal checks the form of an error response (RFC 6749 §5.1, §5.2, appendix A.7, A.8).
func wantRefusal(t *testing.T, got testworld.Response) {
	t.Helper()
	h := got.Header
	if h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		t.Errorf("got the headers %v", h)
	}
	if strings.ContainsFunc(got.Member("error")+got.Member("error_description"), func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		t.Errorf("got %s, want only the characters of RFC 6749 appendix A", got)
	}
	if (got.StatusCode == http.StatusUnauthorized) != strings.HasPrefix(h.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("got %s with WWW-Authenticate %q", got, h.Get("WWW-Authenticate"))
	}
	for _, member := range []string{"access_token", "refresh_token", "id_token"} {
		if got.Member(member) != "" {
			t.Errorf("got %s in a refusal", member)
		}
	}
}

// Whatever is sent to the token endpoint without a secret, a code and a refresh token: a
// refusal in the form of RFC 6749 §5.2, and never a failure of ours.
func FuzzTokenRequest(f *testing.F) {
	w := testworld.New(f)
	f.Add("grant_type=authorization_code&code=x&redirect_uri=y&client_id=public&code_verifier=z", "", "application/x-www-form-urlencoded")
	f.Add("grant_type=refresh_token&refresh_token=x", "Basic YXBwOng=", "application/x-www-form-urlencoded")
	f.Add("grant_type=refresh_token&refresh_token=x&client_id=app&client_secret=x", "Bearer x", "application/x-www-form-urlencoded; charset=latin1")
	f.Add("grant_type=authorization_code&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhcHAifQ.", "", "application/x-www-form-urlencoded")
	f.Add("client_assertion=a.b.c&client_assertion_type=x&grant_type=%ff&grant_type=", "basic =", "text/plain")
	f.Add("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=x&subject_token_type=y&client_id=public", "", "application/x-www-form-urlencoded")
	f.Fuzz(func(t *testing.T, body, authorization, kind string) {
		if strings.ContainsAny(authorization+kind, "\r\n\x00") {
			return // no HTTP client sends them
		}
		r := httptest.NewRequest(http.MethodPost, testworld.Issuer+"/token", strings.NewReader(body))
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Header.Set("Content-Type", kind)
		got := w.In(t).Do(r)
		if got.StatusCode < 400 || got.StatusCode >= 500 || got.Member("error") == "" {
			t.Errorf("%q with %q: got %s, want a refusal", body, authorization, got)
		}
		wantRefusal(t, got)
	})
}
