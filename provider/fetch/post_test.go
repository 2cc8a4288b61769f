// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestPost(t *testing.T) {
	var got url.Values
	address, c := published(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/":
			got = r.PostForm
			w.WriteHeader(http.StatusNoContent)
		case "/busy":
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte(strings.Repeat("x", 1<<20)))
		case "/away":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		}
	})
	reply, err := c.Post(t.Context(), address, url.Values{"a": {"b c"}})
	if err != nil || reply != (Reply{Status: 204}) || got.Get("a") != "b c" {
		t.Errorf("got %+v, %v, with the form %v", reply, err, got)
	}
	reply, err = c.Post(t.Context(), address+"/busy", nil)
	if want := (Reply{Status: 503, RetryAfter: 30 * time.Second}); err != nil || reply != want {
		t.Errorf("busy: got %+v, %v, want %+v", reply, err, want)
	}
	if _, err = c.Post(t.Context(), address+"/away", nil); !errors.Is(err, ErrResponse) {
		t.Errorf("a redirect: got %v, want ErrResponse", err)
	}
	c.SetNetworks(nil)
	got = nil
	if _, err = New(Options{}).Post(t.Context(), address, url.Values{"a": {"b"}}); !errors.Is(err, ErrAddress) || got != nil {
		t.Errorf("to loopback without its network: got %v and the form %v, want ErrAddress", err, got)
	}
}

func TestPostSET(t *testing.T) {
	var got *http.Request
	var body string
	address, c := published(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got, body = r, string(raw)
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(`{"err":"invalid_key"}` + strings.Repeat(" ", 1<<20)))
	})
	reply, err := c.PostSET(t.Context(), address, "Bearer secret", "a.b.c")
	if err != nil || reply.Status != 400 || !strings.HasPrefix(reply.Body, `{"err":"invalid_key"}`) || len(reply.Body) > maxIgnored {
		t.Errorf("got status %d, %d bytes, %v, want the beginning of the body", reply.Status, len(reply.Body), err)
	}
	for name, want := range map[string]string{"Content-Type": "application/secevent+jwt", "Accept": "application/json", "Authorization": "Bearer secret"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if body != "a.b.c" || got.Method != http.MethodPost {
		t.Errorf("%s with the body %q, want the token", got.Method, body)
	}
	if _, err := c.PostSET(t.Context(), address, "", "a.b.c"); err != nil || got.Header.Get("Authorization") != "" {
		t.Errorf("without a header: %q, %v", got.Header.Get("Authorization"), err)
	}
}

func TestCheckPost(t *testing.T) {
	for address, want := range map[string]bool{
		"https://app.example/logout": true, "http://localhost:3000/logout": true, "http://127.0.0.1/x": true, "http://[::1]:8/x": true,
		"": false, "http://app.example/": false, "http://localhost.example/": false, "http://10.0.0.1/": false, "ftp://localhost/": false,
		"https://app.example/#x": false, "http://localhost/#x": false, "http://user@localhost/": false,
	} {
		if err := CheckPost(address); (err == nil) != want {
			t.Errorf("%q: got %v, want permitted %t", address, err, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "99999999999999": 0,
		"Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 23:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}
