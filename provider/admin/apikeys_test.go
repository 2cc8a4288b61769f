// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
)

// with makes a request as one on admin_listen is made.
func (a *api) with(key, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequestWithContext(a.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:1234"
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

func (a *api) apiKey(scopes string) admin.APIKey {
	a.t.Helper()
	var k admin.APIKey
	a.call("POST", "/v1/api-keys", `{"name":"ops","scopes":["`+strings.ReplaceAll(scopes, " ", `","`)+`"],"expires_in":3600}`, 201, &k)
	return k
}

func TestAPIKeys(t *testing.T) {
	a := newAPI(t)
	k := a.apiKey("clients:read api_keys:write")
	if !strings.HasPrefix(k.Key, "calleridp_"+k.ID) || len(k.Key) != 64 || k.By != "uid 7" || time.Until(k.Expires) > time.Hour {
		t.Fatalf("added %+v", k)
	}
	var all []admin.APIKey
	a.check("with the key", a.with(k.Key, "GET", "/v1/clients", ""), 200, &all)
	var p admin.Problem
	a.check("without its scope", a.with(k.Key, "DELETE", "/v1/clients/fixed", ""), 403, &p)
	if !strings.Contains(p.Detail, "clients:write") {
		t.Errorf("got %q", p.Detail)
	}
	a.call("GET", "/v1/api-keys", "", 200, &all)
	if len(all) != 1 || all[0].Key != "" || all[0].LastUsed.IsZero() || all[0].ID != k.ID {
		t.Errorf("listed %+v", all)
	}

	// It makes no key that may do more, or lives longer.
	add := func(scope string, seconds string, status int) (made admin.APIKey) {
		t.Helper()
		w := a.with(k.Key, "POST", "/v1/api-keys", `{"name":"more","scopes":["`+scope+`"],"expires_in":`+seconds+`}`)
		if w.Code != status {
			t.Errorf("%s for %s s: got %d %s, want %d", scope, seconds, w.Code, w.Body, status)
		}
		if status == 201 {
			a.check("made", w, 201, &made)
		}
		return made
	}
	add("clients:write", "60", 403)
	add("*:read", "60", 403)
	add("*", "60", 403)
	add("clients:read", "3700", 403)
	add("clients:reads", "60", 422)
	add("clients:read", "59", 422)
	add("clients:read", "99999999999", 422)
	made := add("clients:read", "60", 201)
	if made.By != "key ops ("+k.ID+")" {
		t.Errorf("made by %q", made.By)
	}
	if !strings.Contains(a.audit.String(), `msg=api_key.added of=`+made.ID+` scope=clients:read operator="key ops (`+k.ID+`)"`) {
		t.Errorf("the audit does not say who made it:\n%s", a.audit)
	}

	a.call("DELETE", "/v1/api-keys/"+k.ID, "", 200, &p)
	a.refuses("DELETE", "/v1/api-keys/"+k.ID, "", 404, "there is no API key")
	a.check("removed", a.with(k.Key, "GET", "/v1/clients", ""), 401, &p)
	if a.with(made.Key, "GET", "/v1/clients", "").Code != 200 {
		t.Error("a key that it has made went with it")
	}
	for _, secret := range []string{k.Key[21:], made.Key[21:]} {
		if strings.Contains(a.audit.String(), secret) {
			t.Error("a key is in the audit")
		}
	}
}

func TestWrongAPIKeys(t *testing.T) {
	a := newAPI(t)
	k := a.apiKey("*").Key
	flip := func(s string, at int) string {
		b := []byte(s)
		b[at] = map[bool]byte{true: 'B', false: 'A'}[b[at] == 'A']
		return string(b)
	}
	wrong := []string{"x", k[:len(k)-1], k + "A", flip(k, 12), flip(k, 30), strings.ToLower(k), "calleridp_"}
	for _, key := range wrong {
		w := a.with(key, "GET", "/v1/clients", "")
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" || strings.Contains(w.Body.String(), key) && len(key) > 20 {
			t.Errorf("%s: got %d %v %s", key, w.Code, w.Header(), w.Body)
		}
	}
	if w := a.with("", "GET", "/v1/clients", "", "Authorization", "Basic "+k); w.Code != 401 {
		t.Errorf("another scheme: got %d", w.Code)
	}
	if w := a.with("", "GET", "/v1/clients", "", "Cookie", "key="+k, "Origin", "https://x.example.com"); w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a cookie: got %d %v", w.Code, w.Header())
	}
	if n := strings.Count(a.audit.String(), "msg=api_key.refused network=192.0.2.7/32"); n != len(wrong)+1 {
		t.Errorf("%d lines for %d wrong keys:\n%s", n, len(wrong)+1, a.audit)
	}
	// After some, a network is told to wait, and the audit has no more lines of it.
	for range 30 {
		a.with("x", "GET", "/v1/clients", "")
	}
	lines := strings.Count(a.audit.String(), "msg=api_key.refused")
	for _, key := range wrong {
		if w := a.with(key, "GET", "/v1/clients", ""); w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("after 38 wrong keys: got %d", w.Code)
		}
	}
	if n := strings.Count(a.audit.String(), "msg=api_key.refused"); n != lines {
		t.Errorf("%d lines of wrong keys after %d", n, lines)
	}
}

// Programs of one network, behind one address perhaps, do not lock each other out: whoever
// presents wrong keys there, a valid one is served.
func TestThreat_WrongAPIKeysLockNoOtherOut(t *testing.T) {
	a := newAPI(t)
	k := a.apiKey("*").Key
	for range 40 {
		a.with(k[:len(k)-1]+"~", "GET", "/v1/clients", "")
	}
	if w := a.with(k+"A", "GET", "/v1/clients", ""); w.Code != 429 {
		t.Fatalf("after 40 wrong keys, another one: got %d, want 429", w.Code)
	}
	if w := a.with(k, "GET", "/v1/clients", ""); w.Code != 200 {
		t.Errorf("a valid key of the same network: got %d %s, want 200", w.Code, w.Body)
	}
}

// A key ends when it says, also before the store forgets it, and a network may try again
// after a minute.
func TestAPIKeysExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := keyStore{}
		k, text := apikey.New("ops", []apikey.Scope{apikey.ClientsRead}, "uid 7", time.Now(), time.Hour)
		store[k.ID] = k
		if got, err := apikey.Authenticate(t.Context(), store, text, time.Now()); err != nil || got.ID != k.ID || store[k.ID].LastUsed.IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
		used := store[k.ID].LastUsed
		time.Sleep(59 * time.Second)
		if _, err := apikey.Authenticate(t.Context(), store, text, time.Now()); err != nil || store[k.ID].LastUsed != used {
			t.Errorf("used within a minute: %v, and written again", err)
		}
		time.Sleep(time.Hour)
		if _, err := apikey.Authenticate(t.Context(), store, text, time.Now()); err != apikey.ErrUnauthenticated {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestEveryScopeIsUsed(t *testing.T) {
	a := newAPI(t)
	document := a.do("GET", "/openapi.json", "").Body.String()
	for _, s := range apikey.Scopes {
		if s != apikey.AuditRead && !strings.Contains(document, `"`+string(s)+`"`) {
			t.Errorf("no operation needs %s", s)
		}
	}
}

// What is sent twice with a key is done once, by each caller.
func TestIdempotencyKeys(t *testing.T) {
	a := newAPI(t)
	const body = `{"client_name":"Shop","redirect_uris":["https://shop.example.com/cb"]}`
	var first, second, other admin.Client
	var p admin.Problem
	key := []string{"Idempotency-Key", "order-4711"}
	a.check("first", a.do("POST", "/v1/clients", body, key...), 201, &first)
	headers := a.check("second", a.do("POST", "/v1/clients", body, key...), 201, &second)
	if second.ID != first.ID || second.Secret != "" || first.Secret == "" || headers.Get("Idempotency-Replayed") != "true" || headers.Get("Location") == "" {
		t.Errorf("sent again: %+v %v", second, headers)
	}
	a.check("another body", a.do("POST", "/v1/clients", strings.Replace(body, "Shop", "Shop 2", 1), key...), 422, &p)
	a.check("another key", a.do("POST", "/v1/clients", body, "Idempotency-Key", "order-4712"), 201, &other)
	if other.ID == first.ID || other.Secret == "" {
		t.Errorf("with another key: %+v", other)
	}
	a.check("another operation", a.do("POST", "/v1/clients/"+first.ID+"/secret", "", key...), 200, &other)
	k := a.apiKey("*").Key
	a.check("another caller", a.with(k, "POST", "/v1/clients", body, key...), 201, &other)
	if other.ID == first.ID {
		t.Error("one caller got the response of another one")
	}
	a.check("a short key", a.do("POST", "/v1/clients", body, "Idempotency-Key", "1"), 422, &p)

	// What was refused was not done, and may be tried again.
	var all []admin.Client
	taken := `{"client_id":"fixed","client_name":"Shop","redirect_uris":["https://shop.example.com/cb"]}`
	again := []string{"Idempotency-Key", "order-4713"}
	a.check("refused", a.do("POST", "/v1/clients", taken, again...), 409, &p)
	a.check("tried again", a.do("POST", "/v1/clients", strings.Replace(taken, "fixed", "free", 1), again...), 201, &other)
	if a.call("GET", "/v1/clients", "", 200, &all); len(all) != 5 {
		t.Errorf("%d clients, want 5", len(all))
	}
	// The store has no secret, also not in what it has sealed.
	stored, _, err := a.store.BeginRequest(t.Context(), request("uid 7", "add-client", "order-4711"))
	if err != nil || len(stored.Response) == 0 || strings.Contains(string(stored.Response), first.Secret) {
		t.Errorf("stored: %s, %v", stored.Response, err)
	}
	// One whose end is not known is not done.
	if _, began, err := a.store.BeginRequest(t.Context(), request("uid 7", "add-client", "order-4714")); err != nil || !began {
		t.Fatal(began, err)
	}
	w := a.do("POST", "/v1/clients", body, "Idempotency-Key", "order-4714")
	if w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusConflict {
		t.Errorf("not done yet: got %d %s", w.Code, w.Body)
	}
	if a.call("GET", "/v1/clients", "", 200, &all); len(all) != 5 {
		t.Errorf("%d clients, want 5", len(all))
	}
	if i := slices.IndexFunc(all, func(c admin.Client) bool { return c.Secret != "" }); i >= 0 {
		t.Errorf("a list has a secret: %+v", all[i])
	}
}
