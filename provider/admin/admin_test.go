// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/storage/bolt"

	"github.com/getkin/kin-openapi/routers"
)

// api is the API over a real store.
type api struct {
	*admin.API
	t        *testing.T
	handler  http.Handler
	router   routers.Router // by the document
	registry *client.Registry
	store    *bolt.Store
	ring     *keys.Ring
	audit    *bytes.Buffer
}

func newAPI(t *testing.T, change ...func(*admin.Config)) *api {
	t.Helper()
	master, err := keys.NewMaster(bytes.Repeat([]byte{1}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), master, bolt.Options{NoSync: true, Tells: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	fixed := client.Client{ID: "fixed", Name: "Fixed", SecretHashes: []client.SecretHash{client.HashSecret("s")}, RedirectURIs: []string{"https://f.example.com/cb"}}
	registry, err := client.NewRegistry([]client.Client{fixed}, store, client.Deployment{ResponseTypes: client.ResponseTypes[:2], DeviceFlow: true, Signals: true})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.OpenRing(t.Context(), keys.Config{Store: store, Master: master, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a := &api{t: t, registry: registry, store: store, ring: ring, audit: &bytes.Buffer{}}
	config := admin.Config{
		Clients: registry, Keys: ring, Budgets: store, People: store, Sessions: store, Grants: store, Notices: store, Streams: store, APIKeys: store, Requests: store, Limits: budgets, LongestLock: 15 * time.Minute, CoolDown: coolDown, Region: "SE", Stats: func() any { return store.Stats() }, Effective: func() any { return map[string]any{"issuer": "https://id.example.com"} },
		Now: func(context.Context) (admin.Status, error) {
			return admin.Status{Store: "healthy", Inbox: 3, Breakers: []admin.Breaker{}}, nil
		},
		Log: slog.New(slog.DiscardHandler), Audit: audit.Log(slog.New(slog.NewTextHandler(a.audit, nil)), nil),
	}
	for _, c := range change {
		c(&config)
	}
	a.API = admin.New(config)
	a.handler = a.API.Handler()
	a.router = described(t, a.do("GET", "/openapi.json", "").Body.Bytes())
	return a
}

// do makes a request as one on the socket is made. Headers come in pairs.
func (a *api) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequestWithContext(admin.OnSocket(a.t.Context(), "uid 7"), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	a.conforms(method, path, body, r.Header, w)
	return w
}

// call makes a request, checks its status, and decodes the response into v: a page of a list
// into a slice.
func (a *api) call(method, path, body string, status int, v any) http.Header {
	a.t.Helper()
	return a.check(method+" "+path, a.do(method, path, body), status, v)
}

func (a *api) check(what string, w *httptest.ResponseRecorder, status int, v any) http.Header {
	a.t.Helper()
	kind := "application/json"
	if status >= 400 {
		kind = "application/problem+json"
	}
	if w.Code != status || w.Header().Get("Content-Type") != kind || w.Header().Get("Cache-Control") != "no-store" {
		a.t.Fatalf("%s: %d %v %s; want %d", what, w.Code, w.Header(), w.Body, status)
	}
	raw := w.Body.Bytes()
	reflect.ValueOf(v).Elem().SetZero()
	if reflect.TypeOf(v).Elem().Kind() == reflect.Slice {
		var page struct{ Items json.RawMessage }
		if err := json.Unmarshal(raw, &page); err != nil {
			a.t.Fatalf("%s: %v", what, err)
		}
		raw = page.Items
	}
	if err := json.Unmarshal(raw, v); err != nil {
		a.t.Fatalf("%s: %v", what, err)
	}
	return w.Header()
}

func (a *api) refuses(method, path, body string, status int, says string) {
	a.t.Helper()
	var p admin.Problem
	a.call(method, path, body, status, &p)
	if !strings.Contains(p.Detail, says) || p.Status != status || p.Title != http.StatusText(status) {
		a.t.Errorf("%s %s: %+v; want %q in it", method, path, p, says)
	}
}

const shop = `{"client_name":"Shop","redirect_uris":["https://shop.example.com/cb"]}`

func TestLifeOfAClient(t *testing.T) {
	a := newAPI(t)
	var added, got admin.Client
	a.call("POST", "/v1/clients", shop, 201, &added)
	if added.ID == "" || len(added.Secret) < 43 || added.IDTokenAlg != "RS256" || added.Created.IsZero() || added.FromConfig {
		t.Fatalf("added %+v", added)
	}
	if _, err := a.registry.Authenticate(t.Context(), added.ID, added.Secret); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	a.call("GET", "/v1/clients/"+added.ID, "", 200, &got)
	if got.Secret != "" || got.Name != "Shop" || len(got.RedirectURIs) != 1 {
		t.Errorf("shown %+v", got)
	}

	var rotated admin.Client
	a.call("POST", "/v1/clients/"+added.ID+"/secret", "", 200, &rotated)
	if rotated.Secret == "" || rotated.Secret == added.Secret {
		t.Fatal("no new secret")
	}
	for _, secret := range []string{added.Secret, rotated.Secret} {
		if _, err := a.registry.Authenticate(t.Context(), added.ID, secret); err != nil {
			t.Errorf("both secrets are good until the next rotation: %v", err)
		}
	}

	var all []admin.Client
	a.call("GET", "/v1/clients", "", 200, &all)
	if len(all) != 2 {
		t.Errorf("%d clients, want the added one and that of the configuration", len(all))
	}
	for _, c := range all {
		if c.Secret != "" || c.FromConfig != (c.ID == "fixed") {
			t.Errorf("listed %+v", c)
		}
	}

	a.call("DELETE", "/v1/clients/"+added.ID, "", 200, &got)
	a.refuses("GET", "/v1/clients/"+added.ID, "", 404, "there is no client "+added.ID)
	for _, event := range []string{"client.added", "client.secret_rotated", "client.removed"} {
		if !strings.Contains(a.audit.String(), "msg="+event+" client="+added.ID) {
			t.Errorf("%s is not in the audit log", event)
		}
	}
	if strings.Contains(a.audit.String(), added.Secret) || strings.Contains(a.audit.String(), rotated.Secret) {
		t.Error("a secret is in the audit log")
	}
}

// fullClient has everything that a client can have at once.
const fullClient = `{"client_id":"full","client_name":"Full","client_uri":"https://f.example.com/","logo_uri":"https://f.example.com/l.png",
	"tos_uri":"https://f.example.com/tos","policy_uri":"https://f.example.com/p","redirect_uris":["https://f.example.com/cb","https://f.example.com/cb2"],
	"post_logout_redirect_uris":["https://f.example.com/bye"],"scope":"openid phone","id_token_signed_response_alg":"ES256","subject_type":"pairwise",
	"default_max_age":600,"allowed_origins":["https://f.example.com"],"sector_host":"f.example.com","region":"SE","dangerously_without_pkce":true,
	"default_scope":"openid","consent":"remember","colour":"#003366","colour_dark":"#99ccff","countries":["SE","NO"],"response_types":["code","id_token"],"scope_claims":"userinfo","device_flow":true,"signals":true,"initiate_login_uri":"https://f.example.com/login",
	"id_token_encrypted_response_alg":"ECDH-ES","id_token_encrypted_response_enc":"A256GCM","userinfo_signed_response_alg":"EdDSA",
	"userinfo_encrypted_response_alg":"ECDH-ES+A128KW","userinfo_encrypted_response_enc":"A128GCM","token_endpoint_auth_method":"private_key_jwt",
	"request_object_signing_alg":"ES256","require_signed_request_object":true,"request_uris":["https://f.example.com/request"],
	"token_endpoint_auth_signing_alg":"ES256","jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}}`

func TestEverythingThatAClientCanHaveIsKept(t *testing.T) {
	a := newAPI(t)
	var added, got map[string]any
	a.call("POST", "/v1/clients", fullClient, 201, &added)
	a.call("GET", "/v1/clients/full", "", 200, &got)
	var want map[string]any
	if err := json.Unmarshal([]byte(fullClient), &want); err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		w, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := json.Marshal(got[key]); err != nil || !bytes.Equal(g, w) {
			t.Errorf("%s is %s, want %s", key, g, w)
		}
	}
	if c, err := a.registry.Client(t.Context(), "full"); err != nil || !c.Pairwise || !c.WithoutPKCE || c.DefaultMaxAge == nil || len(c.Scopes) != 2 {
		t.Errorf("%+v, %v", c, err)
	}

	var app admin.Client
	a.call("POST", "/v1/clients", `{"client_name":"App","public":true,"redirect_uris":["com.example.app:/cb","com.example.app://cb"]}`, 201, &app)
	if len(app.Warnings) != 1 || !strings.HasPrefix(app.Warnings[0], "redirect_uris[1]: ") {
		t.Errorf("warnings: got %q, want one about the second redirect URI", app.Warnings)
	}
	if app.Secret != "" || !app.Public {
		t.Errorf("a public client: %+v", app)
	}
	a.refuses("POST", "/v1/clients/"+app.ID+"/secret", "", 409, "has no secret: it is public")
}

func TestRefusedClients(t *testing.T) {
	a := newAPI(t)
	redirect := func(uri string) string { return `{"client_name":"X","redirect_uris":["` + uri + `"]}` }
	for _, row := range []struct {
		body   string
		status int
		says   string
	}{
		{``, 400, "request body is required"},
		{`{`, 400, "unexpected end of JSON"},
		{`[]`, 422, "expected object"},
		{shop + shop, 400, "after top-level value"},
		{`{"client_name":"X","redirect_uri":["https://x.example.com/"]}`, 422, `body.redirect_uri: unexpected property`},
		{`{"Client_Name":"X","client_name":"X","redirect_uris":["https://x.example.com/"]}`, 422, `body.Client_Name: unexpected property`},
		{`{"redirect_uris":["https://x.example.com/"]}`, 422, "required property client_name"},
		{`{"client_name":" ","redirect_uris":["https://x.example.com/"]}`, 422, "client_name is missing"},
		{`{"client_name":"X"}`, 422, "redirect_uris: missing"},
		{`{"client_name":"X","client_secret":"mine","redirect_uris":["https://x.example.com/"]}`, 422, "client_secret is made by the server"},
		{`{"client_name":"X","subject_type":"x","redirect_uris":["https://x.example.com/"]}`, 422, "subject_type"},
		{`{"client_name":"X","default_max_age":-1,"redirect_uris":["https://x.example.com/"]}`, 422, "default_max_age"},
		{`{"client_name":"X","default_max_age":2147483649,"redirect_uris":["https://x.example.com/"]}`, 422, "default_max_age"},
		{`{"client_name":"X","consent":"sometimes","redirect_uris":["https://x.example.com/"]}`, 422, "consent must be none, remember or always"},
		{`{"client_name":"X","client_id":"fixed","redirect_uris":["https://x.example.com/"]}`, 409, "there is a client fixed already"},
		{redirect("/cb"), 422, "not absolute"},
		{redirect("https://x.example.com/cb#f"), 422, "fragment"},
		{redirect("http://x.example.com/cb"), 422, "http"},
		{redirect("javascript:alert(1)"), 422, "scheme"},
		{redirect("data:text/html,x"), 422, "scheme"},
		{redirect("com.example.x:"), 422, "no path"},
		{`{"client_name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "too large"},
	} {
		name := row.body
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(name, func(t *testing.T) {
			a.t = t
			a.refuses("POST", "/v1/clients", row.body, row.status, row.says)
		})
	}
	a.t = t
	a.refuses("POST", "/v1/clients/fixed/secret", "", 409, "client fixed is declared in the config file")
	a.refuses("DELETE", "/v1/clients/fixed", "", 409, "client fixed is declared in the config file")
	a.refuses("DELETE", "/v1/clients/nobody", "", 404, "there is no client nobody")
	a.refuses("POST", "/v1/clients/fixed", "", 405, "no such method")
	a.refuses("GET", "/v2/clients", "", 404, "no such path")
	var all []admin.Client
	if a.call("GET", "/v1/clients", "", 200, &all); len(all) != 1 {
		t.Errorf("%d clients after refusals only", len(all))
	}
}

func TestKeys(t *testing.T) {
	a := newAPI(t)
	var before, after []keys.Info
	a.call("GET", "/v1/keys", "", 200, &before)
	if len(before) != 6 {
		t.Fatalf("%d keys", len(before))
	}
	a.refuses("POST", "/v1/keys/rotate", "", 409, "a forced rotation")
	a.refuses("POST", "/v1/keys/rotate?force=true&alg=HS256", "", 422, `no keys for "HS256"`)
	a.refuses("POST", "/v1/keys/rotate?force=yes", "", 422, "query.force: invalid boolean")
	a.refuses("POST", "/v1/keys/rotate?forced=true", "", 422, "unknown query parameter")
	a.call("POST", "/v1/keys/rotate?force=true", "", 200, &after)
	if len(after) != 9 || !strings.Contains(a.audit.String(), "keys.rotated") {
		t.Errorf("%d keys after a rotation; audit %s", len(after), a.audit)
	}
}

func TestRemovedKeys(t *testing.T) {
	a := newAPI(t)
	signing := a.ring.Keys()[0].ID
	a.refuses("DELETE", "/v1/keys/nobody", "", 404, "there is no key nobody")
	a.refuses("DELETE", "/v1/keys/"+signing, "", 409, "force a rotation first")
	var left []keys.Info
	a.call("POST", "/v1/keys/rotate?force=true", "", 200, &left)
	a.call("DELETE", "/v1/keys/"+signing, "", 200, &left)
	if len(left) != 8 || !strings.Contains(a.audit.String(), "keys.removed kid="+signing) {
		t.Errorf("%d keys left; audit %s", len(left), a.audit)
	}
}

func TestStatusAndConfiguration(t *testing.T) {
	a := newAPI(t)
	var status admin.Status
	var config map[string]any
	a.call("GET", "/v1/status", "", 200, &status)
	a.call("GET", "/v1/config", "", 200, &config)
	if len(status.Keys) != len(a.ring.Keys()) || len(status.Keys) == 0 || status.Keys[0] != a.ring.Keys()[0] {
		t.Errorf("the keys of the status: %+v", status.Keys)
	}
	if status.Inbox != 3 || config["issuer"] != "https://id.example.com" || !strings.Contains(a.audit.String(), "config.shown") {
		t.Errorf("%+v, %v; audit %s", status, config, a.audit)
	}
}

func TestStats(t *testing.T) {
	a := newAPI(t)
	var stats map[string]float64
	a.call("GET", "/v1/stats", "", 200, &stats)
	if stats["commits"] == 0 || stats["db_bytes"] == 0 {
		t.Errorf("%v", stats)
	}
}

// A failure of the server is a 500 with its cause, for the operator, and in the
// log.
func TestFailuresOfTheServer(t *testing.T) {
	a := newAPI(t)
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, row := range [][2]string{{"GET", "/v1/clients"}, {"GET", "/v1/clients/x"}, {"POST", "/v1/keys/rotate?force=true"}} {
		a.refuses(row[0], row[1], "", 500, "the server failed: ")
	}
	a.refuses("POST", "/v1/clients", shop, 500, bolt.ErrClosed.Error())
	a.refuses("POST", "/v1/limits/show", `{"client":"fixed"}`, 500, bolt.ErrClosed.Error())
	a.audit.Reset()
	a.refuses("POST", "/v1/limits/clear", `{"client":"fixed"}`, 500, bolt.ErrClosed.Error())
	if !strings.Contains(a.audit.String(), "msg=change.failed change=limit.cleared of=fixed kind=client error=") {
		t.Errorf("limits that were not cleared: got the audit %s, want that it failed", a.audit)
	}
}
