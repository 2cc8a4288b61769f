// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counted records its calls.
type counted struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counted) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *counted) Callback(_ context.Context, app string, o CallbackOutcome, _ time.Duration) {
	c.add(app + " " + string(o))
}
func (c *counted) Delivered(_ context.Context, app string, failed bool, _ time.Duration) {
	if failed { // a sweep that has read the inbox before may try a delivery once more
		c.add(app + " delivery failed")
	}
}
func (c *counted) HeldBack(p Purpose) { c.add(string(p) + " held back") }
func (c *counted) Asked(_ context.Context, p Purpose, o Outcome, took time.Duration) {
	c.add(fmt.Sprint(p, " ", o, " ", took))
}

func (c *counted) want(t *testing.T, want map[string]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if fmt.Sprint(c.n) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", c.n, want)
	}
}

// The last callback is one that was taken, not what anybody may send.
func TestLastCallback(t *testing.T) {
	w := newWorld(t)
	for path, body := range map[string]string{"/callback/main/secret-one": "{", "/callback/main/wrong": callbackBody} {
		if w.post(path, body); !w.rc.LastCallback().IsZero() {
			t.Errorf("after %q at %s: got %s", body, path, w.rc.LastCallback())
		}
	}
	before := time.Now()
	w.post("/callback/main/secret-one", callbackBody)
	if last := w.rc.LastCallback(); last.Before(before.Truncate(0)) || last.After(time.Now()) {
		t.Errorf("got %s, want after %s", last, before)
	}
}

// Each request at a callback path has one outcome, and every outcome a response.
func TestCallbackOutcomes(t *testing.T) {
	w := newWorld(t)
	var c counted
	w.rc.cfg.Observer = &c
	const path = "/callback/main/secret-one"
	w.post(path, callbackBody)
	w.post(path, callbackBody)
	w.post(path, `{`)
	w.post(path, strings.Repeat(" ", MaxCallback+1))
	w.post(path, callbackBody, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
	w.post(path, "", func(r *http.Request) { r.Method = "GET" })
	w.post(path, "", func(r *http.Request) { r.Body = http.MaxBytesReader(nil, brokenBody{}, 10) })
	w.post("/callback/main/wrong", callbackBody)
	w.post("/callback/46701740605/"+ourState, callbackBody)
	w.set(func() { w.expects = func(Callback) (bool, error) { return false, nil } })
	w.post(path, callbackBody)
	w.set(func() { w.expects = func(Callback) (bool, error) { return false, errStore } })
	w.post(path, callbackBody)
	c.want(t, map[string]int{
		"main accepted": 2, "main malformed": 1, "main too_large": 1, "main compressed": 1, "main wrong_method": 1, "main cut_off": 1,
		" wrong_path": 2, "main unknown": 1, "main not_stored": 1,
	})
	if !strings.Contains(w.log.String(), errStore.Error()) {
		t.Error("the log does not say why one was not stored")
	}
	checkDiscreet(t, w.log.String())
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }
func (brokenBody) Close() error             { return nil }

// A foreign endpoint is found out by the worker.
func TestBadEndpointIsCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var c counted
		w.rc.cfg.Observer = &c
		stop := w.run()
		w.post("/callback/main/secret-one", `{"requestId":"r","state":"s","accessToken":"token-x","endpoint":"https://evil.example/v1/default"}`)
		synctest.Wait()
		stop()
		c.want(t, map[string]int{"main accepted": 1, "main bad_endpoint": 1})
	})
}

// A flood of callbacks does not fill the log: it has one line of a kind, and in each
// interval the number of the others. Accepted callbacks are all logged.
func TestInvariant4_AFloodDoesNotFillTheLog(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.rc.cfg.From = func(*http.Request) string { return "192.0.2.7" }
		stop := w.run()
		for range 1000 {
			w.post("/callback/main/wrong", callbackBody)
			w.post("/callback/"+ourState+"/wrong", callbackBody)
			w.post("/callback/main/secret-one", "{")
		}
		for i := range 5 {
			w.post("/callback/main/secret-one", fmt.Sprintf(`{"requestId":"r%d","status":"flow_invoked"}`, i))
		}
		w.sums.Flush()
		lines := func(what string) int { return strings.Count(w.log.String(), what) }
		for what, n := range map[string]int{
			`"msg":"callback","app":"","outcome":"wrong_path","from":"192.0.2.7"`:                   1,
			`"msg":"callback","app":"","outcome":"wrong_path","more":1999`:                          1,
			`"level":"WARN","msg":"callback","app":"main","outcome":"malformed","from":"192.0.2.7"`: 1,
			`"level":"WARN","msg":"callback","app":"main","outcome":"malformed","more":999`:         1,
			`"msg":"callback","app":"main","outcome":"accepted"`:                                    5,
			"\n": 9,
		} {
			if got := lines(what); got != n {
				t.Errorf("%d times %s, want %d", got, what, n)
			}
		}
		stop()
		checkDiscreet(t, w.log.String())
	})
}

func TestRequestsAreCounted(t *testing.T) {
	inAPIBubble(t, func(t *testing.T, a *api) {
		var c counted
		a.client.observer = &c
		slowly := func(status int, body string) func(*http.Request) (*http.Response, error) {
			return func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Second)
				return says(status, body)(r)
			}
		}
		permit, err := a.client.Admit(a.app)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // between the permit and the push; not the request's time
		a.answer = slowly(200, goodReply)
		a.client.Push(t.Context(), permit, a.app, number(t, typed), ourState)
		a.pushes(1, slowly(403, `{"code":1008}`))
		a.pushes(openAfter, slowly(503, ""))
		a.push()
		a.answer = slowly(200, goodBody)
		fetch := func() { a.client.FetchProfile(t.Context(), a.app, "", bearer) }
		fetch()
		a.answer = slowly(401, "")
		fetch()
		a.answer = slowly(200, strings.Repeat(" ", 300<<10))
		fetch()
		a.answer = slowly(500, "")
		fetch()
		a.app.OAuth, a.app.NativeClientID = a.app.API, "client"
		for _, status := range []int{400, 401, 418, 503} {
			a.answer = slowly(status, "")
			a.client.ExchangeCode(t.Context(), new(Permit), a.app, "code", strings.Repeat("v", 43))
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		a.answer = func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }
		a.client.FetchProfile(gone, a.app, "", bearer)
		c.want(t, map[string]int{
			"profile interrupted 0s": 1, "push ok 1s": 1, "push no_account 1s": 1, "push unavailable 1s": openAfter, "push held back": 1,
			"profile ok 1s": 1, "profile refused 1s": 1, "profile unusable 1s": 1, "profile unavailable 1s": 1,
			"token refused 1s": 1, "token id_rejected 1s": 1, "token unusable 1s": 1, "token unavailable 1s": 1,
		})
	})
}
