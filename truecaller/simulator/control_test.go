// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A callback of a test's own choosing is sent once, whatever the response.
func TestSendCallback(t *testing.T) {
	inBubble(t, func(w *world) {
		if status, body := w.do("POST", "/sim/callback", `{"body":{"requestId":"x","status":"flow_invoked"}}`); status != 200 || body != `{"ms":0,"status":200}` {
			t.Errorf("a callback was sent with %d %s, want 200 and the receiver's 200", status, body)
		}
		if c := w.callback(); c["requestId"] != "x" || c["status"] != "flow_invoked" {
			t.Errorf("the callback is %v, want requestId x and flow_invoked", c)
		}
		w.answer = func() (int, error) { return 500, nil }
		if status, body := w.do("POST", "/sim/callback", `{"url":"https://id.example/guess","body":"{\"as it is\":\"\"}"}`); status != 200 || !strings.Contains(body, `"status":500`) {
			t.Errorf("a callback of any text was sent with %d %s, want 200 and the receiver's 500", status, body)
		}
		w.answer = func() (int, error) { return 0, errors.New("connection refused") }
		if status, body := w.do("POST", "/sim/callback", `{"url":"https://id.example/secret","body":{}}`); status != 502 || body != `{"error":"connection refused"}` {
			t.Errorf("a callback to a closed port: %d %s, want 502 without the address", status, body)
		}
		time.Sleep(time.Hour)
		made := w.deliveries()
		if len(made) != 3 || made[0].path != "/lingon" || made[1].path != "/guess" || made[1].body["as it is"] != "" {
			t.Errorf("the callbacks are %+v, want three: to /lingon, then to /guess as it was given", made)
		}
		for _, body := range []string{``, `{`, `[]`, `{"url":7}`} {
			if status, _ := w.do("POST", "/sim/callback", body); status != 400 {
				t.Errorf("the body %q got %d, want 400", body, status)
			}
		}
	})
}

// The log has each request and callback with its response, and no whole token.
func TestLog(t *testing.T) {
	inBubble(t, func(w *world) {
		answers := []int{500, 200}
		w.answer = func() (status int, err error) { status, answers = answers[0], answers[1:]; return }
		w.push("05")
		token := w.callback()["accessToken"]
		time.Sleep(time.Second) // until the response is in the log
		w.profile(token)
		w.do("GET", "/v1/default", "", "Authorization", token)
		w.do("POST", "/v1/apps/requests", `{"phoneNumber":46701740605}`)
		var got []string
		for _, e := range w.events() {
			got = append(got, fmt.Sprintf("%s %s %s %v %d", e.What, e.App, e.Phone, e.AppKey, e.Status))
			if e.At.IsZero() || e.What == "push" && e.Status == 200 && e.RequestID == "" {
				t.Errorf("the event %+v has no time, or its push no requestId", e)
			}
		}
		want := []string{
			"push Lingon 46701740605 true 200", "callback Lingon  false 500", "callback Lingon  false 200",
			"profile Lingon 46701740605 false 200", "profile   false 401", "push  46701740605 false 404",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("log\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if _, log := w.do("GET", "/sim/log", ""); strings.Contains(log, token) || !strings.Contains(log, `"accessToken":"`+token[:6]+`..."`) {
			t.Errorf("the log is %s, want a shortened token", log)
		}
	})
}

// Why a callback was not taken is in the log, without the address, whose path is
// a secret.
func TestLogSaysWhyNobodyAnswers(t *testing.T) {
	inBubble(t, func(w *world) {
		w.answer = func() (int, error) { return 0, errors.New("connection refused") }
		w.push("05")
		time.Sleep(time.Minute)
		tries := 0
		for _, e := range w.events() {
			if e.What == "callback" {
				if tries++; e.Status != 0 || e.Error != "connection refused" {
					t.Errorf("the event of a callback without a response is %+v, want status 0 and the cause", e)
				}
			}
		}
		if tries != 4 {
			t.Errorf("the log has %d tries, want 4", tries)
		}
	})
}

// However much comes, what is kept has an end.
func TestBounds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sim.http = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
		})}
		var token string
		for i := range keptTokens + 10 {
			req := w.sim.keep(&request{ID: fmt.Sprint(i), Number: fiction + "05", app: &w.sim.cfg.Apps[0]})
			w.sim.decide(req, approve)
			if i == 0 {
				token = w.sim.tokens.keys[0]
			}
		}
		for range keptTokens + 10 {
			w.sdk("05", "")
		}
		for range 3 {
			w.do("POST", "/v1/apps/requests", `{"phoneNumber":"`+strings.Repeat("4", 15<<10)+`"}`, "appKey", "key")
			w.do("POST", "/v1/apps/requests", strings.Repeat("x", 1<<20), "appKey", "key")
			w.do("POST", "/sim/open", `{"link":"`+goodLink+strings.Repeat("&x=y", 1000)+`"}`)
		}
		for what, n := range map[string][2]int{
			"tokens": {len(w.sim.tokens.byKey), keptTokens}, "their keys": {len(w.sim.tokens.keys), keptTokens}, "codes": {len(w.sim.codes.byKey), keptTokens},
			"requests": {len(w.sim.requests.byKey), 2000}, "events": {len(w.sim.log), keptEvents},
		} {
			if n[0] > n[1] || n[0] < n[1]/2 {
				t.Errorf("%d %s, want at most %d", n[0], what, n[1])
			}
		}
		if status, _ := w.profile(token); status != 401 {
			t.Errorf("the profile of the oldest token: %d, want 401", status)
		}
		for _, e := range w.sim.log {
			if len(e.Body) > keptBody || len(e.Phone) > keptText || len(e.Error) > keptText || len(e.Warnings) > maxWarnings {
				t.Fatalf("the event %+v is longer than its bounds", e)
			}
		}
	})
}

func TestTokensAreBearers(t *testing.T) {
	inBubble(t, func(w *world) {
		w.push("05")
		access, native := w.callback()["accessToken"], w.nativeSignIn("05", "")
		for path, token := range map[string]string{"/v1/default": access, "/v1/userinfo": native} {
			for _, row := range []struct {
				header string
				status int
			}{
				{"Bearer " + token, 200}, {token, 401}, {"bearer " + token, 401}, {"Basic " + token, 401}, {"Bearer", 401}, {"Bearer ", 401}, {"", 401},
				{"Bearer guess", 401}, {"Bearer " + token + "x", 401},
			} {
				if status, _ := w.do("GET", path, "", "Authorization", row.header); status != row.status {
					t.Errorf("%s with the header %.12q: %d, want %d", path, row.header, status, row.status)
				}
			}
			if status, _ := w.do("GET", path+"?access_token="+token, ""); status != 401 {
				t.Errorf("%s with the token in the address: %d, want 401", path, status)
			}
		}
		if status, _ := w.do("GET", "/v1/default", "", "Authorization", "Bearer "+native); status != 401 {
			t.Errorf("a profile with a native token: %d, want 401", status)
		}
	})
}

// A page of another site cannot press the phone's buttons, open links or send callbacks;
// a client without a page can.
func TestOtherSitesAreRefused(t *testing.T) {
	inBubble(t, func(w *world) {
		w.push("07")
		id := w.pending("07")[0].RequestID
		forms := map[string]string{
			"/phone":      url.Values{"request": {id}, "decision": {approve}}.Encode(),
			"/phone/open": url.Values{"link": {goodLink}}.Encode(),
			"/sim/open":   `{"link":"` + goodLink + `"}`,
			"/sim/requests/" + url.PathEscape(id) + "/approve": "",
			"/sim/callback":     `{"body":{}}`,
			"/sim/native/codes": url.Values{"phone": {fiction + "05"}, "code_challenge": {challengeOf(pkceVerifier)}}.Encode(),
		}
		for path, body := range forms {
			for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
				if status, _ := w.do("POST", path, body, "Content-Type", "application/x-www-form-urlencoded", header[0], header[1]); status != 403 {
					t.Errorf("%s with %v: %d, want 403", path, header, status)
				}
			}
		}
		if n := len(w.deliveries()); n != 0 || len(w.pending("07")) != 1 {
			t.Fatalf("%d callbacks after forged requests, want 0 and one pending request", n)
		}
		for path, body := range forms {
			if status, answer := w.do("POST", path, body, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"); status >= 400 && status != 409 {
				t.Errorf("%s from its own page: %d %s, want success", path, status, answer)
			}
		}
	})
}

// A page whose host name was made to lead to this machine is of one origin with the
// simulator, and reaches nothing of it all the same.
func TestThreat_DNSRebinding(t *testing.T) {
	reached := OnThisMachine(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for host, want := range map[string]int{
		"127.0.0.1:9441":           204,
		"127.0.0.1":                204,
		"[::1]:9441":               204,
		"localhost:9441":           204,
		"phone.localhost":          204,
		"evil.example:9441":        421,
		"evil.example":             421,
		"127.0.0.1.evil.example":   421,
		"localhost.evil.example":   421,
		"evil.example@127.0.0.1:1": 421,
		"192.0.2.1:9441":           421,
		"":                         421,
	} {
		r := httptest.NewRequest("GET", "/sim/log", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if reached.ServeHTTP(w, r); w.Code != want {
			t.Errorf("Host %q got %d, want %d", host, w.Code, want)
		}
	}
}
