// SPDX-License-Identifier: Apache-2.0

package discovery_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/discovery"
	"calleridp/provider/endpoint"
	"calleridp/provider/idtoken"
	"calleridp/provider/internal/testworld"

	"github.com/go-chi/chi/v5"
)

// metadata is the discovery document.
type metadata map[string]any

// list returns a member that is a list, which must not be empty.
func (m metadata) list(t *testing.T, name string) []string {
	t.Helper()
	values, _ := m[name].([]any)
	if len(values) == 0 {
		t.Errorf("%s: got %v, want a list", name, m[name])
	}
	var list []string
	for _, v := range values {
		list = append(list, v.(string))
	}
	return list
}

func document(t *testing.T, w *testworld.World) metadata {
	t.Helper()
	a := w.Get("/.well-known/openid-configuration")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" ||
		!strings.Contains(a.Header.Get("Cache-Control"), "max-age=") {
		t.Fatalf("document: got %v %v, want 200, JSON and max-age", a, a.Header)
	}
	if oauth := w.Get("/.well-known/oauth-authorization-server"); oauth.Text != a.Text {
		t.Errorf("the RFC 8414 document: got %v, want the same as %v", oauth, a)
	}
	return a.JSON()
}

// What the document lists works, and what it does not list does not work.
func TestDiscoveryMatchesTheEndpoints(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) { c.Provider.UILocales = []string{"en", "sv"} })
	d := document(t, w)
	got, session := w.Tokens("app", testworld.AllScopes)
	t.Run("issuer and endpoints", func(t *testing.T) { checkEndpoints(t, w, d) })
	t.Run("authorization requests", func(t *testing.T) { checkAuthorization(t, w, d) })
	t.Run("scopes and claims", func(t *testing.T) { checkClaims(t, d, got) })
	t.Run("grants", func(t *testing.T) { checkGrants(t, w, d) })
	t.Run("authentication", func(t *testing.T) { checkAuthentication(t, w, d) })
	t.Run("algorithms and the rest", func(t *testing.T) {
		algs := d.list(t, "id_token_signing_alg_values_supported")
		if !slices.Contains(algs, "RS256") {
			t.Errorf("algorithms: got %v, want RS256 among them (OpenID Connect Discovery §3)", algs)
		}
		jwks := w.Get("/jwks").Text
		for _, alg := range algs {
			if !strings.Contains(jwks, `"alg":"`+alg+`"`) {
				t.Errorf("keys: got %s, want one for %s", jwks, alg)
			}
		}
		if types := d.list(t, "subject_types_supported"); !slices.Equal(types, []string{"public", "pairwise"}) {
			t.Errorf("subject types: got %v, want public and pairwise", types)
		}
		if locales := d.list(t, "ui_locales_supported"); len(locales) != 2 {
			t.Errorf("locales: got %v, want two", locales)
		}
	})
	if !w.SignedIn(session) {
		t.Error("prompt=none with a session: got no code, want one")
	}
}

func checkEndpoints(t *testing.T, w *testworld.World, d metadata) {
	if d["issuer"] != testworld.Issuer {
		t.Errorf("issuer: got %v, want %s", d["issuer"], testworld.Issuer)
	}
	for name, v := range d {
		at, ok := v.(string)
		if !ok || !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		path, ok := strings.CutPrefix(at, testworld.Issuer)
		if !ok {
			t.Errorf("%s: got %s, want a URL under the issuer", name, at)
		}
		if a := w.Get(path); a.StatusCode == 404 {
			t.Errorf("GET %s (%s): got %v, want another status than 404", at, name, a)
		}
	}
}

func checkAuthorization(t *testing.T, w *testworld.World, d metadata) {
	accepted := func(pairs ...string) bool {
		a := w.Authorize("app", pairs...)
		_, query := a.Redirect()
		page, _ := a.Page()
		return page == "signin" || query.Get("error") == "login_required" ||
			page == "formpost" && strings.Contains(a.Text, "login_required")
	}
	for param, row := range map[string]struct {
		list string
		all  []string // everything that exists
	}{
		"response_type": {
			"response_types_supported",
			[]string{
				"code", "token", "id_token", "none",
				"code id_token", "code token", "code id_token token", "id_token token",
			},
		},
		"response_mode":         {"response_modes_supported", []string{"query", "fragment", "form_post", "jwt", "query.jwt", "web_message"}},
		"code_challenge_method": {"code_challenge_methods_supported", []string{"S256", "plain"}},
		"prompt":                {"prompt_values_supported", []string{"none", "login", "consent", "select_account", "create"}},
	} {
		listed := d.list(t, row.list)
		for _, v := range row.all {
			if got, want := accepted(param, v), slices.Contains(listed, v); got != want {
				t.Errorf("%s=%s: got accepted %v, want %v, as listed in %v", param, v, got, want, listed)
			}
		}
	}
	for flag, want := range map[string]bool{
		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     !accepted("claims", "no JSON"),
	} {
		if d[flag] != want {
			t.Errorf("%s: got %v, want %v", flag, d[flag], want)
		}
	}
}

func checkClaims(t *testing.T, d metadata, got testworld.Tokens) {
	// Every listed scope is granted on request, and no other.
	if scope := strings.Join(d.list(t, "scopes_supported"), " "); got.JSON()["scope"] != scope {
		t.Errorf("granted scopes: got %v, want those that are listed, %s", got.JSON()["scope"], scope)
	}
	id, listed := got.Claims(t), d.list(t, "claims_supported")
	for claim := range id {
		if !slices.Contains(listed, claim) {
			t.Errorf("claims_supported: got %v, want %s among them", listed, claim)
		}
	}
	for _, claim := range idtoken.ClaimNames {
		if id[claim] == nil && claim != "nonce" || !slices.Contains(listed, claim) {
			t.Errorf("ID token: got no %s, which claims_supported lists", claim)
		}
	}
	if acrs := d.list(t, "acr_values_supported"); !slices.Contains(acrs, id["acr"].(string)) {
		t.Errorf("acr_values_supported: got %v, want %v among them", acrs, id["acr"])
	}
}

func checkGrants(t *testing.T, w *testworld.World, d metadata) {
	listed := d.list(t, "grant_types_supported")
	for _, grantType := range []string{
		"authorization_code",
		"refresh_token",
		"client_credentials",
		"password",
		"implicit",
		"urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:token-exchange",
		"urn:ietf:params:oauth:grant-type:device_code",
		"urn:openid:params:grant-type:ciba",
	} {
		v := url.Values{"grant_type": {grantType}, "code": {"x"}, "redirect_uri": {"x"}, "refresh_token": {"x"}}
		a := w.Post("/token", v, testworld.Basic("app", testworld.Secret))
		if got, want := a.JSON()["error"] != "unsupported_grant_type", slices.Contains(listed, grantType); got != want {
			t.Errorf("grant type %s: got %v, want it supported %v, as listed in %v", grantType, a, want, listed)
		}
	}
}

func checkAuthentication(t *testing.T, w *testworld.World, d metadata) {
	post := url.Values{"client_id": {"app"}, "client_secret": {testworld.Secret}}
	for path, name := range map[string]string{
		"/token":      "token_endpoint_auth_methods_supported",
		"/revoke":     "revocation_endpoint_auth_methods_supported",
		"/introspect": "introspection_endpoint_auth_methods_supported",
	} {
		works := func(credentials url.Values, change testworld.Change) bool {
			v := testworld.RefreshRequest("x")
			v.Set("token", "x")
			maps.Copy(v, credentials)
			return w.Post(path, v, change).StatusCode != 401
		}
		listed := d.list(t, name)
		for method, works := range map[string]bool{
			"client_secret_basic": works(nil, testworld.Basic("app", testworld.Secret)),
			"client_secret_post":  works(post, testworld.Unchanged),
			"none":                works(url.Values{"client_id": {"public"}}, testworld.Unchanged),
			"private_key_jwt":     works(testworld.Assertion(t, "keyjwt"), testworld.Unchanged),
			"client_secret_jwt":   works(testworld.Assertion(t, "secretjwt"), testworld.Unchanged),
		} {
			if want := slices.Contains(listed, method); works != want {
				t.Errorf("%s with %s: got accepted %v, want %v, as listed in %v", path, method, works, want, listed)
			}
		}
	}
}

func TestJWKS(t *testing.T) {
	w := testworld.New(t)
	a := w.Get("/jwks")
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(a.Text), &set); err != nil || len(set.Keys) < 3 {
		t.Fatalf("got %v, %v, want three keys or more", a, err)
	}
	for _, key := range set.Keys {
		if key["kid"] == "" || key["use"] != "sig" || key["alg"] == nil {
			t.Errorf("key: got %v, want kid, use sig and alg", key)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if key[private] != nil {
				t.Errorf("key %v: got the private member %s, want none", key["kid"], private)
			}
		}
	}
	if a.Header.Get("ETag") == "" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers: got %v, want an ETag and JSON", a.Header)
	}
	cache := a.Header.Get("Cache-Control")
	if age, err := time.ParseDuration(strings.TrimPrefix(cache, "public, max-age=") + "s"); err != nil ||
		age > time.Hour {
		t.Errorf("Cache-Control: got %q, want an hour at most, so that clients fetch a new key before it signs",
			cache)
	}
	r := httptest.NewRequest("GET", testworld.Issuer+"/jwks", nil)
	r.Header.Set("If-None-Match", a.Header.Get("ETag"))
	if a := w.Do(r); a.StatusCode != 304 || a.Text != "" {
		t.Errorf("with the ETag: got %v, want 304 without a body", a)
	}
	for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
		if a := w.Do(httptest.NewRequest("HEAD", testworld.Issuer+path, nil)); a.StatusCode != 200 || a.Text != "" {
			t.Errorf("HEAD %s: got %v, want 200 without a body", path, a)
		}
		w.Do(httptest.NewRequest("POST", testworld.Issuer+path, nil)).WantStatus(t, "POST "+path, 405)
	}
}

// oneKeySet implements discovery.Keys.
type oneKeySet struct{ set string }

func (k oneKeySet) JWKS() []byte                { return []byte(k.set) }
func (oneKeySet) Freshen(context.Context) error { return nil }

// room implements endpoint.Describer.
type room endpoint.Metadata

func (r room) Metadata() endpoint.Metadata { return endpoint.Metadata(r) }

func TestNew(t *testing.T) {
	field := func(name string, value any) endpoint.MetadataField {
		return endpoint.MetadataField{Name: name, Value: value}
	}
	for _, row := range []struct {
		what    string
		rooms   []endpoint.Describer
		locales []string
		wantErr string // "" for none
		want    string // the document
	}{
		{
			what: "no room, no locale",
			want: `{"issuer":"https://id.example","jwks_uri":"https://id.example/jwks"}`,
		},
		{
			what:    "two rooms and a locale",
			rooms:   []endpoint.Describer{room{field("a", true)}, room{field("b", []string{"x"})}},
			locales: []string{"sv"},
			want: `{"a":true,"b":["x"],"issuer":"https://id.example","jwks_uri":"https://id.example/jwks",` +
				`"ui_locales_supported":["sv"]}`,
		},
		{
			what:    "two rooms with one member",
			rooms:   []endpoint.Describer{room{field("a", true)}, room{field("a", true)}},
			wantErr: "two rooms describe a",
		},
		{
			what:    "one room with a member twice",
			rooms:   []endpoint.Describer{room{field("a", 1), field("a", 2)}},
			wantErr: "two rooms describe a",
		},
		{
			what:    "a room with a member of the document's own",
			rooms:   []endpoint.Describer{room{field("issuer", "https://evil.example")}},
			wantErr: "two rooms describe issuer",
		},
		{
			what:    "a value that JSON cannot hold",
			rooms:   []endpoint.Describer{room{field("a", func() {})}},
			wantErr: "unsupported type",
		},
	} {
		t.Run(row.what, func(t *testing.T) {
			documents, err := discovery.New(discovery.Config{
				Issuer:    "https://id.example",
				Keys:      oneKeySet{},
				UILocales: row.locales,
				Rooms:     row.rooms,
			})
			if row.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), row.wantErr) {
					t.Errorf("got the error %v, want one with %q", err, row.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("got the error %v, want none", err)
			}
			if got := serve(documents, "GET", endpoint.PathDiscovery).Body.String(); got != row.want {
				t.Errorf("document: got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// serve sends a request to the documents.
func serve(d *discovery.Documents, method, path string) *httptest.ResponseRecorder {
	router, recorder := chi.NewRouter(), httptest.NewRecorder()
	d.Mount(router)
	router.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
	return recorder
}

// The keys are served as they are at the time of the request.
func TestJWKSAfterARotation(t *testing.T) {
	keys := &oneKeySet{set: `{"keys":[]}`}
	documents, err := discovery.New(discovery.Config{Issuer: "https://id.example", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	first := serve(documents, "GET", endpoint.PathJWKS)
	keys.set = `{"keys":[{"kid":"next"}]}`
	second := serve(documents, "GET", endpoint.PathJWKS)
	if first.Body.String() != `{"keys":[]}` || second.Body.String() != keys.set {
		t.Errorf("got %s, then %s, want the keys before and after", first.Body, second.Body)
	}
	if one, two := first.Header().Get("ETag"), second.Header().Get("ETag"); one == two {
		t.Errorf("ETag after the rotation: got %s, want another than %s", two, one)
	}
}

// A preflight request gets the methods, for pages of every origin.
func TestPreflight(t *testing.T) {
	documents, err := discovery.New(discovery.Config{Issuer: "https://id.example", Keys: oneKeySet{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{endpoint.PathJWKS, endpoint.PathDiscovery, endpoint.PathOAuthDiscovery} {
		a := serve(documents, "OPTIONS", path)
		if a.Code != 204 || a.Header().Get("Access-Control-Allow-Origin") != "*" ||
			a.Header().Get("Access-Control-Allow-Methods") != "GET, HEAD" ||
			a.Header().Get("Access-Control-Allow-Headers") != "*" || a.Header().Get("Access-Control-Max-Age") != "600" {
			t.Errorf("OPTIONS %s: got %d %v, want 204, every origin, GET and HEAD", path, a.Code, a.Header())
		}
		if a := serve(documents, "POST", path); a.Code != 405 || a.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: got %d %v, want 405 and the methods", path, a.Code, a.Header())
		}
	}
}

// The document lists request objects as the deployment accepts them (OpenID Connect
// Discovery §3).
func TestDiscoveryOfRequestObjects(t *testing.T) {
	for mode, none := range map[client.RequestObjectMode]bool{client.RequestObjectsSigned: false, client.RequestObjectsAny: true} {
		d := document(t, testworld.New(t, func(c *testworld.Config) { c.Provider.RequestObjects = mode }))
		algorithms := d.list(t, "request_object_signing_alg_values_supported")
		if slices.Contains(algorithms, "none") != none || !slices.Contains(algorithms, "RS256") || !slices.Contains(algorithms, "HS256") {
			t.Errorf("%q: got %v, want RS256 and HS256, none %t", mode, algorithms, none)
		}
		for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"} {
			if d[name] != true {
				t.Errorf("%q: got %s %v, want true", mode, name, d[name])
			}
		}
	}
	d := document(t, testworld.New(t, func(c *testworld.Config) { c.Provider.RequestObjects = client.RequestObjectsOff }))
	// Both are listed: the default of the second is true.
	if d["request_parameter_supported"] != false || d["request_uri_parameter_supported"] != false || d["request_object_signing_alg_values_supported"] != nil {
		t.Errorf("off: got %v", d)
	}
}
