// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/client"
)

const merge = "application/merge-patch+json"

// edit changes a client as somebody who has just read it.
func (a *api) edit(id, patch string, status int, v any) {
	a.t.Helper()
	etag := a.call("GET", "/v1/clients/"+id, "", 200, &admin.Client{}).Get("ETag")
	a.check("edit "+patch, a.do("PATCH", "/v1/clients/"+id, patch, "Content-Type", merge, "If-Match", etag), status, v)
}

// A client is changed in place: what is not named stays, its secret too, and null takes away.
func TestClientsAreEdited(t *testing.T) {
	a := newAPI(t)
	var added, edited, got admin.Client
	created := a.call("POST", "/v1/clients", `{"client_id":"shop","client_name":"Shop","redirect_uris":["https://shop.example.com/cb"],"policy_uri":"https://shop.example.com/p"}`, 201, &added)
	if created.Get("Location") != "/v1/clients/shop" {
		t.Errorf("Location: got %q", created.Get("Location"))
	}
	read := a.call("GET", "/v1/clients/shop", "", 200, &got)
	if created.Get("ETag") == "" || read.Get("ETag") != created.Get("ETag") {
		t.Errorf("entity tags of the same client: %s and %s", created.Get("ETag"), read.Get("ETag"))
	}
	a.edit("shop", `{"redirect_uris":["https://shop.example.com/cb","https://shop.example.com/cb2"],"policy_uri":null,"client_name":"Shop 2"}`, 200, &edited)
	a.call("GET", "/v1/clients/shop", "", 200, &got)
	if !reflect.DeepEqual(edited, got) {
		t.Errorf("the response has %+v, and a GET then %+v", edited, got)
	}
	if got.Name != "Shop 2" || len(got.RedirectURIs) != 2 || got.PolicyURI != "" || !got.Created.Equal(added.Created) || got.Secret != "" {
		t.Errorf("edited: %+v", got)
	}
	if _, err := a.registry.Authenticate(t.Context(), "shop", added.Secret); err != nil {
		t.Errorf("its secret: %v", err)
	}
	const line = `msg=client.edited client=shop fields="client_name policy_uri redirect_uris +https://shop.example.com/cb2" operator="uid 7"`
	if !strings.Contains(a.audit.String(), line) {
		t.Errorf("the audit has no %s:\n%s", line, a.audit)
	}

	// As a whole: what is left out is taken away.
	w := a.do("PUT", "/v1/clients/shop", `{"client_name":"Shop 3","redirect_uris":["https://shop.example.com/cb3"]}`, "If-Match", "*")
	a.check("PUT", w, 200, &edited)
	if edited.Name != "Shop 3" || !slices.Equal(edited.RedirectURIs, []string{"https://shop.example.com/cb3"}) || edited.ID != "shop" {
		t.Errorf("replaced: %+v", edited)
	}
	if strings.Contains(a.audit.String(), "client_id") {
		t.Errorf("the audit has a changed client_id:\n%s", a.audit)
	}

	// Another kind of secret is a new one.
	a.edit("shop", `{"token_endpoint_auth_method":"client_secret_jwt"}`, 200, &edited)
	if len(edited.Secret) < 64 {
		t.Errorf("for client_secret_jwt: got the secret %q, want a new one of 64 bytes", edited.Secret)
	}
	a.edit("shop", `{"public":true,"token_endpoint_auth_method":null}`, 200, &edited)
	if edited.Secret != "" || !edited.Public {
		t.Errorf("public: %+v", edited)
	}
	if _, err := a.registry.Authenticate(t.Context(), "shop", ""); err != nil {
		t.Errorf("a public client: %v", err)
	}
	if strings.Contains(a.audit.String(), added.Secret) {
		t.Error("a secret is in the audit")
	}
}

func TestRefusedEdits(t *testing.T) {
	a := newAPI(t)
	var c admin.Client
	a.call("POST", "/v1/clients", `{"client_id":"pair","client_name":"Pair","subject_type":"pairwise","redirect_uris":["https://one.example.com/cb"]}`, 201, &c)
	lines := strings.Count(a.audit.String(), "\n")
	for _, row := range []struct {
		patch, says string
	}{
		{`{"client_id":"other"}`, "client_id cannot be changed"},
		{`{"client_name":" "}`, "client_name is missing"},
		{`{"client_name":null}`, "client_name is missing"},
		{`{"client_name":7}`, "not readable"},
		{`{"redirect_uris":null}`, "redirect_uris: missing"},
		{`{"redirect_uris":["http://one.example.com/cb"]}`, "redirect_uris"},
		{`{"redirect_uri":["https://one.example.com/cb"]}`, `unknown field "redirect_uri"`},
		{`{"Redirect_URIs":["https://one.example.com/cb2"]}`, `unknown field "Redirect_URIs"`},
		{`{"redirect_uriſ":["https://one.example.com/cb2"]}`, `unknown field "redirect_uriſ"`},
		{`{"client_secret":"mine"}`, "client_secret is made by the server"},
		{`{"subject_type":"public"}`, "subject_type: cannot be changed"},
		{`{"redirect_uris":["https://two.example.com/cb"]}`, `set sector_host to "one.example.com"`},
		{`{"sector_host":"two.example.com"}`, "sector_host"},
	} {
		var p admin.Problem
		a.edit("pair", row.patch, 422, &p)
		if !strings.Contains(p.Detail, row.says) {
			t.Errorf("%s: got %q, want %q in it", row.patch, p.Detail, row.says)
		}
	}
	a.edit("pair", `[]`, 422, &admin.Problem{})
	a.edit("pair", `{"client_name"`, 400, &admin.Problem{})
	a.edit("fixed", `{"client_name":"Mine"}`, 409, &admin.Problem{})
	var p admin.Problem
	a.check("no If-Match", a.do("PATCH", "/v1/clients/pair", `{}`, "Content-Type", merge), 428, &p)
	a.check("unknown", a.do("PATCH", "/v1/clients/nobody", `{}`, "Content-Type", merge, "If-Match", "*"), 404, &p)
	etag := a.call("GET", "/v1/clients/pair", "", 200, &c).Get("ETag")
	a.check("a weak tag", a.do("PATCH", "/v1/clients/pair", `{}`, "Content-Type", merge, "If-Match", "W/"+etag), 412, &p)
	if n := strings.Count(a.audit.String(), "\n"); n != lines {
		t.Errorf("what was refused left %d lines in the audit:\n%s", n-lines, a.audit)
	}
	a.edit("pair", `{"redirect_uris":["https://two.example.com/cb"],"sector_host":"one.example.com"}`, 200, &c)
	if c.SectorHost != "one.example.com" {
		t.Errorf("with its old sector: %+v", c)
	}
}

// Two operators change what both have just read: one of them is told.
func TestTwoEditors(t *testing.T) {
	a := newAPI(t)
	etag := a.call("POST", "/v1/clients", `{"client_id":"shop","client_name":"Shop","redirect_uris":["https://shop.example.com/cb"]}`, 201, &admin.Client{}).Get("ETag")
	for round := range 20 {
		var wg sync.WaitGroup
		responses := make([]*http.Response, 2)
		for i := range responses {
			wg.Go(func() {
				body := `{"client_name":"Shop ` + string(rune('a'+i)) + strings.Repeat("x", round+1) + `"}`
				responses[i] = a.do("PATCH", "/v1/clients/shop", body, "Content-Type", merge, "If-Match", etag).Result()
			})
		}
		wg.Wait()
		statuses := []int{responses[0].StatusCode, responses[1].StatusCode}
		slices.Sort(statuses)
		if !slices.Equal(statuses, []int{200, 412}) {
			t.Fatalf("round %d: got %v, want one 200 and one 412", round, statuses)
		}
		etag = a.call("GET", "/v1/clients/shop", "", 200, &admin.Client{}).Get("ETag")
	}
}

func TestConditionalGet(t *testing.T) {
	a := newAPI(t)
	for _, path := range []string{"/v1/clients", "/v1/clients/fixed", "/v1/keys"} {
		etag := a.do("GET", path, "").Header().Get("ETag")
		if w := a.do("GET", path, "", "If-None-Match", `"x", W/`+etag); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") != etag {
			t.Errorf("%s: got %d %v %q, want 304 without a body", path, w.Code, w.Header(), w.Body)
		}
		if w := a.do("GET", path, "", "If-None-Match", `"x"`); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s with another tag: got %d", path, w.Code)
		}
	}
}

// Pages have everything once, though clients come and go meanwhile.
func TestPages(t *testing.T) {
	a := newAPI(t)
	add := func(id string) {
		a.call("POST", "/v1/clients", `{"client_id":"`+id+`","client_name":"X","redirect_uris":["https://x.example.com/cb"]}`, 201, &admin.Client{})
	}
	for _, id := range []string{"b", "d", "f", "h", "j"} {
		add(id)
	}
	var seen []string
	at := "/v1/clients?limit=2"
	for next := ""; ; {
		var page admin.Page[admin.Client]
		a.call("GET", at+"&cursor="+next, "", 200, &page)
		for _, c := range page.Items {
			seen = append(seen, c.ID)
		}
		switch len(seen) {
		case 2:
			add("a") // before what was read
			add("e") // after it
			a.call("DELETE", "/v1/clients/d", "", 200, &admin.Client{})
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if want := []string{"b", "d", "e", "f", "fixed", "h", "j"}; !slices.Equal(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
	for _, query := range []string{"limit=0", "limit=501", "limit=x", "cursor=!", "page=2"} {
		a.refuses("GET", "/v1/clients?"+query, "", 422, "")
	}
}

// Every operation refuses a caller without access, and one without its scope: over HTTP, and
// as a method.
func TestEveryOperationNeedsItsScope(t *testing.T) {
	a := newAPI(t)
	document := map[string]any{}
	if err := json.Unmarshal(a.do("GET", "/openapi.json", "").Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for path, methods := range document["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			operations++
			needs := ""
			for _, one := range operation.(map[string]any)["security"].([]any) {
				needs = one.(map[string]any)["api_key"].([]any)[0].(string)
			}
			if !slices.Contains(apikey.Scopes, apikey.Scope(needs)) {
				t.Errorf("%s %s: no scope", method, path)
			}
			others := slices.DeleteFunc(slices.Clone(apikey.Scopes), func(s apikey.Scope) bool { return string(s) == needs })
			a.without(t.Context(), strings.ToUpper(method), path, 401)
			a.without(admin.WithAccess(t.Context(), admin.Access{Who: "test", Scopes: others}), strings.ToUpper(method), path, 403)
		}
	}
	if operations < 20 {
		t.Errorf("the document has %d operations", operations)
	}
	methods := reflect.TypeFor[*admin.API]()
	for m := range methods.Methods() {
		if m.Type.NumIn() != 3 || m.Type.In(1) != reflect.TypeFor[context.Context]() {
			continue
		}
		operations--
		in := reflect.New(m.Type.In(2).Elem())
		out := m.Func.Call([]reflect.Value{reflect.ValueOf(a.API), reflect.ValueOf(t.Context()), in})
		if p, ok := out[1].Interface().(*admin.Problem); !ok || p.Status != 401 {
			t.Errorf("%s without access: got %v, want a Problem of 401", m.Name, out[1])
		}
	}
	if operations != 0 {
		t.Errorf("%d operations are no methods", operations)
	}
	if a.audit.Len() > 0 {
		t.Errorf("what was refused is in the audit: %s", a.audit)
	}
}

func (a *api) without(ctx context.Context, method, path string, status int) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://calleridp"+path, strings.NewReader("not even JSON"))
	if err != nil {
		a.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	if w.Code != status || (w.Header().Get("WWW-Authenticate") != "") != (status == 401) {
		a.t.Errorf("%s %s: got %d %s, want %d", method, path, w.Code, w.Body, status)
	}
}

// A client that registered itself hears of a new secret only by its own registration: an
// operator does not change it, and its registration access token, secret and kind stay.
func TestRegisteredClientsKeepTheirSecret(t *testing.T) {
	a := newAPI(t)
	known, err := a.registry.Register(t.Context(), client.Client{
		Name: "Stranger", RedirectURIs: []string{"https://stranger.example.com/cb"}, Registration: &client.Registration{ApplicationType: "web"},
	}, client.Terms{Most: 10})
	if err != nil {
		t.Fatal(err)
	}
	id := known.Client.ID
	for range 2 { // of which the second would end the first secret
		a.refuses("POST", "/v1/clients/"+id+"/secret", "", 409, "registered itself, and changes itself by its registration access token")
	}
	if strings.Contains(a.audit.String(), "client.secret_rotated") {
		t.Errorf("the audit has a rotation:\n%s", a.audit)
	}
	if _, err := a.registry.Authenticate(t.Context(), id, known.Secret); err != nil {
		t.Errorf("its secret: %v", err)
	}
	if _, err := a.registry.Registered(t.Context(), id, known.Token); err != nil {
		t.Errorf("its registration access token: %v", err)
	}

	// What the API shows of it does not become an operator's client by an import.
	var shown map[string]any
	a.call("GET", "/v1/clients/"+id, "", 200, &shown)
	a.call("DELETE", "/v1/clients/"+id, "", 200, &map[string]any{})
	body, err := json.Marshal(map[string]any{"clients": []any{shown}})
	if err != nil {
		t.Fatal(err)
	}
	var done admin.Imported
	a.call("POST", "/v1/clients/import", string(body), 200, &done)
	if done.Added != 0 || len(done.Conflicts) != 1 || !strings.Contains(done.Conflicts[0].Reason, "registered itself, and has to do so again here") {
		t.Errorf("import: %+v", done)
	}
	a.refuses("GET", "/v1/clients/"+id, "", 404, "there is no client")
}

// What is refused about the console's own client names it as that.
func TestTheProgramsOwnClient(t *testing.T) {
	a := newAPI(t)
	if err := a.registry.AddOwn(client.Client{ID: "console", Public: true, Name: "Console", RedirectURIs: []string{"https://id.example.com/console/callback"}}); err != nil {
		t.Fatal(err)
	}
	const own = "client console is the program's own"
	a.refuses("POST", "/v1/clients/console/secret", "", 409, own)
	a.refuses("DELETE", "/v1/clients/console", "", 409, own)
	var p admin.Problem
	etag := a.do("GET", "/v1/clients/console", "").Header().Get("ETag")
	a.check("edit", a.do("PATCH", "/v1/clients/console", `{"client_name":"X"}`, "If-Match", etag), 409, &p)
	if !strings.Contains(p.Detail, own) {
		t.Errorf("edit: %+v", p)
	}
}
