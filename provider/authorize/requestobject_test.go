// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"

	"github.com/go-jose/go-jose/v4"
)

// A request object is refused as it asks to be refused (OpenID Connect Core §6.1),
// by redirect or by form post, with its state.
func TestRequestObjectsSayHowToRefuseThem(t *testing.T) {
	w := testworld.New(t)
	uri := testworld.RedirectURI("app")
	for _, row := range []struct {
		what    string
		members map[string]any
		pairs   []string
		mode    string
		state   string
	}{
		{"nothing", map[string]any{}, nil, "query", "the-state"},
		{"a state", map[string]any{"state": "inner"}, nil, "query", "inner"},
		{"a state alone", map[string]any{"state": "inner"}, []string{"state", "-"}, "query", "inner"},
		{"the longest state", map[string]any{"state": strings.Repeat("s", 4096)}, nil, "query", strings.Repeat("s", 4096)},
		{"a longer state", map[string]any{"state": strings.Repeat("s", 4097)}, nil, "query", "the-state"},
		{"form_post", map[string]any{"state": "inner", "response_mode": "form_post"}, nil, "form_post", "inner"},
		{"query over form_post", map[string]any{"response_mode": "query"}, []string{"response_mode", "form_post"}, "query", "the-state"},
		{"form_post beside it", map[string]any{"state": "inner"}, []string{"response_mode", "form_post"}, "form_post", "inner"},
		{"an unknown mode", map[string]any{"response_mode": "pigeon"}, nil, "query", "the-state"},
		{"other types", map[string]any{"response_mode": 1, "state": []string{"x"}}, nil, "query", "the-state"},
		{"the same redirect URI", map[string]any{"redirect_uri": uri, "state": "inner"}, nil, "query", "inner"},
		{"the only redirect URI", map[string]any{"redirect_uri": uri, "state": "inner"}, []string{"redirect_uri", "-"}, "query", "inner"},
		{"the client", map[string]any{"client_id": "app", "state": "inner"}, nil, "query", "inner"},
		{"another client", map[string]any{"client_id": "old", "state": "inner", "response_mode": "form_post"}, nil, "query", "the-state"},
		{"another response type", map[string]any{"response_type": "token", "scope": "x", "prompt": "none"}, nil, "query", "the-state"},
	} {
		t.Run(row.what, func(t *testing.T) {
			a := w.Authorize("app", append(row.pairs, "request", testworld.UnsignedObject(t, row.members))...)
			fields := map[string]string{}
			if row.mode == "form_post" {
				view := a.WantPage(t, "the refusal", "formpost")
				list, _ := view["fields"].([]any)
				for _, field := range list {
					pair := field.([]any)
					fields[pair[0].(string)] = pair[1].(string)
				}
				if view["action"] != uri {
					t.Errorf("action: got %v, want %s", view["action"], uri)
				}
			} else {
				to, query := a.Redirect()
				for name := range query {
					fields[name] = query.Get(name)
				}
				if to != uri {
					t.Errorf("got %v, want a redirect to %s", a, uri)
				}
			}
			if fields["error"] != "request_not_supported" || fields["state"] != row.state || fields["iss"] != testworld.Issuer {
				t.Errorf("got %v, want request_not_supported with the state %q", fields, row.state)
			}
		})
	}
}

// Nothing in a request object leads a browser to an address that is not registered,
// or that the query contradicts.
func TestThreat_RequestObjectRedirectsNowhere(t *testing.T) {
	w := testworld.New(t)
	for what, row := range map[string]struct {
		uri   string
		pairs []string
	}{
		"a foreign one":         {"https://evil.example/", nil},
		"a foreign one alone":   {"https://evil.example/", []string{"redirect_uri", "-"}},
		"another client's":      {"https://old.example/cb", []string{"redirect_uri", "-"}},
		"another registered":    {"https://app.example/cb?with=query", nil},
		"a good one beside bad": {"https://app.example/cb", []string{"redirect_uri", "https://evil.example/"}},
	} {
		a := w.Authorize("app", append(row.pairs, "request", testworld.UnsignedObject(t, map[string]any{"redirect_uri": row.uri}))...)
		a.WantErrorPage(t, what, 400, "redirect_uri")
		if to := a.Header.Get("Location"); to != "" {
			t.Errorf("%s: got a redirect to %s, want none", what, to)
		}
	}
}

// A signed request object is a whole request: nothing but client_id is needed beside it (RFC
// 9101 §5), and the response has what is inside.
func TestSignInByASignedRequestObject(t *testing.T) {
	w := testworld.New(t)
	for _, id := range []string{"keyjwt", "secretjwt"} {
		object := testworld.SignedObject(t, id, testworld.ObjectMembers(id,
			"state", "inner", "scope", "openid phone", "exp", time.Now().Add(time.Minute).Unix(), "jti", "1",
			"max_age", 0, "claims", map[string]any{"id_token": map[string]any{"email": nil}}), "typ", "oauth-authz-req+jwt")
		f, _ := w.SignIn(url.Values{"client_id": {id}, "request": {object}}, testworld.Number)
		code := testworld.Param(f.Response, "code")
		if f.Response.RedirectURI != testworld.RedirectURI(id) || testworld.Param(f.Response, "state") != "inner" || code == "" {
			t.Fatalf("%s: got %+v, want a code with the state inner", id, f.Response)
		}
		form := testworld.Assertion(t, id)
		maps.Copy(form, testworld.CodeRequest(id, code))
		tokens := testworld.TokensIn(t, w.Post("/token", form))
		claims := tokens.Claims(t)
		if claims["nonce"] != "the-nonce" || tokens.JSON()["scope"] != "openid phone" || claims["email"] == nil || claims["phone_number"] == nil {
			t.Errorf("%s: got %v, want what the object asks for", id, claims)
		}
	}
}

// The same request object may be sent again, as a browser does that reloads a page or goes
// back: it is a request, and signs nobody in by itself.
func TestRequestObjectsMayBeSentAgain(t *testing.T) {
	w := testworld.New(t)
	object := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "jti", "once"))
	for range 3 {
		w.Authorize("keyjwt", "request", object).WantPage(t, "the object", "signin")
	}
}

// Anybody can add to a request what the client has not signed: none of it counts (RFC 9101
// §6.3).
func TestThreat_WhatIsBesideASignedObjectDoesNotCount(t *testing.T) {
	w := testworld.New(t)
	silent := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "prompt", "none", "state", "inner"))
	for what, pairs := range map[string][]string{
		"nothing":            {"state", "-", "nonce", "-", "scope", "-", "redirect_uri", "-", "response_type", "-", "code_challenge", "-", "code_challenge_method", "-"},
		"another state":      {"state", "outer"},
		"another mode":       {"response_mode", "form_post"},
		"a foreign redirect": {"redirect_uri", "https://evil.example/"},
		"another prompt":     {"prompt", "login"},
		"a claims request":   {"claims", "no JSON"},
		"an unknown scope":   {"scope", "none"},
	} {
		d := w.Authorize("keyjwt", append(pairs, "request", silent)...).Delivered()
		if d.Mode != "query" || d.Target != testworld.RedirectURI("keyjwt") || d.Get("error") != "login_required" || d.Get("state") != "inner" {
			t.Errorf("%s: got %+v, want login_required with the state inner", what, d)
		}
	}
	for name, want := range map[string]string{
		"state": "", "code_challenge": "invalid_request", "response_type": "invalid_request", "scope": "invalid_scope",
	} {
		object := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "prompt", "none", name, nil))
		d := w.Authorize("keyjwt", "request", object).Delivered()
		if want == "" {
			want = "login_required"
		}
		if d.Get("error") != want || name == "state" && d.Has("state") {
			t.Errorf("%s outside alone: got %v, want %s", name, d.Values, want)
		}
	}
	object := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", "redirect_uri", nil))
	w.Authorize("keyjwt", "request", object).WantErrorPage(t, "redirect_uri outside alone", 400, "redirect_uri")
}

// An unsigned object protects nothing: what is in it supersedes what is beside it, which
// counts as well (OpenID Connect Core §6.1).
func TestUnsignedRequestObjects(t *testing.T) {
	w := testworld.New(t, testworld.UnsignedObjects)
	uri := testworld.RedirectURI("app")
	for what, row := range map[string]struct {
		members map[string]any
		pairs   []string
		error   string
		state   string
	}{
		"nothing":             {map[string]any{}, nil, "login_required", "the-state"},
		"a state":             {map[string]any{"state": "inner"}, nil, "login_required", "inner"},
		"the redirect":        {map[string]any{"redirect_uri": uri}, []string{"redirect_uri", "https://evil.example/"}, "login_required", "the-state"},
		"the response type":   {map[string]any{"response_type": "code"}, []string{"response_type", "-"}, "login_required", "the-state"},
		"max_age":             {map[string]any{"max_age": 10}, []string{"max_age", "x"}, "login_required", "the-state"},
		"max_age as text":     {map[string]any{"max_age": "10"}, nil, "login_required", "the-state"},
		"max_age in parts":    {map[string]any{"max_age": 1.5}, nil, "invalid_request", "the-state"},
		"claims as text":      {map[string]any{"claims": "{}"}, nil, "login_required", "the-state"},
		"claims as a list":    {map[string]any{"claims": []string{}}, nil, "invalid_request", "the-state"},
		"a challenge":         {map[string]any{"code_challenge_method": "plain"}, nil, "invalid_request", "the-state"},
		"a resource":          {map[string]any{"resource": []string{"https://api.example"}}, nil, "invalid_target", "the-state"},
		"a registration":      {map[string]any{"registration": map[string]any{}}, nil, "registration_not_supported", "the-state"},
		"unknown members":     {map[string]any{"more": map[string]any{"a": 1}, "null": nil}, nil, "login_required", "the-state"},
		"an empty state":      {map[string]any{"state": ""}, nil, "login_required", "the-state"},
		"a broken state":      {map[string]any{"state": "x\ufffd"}, nil, "invalid_request", ""},
		"another type":        {map[string]any{"response_type": "code id_token"}, nil, "invalid_request", "the-state"},
		"the same type":       {map[string]any{"response_type": "code"}, nil, "login_required", "the-state"},
		"a right aud and iss": {map[string]any{"aud": testworld.Issuer, "iss": "app"}, nil, "login_required", "the-state"},
		"a wrong aud":         {map[string]any{"aud": "https://other.example"}, nil, "invalid_request_object", "the-state"},
	} {
		pairs := append([]string{"prompt", "none"}, row.pairs...)
		d := w.Authorize("app", append(pairs, "request", testworld.UnsignedObject(t, row.members))...).Delivered()
		if d.Get("error") != row.error || d.Get("state") != row.state || d.Target != uri {
			t.Errorf("%s: got %+v, want %s with the state %q", what, d, row.error, row.state)
		}
	}
	// What is unsigned has no signature, and its header counts like any (RFC 7518 §3.6).
	for header, want := range map[string]string{
		`{"alg":"none"}.e30.`: "login_required", `{"alg":"none","typ":"oauth-authz-req+jwt"}.e30.`: "login_required",
		`{"alg":"none"}.e30.AA`: "invalid_request_object", `{"alg":"none","crit":["x"],"x":1}.e30.`: "invalid_request_object",
		`{"alg":"none","typ":"at+jwt"}.e30.`: "invalid_request_object", `{"alg":"none","typ":1}.e30.`: "invalid_request_object",
		`{"alg":"None"}.e30.`: "invalid_request_object", `{"alg":"HS256"}.e30.`: "invalid_request_object",
		`{"alg":"none"}.e31.`: "invalid_request_object", `{"alg":"none"}.e30=.`: "invalid_request_object",
	} {
		head, rest, _ := strings.Cut(header, "}.")
		object := base64.RawURLEncoding.EncodeToString([]byte(head+"}")) + "." + rest
		if d := w.Authorize("app", "prompt", "none", "request", object).Delivered(); d.Get("error") != want {
			t.Errorf("%s: got %v, want %s", header, d.Values, want)
		}
	}
	object := testworld.UnsignedObject(t, map[string]any{"redirect_uri": "https://evil.example/"})
	w.Authorize("app", "request", object).WantErrorPage(t, "a foreign redirect", 400, "redirect_uri")
	w.Authorize("app", "request", object, "redirect_uri", "-").WantErrorPage(t, "a foreign redirect alone", 400, "redirect_uri")
	long := testworld.UnsignedObject(t, map[string]any{"state": strings.Repeat("s", 4097)})
	w.Authorize("app", "request", long).WantErrorPage(t, "a long state", 413, "too_large")
}

// Each of these objects is refused, where it can say how (OpenID Connect Core §6.1, RFC 9101
// §4 to §6, §10.8).
func TestRefusedRequestObjects(t *testing.T) {
	w := testworld.New(t)
	now := time.Now()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := testworld.ObjectMembers("keyjwt", "state", "inner")
	with := func(pairs ...any) string {
		return testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt", append([]any{"state", "inner"}, pairs...)...))
	}
	raw := func(payload string) string { return testworld.SignedObject(t, "keyjwt", payload) }
	enc := base64.RawURLEncoding
	headed := func(header string) string {
		_, rest, _ := strings.Cut(testworld.SignedObject(t, "keyjwt", good), ".")
		return enc.EncodeToString([]byte(header)) + "." + rest
	}
	parts := strings.Split(testworld.SignedObject(t, "keyjwt", good), ".")
	for what, object := range map[string]string{
		"no JWT":                    "x",
		"an encrypted one":          "a.b.c.d.e",
		"no base64":                 "!." + parts[1] + "." + parts[2],
		"a list as header":          headed(`[]`),
		"no alg":                    headed(`{}`),
		"alg none":                  headed(`{"alg":"none"}`),
		"unsigned":                  testworld.UnsignedObject(t, good),
		"no signature":              parts[0] + "." + parts[1] + ".",
		"alg twice":                 headed(`{"alg":"none","alg":"ES256"}`),
		"crit":                      headed(`{"alg":"ES256","crit":["exp"]}`),
		"another payload":           parts[0] + "." + enc.EncodeToString([]byte(`{"aud":"`+testworld.Issuer+`","iss":"keyjwt"}`)) + "." + parts[2],
		"another key":               testworld.ObjectOf(t, jose.ES256, other, good),
		"the key as a secret":       testworld.ObjectOf(t, jose.HS256, []byte(strings.Repeat("k", 32)), good),
		"a key of another client":   testworld.ObjectOf(t, jose.HS256, []byte(testworld.AssertionSecret), good),
		"its key in the header":     testworld.ObjectOf(t, jose.ES256, other, good, "jwk", "x"),
		"the typ of a client's":     testworld.SignedObject(t, "keyjwt", good, "typ", "client-authentication+jwt"),
		"the typ of access tokens":  testworld.SignedObject(t, "keyjwt", good, "typ", "at+jwt"),
		"a client assertion":        with("sub", "keyjwt"),
		"a foreign iss":             with("iss", "app"),
		"iss of another type":       with("iss", 1),
		"a foreign client_id":       with("client_id", "app"),
		"neither iss nor client_id": with("iss", nil, "client_id", nil),
		"no aud":                    with("aud", nil),
		"a foreign aud":             with("aud", "https://other.example"),
		"a foreign aud's list":      with("aud", []string{"https://other.example"}),
		"aud of another type":       with("aud", map[string]any{}),
		"expired":                   with("exp", now.Add(-time.Minute).Unix()),
		"exp as text":               with("exp", "9999999999"),
		"exp without bounds":        with("exp", 1e300),
		"not yet valid":             with("nbf", now.Add(2*time.Minute).Unix()),
		"from the future":           with("iat", now.Add(2*time.Minute).Unix()),
		"jti of another type":       with("jti", 1),
		"request inside":            with("request", "x"),
		"request_uri inside":        with("request_uri", "https://jwt.example/x"),
		"a state that is a number":  with("state", 1),
		"a scope that is a list":    with("scope", []string{"openid"}),
		"a redirect that is null":   raw(`{"iss":"keyjwt","aud":"` + testworld.Issuer + `","redirect_uri":null}`),
		"a list":                    raw(`[]`),
		"null":                      raw(`null`),
		"no JSON":                   raw(`{`),
		"two objects":               raw(`{}{}`),
		"a member twice":            raw(`{"iss":"keyjwt","aud":"` + testworld.Issuer + `","state":"inner","stat\u0065":"other"}`),
		"a member of claims twice":  raw(`{"iss":"keyjwt","aud":"` + testworld.Issuer + `","claims":{"id_token":{},"id_token":{}}}`),
		"no UTF-8":                  raw("{\"state\":\"\xff\"}"),
		"a deep one":                raw(`{"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`),
		"a long one":                with("more", strings.Repeat("x", 13<<10)),
	} {
		d := w.Authorize("keyjwt", "request", object).Delivered()
		if d.Get("error") != "invalid_request_object" || d.Target != testworld.RedirectURI("keyjwt") || !d.Has("state") || d.Get("error_description") == "" {
			t.Errorf("%s: got %+v, want invalid_request_object", what, d)
		}
	}
	for what, object := range map[string]string{
		"as it should be":     with(),
		"as a list":           with("aud", []string{"https://other.example", testworld.Issuer}),
		"typ JWT":             testworld.SignedObject(t, "keyjwt", good, "typ", "JWT"),
		"its own typ":         testworld.SignedObject(t, "keyjwt", good, "typ", "application/oauth-authz-req+jwt"),
		"only its client_id":  with("iss", nil),
		"only its iss":        with("client_id", nil),
		"a sub of somebody":   with("sub", "somebody"),
		"a clock that is off": with("exp", now.Add(-50*time.Second).Unix(), "nbf", now.Add(50*time.Second).Unix()),
		"exp in parts":        with("exp", float64(now.Unix())+60.5),
	} {
		w.Authorize("keyjwt", "request", object).WantPage(t, what, "signin")
	}
	w.WantLogged("request_object.refused", `"client":"keyjwt"`)
}

// Both parameters at once, and one of them twice, are refused before anything is read.
func TestRequestObjectsAreGivenOnce(t *testing.T) {
	published := &testworld.Published{}
	w := testworld.New(t, publishing(published, "https://jwt.example/request"))
	object := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt"))
	both := w.Authorize("keyjwt", "request", object, "request_uri", "https://jwt.example/request").Delivered()
	query := testworld.AuthRequest("keyjwt", "request", object).Encode()
	twice := w.Get("/authorize?" + query + "&request=x").Delivered()
	references := w.Get("/authorize?" + query + "&request_uri=https://jwt.example/request&request_uri=x").Delivered()
	for what, d := range map[string]testworld.Delivered{"both": both, "request twice": twice, "request_uri twice": references} {
		if d.Get("error") != "invalid_request" || len(published.Asked()) > 0 {
			t.Errorf("%s: got %v and fetched %v, want invalid_request", what, d.Values, published.Asked())
		}
	}
}

// A client that has registered so makes no request without a signed object, nor does a page
// go on that began without one (RFC 9101 §10.5).
func TestClientsMayRequireSignedRequestObjects(t *testing.T) {
	for _, any := range []bool{false, true} {
		w := testworld.New(t, func(c *testworld.Config) {
			if any {
				testworld.UnsignedObjects(c)
			}
			for i := range c.Clients {
				c.Clients[i].RequestObjects.Required = c.Clients[i].ID == "keyjwt"
			}
		})
		members := testworld.ObjectMembers("keyjwt")
		w.Authorize("keyjwt", "request", testworld.SignedObject(t, "keyjwt", members)).WantPage(t, "a signed one", "signin")
		if d := w.Authorize("keyjwt").Delivered(); d.Get("error") != "invalid_request" || d.Get("state") != "the-state" {
			t.Errorf("without one: got %v, want invalid_request", d.Values)
		}
		if d := w.Authorize("keyjwt", "request", testworld.UnsignedObject(t, members)).Delivered(); d.Get("error") != "invalid_request_object" {
			t.Errorf("unsigned: got %v, want invalid_request_object", d.Values)
		}
	}
	w := testworld.New(t)
	c := testworld.App("later")
	c, _ = w.AddClient(c)
	sealed := testworld.SealedRequest(t, w.Authorize("later", "redirect_uri", c.RedirectURIs[0]), "signin")
	if err := w.Store.UpdateClient(t.Context(), "later", func(c *client.Client) error {
		c.RequestObjects.Required = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	a := w.Reopen(authorize.Reopening{Request: sealed})
	a.WantErrorPage(t, "a page of before", 400, "bad_request")
}

// With an algorithm registered, no other counts; without any of its own, a client has none.
func TestRequestObjectAlgorithmsOfAClient(t *testing.T) {
	for _, row := range []struct {
		mode client.RequestObjectMode
		alg  string
		id   string
		want string // of an object signed by ES256 or HS256, "" for the sign-in page
		none string // of an unsigned one
	}{
		{client.RequestObjectsSigned, "", "keyjwt", "", "invalid_request_object"},
		{client.RequestObjectsSigned, "ES256", "keyjwt", "", "invalid_request_object"},
		{client.RequestObjectsSigned, "RS256", "keyjwt", "invalid_request_object", "invalid_request_object"},
		{client.RequestObjectsSigned, "HS256", "secretjwt", "", "invalid_request_object"},
		{client.RequestObjectsSigned, "HS512", "secretjwt", "invalid_request_object", "invalid_request_object"},
		{client.RequestObjectsSigned, "", "app", "request_not_supported", "request_not_supported"},
		{client.RequestObjectsAny, "", "app", "invalid_request_object", ""},
		{client.RequestObjectsAny, "none", "app", "invalid_request_object", ""},
		{client.RequestObjectsAny, "none", "keyjwt", "invalid_request_object", ""},
		{client.RequestObjectsAny, "ES256", "keyjwt", "", "invalid_request_object"},
		{client.RequestObjectsAny, "", "keyjwt", "", ""},
		{client.RequestObjectsOff, "", "keyjwt", "request_not_supported", "request_not_supported"},
	} {
		w := testworld.New(t, func(c *testworld.Config) {
			c.Provider.RequestObjects = row.mode
			for i := range c.Clients {
				if c.Clients[i].ID == row.id {
					c.Clients[i].RequestObjects.Alg = row.alg
				}
			}
		})
		members := testworld.ObjectMembers(row.id)
		for object, want := range map[string]string{
			testworld.SignedObject(t, row.id, members): row.want,
			testworld.UnsignedObject(t, members):       row.none,
		} {
			a := w.Authorize(row.id, "request", object)
			page, _ := a.Page()
			if got := a.Delivered().Get("error"); got != want || (want == "") != (page == "signin") {
				t.Errorf("%+v, %.20s...: got %v, want %q", row, object, a, want)
			}
		}
	}
}

// A form of another site is sent again whole, with its object.
func TestRequestObjectsOfAnotherSitesForm(t *testing.T) {
	w := testworld.New(t)
	object := testworld.SignedObject(t, "keyjwt", testworld.ObjectMembers("keyjwt"))
	request := url.Values{"client_id": {"keyjwt"}, "request": {object}, "scope": {"openid"}}
	a := w.Post("/authorize", request, testworld.CrossSite)
	a.WantPage(t, "a form of another site", "sendagain")
	if !strings.Contains(a.Text, object) {
		t.Errorf("got %v, want the object in it", a)
	}
	w.Post("/authorize", request).WantPage(t, "the form again", "signin")
}

// publishing gives "keyjwt" request_uris, and the provider what is published there.
func publishing(p *testworld.Published, uris ...string) func(*testworld.Config) {
	return func(c *testworld.Config) {
		c.Provider.Fetch = p
		for i := range c.Clients {
			if c.Clients[i].ID == "keyjwt" {
				c.Clients[i].RequestObjects.URIs = uris
			}
		}
	}
}

func FuzzRequestObject(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.eyJzdGF0ZSI6IngifQ.b")
	f.Add("..")
	f.Add("a.bnVsbA.b")
	f.Add(testworld.UnsignedObject(f, testworld.ObjectMembers("app")))
	f.Add(testworld.SignedObject(f, "keyjwt", testworld.ObjectMembers("keyjwt")))
	w := testworld.New(f, testworld.UnsignedObjects)
	f.Fuzz(func(t *testing.T, object string) {
		for _, id := range []string{"app", "keyjwt"} {
			a := w.In(t).Authorize(id, "request", object)
			if to := a.Delivered().Target; to != "" && to != testworld.RedirectURI(id) {
				t.Errorf("%q: got a response to %s, want none but to %s", object, to, testworld.RedirectURI(id))
			}
			if page, _ := a.Page(); page == "" && a.Delivered().Target == "" {
				t.Errorf("%q: got %v, want a page or a redirect", object, a)
			}
		}
	})
}

// Whatever is in an object that is accepted is what the request says; what is refused goes
// nowhere but to a registered address.
func FuzzRequestObjectMembers(f *testing.F) {
	f.Add(`{}`)
	f.Add(`{"state":"inner","prompt":"none"}`)
	f.Add(`{"redirect_uri":"https://app.example/cb?with=query","response_mode":"fragment"}`)
	f.Add(`{"state":"a","state":"b"}`)
	f.Add(`{"max_age":10,"claims":{"id_token":{"email":null}}}`)
	f.Add(`{"exp":1e400,"aud":["https://id.example"],"iss":"app"}`)
	f.Add(`{"state":"\ud800"}`)
	w := testworld.New(f, testworld.UnsignedObjects)
	registered := testworld.Clients()[0].RedirectURIs
	f.Fuzz(func(t *testing.T, payload string) {
		a := w.In(t).Authorize("app", "prompt", "none", "request", testworld.UnsignedObject(t, payload))
		d := a.Delivered()
		target := d.Target
		if target != "" && !slices.ContainsFunc(registered, func(uri string) bool { return uri == target || strings.HasPrefix(uri, target+"?") }) {
			t.Fatalf("%q: got a response to %s, want none but to %v", payload, target, registered)
		}
		if d.Get("error") != "login_required" { // what a valid request gets
			return
		}
		var inside map[string]any // by exact names
		if err := json.Unmarshal([]byte(payload), &inside); err != nil {
			t.Fatalf("%q was accepted, which is no object: %v", payload, err)
		}
		text := func(name string) string {
			value, _ := inside[name].(string)
			return value
		}
		state, uri := "the-state", testworld.RedirectURI("app")
		if text("state") != "" {
			state = text("state")
		}
		if text("redirect_uri") != "" {
			uri = client.WithPath(text("redirect_uri"))
		}
		if d.Get("state") != state || !strings.HasPrefix(uri, client.WithPath(target)) {
			t.Errorf("%q: got %+v, want what is inside", payload, d)
		}
		if mode := text("response_mode"); mode != "" && mode != d.Mode {
			t.Errorf("%q: got a response by %s, want %s", payload, d.Mode, mode)
		}
		if prompt := text("prompt"); prompt != "" && prompt != "none" {
			t.Errorf("%q: got login_required, want a page", payload)
		}
	})
}
