// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The same over a network: a push and a link, each up to the profile, and a callback to
// a closed port.
func TestOverHTTP(t *testing.T) {
	taken := make(chan map[string]string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		taken <- body
	}))
	defer receiver.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	sim := New(Config{Apps: []App{{Name: "Lingon", Key: "key", CallbackURL: receiver.URL}}})
	defer sim.Close()
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	do := func(method, path, body string, header http.Header) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(raw)
	}

	if status, body := do("POST", "/v1/apps/requests", `{"phoneNumber":46701740605}`, http.Header{"Appkey": {"key"}}); status != 200 {
		t.Fatalf("the push got %d %s, want 200", status, body)
	}
	pushed := <-taken
	if status, body := do("POST", "/sim/open", `{"link":"`+goodLink+`","phone":"46701740605"}`, http.Header{}); status != 200 {
		t.Fatalf("opening the link got %d %s, want 200", status, body)
	}
	invoked, tapped := <-taken, <-taken
	if invoked["status"] != "flow_invoked" || tapped["endpoint"] != server.URL+"/v1/default" {
		t.Errorf("the callbacks are %v and %v, want flow_invoked, then the simulator's endpoint", invoked, tapped)
	}
	for _, callback := range []map[string]string{pushed, tapped} {
		if status, body := do("GET", "/v1/default", "", http.Header{"Authorization": {"Bearer " + callback["accessToken"]}}); status != 200 || !strings.Contains(body, "46701740605") {
			t.Errorf("the profile is %d %s, want 200 and the number", status, body)
		}
	}
	if status, body := do("POST", "/sim/callback", `{"url":"`+gone.URL+`","body":{}}`, http.Header{}); status != 502 || !strings.Contains(body, "refused") || strings.Contains(body, gone.URL) {
		t.Errorf("a callback to a closed port: %d %s, want 502 without the address", status, body)
	}
}
