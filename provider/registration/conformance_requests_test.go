// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/internal/testworld"
	"calleridp/provider/registration"
)

func authorization(values ...string) testworld.Change {
	return func(r *http.Request) { r.Header["Authorization"] = values }
}

// Each way to present a token, absent, empty, repeated, malformed, over-long and in the wrong
// place, at the registration endpoint (RFC 7591 §3) and at the configuration endpoint (RFC
// 7592 §2), which take one in the header only. What is refused changes and uses up nothing.
func TestTokensBySection(t *testing.T) {
	p := open()
	p.Mode = registration.Token
	w := worldWith(t, p)
	_, initial, err := addInitialToken(t, w, "a partner", time.Hour, 4)
	if err != nil {
		t.Fatal(err)
	}
	kept := register(w, with(""), testworld.Bearer(initial))
	other := register(w, with(""), testworld.Bearer(initial))
	target, _ := manages(t, kept)
	const scheme = "Bearer "
	long := strings.Repeat("x", 6000)
	for _, endpoint := range []struct {
		target, token, wrong string // wrong is good elsewhere
		methods              []string
	}{
		{"/register", initial, kept.Member("registration_access_token"), []string{http.MethodPost}},
		{target, kept.Member("registration_access_token"), initial, []string{http.MethodGet, http.MethodPut, http.MethodDelete}},
		{target, kept.Member("registration_access_token"), other.Member("registration_access_token"), []string{http.MethodGet, http.MethodPut, http.MethodDelete}},
	} {
		token := endpoint.token
		for what, row := range map[string]struct {
			query string
			auth  testworld.Change
		}{
			"absent":                {"", testworld.Unchanged},
			"an empty header":       {"", authorization("")},
			"no token":              {"", authorization("Bearer")},
			"spaces":                {"", authorization("Bearer   ")},
			"no scheme":             {"", authorization(token)},
			"Basic":                 {"", authorization("Basic " + token)},
			"DPoP":                  {"", authorization("DPoP " + token)},
			"as a password":         {"", testworld.Basic(kept.Member("client_id"), token)},
			"twice":                 {"", authorization(scheme+token, scheme+token)},
			"twice in one":          {"", authorization(scheme + token + ", " + scheme + token)},
			"beside another scheme": {"", authorization("Basic x", scheme+token)},
			"quoted":                {"", authorization(scheme + `"` + token + `"`)},
			"cut":                   {"", authorization(scheme + token[:len(token)-1])},
			"padded":                {"", authorization(scheme + token + "=")},
			"in capitals":           {"", authorization(scheme + strings.ToUpper(token))},
			"not UTF-8":             {"", authorization(scheme + "\xff")},
			"over-long":             {"", authorization(scheme + long)},
			"another one":           {"", authorization(scheme + endpoint.wrong)},
			"the client's secret":   {"", authorization(scheme + kept.Member("client_secret"))},
			"in the URL":            {"?access_token=" + url.QueryEscape(token), testworld.Unchanged},
		} {
			for _, method := range endpoint.methods {
				got := send(w, method, endpoint.target+row.query, with(`"client_id":"`+kept.Member("client_id")+`","access_token":"`+token+`"`), row.auth)
				challenge := got.Header.Get("WWW-Authenticate")
				if got.StatusCode != http.StatusUnauthorized || got.Member("error") != "invalid_token" || !strings.HasPrefix(challenge, `Bearer realm="calleridp", error="invalid_token"`) ||
					got.Header.Get("Cache-Control") != "no-store" || got.Member("client_id") != "" {
					t.Errorf("%s %s, %s: got %s with %v, want 401 invalid_token", method, endpoint.target, what, got, got.Header)
				}
			}
		}
	}
	own := authorization("bearer  " + kept.Member("registration_access_token") + " ") // RFC 9110 §11.1, §11.4
	if got := send(w, http.MethodGet, target+"?cheese=x", "{", own); got.StatusCode != http.StatusOK || got.Member("client_id") != kept.Member("client_id") {
		t.Errorf("afterwards: got %s, want the client", got)
	}
	for _, want := range []int{http.StatusCreated, http.StatusCreated, http.StatusUnauthorized} {
		register(w, with(""), testworld.Bearer(initial)).WantStatus(t, "with the initial token", want)
	}
}

// What a change says of the client itself, absent, null, empty, of another type, of another
// client and twice (RFC 7592 §2.2).
func TestChangeBySection(t *testing.T) {
	w := worldWith(t, open())
	kept, other := register(w, with("")), register(w, with(""))
	target, token := manages(t, kept)
	id, secret := `"`+kept.Member("client_id")+`"`, `"`+kept.Member("client_secret")+`"`
	for _, row := range []struct {
		members, refused string // refused is the member that is, "" for none
	}{
		{``, "client_id"},
		{`"client_id":null`, "client_id"},
		{`"client_id":""`, "client_id"},
		{`"client_id":7`, "client_id"},
		{`"client_id":[` + id + `]`, "client_id"},
		{`"client_id":"` + other.Member("client_id") + `"`, "client_id"},
		{`"client_id":"` + strings.Repeat("x", 6000) + `"`, "client_id"},
		{`"CLIENT_ID":` + id, "client_id"},
		{`"client_id":` + id + `,"client_id":` + id, "client_id"},
		{`"client_id":` + id, ""},
		{`"client_id":` + id + `,"client_secret":` + secret, ""},
		{`"client_id":` + id + `,"client_secret":null`, ""},
		{`"client_id":` + id + `,"client_secret":""`, ""},
		{`"client_id":` + id + `,"client_secret":"x"`, "client_secret"},
		{`"client_id":` + id + `,"client_secret":7`, "client_secret"},
		{`"client_id":` + id + `,"client_secret":"` + other.Member("client_secret") + `"`, "client_secret"},
		{`"client_id":` + id + `,"client_secret":` + secret + `,"client_secret":` + secret, "client_secret"},
		{`"client_id":` + id + `,"registration_access_token":"` + kept.Member("registration_access_token") + `"`, "registration_access_token"},
		{`"client_id":` + id + `,"registration_client_uri":"` + kept.Member("registration_client_uri") + `"`, "registration_client_uri"},
		{`"client_id":` + id + `,"client_secret_expires_at":0`, "client_secret_expires_at"},
		{`"client_id":` + id + `,"client_id_issued_at":0`, "client_id_issued_at"},
		{`"client_id":` + id + `,"registration_access_token":null,"registration_client_uri":null,"client_secret_expires_at":null,"client_id_issued_at":null`, ""},
	} {
		got := send(w, http.MethodPut, target, with(row.members), token)
		if row.refused == "" {
			if got.StatusCode != http.StatusOK || got.Member("client_secret") != "" || got.Member("registration_access_token") != kept.Member("registration_access_token") ||
				got.Member("registration_client_uri") != kept.Member("registration_client_uri") {
				t.Errorf("%s: got %s, want the client with the same token and no secret", row.members, got)
			}
			continue
		}
		got.WantOAuthError(t, row.members, http.StatusBadRequest, "invalid_client_metadata")
		if !strings.HasPrefix(got.Member("error_description"), row.refused+": ") {
			t.Errorf("%.100s: got %s, want %s refused", row.members, got, row.refused)
		}
	}
	if _, err := w.Clients.Authenticate(t.Context(), kept.Member("client_id"), kept.Member("client_secret")); err != nil {
		t.Errorf("the secret afterwards: %v", err)
	}
	// A new client has no say in them (RFC 7591 §3.2.1).
	got := register(w, with(`"client_id":`+id+`,"client_secret":"x","client_id_issued_at":1,"client_secret_expires_at":1,"registration_access_token":"x","registration_client_uri":"https://app.example/"`))
	wantIssued(t, got)
	if all := got.JSON(); got.Member("client_id") == kept.Member("client_id") || got.Member("client_secret") == "x" || all["client_id_issued_at"] == 1.0 ||
		all["client_secret_expires_at"] != 0.0 || got.Member("registration_access_token") == "x" {
		t.Errorf("got %s, want what the server has chosen", got)
	}
}

// Wrong methods, media types, places and bodies at both endpoints (RFC 7591 §3.1, RFC 7592 §2).
func TestRequestsAsSent(t *testing.T) {
	w := worldWith(t, open())
	kept := register(w, with(`"client_name":"Kept"`))
	target, token := manages(t, kept)
	good := with(`"client_id":"` + kept.Member("client_id") + `","client_name":"Kept"`)
	for at, allowed := range map[string][]string{"/register": {"POST"}, target: {"GET", "PUT", "DELETE"}} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if slices.Contains(allowed, method) {
				continue
			}
			got := send(w, method, at, good, token)
			if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != strings.Join(allowed, ", ") {
				t.Errorf("%s %s: got %s with Allow %q, want 405 with %v", method, at, got, got.Header.Get("Allow"), allowed)
			}
		}
	}
	for method, at := range map[string]string{http.MethodPost: "/register", http.MethodPut: target} {
		refused := func(what, target, body string, change ...testworld.Change) {
			t.Helper()
			if method == http.MethodPut {
				change = append(change, token)
			}
			got := send(w, method, target, body, change...)
			got.WantOAuthError(t, method+" "+what, http.StatusBadRequest, "invalid_client_metadata")
			if !strings.HasPrefix(got.Member("error_description"), "body: ") {
				t.Errorf("%s %s: got %s, want the body refused", method, what, got)
			}
		}
		for _, kind := range []string{"", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", "application/json; =", "application/jose", "*/*"} {
			refused("as "+kind, at, good, testworld.Header("Content-Type", kind))
		}
		for _, body := range []string{"", " ", "null", "true", "7", `"x"`, "[]", "[" + good + "]", good + good, good + "x", good[:len(good)-1], "\ufeff" + good, url.Values{"redirect_uris": {callback}}.Encode(),
			strings.Repeat(`{"x":`, 20000), strings.Replace(good, "Kept", strings.Repeat("x", 64<<10), 1)} {
			refused("of "+body[:min(len(body), 50)], at, body)
		}
		refused("in the URL", at+"?redirect_uris="+url.QueryEscape(callback)+"&client_id="+kept.Member("client_id"), "")
		for _, kind := range []string{"application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8 "} {
			change := []testworld.Change{testworld.Header("Content-Type", kind)}
			if method == http.MethodPut {
				change = append(change, token)
			}
			got := send(w, method, at+"?client_name=Evil", good, change...)
			if got.StatusCode/100 != 2 || got.Member("client_name") != "Kept" {
				t.Errorf("%s as %s: got %s, want the client", method, kind, got)
			}
		}
	}
	for _, at := range []string{"/register/", target + "/", target + "/x", target + "%00", strings.ToUpper(target), "/register/%2e%2e/register", "/register/" + strings.Repeat("x", 6000)} {
		if got := send(w, http.MethodGet, at, "", token); got.StatusCode != http.StatusNotFound && got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%.60s: got %s, want nothing there", at, got)
		}
	}
	read := send(w, http.MethodGet, target, good, token) // RFC 9110 §9.3.1: a body of a GET has no meaning
	if read.StatusCode != http.StatusOK || read.Member("client_name") != "Kept" || read.Member("client_secret") != "" {
		t.Errorf("afterwards: got %s, want the client as it was", read)
	}
	gone := send(w, http.MethodDelete, target, "x", token)
	if gone.StatusCode != http.StatusNoContent || gone.Text != "" || gone.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("DELETE: got %s with %v, want 204", gone, gone.Header)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} { // RFC 7592 §2.3
		send(w, method, target, good, token).WantOAuthError(t, method+" after DELETE", http.StatusUnauthorized, "invalid_token")
	}
}
