// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a simulator with two apps, and a receiver of their callbacks. It has no
// network, so that it can run in a bubble of synctest, where hours pass at once;
// TestOverHTTP has one.
type world struct {
	t       *testing.T
	sim     *Simulator
	handler http.Handler
	url     string
	begun   time.Time

	// answer returns the status of the response to the next callback, or the error
	// without one. nil: 200.
	answer func() (int, error)

	mu        sync.Mutex
	delivered []delivery
	arrived   chan map[string]string // the bodies of those that got 200
}

// delivery is one try to deliver a callback.
type delivery struct {
	after time.Duration // since the world began
	path  string        // of the callback URL
	body  map[string]string
}

// roundTrip takes callbacks without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newWorld(t *testing.T) *world {
	w := &world{t: t, url: "http://127.0.0.1:9441", begun: time.Now(), arrived: make(chan map[string]string, 100)}
	w.sim = New(Config{
		Apps: []App{
			{Name: "Lingon", Key: "key", CallbackURL: "https://id.example/lingon", NativeClientID: "native-id"},
			{Name: "Other", Key: "other-key", CallbackURL: "https://id.example/other"},
		},
		HTTP: &http.Client{Transport: roundTrip(w.take)},
	})
	t.Cleanup(w.sim.Close)
	w.handler = w.sim.Handler()
	return w
}

// inBubble runs a test with a world whose clock is fake. It ends when all goroutines in it
// wait for Close.
func inBubble(t *testing.T, run func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(newWorld(t)) })
}

func (w *world) take(r *http.Request) (*http.Response, error) {
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		w.t.Errorf("the callback is %s %v (%v), want a POST of JSON", r.Method, r.Header, err)
	}
	w.mu.Lock()
	w.delivered = append(w.delivered, delivery{time.Since(w.begun), r.URL.Path, body})
	status, err := http.StatusOK, error(nil)
	if w.answer != nil {
		status, err = w.answer()
	}
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if status == http.StatusOK {
		w.arrived <- body
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://id.example/elsewhere"}}, Body: http.NoBody, Request: r}, nil
}

func (w *world) deliveries() []delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]delivery(nil), w.delivered...)
}

func (w *world) do(method, path, body string, header ...string) (int, string) {
	w.t.Helper()
	answer := w.send(method, path, body, header...)
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(raw)
}

func (w *world) send(method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, w.url+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer.Result()
}

// get decodes a response into out.
func (w *world) get(path string, out any) {
	w.t.Helper()
	status, body := w.do("GET", path, "")
	if err := json.Unmarshal([]byte(body), out); status != http.StatusOK || err != nil {
		w.t.Fatalf("%s: %d %v %.200s, want 200 and JSON", path, status, err, body)
	}
}

func (w *world) push(xx string) (int, string) {
	return w.do("POST", "/v1/apps/requests", `{"phoneNumber":`+fiction+xx+`,"state":"our-state"}`, "appKey", "key")
}

// callback is the next that arrives.
func (w *world) callback() map[string]string {
	w.t.Helper()
	select {
	case body := <-w.arrived:
		return body
	case <-time.After(time.Minute):
		w.t.Fatal("no callback within a minute")
		return nil
	}
}

func (w *world) profile(token string) (int, map[string]any) {
	w.t.Helper()
	status, body := w.do("GET", "/v1/default", "", "Authorization", "Bearer "+token)
	var profile map[string]any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&profile); err != nil {
		w.t.Fatalf("profile: %v: %.200s", err, body)
	}
	return status, profile
}

// pending is what the phone with a number of the table shows.
func (w *world) pending(xx string) (all []Pending) {
	w.t.Helper()
	w.get("/sim/requests?phone="+fiction+xx, &all)
	return all
}

func (w *world) events() []Event {
	w.t.Helper()
	var log struct{ Events []Event }
	w.get("/sim/log", &log)
	return log.Events
}
