// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
)

// delivery is how a response to a type and a response_mode reaches the client, "" for
// neither (OAuth 2.0 Multiple Response Types §2.1, §3, §5).
func delivery(t client.ResponseType, mode string) string {
	front := t != client.TypeCode
	switch {
	case mode == "query" && front:
		return ""
	case mode == "" && front:
		return "fragment"
	case mode == "":
		return "query"
	}
	return mode
}

// responseModes are the values of response_mode that requests are tried with.
var responseModes = []string{"", "query", "fragment", "form_post"}

// asking returns pairs for a request of a type and a mode.
func asking(t client.ResponseType, mode string, pairs ...string) []string {
	return append([]string{"response_type", string(t), "response_mode", mode}, pairs...)
}

// wantGiven checks what a successful response has: what its type says, in the mode that
// was asked for, and nothing else.
func wantGiven(t *testing.T, what, clientID string, rt client.ResponseType, mode string, got testworld.Delivered) {
	t.Helper()
	want := []string{"iss", "session_state", "state"}
	for word, names := range map[string][]string{
		"code":     {"code"},
		"id_token": {"id_token"},
		"token":    {"access_token", "token_type", "expires_in", "scope"},
	} {
		if slices.Contains(strings.Split(string(rt), " "), word) {
			want = append(want, names...)
		}
	}
	var names []string
	for name, values := range got.Values {
		names = append(names, name)
		if len(values) != 1 || values[0] == "" {
			t.Errorf("%s: got %d values of %s, want one", what, len(values), name)
		}
	}
	slices.Sort(names)
	slices.Sort(want)
	if got.Mode != mode || got.Target != testworld.RedirectURI(clientID) || !slices.Equal(names, want) {
		t.Errorf("%s: got %v by %s to %s, want %v by %s", what, names, got.Mode, got.Target, want, mode)
	}
	if got.Get("state") != "the-state" || got.Get("iss") != testworld.Issuer {
		t.Errorf("%s: got state %q and iss %q, want those of the request and of the issuer", what, got.Get("state"), got.Get("iss"))
	}
	if rt.AccessToken() && (got.Get("token_type") != "Bearer" || got.Get("expires_in") == "0") {
		t.Errorf("%s: got %s for %s seconds, want a bearer token", what, got.Get("token_type"), got.Get("expires_in"))
	}
}

// Every type is given in every mode that may carry it, however the user got there: with a
// session, silently, by a push, after consent, and when the response is asked for again.
func TestEveryTypeAndMode(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	for _, rt := range client.ResponseTypes {
		for _, mode := range responseModes {
			t.Run(string(rt)+" "+mode, func(t *testing.T) {
				w, by := w.In(t), delivery(rt, mode)
				words := strings.Fields(string(rt))
				slices.Reverse(words)
				reversed := client.ResponseType(strings.Join(words, " "))
				if by == "" {
					d := w.AuthorizeWith(session, "app", asking(rt, mode)...).Delivered()
					if d.Mode != "fragment" || d.Get("error") != "invalid_request" {
						t.Errorf("got %v, want invalid_request in the fragment", d)
					}
					return
				}
				wantGiven(t, "with a session", "app", rt, by, w.AuthorizeWith(session, "app", asking(rt, mode)...).Delivered())
				wantGiven(t, "words reversed", "app", rt, by, w.AuthorizeWith(session, "app", asking(reversed, mode)...).Delivered())
				wantGiven(t, "silently", "app", rt, by, w.AuthorizeWith(session, "app", asking(rt, mode, "prompt", "none")...).Delivered())
				wantGiven(t, "by POST", "app", rt, by,
					w.Post("/authorize", testworld.AuthRequest("app", asking(rt, mode)...), testworld.Cookie(session)).Delivered())
				form := w.ConsentRequest(session, "app", asking(rt, mode, "prompt", "consent")...)
				wantGiven(t, "after consent", "app", rt, by, w.Allow(form, session).Delivered())
				wantGiven(t, "after consent, again", "app", rt, by, w.Allow(form, session).Delivered())

				id := w.Approved(testworld.AuthRequest("app", asking(rt, mode)...), testworld.OtherNumber)
				first, _ := w.Finish(id)
				wantGiven(t, "after a push", "app", rt, by, testworld.DeliveredBy(first.Response))
				again, _ := w.Finish(id)
				wantGiven(t, "continuing again", "app", rt, by, testworld.DeliveredBy(again.Response))
				for _, name := range []string{"code", "access_token"} {
					if a, b := testworld.Param(first.Response, name), testworld.Param(again.Response, name); a != b {
						t.Errorf("continuing again: got another %s", name)
					}
				}
				prompted := w.Approved(testworld.AuthRequest("third", asking(rt, mode, "prompt", "consent")...), testworld.OtherNumber)
				w.Prompted(prompted)
				view, other := w.Prompted(prompted) // a reload prompts again
				wantGiven(t, "after a push and consent", "third", rt, by, w.Allow(view.Request, other).Delivered())
				later, err := w.ContinueWith(other, prompted)
				if err != nil {
					t.Fatal(err)
				}
				wantGiven(t, "after a push and consent, continuing again", "third", rt, by, testworld.DeliveredBy(later.Response))
			})
		}
	}
}

// Whatever is wrong, the error reaches the client as its response would (OpenID Connect
// Core §3.1.2.6, §3.2.2.6, §3.3.2.6): never in a query where a token was asked for, and
// never with anything of a success.
func TestErrorsOfEveryTypeAndMode(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
		for i := range c.Clients {
			if c.Clients[i].ID == "narrow" {
				c.Clients[i].ResponseTypes = nil
			}
		}
	})
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	numbers := 1000
	get := func(clientID string, pairs ...string) func(*testworld.World, []string) testworld.Delivered {
		return func(w *testworld.World, ask []string) testworld.Delivered {
			return w.AuthorizeWith(session, clientID, append(ask, pairs...)...).Delivered()
		}
	}
	for _, row := range []struct {
		what, error string
		do          func(*testworld.World, []string) testworld.Delivered
	}{
		{"no session", "login_required", func(w *testworld.World, ask []string) testworld.Delivered {
			return w.Authorize("app", append(ask, "prompt", "none")...).Delivered()
		}},
		{"an old session", "login_required", get("app", "prompt", "none", "max_age", "0")},
		{"no consent yet", "consent_required", get("wary", "prompt", "none")},
		{"consent denied", "access_denied", func(w *testworld.World, ask []string) testworld.Delivered {
			form := w.ConsentRequest(session, "app", append(ask, "prompt", "consent")...)
			return w.Decide(form, "deny", testworld.Cookie(session)).Delivered()
		}},
		{"cancelled", "access_denied", func(w *testworld.World, ask []string) testworld.Delivered {
			numbers++ // one that was cancelled stays locked
			id := w.Submit(w.Authorize("app", ask...), fmt.Sprintf("+4670174%04d", numbers))
			if err := w.Flow.Cancel(t.Context(), id, testworld.Browser); err != nil {
				t.Error(err)
			}
			left, err := w.Flow.Leave(t.Context(), id, testworld.Browser)
			if err != nil {
				t.Error(err)
			}
			return testworld.DeliveredBy(left)
		}},
		{"a scope without openid", "invalid_scope", get("app", "scope", "phone")},
		{"a malformed scope", "invalid_scope", get("app", "scope", "openid  phone")},
		{"none and login", "invalid_request", get("app", "prompt", "none login")},
		{"an unknown prompt", "invalid_request", get("app", "prompt", "create")},
		{"a strange max_age", "invalid_request", get("app", "max_age", "soon")},
		{"a foreign hint", "invalid_request", get("app", "id_token_hint", "x")},
		{"a long nonce", "invalid_request", get("app", "nonce", strings.Repeat("n", 1025))},
		{"a request object", "request_not_supported", get("app", "request", "eyJhbGciOiJub25lIn0.e30.")},
		{"an unreadable request object", "request_not_supported", get("app", "request", "x")},
		{"a request_uri", "request_uri_not_supported", get("app", "request_uri", "https://app.example/r")},
		{"a registration", "registration_not_supported", get("app", "registration", "{}")},
		{"a resource", "invalid_target", get("app", "resource", "https://api.example")},
		{"a type that the client has not", "unauthorized_client", get("narrow")},
		{"a repeated parameter", "invalid_request", func(w *testworld.World, ask []string) testworld.Delivered {
			return w.Get("/authorize?"+testworld.AuthRequest("app", ask...).Encode()+"&x=1&x=2", session).Delivered()
		}},
	} {
		for _, rt := range client.ResponseTypes {
			for _, mode := range append(responseModes, "carrier_pigeon") {
				if row.error == "unauthorized_client" && rt == client.TypeCode {
					continue
				}
				w, want, by := w.In(t), row.error, delivery(rt, mode)
				switch {
				case mode == "carrier_pigeon":
					want, by = "invalid_request", delivery(rt, "")
				case by == "":
					want, by = "invalid_request", "fragment"
				}
				ask := asking(rt, mode)
				if want == "invalid_request" && (row.error == "access_denied" || strings.Contains(row.what, "consent")) {
					continue // it is refused before a page is shown
				}
				got := row.do(w, ask)
				if got.Get("error") != want || got.Mode != by || got.Get("state") != "the-state" || got.Get("iss") != testworld.Issuer || got.Get("error_description") == "" {
					t.Errorf("%s, %s by %q: got %v by %s, want %s by %s", row.what, rt, mode, got.Values, got.Mode, want, by)
				}
				if got.Has("code") || got.Has("id_token") || got.Has("access_token") {
					t.Errorf("%s, %s by %q: the error has something of a success: %v", row.what, rt, mode, got.Values)
				}
			}
		}
	}
}

// A deployment has only what it has turned on, a client only what it is registered for;
// both have code alone by default. What a client does not have is unauthorized_client,
// what nobody has unsupported_response_type (RFC 6749 §4.1.2.1, §4.2.2.1).
func TestResponseTypesArePermitted(t *testing.T) {
	with := func(deployment, client []client.ResponseType) func(*testworld.Config) {
		return func(c *testworld.Config) {
			c.Provider.ResponseTypes = deployment
			c.Clients[0].ResponseTypes = client
		}
	}
	code, idToken := []client.ResponseType{"code"}, []client.ResponseType{"id_token"}
	both := []client.ResponseType{"code", "id_token"}
	for _, row := range []struct {
		what       string
		change     func(*testworld.Config)
		listed     string
		code, idOf string // the error, "" for none
	}{
		{"by default", with(nil, nil), "code", "", "unsupported_response_type"},
		{"code only", with(code, code), "code", "", "unsupported_response_type"},
		{"a client that names none", with(both, nil), "code,id_token", "", "unauthorized_client"},
		{"a client of code", with(both, code), "code,id_token", "", "unauthorized_client"},
		{"a client of id_token", with(both, idToken), "code,id_token", "unauthorized_client", ""},
		{"a client of both", with(both, both), "code,id_token", "", ""},
		{"a deployment of id_token", with(idToken, idToken), "id_token", "unsupported_response_type", ""},
	} {
		w := testworld.New(t, row.change, func(c *testworld.Config) { c.Clients = c.Clients[:1] })
		for rt, want := range map[string]string{"code": row.code, "id_token": row.idOf} {
			a := w.Authorize("app", "response_type", rt)
			page, _ := a.Page()
			if got := a.Delivered().Get("error"); got != want || (page == "signin") != (want == "") {
				t.Errorf("%s, %s: got %v, want error %q", row.what, rt, a, want)
			}
		}
		for _, rt := range []string{"token", "none", "code token", "id_token id_token", "code code", "id_token  code", " code", "CODE", "code,id_token"} {
			a := w.Authorize("app", "response_type", rt).Delivered()
			mode := map[bool]string{true: "fragment", false: "query"}[client.InFront(rt)]
			if a.Get("error") != "unsupported_response_type" || a.Mode != mode {
				t.Errorf("%s, %q: got %v by %s, want unsupported_response_type by %s", row.what, rt, a.Values, a.Mode, mode)
			}
		}
		listed, _ := w.Get("/.well-known/openid-configuration").JSON()["response_types_supported"].([]any)
		var names []string
		for _, name := range listed {
			names = append(names, name.(string))
		}
		if got := strings.Join(names, ","); got != row.listed {
			t.Errorf("%s: discovery lists %s, want %s", row.what, got, row.listed)
		}
	}
}

// A nonce is required where an ID token passes through the browser (OpenID Connect Core
// §3.2.2.1, §3.3.2.11), a PKCE challenge where a code does (RFC 7636 §4.3, RFC 9700
// §2.1.1).
func TestNonceAndPKCEOfEveryType(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	for _, rt := range client.ResponseTypes {
		for what, row := range map[string]struct {
			pairs   []string
			refused bool
		}{
			"no nonce":      {[]string{"nonce", "-"}, strings.Contains(string(rt), "id_token")},
			"no PKCE":       {[]string{"code_challenge", "-", "code_challenge_method", "-"}, strings.Contains(string(rt), "code")},
			"plain PKCE":    {[]string{"code_challenge_method", "plain"}, strings.Contains(string(rt), "code")},
			"neither state": {[]string{"state", "-"}, false},
		} {
			d := w.AuthorizeWith(session, "app", asking(rt, "", row.pairs...)...).Delivered()
			want := map[bool]string{true: "invalid_request"}[row.refused]
			if d.Get("error") != want || row.refused == (d.Has("code") || d.Has("id_token")) {
				t.Errorf("%s, %s: got %v, want error %q", what, rt, d.Values, want)
			}
		}
	}
}

// A request object is refused where it asks to be refused, which is never a query where a
// token was asked for.
func TestRequestObjectsOfEveryType(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	for _, rt := range client.ResponseTypes {
		for _, mode := range responseModes {
			members := map[string]any{"state": "inner", "response_type": string(rt)}
			if mode != "" {
				members["response_mode"] = mode
			}
			want, by := "request_not_supported", delivery(rt, mode)
			if by == "" {
				want, by = "invalid_request", "fragment"
			}
			d := w.Authorize("app", asking(rt, "", "request", testworld.UnsignedObject(t, members))...).Delivered()
			if d.Mode != by || d.Get("error") != want || d.Get("state") != "inner" || d.Target != testworld.RedirectURI("app") {
				t.Errorf("%s by %q: got %v by %s, want %s by %s", rt, mode, d.Values, d.Mode, want, by)
			}
			d = w.Authorize("app", "response_type", "-", "request", testworld.UnsignedObject(t, members)).Delivered()
			if d.Mode != by || d.Get("error") != want || d.Get("state") != "inner" {
				t.Errorf("%s by %q in the object alone: got %v by %s, want %s by %s", rt, mode, d.Values, d.Mode, want, by)
			}
		}
	}
}

// Only the web takes a form, and the way that is left carries no token in a query.
func TestFormPostOfAnAppFallsBackToTheFragment(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	for _, rt := range client.ResponseTypes {
		d := w.Authorize("public", asking(rt, "form_post")...).Delivered()
		if d.Mode != delivery(rt, "") || d.Get("error") != "invalid_request" {
			t.Errorf("%s: got %v by %s, want invalid_request by %s", rt, d.Values, d.Mode, delivery(rt, ""))
		}
	}
}

// What was permitted when the page was shown must be so when it is used.
func TestAResponseTypeThatWasTakenAway(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) { c.Provider.ResponseTypes = client.ResponseTypes })
	register := func(types ...client.ResponseType) {
		c := testworld.App("stored")
		c.ResponseTypes = types
		c.Public, c.SecretHashes = true, nil
		w.AddClient(c)
	}
	pairs := asking("id_token", "", "redirect_uri", "https://app.example/cb")
	register("code", "id_token")
	id := w.Approved(testworld.AuthRequest("stored", pairs...), testworld.Number)
	page := w.Authorize("stored", pairs...)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	form := w.ConsentRequest(session, "stored", append(pairs, "prompt", "consent")...)
	w.RemoveClient("stored")
	register("code")
	if done, err := w.Continue(id); err == nil {
		t.Errorf("continuing: got %+v, want an error", done)
	}
	if _, err := w.Flow.Submit(t.Context(), w.Submission(page, "+46701740607")); err == nil {
		t.Error("submitting: got no error")
	}
	if a := w.Allow(form, session); a.StatusCode != http.StatusBadRequest {
		t.Errorf("allowing: got %v, want 400", a)
	}
}

// FuzzAuthorizationRequest sends queries: a response goes to a registered address only,
// and neither a token nor the error of a request for one is ever in a query.
func FuzzAuthorizationRequest(f *testing.F) {
	w := testworld.New(f, testworld.EveryResponseType)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	for _, clientID := range []string{"app", "public", "third"} {
		for _, pairs := range [][]string{
			{}, {"response_type", "id_token"}, {"response_type", "token id_token", "response_mode", "query"},
			{"response_type", "code token", "response_mode", "form_post", "prompt", "none"},
			{"response_type", "code id_token", "redirect_uri", "https://evil.example/#"},
			{"response_type", "id_token", "request", "a.eyJyZXNwb25zZV9tb2RlIjoicXVlcnkifQ.b"},
		} {
			f.Add(testworld.AuthRequest(clientID, pairs...).Encode())
		}
	}
	f.Add("client_id=app&response_type=id_token+token&response_mode=query&redirect_uri=https://app.example/cb")
	f.Fuzz(func(t *testing.T, query string) {
		r, err := http.NewRequest("GET", testworld.Issuer+"/authorize", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RequestURI, r.RemoteAddr = "/authorize", "192.0.2.1:1"
		r.URL.RawQuery = query
		asked := endpoint.ParseForm(query)
		for _, cookies := range [][]*http.Cookie{nil, {session}} {
			r := r.Clone(t.Context())
			for _, c := range cookies {
				r.AddCookie(c)
			}
			d := w.In(t).Do(r).Delivered()
			if d.Mode == "" {
				continue
			}
			registered := slices.ContainsFunc(testworld.Clients(), func(c client.Client) bool {
				target := d.Target
				if d.Mode == "query" && d.Get("with") != "" {
					target += "?with=query"
				}
				return c.ID == asked.Get("client_id") && c.RedirectAllowed(target)
			})
			if !registered {
				t.Errorf("%q: the response goes to %q, which is not registered", query, d.Target)
			}
			front := len(asked["response_type"]) == 1 && client.InFront(asked.Get("response_type"))
			if d.Mode == "query" && (front || d.Has("access_token") || d.Has("id_token")) {
				t.Errorf("%q: the response is in a query: %v", query, url.Values(d.Values))
			}
		}
	})
}
