// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/ui/pagetest"
)

func TestEveryPostIsProtected(t *testing.T) {
	w := newWorld(t)
	for _, at := range []string{"/signin", ourPath + "/cancel", ourPath + "/again", ourPath + "/leave", "/language"} {
		r := ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		pagetest.Want(t, w.do(r), 403, "cross_origin", `id="error"`)

		r = ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
		pagetest.Want(t, w.do(r), 403, "cross_origin")

		// A proxy that changes the Host does not make our own form another site's.
		r = ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://id.example")
		r.Host = "10.0.0.7:8080"
		if answer := w.do(r); answer.Code >= 400 {
			t.Errorf("%s behind a proxy: got %d, want success", at, answer.Code)
		}

		pagetest.Want(t, w.do(ours("POST", at, url.Values{"request": {strings.Repeat("x", maxForm)}})), 413, "too_large", `id="error"`)

		r = ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.URL.RawQuery = "utm=50%off;x"
		if answer := w.do(r); answer.Code >= 400 {
			t.Errorf("%s with a tracker's query: got %d, want success", at, answer.Code)
		}
	}
	if len(w.flow.submitted) != 2 {
		t.Errorf("submitted %d times, want twice", len(w.flow.submitted))
	}
}

// away is the error of a store that comes back.
type away struct{}

func (away) Error() string              { return "the database cannot be reached" }
func (away) Unavailable() time.Duration { return 1500 * time.Millisecond }

// While the store is away, pages and scripts read when to try again.
func TestAStoreThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.flow.failure = fmt.Errorf("login: %w", away{})
	for _, at := range []string{"", "/continue", "/status", "/events"} {
		answer := w.get(ourPath + at)
		pagetest.Want(t, answer, 503, "internal")
		if after := answer.Header().Get("Retry-After"); after != "2" {
			t.Errorf("%s: got Retry-After %q, want 2", at, after)
		}
	}
}

// Invariant 10: nothing internal reaches a browser.
func TestInvariant10_AnUnknownErrorIsAServerErrorAndAnID(t *testing.T) {
	w := newWorld(t)
	w.flow.failure = errors.New("bolt: page 7 is corrupt")
	for _, at := range []string{"", "/continue", "/status", "/events"} {
		w.log.Reset()
		answer := w.get(ourPath + at)
		pagetest.Want(t, answer, 500, "internal")
		if strings.Contains(answer.Body.String(), "bolt") {
			t.Errorf("got a response with the cause: %s", answer.Body)
		}
		if !strings.Contains(w.log.String(), "page 7 is corrupt") || !strings.Contains(w.log.String(), "correlation-1") {
			t.Errorf("got the log %s, want the cause and the correlation in it", w.log)
		}
		if at == "" && !strings.Contains(answer.Body.String(), "correlation-1") {
			t.Error("got a page without the correlation id")
		}
	}
}

func TestAnIssuerWithAPath(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Base = "/truecaller" })
	pagetest.WantSeeOther(t, w.do(request("POST", "/signin", url.Values{"request": {"sealed"}})), "/truecaller"+ourPath)
	pagetest.Want(t, w.get(ourPath), 200, `href="/truecaller/static/`, `action="/truecaller`+ourPath+`/cancel"`, `data-attempt="/truecaller`+ourPath+`"`)
}
