// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"calleridp/provider/client"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// A failure is logged with its cause under the reference that the user has; as an error
// only where someone is left to see it.
func TestCorrelate(t *testing.T) {
	var log bytes.Buffer
	failures := Failures{Log: slog.New(slog.NewTextHandler(&log, nil))}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for level, ctx := range map[string]context.Context{"ERROR": t.Context(), "INFO": gone} {
		log.Reset()
		id := failures.Correlate(ctx, "a page failed", errors.New("the cause"))
		for _, want := range []string{"level=" + level, `msg="a page failed"`, "correlation=" + id, `error="the cause"`} {
			if len(id) != 12 || !strings.Contains(log.String(), want) {
				t.Errorf("%s: got %s, want %s", level, log.String(), want)
			}
		}
	}
}

func TestClip(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		strings.Repeat("x", 300):       strings.Repeat("x", 300),
		strings.Repeat("x", 301):       strings.Repeat("x", 300) + "...",
		"x" + strings.Repeat("é", 300): "x" + strings.Repeat("é", 149) + "...",
	} {
		if got := Clip(text); got != want {
			t.Errorf("%d bytes: got %d, want %d", len(text), len(got), len(want))
		}
	}
}

func TestConnectionAddr(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234":  "192.0.2.1",
		"[2001:db8::1]:1": "2001:db8::1",
		"192.0.2.1":       "invalid IP",
		"@":               "invalid IP",
		"a.example:80":    "invalid IP",
		"":                "invalid IP",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if got := ConnectionAddr(r); got.String() != want {
			t.Errorf("%q: got %s, want %s", remote, got, want)
		}
	}
}

// A client without a name is shown by its ID, and one with colours that do not parse in
// the operator's.
func TestViewOf(t *testing.T) {
	v := ViewOf(client.Client{ID: "app", Colour: "nonsense"})
	if v.Name != "app" || v.ID != "app" || v.Accent != nil || v.Own {
		t.Errorf("got %+v, want the ID as the name and no accent", v)
	}
	full := client.Client{ID: "app", Name: "App", LogoURI: "https://app.example/l", URI: "u", TOSURI: "t", PolicyURI: "p"}
	if got, want := ViewOf(full), (ClientView{ID: "app", Name: "App", URI: "u", TOSURI: "t", PolicyURI: "p"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// oneOrigin is registered by a client that is not named.
type oneOrigin string

func (o oneOrigin) OriginAllowed(_ context.Context, origin string) bool { return origin == string(o) }

func (oneOrigin) Client(context.Context, string) (client.Client, error) {
	return client.Client{}, client.ErrNotFound
}

// What a direct endpoint sends in every case: its headers, its status, its body.
func TestDirectResponses(t *testing.T) {
	direct := NewDirect(oneOrigin("https://app.example"), Failures{Log: slog.New(slog.DiscardHandler)})
	serve := func(method, origin string, out any, err error) *http.Response {
		e := DirectEndpoint{Name: "test", Methods: []string{"POST", "GET"}, CORS: true, Handle: func(http.ResponseWriter, *http.Request) (any, error) { return out, err }}
		r := httptest.NewRequest(method, "/", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		direct.Serve(e)(w, r)
		return w.Result()
	}
	late := &Refusal{Status: 429, OAuth: oidc.ErrServerError(), RetryAfter: 1500 * time.Millisecond}
	for _, row := range []struct {
		what   string
		got    *http.Response
		status int
		header map[string]string
	}{
		{"a response", serve("POST", "", map[string]int{"a": 1}, nil), 200, map[string]string{
			"Content-Type": "application/json", "Content-Length": "8", "Cache-Control": "no-store", "Pragma": "no-cache", "Allow": "", "Retry-After": "", "WWW-Authenticate": ""}},
		{"an empty one", serve("POST", "", nil, nil), 200, map[string]string{"Content-Type": "application/json", "Content-Length": "", "Cache-Control": "no-store"}},
		{"an OAuth error", serve("POST", "", nil, oidc.ErrInvalidGrant()), 400, map[string]string{"WWW-Authenticate": "", "Retry-After": ""}},
		{"a wrong client", serve("POST", "", nil, InvalidClient("x")), 401, map[string]string{"WWW-Authenticate": `Basic realm="calleridp"`}},
		{"a failure", serve("POST", "", nil, errors.New("x")), 500, map[string]string{"Cache-Control": "no-store"}},
		{"a limit", serve("POST", "", nil, late), 429, map[string]string{"Retry-After": "2"}},
		{"another method", serve("PUT", "", nil, nil), 405, map[string]string{"Allow": "POST, GET"}},
		{"a preflight", serve("OPTIONS", "https://app.example", nil, nil), 204, map[string]string{
			"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "POST, GET", "Vary": "Origin",
			"Access-Control-Allow-Headers": "Authorization, Content-Type", "Access-Control-Max-Age": "600", "Allow": "POST, GET, OPTIONS"}},
		{"a preflight of another origin", serve("OPTIONS", "https://evil.example", nil, nil), 204, map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Vary": "Origin", "Allow": "POST, GET, OPTIONS"}},
		{"OPTIONS without an origin", serve("OPTIONS", "", nil, nil), 204, map[string]string{"Access-Control-Allow-Origin": ""}},
	} {
		if row.got.StatusCode != row.status {
			t.Errorf("%s: got %d, want %d", row.what, row.got.StatusCode, row.status)
		}
		for name, want := range row.header {
			if got := row.got.Header.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", row.what, name, got, want)
			}
		}
	}
}
