// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Change changes a request before it is sent.
type Change = func(*http.Request)

// Basic authenticates a client by client_secret_basic.
func Basic(id, secret string) Change {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// Bearer presents an access token.
func Bearer(token string) Change {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// Cookie adds a cookie.
func Cookie(c *http.Cookie) Change { return func(r *http.Request) { r.AddCookie(c) } }

// Header sets a header.
func Header(name, value string) Change {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// CrossSite marks a request as one that a page of another site makes.
func CrossSite(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }

// Unchanged changes nothing.
func Unchanged(*http.Request) {}

// Form returns a POST request with a form.
func Form(target string, v url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Issuer+target, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// Do sends a request straight to the handler.
func (w *World) Do(r *http.Request) Response {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.Handler.ServeHTTP(recorder, r)
	return read(w.t, recorder)
}

// Get sends a GET request.
func (w *World) Get(target string, cookies ...*http.Cookie) Response {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, Issuer+target, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return w.Do(r)
}

// Post sends a form.
func (w *World) Post(target string, v url.Values, change ...Change) Response {
	w.t.Helper()
	r := Form(target, v)
	for _, c := range change {
		c(r)
	}
	return w.Do(r)
}

// Response is a response whose body was read.
type Response struct {
	*http.Response
	Text string // the body
}

func read(t testing.TB, recorder *httptest.ResponseRecorder) Response {
	t.Helper()
	res := recorder.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Response{Response: res, Text: string(body)}
}

// String returns status, redirect target and body, for failures.
func (r Response) String() string {
	text := fmt.Sprint(r.StatusCode)
	if to := r.Header.Get("Location"); to != "" {
		text += " to " + to
	}
	if challenge := r.Header.Get("WWW-Authenticate"); challenge != "" {
		text += " WWW-Authenticate: " + challenge
	}
	return fmt.Sprintf("%s %.1000s", text, strings.TrimSpace(r.Text))
}

// Page returns the name and the view of the page that the response shows, "" for
// none.
func (r Response) Page() (name string, view map[string]any) {
	var p struct {
		Page string         `json:"page"`
		View map[string]any `json:"view"`
	}
	json.Unmarshal([]byte(r.Text), &p)
	return p.Page, p.View
}

// JSON returns the body, nil if it is not an object.
func (r Response) JSON() map[string]any {
	var m map[string]any
	json.Unmarshal([]byte(r.Text), &m)
	return m
}

// Member returns a member of the body that is a string, "" if it is none.
func (r Response) Member(name string) string {
	text, _ := r.JSON()[name].(string)
	return text
}

// Redirect returns the target of a redirect without its query, and the query.
func (r Response) Redirect() (target string, query url.Values) {
	target, raw, _ := strings.Cut(r.Header.Get("Location"), "?")
	query, _ = url.ParseQuery(raw)
	return target, query
}

// Code returns the code of a redirect to a client, "" for none.
func (r Response) Code() string {
	_, query := r.Redirect()
	return query.Get("code")
}

// ClearsSession reports whether the response deletes the session cookie, and with it
// the cookie of the browser's attempts.
func (r Response) ClearsSession() bool {
	clears := func(name string) bool {
		return slices.ContainsFunc(r.Header.Values("Set-Cookie"), func(set string) bool {
			return strings.HasPrefix(set, name+"=;") && strings.Contains(set, "Max-Age=0")
		})
	}
	return clears(sessionCookie) && clears(browserCookie)
}
