// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

const (
	// maxKept is what an attempt keeps of an authorization request at most, in bytes.
	maxKept = 8 << 10
	// maxForm is what the endpoints for our own forms read at most, in bytes.
	maxForm = 32 << 10
)

// Whatever the authorization endpoint accepts, the forms of its pages can send, and
// the attempt keeps little of it: an attacker can make ten thousand attempts an hour,
// and a large state in each would fill the disk.
func TestThreat_WhatAnAttemptKeepsIsBounded(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		long := "https://app.example/" + strings.Repeat("&", 2000)
		third := client.Client{ID: "long", SecretHashes: c.Clients[0].SecretHashes, Consent: client.ConsentAlways, RedirectURIs: []string{long}}
		c.Clients = append(c.Clients, third)
	})
	random := rand.New(rand.NewPCG(1, 2))
	// Each is written in another way: as it is, escaped by JSON, for HTML, or in a URL.
	alphabet := []string{"a", "<", `"`, `\`, "&", "\x01", "\u2028", "ä", "🙂", " "}
	text := func() string {
		size := 1 << random.IntN(14)
		return strings.Repeat(alphabet[random.IntN(len(alphabet))], size)
	}
	accepted, refused, largest := 0, 0, 0
	for i := range 300 {
		id := []string{"app", "long"}[i%2]
		request := testworld.AuthRequest(id, "state", text(), "nonce", text(), "login_hint", text(),
			"ui_locales", strings.TrimSpace(strings.Repeat("sv-"+strings.Repeat("x", 30)+" ", random.IntN(40))))
		if id == "long" {
			request.Set("redirect_uri", "https://app.example/"+strings.Repeat("&", 2000))
		}
		if random.IntN(2) == 0 { // one of them alone decides
			request.Set([]string{"state", "nonce"}[random.IntN(2)], "x")
		}
		page := w.Get("/authorize?" + request.Encode())
		name, view := page.Page()
		if name != "signin" {
			refused++
			wantRefusedForSize(t, page, request)
			continue
		}
		accepted++
		what := fmt.Sprintf("state of %d, nonce of %d bytes", len(request.Get("state")), len(request.Get("nonce")))
		sealed := view["Request"].(string)
		if n := len(url.Values{"request": {sealed}}.Encode()); n > maxForm/2 {
			t.Fatalf("%s: got a form of %d bytes, want at most %d", what, n, maxForm/2)
		}
		number := fmt.Sprintf("+4670174%04d", i)
		attempt := w.SubmitApproved(page, number)
		a, err := w.Engine.Get(t.Context(), attempt, testworld.Browser)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, len(a.Request))
		if len(a.Request) > maxKept {
			t.Fatalf("%s: got an attempt that keeps %d bytes, want at most %d", what, len(a.Request), maxKept)
		}
		done, err := w.Continue(attempt)
		if err != nil {
			t.Fatal(err)
		}
		response := done.Response
		if id == "long" {
			consented := w.Allow(done.Consent.Request, testworld.SessionCookie(done.Session))
			_, query := consented.Redirect()
			if consented.StatusCode != 303 || query.Get("state") != request.Get("state") {
				t.Fatalf("%s: got %v after consent, want the state", what, consented)
			}
		} else if got := testworld.Param(response, "state"); got != request.Get("state") {
			t.Fatalf("%s: got a state of %d bytes back, want the same", what, len(got))
		}
	}
	if accepted < 50 || refused < 50 || largest < maxKept/2 {
		t.Errorf("got %d accepted, %d refused, at most %d bytes kept; want enough of each", accepted, refused, largest)
	}
}

// wantRefusedForSize fails the test unless a request that is too large was refused in
// the right way: the client hears of it with its state. A state that is itself too
// large cannot go back whole, and no response may lack it (RFC 6749 §4.1.2.1).
func wantRefusedForSize(t *testing.T, got testworld.Response, request url.Values) {
	t.Helper()
	if len(request.Get("state")) > 4096 || len(request.Encode()) > maxForm {
		got.WantErrorPage(t, "a large request", 413, "too_large")
		return
	}
	at, query := got.Redirect()
	if got.StatusCode != 303 || at != request.Get("redirect_uri") || query.Get("error") != "invalid_request" ||
		query.Get("state") != request.Get("state") || query.Get("iss") != testworld.Issuer {
		t.Fatalf("got %v, want invalid_request with the state of %d bytes", got, len(request.Get("state")))
	}
}

// A state of 4 KiB and a nonce of 1 KiB always fit in the characters that RFC 6749
// appendix A.5 allows, with the longest redirect URI; a byte more does not.
func TestLongStateAndNonce(t *testing.T) {
	w := testworld.New(t)
	for _, character := range []string{"<", "a", "~", " ", "&", "+"} {
		state, nonce := strings.Repeat(character, 4096), strings.Repeat(character, 1024)
		w.Authorize("app", "state", state, "nonce", nonce).WantPage(t, "the longest of "+character, "signin")
		for mode, status := range map[string]int{"query": 303, "form_post": 200} {
			refused := w.Authorize("app", "state", state, "nonce", nonce+character, "response_mode", mode)
			if refused.StatusCode != status || !strings.Contains(refused.Header.Get("Location")+refused.Text, "nonce+is+longer") &&
				!strings.Contains(refused.Text, "nonce is longer") {
				t.Errorf("a nonce of 1025 %q in mode %s: got %v, want invalid_request", character, mode, refused)
			}
		}
		for _, prompt := range []string{"none", "login"} {
			w.Authorize("app", "state", state+character, "prompt", prompt).WantErrorPage(t, "a state of 4097 "+character, 413, "too_large")
		}
	}
}

// What the user typed comes back only as far as the number field takes it: a page
// that repeats more could not be submitted.
func TestTypedTextIsBounded(t *testing.T) {
	w := testworld.New(t)
	submission := w.Submission(w.Authorize("app"), strings.Repeat("٧x", 20000))
	_, err := w.Flow.Submit(t.Context(), submission)
	refusal, ok := err.(*authorize.Refusal)
	if !ok || len([]rune(refusal.View.Phone)) != 64 || !strings.HasPrefix(submission.Phone, refusal.View.Phone) {
		t.Fatalf("got %v, want a refusal with the first 64 characters", err)
	}
	reopened := w.Reopen(authorize.Reopening{Request: submission.Request, Phone: submission.Phone}).WantPage(t, "reopening", "signin")
	if got := reopened["Phone"].(string); got != refusal.View.Phone {
		t.Errorf("reopening: got %d bytes in the field, want the first 64 characters", len(got))
	}
}

// The largest request that is accepted stays within the limit after everything that
// is added to it: its expiry, and the browser that submits it.
func TestThreat_TheLargestRequestIsKeptWithinTheLimit(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) { c.Provider.Country = func(string) string { return "IN" } })
	var page testworld.Response
	for n := 1100; ; n++ { // each control character takes six bytes in JSON
		next := w.Authorize("app", "state", strings.Repeat("\x01", n))
		if name, _ := next.Page(); name != "signin" {
			break
		}
		page = next
	}
	submission := w.Submission(page, testworld.Number)
	submission.UserAgent = "SamsungBrowser/ CrOS"
	id, err := w.Flow.Submit(t.Context(), submission)
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.Engine.Get(t.Context(), id, testworld.Browser)
	if err != nil || len(a.Request) > maxKept || len(a.Request) < maxKept-256 {
		t.Errorf("got %d bytes kept, %v; want at most %d and nearly as many", len(a.Request), err, maxKept)
	}
}
