// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

const formType = "application/x-www-form-urlencoded"

// sent is a request as a careless or malicious caller writes it.
func sent(w *testworld.World, method, target, kind, body string, change ...testworld.Change) testworld.Response {
	r := httptest.NewRequest(method, testworld.Issuer+target, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, c := range change {
		c(r)
	}
	return w.Do(r)
}

// authorization sets the header as it is, once for each value.
func authorization(values ...string) testworld.Change {
	return func(r *http.Request) { r.Header["Authorization"] = values }
}

// Each parameter of introspection (RFC 7662 §2.1) and revocation (RFC 7009 §2.1), which are
// the same, absent, empty, repeated, malformed, over-long and in the wrong place. What is
// refused revokes nothing, and tells nothing of the token.
func TestTokenParametersBySection(t *testing.T) {
	w := testworld.New(t)
	tokens, session := w.Tokens("app", "openid offline_access")
	others, _ := w.Tokens("old", "openid offline_access")
	code, long := w.Code(session, "app"), strings.Repeat("x", 6000)
	basic := testworld.Basic("app", testworld.Secret)
	token := "token=" + tokens.Access
	// want is the error; "unknown" if the token counts as one that there is not, "good" if it is read.
	const unknown, good = "unknown", "good"
	for _, row := range []struct {
		section, query, body string
		auth                 testworld.Change
		want                 string
	}{
		{"RFC 7009 §2.1", "", "", basic, "invalid_request"},
		{"RFC 7009 §2.1", "", "token_type_hint=access_token", basic, "invalid_request"},
		{"RFC 6749 §3.2", "", "token=", basic, "invalid_request"}, // as if omitted
		{"RFC 6749 §3.2", "", "token", basic, "invalid_request"},
		{"RFC 6749 §3.2", "", token + "&" + token, basic, "invalid_request"},
		{"RFC 6749 §3.2", "", token + "&token=x", basic, "invalid_request"},
		{"RFC 6749 §3.2", "", token + "&token=", basic, "invalid_request"},
		{"RFC 7009 §2.2", "", "token=x", basic, unknown},
		{"RFC 7009 §2.2", "", token + "x", basic, unknown},
		{"RFC 7009 §2.2", "", token + "%3D", basic, unknown},
		{"RFC 7009 §2.2", "", "token=+" + tokens.Access, basic, unknown},
		{"RFC 7009 §2.2", "", "token=Bearer+" + tokens.Access, basic, unknown},
		{"RFC 7009 §2.2", "", token + "%00", basic, unknown},
		{"RFC 7009 §2.2", "", "token=%ff%fe", basic, unknown},
		{"RFC 7009 §2.2", "", "token=" + long, basic, unknown},
		{"RFC 7009 §2.2", "", "token=" + code, basic, unknown},
		{"RFC 7009 §2.2", "", "token=" + tokens.ID, basic, unknown},
		{"RFC 7009 §2.2", "", "token=" + tokens.Refresh + "x", basic, unknown},
		{"RFC 7009 §2.1", "", "token=" + others.Access, basic, unknown},
		{"RFC 7009 §2.1", "", "token=" + others.Refresh, basic, unknown},
		{"RFC 6749 §3.2", "", "Token=" + tokens.Access, basic, "invalid_request"}, // names are case sensitive (§1.9)

		// token_type_hint only says where to look first: an unknown or a wrong one changes nothing.
		{"RFC 7009 §2.1", "", token, basic, good},
		{"RFC 7009 §2.1", "", token + "&token_type_hint=", basic, good},
		{"RFC 7009 §2.1", "", token + "&token_type_hint=access_token", basic, good},
		{"RFC 7009 §2.1", "", token + "&token_type_hint=refresh_token", basic, good},
		{"RFC 7009 §2.1", "", token + "&token_type_hint=cheese%ff", basic, good},
		{"RFC 7662 §2.1", "", token + "&token_type_hint=" + long, basic, good},
		{"RFC 6749 §3.2", "", token + "&token_type_hint=x&token_type_hint=x", basic, "invalid_request"},
		{"RFC 6749 §3.2", "", token + "&cheese=x", basic, good}, // unrecognized parameters are ignored
		{"RFC 6749 §3.2", "", token + "&cheese=x&cheese=y", basic, "invalid_request"},

		// RFC 6749 §2.3.1: the client's own parameters.
		{"RFC 6749 §5.2", "", token, testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=", testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=app", testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=app&client_secret=", testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=app&client_secret=x", testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=app&client_secret=" + long, testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_secret=" + testworld.Secret, testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=" + long + "&client_secret=x", testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token + "&client_id=app%00&client_secret=" + testworld.Secret, testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §5.2", "", token, testworld.Basic("app", "x"), "invalid_client"},
		{"RFC 6749 §5.2", "", token, testworld.Basic("app", ""), "invalid_client"},
		{"RFC 6749 §5.2", "", token, testworld.Basic("", testworld.Secret), "invalid_client"},
		{"RFC 6749 §5.2", "", token, testworld.Bearer(tokens.Access), "invalid_client"},
		{"RFC 6749 §5.2", "", token, authorization("Basic"), "invalid_client"},
		{"RFC 6749 §5.2", "", token, authorization("Basic !"), "invalid_client"},
		{"RFC 6749 §5.2", "", token, authorization(""), "invalid_client"},
		{"RFC 6749 §2.3", "", token + "&client_id=app&client_secret=" + testworld.Secret, basic, "invalid_request"},
		{"RFC 6749 §2.3", "", token + "&client_id=old", basic, "invalid_request"},
		{"RFC 6749 §2.3", "", token + "&client_id=app", basic, good},
		{"RFC 6749 §2.3", "", token + "&client_id=app&client_secret=" + testworld.Secret, testworld.Unchanged, good},
		{"RFC 6749 §3.2", "", token + "&client_id=app&client_id=app", basic, "invalid_request"},
		{"RFC 7521 §4.2", "", token + "&client_assertion=x", testworld.Unchanged, "invalid_client"},
		{"RFC 7521 §4.2", "", token + "&client_assertion_type=" + url.QueryEscape(testworld.AssertionType), testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §2.3", "", token + "&client_assertion=x", basic, "invalid_request"},

		// In the URL (RFC 6749 §2.3.1, §3.2).
		{"RFC 6749 §3.2", "?" + token, "", basic, "invalid_request"},
		{"RFC 6749 §3.2", "?" + token, token, basic, "invalid_request"},
		{"RFC 6749 §3.2", "?token=x&token=y", token, basic, "invalid_request"},
		{"RFC 6749 §2.3.1", "?client_id=app&client_secret=" + testworld.Secret, token, testworld.Unchanged, "invalid_request"},
		{"RFC 7521 §4.2", "?client_assertion=x", token, basic, "invalid_request"},
		{"RFC 6749 §3.2", "?client_id=app", token, testworld.Unchanged, "invalid_client"},
		{"RFC 6749 §3.2", "?token_type_hint=x&cheese=y", token, basic, good},
	} {
		for _, path := range []string{"/introspect", "/revoke"} {
			if path == "/revoke" && row.want == good {
				continue // see TestRevocationOfEveryHint
			}
			got := sent(w, http.MethodPost, path+row.query, formType, row.body, row.auth)
			what := fmt.Sprintf("%s: %s%.40s with %.100q", row.section, path, row.query, row.body)
			active, known := got.JSON()["active"].(bool)
			switch {
			case row.want == good:
				if got.StatusCode != http.StatusOK || !active || got.Member("client_id") != "app" {
					t.Errorf("%s: got %s, want an active token", what, got)
				}
			case row.want == unknown && path == "/revoke": // RFC 7009 §2.2: not an error
				if got.StatusCode != http.StatusOK || got.Text != "" {
					t.Errorf("%s: got %s, want 200 and nothing", what, got)
				}
			case row.want == unknown: // RFC 7662 §2.2: and nothing else
				if got.StatusCode != http.StatusOK || !known || active || len(got.JSON()) != 1 {
					t.Errorf("%s: got %s, want an inactive token", what, got)
				}
			default:
				status := http.StatusBadRequest
				if row.want == "invalid_client" {
					status = http.StatusUnauthorized
				}
				got.WantOAuthError(t, what, status, row.want)
				wantRefusal(t, got)
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got Cache-Control %q", what, got.Header.Get("Cache-Control"))
			}
		}
	}
	for what, token := range map[string]testworld.Tokens{"app": tokens, "old": others} {
		w.Userinfo(token.Access).WantStatus(t, "the access token of "+what+" afterwards", http.StatusOK)
		w.Refresh(what, token.Refresh).WantStatus(t, "the refresh token of "+what+" afterwards", http.StatusOK)
	}
	w.Exchange("app", code).WantStatus(t, "the code afterwards", http.StatusOK)
}

// A token is revoked whatever the hint says, and a second time without an error (RFC 7009
// §2.1, §2.2); and only with its refresh token are the others of its grant.
func TestRevocationOfEveryHint(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	for _, more := range []string{"", "token_type_hint=", "token_type_hint=access_token", "token_type_hint=refresh_token", "token_type_hint=cheese", "cheese=x", "client_id=app"} {
		for _, kind := range []string{"access", "refresh"} {
			tokens := w.CodeTokens(session, "app", "scope", "openid offline_access")
			token := map[string]string{"access": tokens.Access, "refresh": tokens.Refresh}[kind]
			for range 2 {
				got := sent(w, http.MethodPost, "/revoke", formType, "token="+token+"&"+more, testworld.Basic("app", testworld.Secret))
				if got.StatusCode != http.StatusOK || got.Text != "" {
					t.Errorf("%s: got %s, want 200 and nothing", more, got)
				}
			}
			w.Userinfo(tokens.Access).WantStatus(t, "the access token after "+kind+" with "+more, http.StatusUnauthorized)
			refresh := http.StatusOK
			if kind == "refresh" {
				refresh = http.StatusBadRequest
			}
			w.Refresh("app", tokens.Refresh).WantStatus(t, "the refresh token after "+kind+" with "+more, refresh)
		}
	}
}

// Wrong methods, media types and sizes at the three endpoints that take tokens.
func TestTokenRequestsAsSent(t *testing.T) {
	w := testworld.New(t)
	tokens, _ := w.Tokens("app", "openid")
	basic, bearer := testworld.Basic("app", testworld.Secret), testworld.Bearer(tokens.Access)
	for _, path := range []string{"/introspect", "/revoke", "/userinfo"} {
		auth, allow := basic, "POST"
		if path == "/userinfo" {
			auth, allow = bearer, "GET, POST"
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"} {
			if path == "/userinfo" && method == "GET" {
				continue
			}
			got := sent(w, method, path, formType, "token="+tokens.Access, auth)
			if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != allow || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: got %s with %v, want 405 and Allow: %s", method, path, got, got.Header, allow)
			}
		}
		if path == "/userinfo" {
			continue // its body is not all that it takes: TestUserinfoBySection
		}
		for kind, ok := range map[string]bool{
			formType: true, "Application/X-WWW-Form-URLEncoded": true, formType + "; charset=UTF-8": true,
			"": false, "text/plain": false, "application/json": false, "multipart/form-data; boundary=x": false,
			formType + "x": false, formType + "; =": false, "x": false, "*/*": false,
		} {
			body, want := "token=x", http.StatusOK
			if !ok {
				body, want = "token="+tokens.Access, http.StatusBadRequest
			}
			got := sent(w, http.MethodPost, path, kind, body, auth)
			if got.StatusCode != want || !ok && got.Member("error") != "invalid_request" {
				t.Errorf("%s with Content-Type %q: got %s, want %d", path, kind, got, want)
			}
		}
		for size, want := range map[int]int{32 << 10: http.StatusOK, 32<<10 + 1: http.StatusRequestEntityTooLarge, 1 << 20: http.StatusRequestEntityTooLarge} {
			got := sent(w, http.MethodPost, path, formType, "token="+strings.Repeat("x", size-len("token=")), auth)
			if got.StatusCode != want || want != http.StatusOK && got.Member("error") != "invalid_request" {
				t.Errorf("%s with %d bytes: got %s, want %d", path, size, got, want)
			}
		}
	}
	w.Userinfo(tokens.Access).WantStatus(t, "the token afterwards", http.StatusOK)
}

// Each way to send an access token to userinfo (OpenID Connect Core §5.3.1, RFC 6750 §2),
// absent, empty, repeated, malformed, over-long and in the wrong place. The error is the one
// of RFC 6750 §3.1, or none where there is no token.
func TestUserinfoBySection(t *testing.T) {
	w := testworld.New(t)
	tokens, session := w.Tokens("app", "openid offline_access")
	code, long := w.Code(session, "app"), strings.Repeat("x", 6000)
	access, form := tokens.Access, "access_token="+tokens.Access
	none := authorization()
	const good, no = "good", ""
	for _, row := range []struct {
		section             string
		header              testworld.Change
		query, body         string
		want                string // the error, no for a challenge without one
		onlyGET, neverInGET bool
	}{
		{section: "RFC 6750 §2.1", header: authorization("Bearer " + access), want: good},
		{section: "RFC 9110 §11.1", header: authorization("BEARER " + access), want: good},
		{section: "RFC 9110 §11.4", header: authorization("Bearer   " + access + " "), want: good},
		{section: "RFC 6750 §3.1", header: none, want: no},
		{section: "RFC 6750 §3.1", header: authorization(""), want: no},
		{section: "RFC 6750 §2.1", header: authorization("Bearer"), want: no},
		{section: "RFC 6750 §2.1", header: authorization("Bearer  "), want: no},
		{section: "RFC 6750 §2.1", header: authorization(access), want: no},
		{section: "RFC 6750 §2.1", header: authorization("Token " + access), want: no},
		{section: "RFC 6750 §2.1", header: authorization("Bearer:" + access), want: no},
		{section: "RFC 6750 §2.1", header: authorization("DPoP " + access), want: no},
		{section: "RFC 6750 §2.1", header: authorization("Basic " + access), want: no},
		{section: "RFC 6750 §3.1", header: authorization("Bearer x"), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + access + "x"), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + access + " x"), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + access + ", Bearer " + access), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization(`Bearer "` + access + `"`), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + strings.ToUpper(access)), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer \xff\xfe"), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + long), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + tokens.ID), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + tokens.Refresh), want: "invalid_token"},
		{section: "RFC 6750 §3.1", header: authorization("Bearer " + code), want: "invalid_token"},
		{section: "RFC 6750 §2", header: authorization("Bearer "+access, "Bearer "+access), want: "invalid_request"},
		{section: "RFC 6750 §2", header: authorization("Basic x", "Bearer "+access), want: "invalid_request"},

		// The form of a POST (RFC 6750 §2.2); the body of a GET has no meaning (RFC 9110 §9.3.1).
		{section: "RFC 6750 §2.2", header: none, body: form, want: good, neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: form + "&cheese=x", want: good, neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: "access_token=", want: no},
		{section: "RFC 6750 §2.2", header: none, body: "access_token=&access_token=" + access, want: "invalid_request", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: form + "&" + form, want: "invalid_request", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: form + "&cheese=x&cheese=x", want: "invalid_request", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: form + "x", want: "invalid_token", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: "access_token=Bearer+" + access, want: "invalid_token", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: "access_token=%ff", want: "invalid_token", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: "access_token=" + long, want: "invalid_token", neverInGET: true},
		{section: "RFC 6750 §2.2", header: none, body: "token=" + access, want: no},
		{section: "RFC 6750 §2", header: authorization("Bearer " + access), body: form, want: "invalid_request", neverInGET: true},
		{section: "RFC 6750 §2", header: authorization("Bearer " + access), body: "access_token=", want: good},
		{section: "RFC 6750 §2", header: authorization("Bearer " + access), body: "schema=openid", want: good},

		// In the URL never (RFC 9700 §4.3.2), and not beside another way (RFC 6750 §2).
		{section: "RFC 9700 §4.3.2", header: none, query: "?" + form, want: no},
		{section: "RFC 9700 §4.3.2", header: none, query: "?access_token=x", want: no},
		{section: "RFC 6750 §2", header: authorization("Bearer " + access), query: "?" + form, want: "invalid_request"},
		{section: "RFC 6750 §2", header: authorization("Bearer " + access), query: "?access_token=&access_token=y", want: "invalid_request"},
		{section: "RFC 6750 §2", header: authorization("Bearer " + access), query: "?access_token=", want: good},
		{section: "RFC 6750 §2", header: none, query: "?" + form, body: form, want: "invalid_request", neverInGET: true},
		{section: "Core §5.3.1", header: authorization("Bearer " + access), query: "?schema=openid&cheese=" + long, want: good},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if row.neverInGET && method == http.MethodGet {
				continue
			}
			kind := ""
			if row.body != "" {
				kind = formType
			}
			got := sent(w, method, "/userinfo"+row.query, kind, row.body, row.header)
			what := fmt.Sprintf("%s: %s %.60q %.60q", row.section, method, row.query, row.body)
			wantUserinfo(t, what, got, row.want)
		}
	}
	// A body of another kind is not a form: it has no token, and keeps none from counting.
	for _, kind := range []string{"application/json", "text/plain", "multipart/form-data; boundary=x", "x; =", "*/*"} {
		wantUserinfo(t, kind, sent(w, http.MethodPost, "/userinfo", kind, form), no)
		wantUserinfo(t, kind, sent(w, http.MethodPost, "/userinfo", kind, form, testworld.Bearer(access)), good)
	}
	wantUserinfo(t, "33 KiB", sent(w, http.MethodPost, "/userinfo", formType, form+"&x="+long+long+long+long+long+long), "invalid_request")
	w.Exchange("app", code).WantStatus(t, "the code afterwards", http.StatusOK)
}

// wantUserinfo checks a response of userinfo by RFC 6750 §3 and OpenID Connect Core §5.3.2.
func wantUserinfo(t *testing.T, what string, got testworld.Response, want string) {
	t.Helper()
	status := map[string]int{"good": http.StatusOK, "invalid_request": http.StatusBadRequest}[want]
	if status == 0 {
		status = http.StatusUnauthorized
	}
	challenge, wanted := got.Header.Get("WWW-Authenticate"), `Bearer realm="calleridp"`
	if want == "good" {
		want, wanted = "", ""
	} else if want != "" {
		wanted += `, error="` + want + `", error_description="`
	}
	if got.StatusCode != status || got.Member("error") != want || (got.Member("sub") != "") != (status == http.StatusOK) {
		t.Errorf("%s: got %s, want %d %s", what, got, status, want)
	}
	if !strings.HasPrefix(challenge, wanted) || want == "" && challenge != wanted {
		t.Errorf("%s: got WWW-Authenticate %q, want %q", what, challenge, wanted)
	}
	if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: got the headers %v", what, got.Header)
	}
}
