// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

func TestUserinfo(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", testworld.AllScopes)
	access := got.Access
	request := func(method, query, body string, change ...testworld.Change) testworld.Response {
		r := httptest.NewRequest(method, testworld.Issuer+"/userinfo"+query, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, c := range change {
			c(r)
		}
		return w.Do(r)
	}
	authorization := func(values ...string) testworld.Change {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	for what, a := range map[string]testworld.Response{
		"GET":                     request("GET", "", "", testworld.Bearer(access)),
		"POST":                    request("POST", "", "", testworld.Bearer(access)),
		"POST, token in the form": request("POST", "", "access_token="+access),
		"lower case scheme":       request("GET", "", "", authorization("bearer "+access)),
		"other things in the URL": request("GET", "?schema=openid", "", testworld.Bearer(access)),
	} {
		t.Run(what, func(t *testing.T) {
			if a.StatusCode != 200 || a.JSON()["sub"] == nil || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %v %v, want 200, a sub and no-store", a, a.Header)
			}
		})
	}
	for what, row := range map[string]struct {
		response  testworld.Response
		challenge string // error in WWW-Authenticate, "" for none
	}{
		"nothing":              {request("GET", "", ""), ""},
		"in the URL":           {request("GET", "?access_token="+access, ""), ""},
		"in the URL of a POST": {request("POST", "?access_token="+access, ""), ""},
		"Basic":                {request("GET", "", "", testworld.Basic("app", testworld.Secret)), ""},
		"empty":                {request("GET", "", "", testworld.Bearer("")), ""},
		"unknown":              {request("GET", "", "", testworld.Bearer("unknown")), "invalid_token"},
		"an ID token":          {request("GET", "", "", testworld.Bearer(got.ID)), "invalid_token"},
		"a refresh token":      {request("GET", "", "", testworld.Bearer(got.Refresh)), "invalid_token"},
		"header and form":      {request("POST", "", "access_token="+access, testworld.Bearer(access)), "invalid_request"},
		"header and URL":       {request("GET", "?access_token="+access, "", testworld.Bearer(access)), "invalid_request"},
		"twice in the form":    {request("POST", "", "access_token="+access+"&access_token="+access), "invalid_request"},
		"two Authorization":    {request("GET", "", "", authorization("Bearer "+access, "Bearer x")), "invalid_request"},
		"a large form beside":  {request("POST", "", "x="+strings.Repeat("x", 40_000), testworld.Bearer(access)), "invalid_request"},
		"a GET with a form":    {request("GET", "", "access_token="+access), ""},
	} {
		t.Run(what, func(t *testing.T) {
			status := 401
			if row.challenge == "invalid_request" {
				status = 400
			}
			a := row.response
			challenge := a.Header.Get("WWW-Authenticate")
			if a.StatusCode != status || a.Header.Get("Cache-Control") != "no-store" ||
				!strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("got %v %v, want %d, no-store and a Bearer challenge", a, a.Header, status)
			}
			want := ""
			if row.challenge != "" {
				want = `error="` + row.challenge + `"`
			}
			if strings.Contains(challenge, "error=") != (want != "") || !strings.Contains(challenge, want) {
				t.Errorf("got WWW-Authenticate %q, want the error %q", challenge, row.challenge)
			}
		})
	}
	a := request("DELETE", "", "", testworld.Bearer(access))
	if a.StatusCode != 405 || a.Header.Get("Cache-Control") != "no-store" ||
		strings.Contains(a.Header.Get("WWW-Authenticate"), "error=") {
		t.Errorf("DELETE: got %v %v, want 405 and no-store, without an error in the challenge", a, a.Header)
	}
}
