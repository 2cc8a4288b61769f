// SPDX-License-Identifier: Apache-2.0

package transmitter_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"

	"github.com/go-jose/go-jose/v4"
)

const (
	caep = "https://schemas.openid.net/secevent/caep/event-type/"
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	ssf  = "https://schemas.openid.net/secevent/ssf/event-type/"
)

// receivers makes these clients receivers.
func receivers(ids ...string) func(*testworld.Config) {
	return func(c *testworld.Config) {
		c.Provider.Signals.Enabled = true
		for i := range c.Clients {
			c.Clients[i].Signals = slices.Contains(ids, c.Clients[i].ID)
		}
	}
}

// receiver is a client's own side of its stream.
type receiver struct {
	t     testing.TB
	w     *testworld.World
	id    string
	token string
}

func newReceiver(t testing.TB, w *testworld.World, id string, scope ...string) receiver {
	t.Helper()
	v := url.Values{"grant_type": {"client_credentials"}}
	if len(scope) > 0 {
		v.Set("scope", strings.Join(scope, " "))
	}
	r := w.Post("/token", v, testworld.Basic(id, testworld.Secret))
	if r.StatusCode != 200 {
		t.Fatalf("a token for %s: got %v", id, r)
	}
	return receiver{t, w, id, r.JSON()["access_token"].(string)}
}

// call sends a JSON request, checks the status, and returns the body.
func (r receiver) call(method, path, body string, status int) map[string]any {
	r.t.Helper()
	request := httptest.NewRequest(method, testworld.Issuer+path, strings.NewReader(body))
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	got := r.w.Do(request)
	if got.StatusCode != status {
		r.t.Fatalf("%s %s %s: got %v, want %d", method, path, body, got, status)
	}
	if got.Text == "" || got.Text[0] != '{' {
		return map[string]any{"list": got.Text, "challenge": got.Header.Get("WWW-Authenticate")}
	}
	out := got.JSON()
	out["challenge"] = got.Header.Get("WWW-Authenticate")
	return out
}

// stream creates the client's stream, and returns its ID.
func (r receiver) stream(body string) string {
	r.t.Helper()
	return r.call("POST", "/ssf/streams", body, 201)["stream_id"].(string)
}

// event is a Security Event Token, read.
type event struct {
	typ    string
	claims map[string]any
	uri    string
	body   map[string]any
}

// about is the sub of the event's user, or the number or the ID that it is about.
func (e event) about() string {
	subject, _ := e.claims["sub_id"].(map[string]any)
	if user, ok := subject["user"].(map[string]any); ok {
		subject = user
	}
	for _, member := range []string{"sub", "phone_number", "id"} {
		if text, ok := subject[member].(string); ok {
			return text
		}
	}
	return ""
}

func readEvent(t testing.TB, token string) event {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	e := event{claims: testworld.Claims(t, token)}
	e.typ, _ = signed.Signatures[0].Header.ExtraHeaders["typ"].(string)
	events, _ := e.claims["events"].(map[string]any)
	if len(events) != 1 || e.typ != "secevent+jwt" || e.claims["jti"] == "" || e.claims["sub"] != nil || e.claims["exp"] != nil || e.claims["iss"] != testworld.Issuer {
		t.Errorf("not a token of the framework: typ %s, %v", e.typ, e.claims)
	}
	for uri, body := range events {
		e.uri, e.body = uri, body.(map[string]any)
	}
	return e
}

// poll takes what waits, and acknowledges it.
func (r receiver) poll(stream string) (events []event) {
	r.t.Helper()
	out := r.call("POST", "/ssf/poll/"+stream, `{"returnImmediately":true}`, 200)
	sets := out["sets"].(map[string]any)
	var ids []string
	for id := range sets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		e := readEvent(r.t, sets[id].(string))
		if e.claims["jti"] != id || e.claims["aud"] != r.id {
			r.t.Errorf("the event %s of %s: %v", id, r.id, e.claims)
		}
		events = append(events, e)
	}
	ack, err := json.Marshal(map[string]any{"ack": ids, "maxEvents": 0, "returnImmediately": true})
	if err != nil {
		r.t.Fatal(err)
	}
	if left := r.call("POST", "/ssf/poll/"+stream, string(ack), 200); len(left["sets"].(map[string]any)) != 0 {
		r.t.Errorf("an acknowledgement alone gives %v", left)
	}
	return events
}

func uris(events []event) (all []string) {
	for _, e := range events {
		all = append(all, strings.TrimPrefix(e.uri, "https://schemas.openid.net/secevent/"))
	}
	return all
}

// The configuration document names what works, and is there only if there are receivers.
func TestDiscovery(t *testing.T) {
	w := testworld.New(t, receivers("app"))
	got := w.Get("/.well-known/ssf-configuration")
	d := got.JSON()
	if got.StatusCode != 200 || d["issuer"] != testworld.Issuer || d["spec_version"] != "1_0" || d["jwks_uri"] != testworld.Issuer+"/jwks" || d["default_subjects"] != "ALL" {
		t.Errorf("got %v", got)
	}
	for _, name := range []string{"configuration_endpoint", "status_endpoint", "add_subject_endpoint", "remove_subject_endpoint", "verification_endpoint"} {
		path := strings.TrimPrefix(d[name].(string), testworld.Issuer)
		if r := w.Post(path, nil); r.StatusCode != 401 || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s without a token: got %v, want 401", name, r)
		}
	}
	metadata := w.Get("/.well-known/openid-configuration").Text
	if !strings.Contains(metadata, "client_credentials") || !strings.Contains(metadata, "ssf.manage") {
		t.Errorf("metadata: got %s", metadata)
	}
	w = testworld.New(t)
	if r := w.Get("/.well-known/ssf-configuration"); r.StatusCode != 404 {
		t.Errorf("without receivers: got %v, want 404", r)
	}
	if metadata := w.Get("/.well-known/openid-configuration").Text; strings.Contains(metadata, "client_credentials") || strings.Contains(metadata, "ssf.") {
		t.Errorf("without receivers: got %s", metadata)
	}
}

// Only a receiver gets a token, and only for its stream.
func TestThreat_TokensOfReceivers(t *testing.T) {
	w := testworld.New(t, receivers("app", "pair"))
	for _, row := range []struct {
		what   string
		client string
		scope  string
		status int
		err    string
	}{
		{"both scopes by default", "app", "", 200, ""},
		{"one", "app", "ssf.read", 200, ""},
		{"a scope of users", "app", "openid", 400, "invalid_scope"},
		{"no receiver", "old", "", 400, "unauthorized_client"},
	} {
		v := url.Values{"grant_type": {"client_credentials"}}
		if row.scope != "" {
			v.Set("scope", row.scope)
		}
		r := w.Post("/token", v, testworld.Basic(row.client, testworld.Secret))
		if r.StatusCode != row.status || row.err != "" && r.JSON()["error"] != row.err {
			t.Errorf("%s: got %v, want %d %s", row.what, r, row.status, row.err)
		}
	}
	if r := w.Post("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"public"}}); r.JSON()["error"] != "unauthorized_client" {
		t.Errorf("a public client: got %v", r)
	}
	app, pair := newReceiver(t, w, "app"), newReceiver(t, w, "pair")
	id := app.stream(`{}`)
	for _, path := range []string{"/ssf/streams?stream_id=" + id, "/ssf/status?stream_id=" + id} {
		pair.call("GET", path, "", 404)
	}
	pair.call("POST", "/ssf/poll/"+id, `{"returnImmediately":true}`, 404)
	pair.call("PATCH", "/ssf/streams", `{"stream_id":"`+id+`","description":"mine"}`, 404)
	pair.call("DELETE", "/ssf/streams?stream_id="+id, "", 404)
	pair.call("POST", "/ssf/verify", `{"stream_id":"`+id+`"}`, 404)

	reads := newReceiver(t, w, "app", "ssf.read")
	reads.call("GET", "/ssf/streams?stream_id="+id, "", 200)
	if refused := reads.call("POST", "/ssf/poll/"+id, `{}`, 403); !strings.Contains(refused["challenge"].(string), "insufficient_scope") {
		t.Errorf("to poll with ssf.read: got %v", refused)
	}
	// A token of a user opens no stream, and one of a receiver nothing else.
	tokens, _ := w.Tokens("app", "openid phone")
	user := app
	for _, user.token = range []string{tokens.Access, "", "x", app.token[:len(app.token)-2] + "AA", app.token + "A"} {
		user.call("GET", "/ssf/streams", "", 401)
	}
	if r := w.Userinfo(app.token); r.StatusCode != 401 {
		t.Errorf("userinfo: got %v, want 401", r)
	}
	if r := w.Introspect(app.token, "app", testworld.Secret); r.JSON()["active"] != false {
		t.Errorf("introspection: got %v", r)
	}
	if r := w.Post("/revoke", url.Values{"token": {app.token}}, testworld.Basic("app", testworld.Secret)); r.JSON()["error"] != "unsupported_token_type" {
		t.Errorf("revocation: got %v", r)
	}
	w.WantNotLogged(app.token)
}

// A token lasts ten minutes, and ends with the client.
func TestTokensEnd(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, receivers("app"))
		app := newReceiver(t, w, "app")
		added, secret := w.AddClient(client.Client{ID: "added", Name: "Added", Signals: true, RedirectURIs: []string{"https://added.example/cb"}})
		r := w.Post("/token", url.Values{"grant_type": {"client_credentials"}}, testworld.Basic(added.ID, secret))
		mine := receiver{t, w, "added", r.JSON()["access_token"].(string)}
		mine.stream(`{}`)
		time.Sleep(10*time.Minute - time.Second)
		app.call("GET", "/ssf/streams", "", 200)
		mine.call("GET", "/ssf/streams", "", 200)
		w.RemoveClient("added")
		mine.call("GET", "/ssf/streams", "", 401)
		added, secret = w.AddClient(client.Client{ID: "added", Name: "Another", Signals: true, RedirectURIs: []string{"https://added.example/cb"}})
		mine.call("GET", "/ssf/streams", "", 401)
		r = w.Post("/token", url.Values{"grant_type": {"client_credentials"}}, testworld.Basic(added.ID, secret))
		mine.token = r.JSON()["access_token"].(string)
		if list := mine.call("GET", "/ssf/streams", "", 200)["list"]; strings.TrimSpace(list.(string)) != "[]" {
			t.Errorf("another client of the ID has the stream of the first: %v", list)
		}
		time.Sleep(2 * time.Second)
		app.call("GET", "/ssf/streams", "", 401)
	})
}

// A receiver creates, reads, changes, replaces and deletes its stream.
func TestStreams(t *testing.T) {
	w := testworld.New(t, receivers("app"))
	app := newReceiver(t, w, "app")
	created := app.call("POST", "/ssf/streams", `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://app.example/events","authorization_header":"Bearer x"},
		"events_requested":["`+caep+`session-revoked","urn:unknown"],"description":"mine"}`, 201)
	id := created["stream_id"].(string)
	if created["aud"] != "app" || created["iss"] != testworld.Issuer || !slices.Equal(created["events_delivered"].([]any), []any{caep + "session-revoked"}) || len(created["events_supported"].([]any)) != 5 {
		t.Errorf("created: %v", created)
	}
	if text, _ := json.Marshal(created); bytes.Contains(text, []byte("Bearer x")) {
		t.Errorf("the header is shown: %s", text)
	}
	app.call("POST", "/ssf/streams", `{}`, 409)
	app.call("GET", "/ssf/streams?stream_id=unknown", "", 404)
	if list := app.call("GET", "/ssf/streams", "", 200)["list"].(string); !strings.HasPrefix(list, `[{"stream_id":"`+id) {
		t.Errorf("list: %s", list)
	}
	patched := app.call("PATCH", "/ssf/streams", `{"stream_id":"`+id+`","iss":"`+testworld.Issuer+`","aud":["app"],"description":"ours"}`, 200)
	if patched["description"] != "ours" || len(patched["events_requested"].([]any)) != 2 {
		t.Errorf("patched: %v", patched)
	}
	for _, body := range []string{`{"stream_id":"` + id + `","iss":"https://other.example"}`, `{"stream_id":"` + id + `","events_delivered":[]}`, `{}`, `;{ broken`, `[]`, `null`,
		`{"stream_id":"` + id + `","delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"http://app.example/"}}`,
		`{"stream_id":"` + id + `","delivery":{"method":"carrier-pigeon"}}`,
		`{"stream_id":"` + id + `","delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://app.example/","authorization_header":"a\nb"}}`} {
		app.call("PATCH", "/ssf/streams", body, 400)
		app.call("PUT", "/ssf/streams", body, 400)
	}
	app.call("PUT", "/ssf/streams", `{"stream_id":"unknown"}`, 404)
	replaced := app.call("PUT", "/ssf/streams", `{"stream_id":"`+id+`"}`, 200)
	delivery := replaced["delivery"].(map[string]any)
	if replaced["description"] != nil || len(replaced["events_delivered"].([]any)) != 5 || delivery["endpoint_url"] != testworld.Issuer+"/ssf/poll/"+id {
		t.Errorf("replaced: %v", replaced)
	}
	for _, status := range []string{"paused", "disabled", "enabled"} {
		if got := app.call("POST", "/ssf/status", `{"stream_id":"`+id+`","status":"`+status+`","reason":"why"}`, 200); got["status"] != status || got["reason"] != "why" {
			t.Errorf("status: %v", got)
		}
		if got := app.call("GET", "/ssf/status?stream_id="+id, "", 200); got["status"] != status {
			t.Errorf("status afterwards: %v", got)
		}
	}
	app.call("POST", "/ssf/status", `{"stream_id":"`+id+`","status":"gone"}`, 400)
	app.call("DELETE", "/ssf/streams?stream_id=unknown", "", 404)
	app.call("DELETE", "/ssf/streams?stream_id="+id, "", 204)
	app.call("GET", "/ssf/status?stream_id="+id, "", 404)
	app.call("DELETE", "/ssf/streams?stream_id="+id, "", 404)
	app.call("PROPFIND", "/ssf/streams", "", 405)
	if n := len(w.Events("stream.created")) + len(w.Events("stream.deleted")); n != 2 {
		t.Errorf("%d events of the audit, want 2", n)
	}
}

// A verification comes with the state, at most once in ten seconds, about the stream.
func TestVerification(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, receivers("app"))
		app := newReceiver(t, w, "app")
		id := app.stream(`{"events_requested":[]}`)
		app.call("POST", "/ssf/verify", `{"stream_id":"`+id+`","state":"some \"state\""}`, 204)
		app.call("POST", "/ssf/verify", `{"stream_id":"`+id+`"}`, 429)
		time.Sleep(10 * time.Second)
		app.call("POST", "/ssf/verify", `{"stream_id":"`+id+`"}`, 204)
		got := app.poll(id)
		if len(got) != 2 || got[0].uri != ssf+"verification" || got[0].body["state"] != `some "state"` || got[0].about() != id || len(got[1].body) != 0 {
			t.Fatalf("got %+v, want two verifications", got)
		}
		if more := app.poll(id); len(more) != 0 {
			t.Errorf("acknowledged events come again: %v", uris(more))
		}
		// A request that may wait gets what comes meanwhile, and an empty response in the end.
		time.Sleep(10 * time.Second)
		go func() {
			time.Sleep(3 * time.Second)
			app.call("POST", "/ssf/verify", `{"stream_id":"`+id+`"}`, 204)
		}()
		begun := time.Now()
		if sets := app.call("POST", "/ssf/poll/"+id, `{"maxEvents":1}`, 200)["sets"].(map[string]any); len(sets) != 1 || time.Since(begun) < 3*time.Second {
			t.Errorf("after %s: got %v, want one event", time.Since(begun), sets)
		}
		app.poll(id)
		if sets := app.call("POST", "/ssf/poll/"+id, `{}`, 200)["sets"].(map[string]any); len(sets) != 0 {
			t.Errorf("got %v, want none", sets)
		}
	})
}

// What a receiver reports as wrong is not sent again, and is in the audit; a request has a bound.
func TestPollErrors(t *testing.T) {
	w := testworld.New(t, receivers("app"))
	app := newReceiver(t, w, "app")
	id := app.stream(`{}`)
	app.call("POST", "/ssf/verify", `{"stream_id":"`+id+`"}`, 204)
	sets := app.call("POST", "/ssf/poll/"+id, `{"returnImmediately":true}`, 200)["sets"].(map[string]any)
	if again := app.call("POST", "/ssf/poll/"+id, `{"returnImmediately":true}`, 200)["sets"].(map[string]any); len(again) != 1 || len(sets) != 1 {
		t.Fatalf("without an acknowledgement: got %v, then %v, want the same event", sets, again)
	}
	for jti := range sets {
		app.call("POST", "/ssf/poll/"+id, `{"returnImmediately":true,"setErrs":{"`+jti+`":{"err":"invalid_state","description":"x"}}}`, 200)
	}
	if more := app.poll(id); len(more) != 0 {
		t.Errorf("it comes again: %v", uris(more))
	}
	if n := len(w.Events("signal.refused")); n != 1 {
		t.Errorf("%d events signal.refused, want 1", n)
	}
	many, err := json.Marshal(map[string]any{"ack": make([]string, 1001)})
	if err != nil {
		t.Fatal(err)
	}
	app.call("POST", "/ssf/poll/"+id, string(many), 400)
	app.call("POST", "/ssf/poll/"+id, `[]`, 400)
	app.call("POST", "/ssf/poll/unknown", `{}`, 404)
}

// FuzzReceiver sends a receiver's requests of any form: none is a failure of ours.
func FuzzReceiver(f *testing.F) {
	for _, body := range []string{`{}`, `{"stream_id":1}`, `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://[::1]:1/"}}`,
		`{"ack":["\u0000"],"maxEvents":-1,"returnImmediately":true,"setErrs":{"":{}}}`, `{"subject":{"format":"iss_sub","iss":"https://id.example","sub":"x"}}`, `{"events_requested":[null]}`} {
		f.Add(body)
	}
	w := testworld.New(f, receivers("app"))
	app := newReceiver(f, w, "app")
	id := app.stream(`{}`)
	f.Fuzz(func(t *testing.T, body string) {
		var object map[string]any
		if json.Unmarshal([]byte(body), &object) == nil && object != nil {
			object["stream_id"], object["returnImmediately"] = id, true
			if raw, err := json.Marshal(object); err == nil {
				body = string(raw)
			}
		}
		token := newReceiver(t, w.In(t), "app").token
		for _, target := range []string{"POST /ssf/streams", "PATCH /ssf/streams", "PUT /ssf/streams", "POST /ssf/status", "POST /ssf/subjects/add", "POST /ssf/subjects/remove",
			"POST /ssf/verify", "POST /ssf/poll/" + id} {
			method, path, _ := strings.Cut(target, " ")
			r := httptest.NewRequest(method, testworld.Issuer+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			if got := w.In(t).Do(r); got.StatusCode >= 500 {
				t.Errorf("%s with %q: got %v", target, body, got)
			}
		}
	})
}
