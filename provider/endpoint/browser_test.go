// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// lastError notes the error page that was shown.
type lastError struct{ view ErrorView }

func (l *lastError) Error(w http.ResponseWriter, _ *http.Request, v ErrorView) {
	l.view = v
	w.WriteHeader(v.Status)
}

// newBrowser returns a Browser, the error page that it showed last, and its log.
func newBrowser(t *testing.T, detail bool) (*Browser, *lastError, *bytes.Buffer) {
	t.Helper()
	var pages lastError
	var log bytes.Buffer
	b, err := NewBrowser("https://id.example", &pages, Failures{Log: slog.New(slog.NewTextHandler(&log, nil))}, detail)
	if err != nil {
		t.Fatal(err)
	}
	return b, &pages, &log
}

// Each error of a page is shown as its kind, with its status, in the languages of the
// request. What is wrong with a request is for developers; what failed here is in the
// log alone, under the reference.
func TestErrorsOfPages(t *testing.T) {
	cause := errors.New("the disk is full")
	for _, row := range []struct {
		err    error
		kind   ErrorKind
		status int
		detail string
	}{
		{NewPageError(ErrorRedirectURI, 400, "it is %q", "x").In([]string{"sv"}), ErrorRedirectURI, 400, `it is "x"`},
		{ErrTooLarge, ErrorTooLarge, 413, ErrTooLarge.Error()},
		{ErrForm, ErrorBadRequest, 400, ErrForm.Error()},
		{ErrMediaType, ErrorBadRequest, 400, ErrMediaType.Error()},
		{ErrRepeated, ErrorBadRequest, 400, ErrRepeated.Error()},
		{ErrBadRequest, ErrorBadRequest, 400, ErrBadRequest.Error()},
		{fmt.Errorf("a form: %w", ErrBadRequest), ErrorBadRequest, 400, "a form: " + ErrBadRequest.Error()},
		{ErrRequestExpired, ErrorRequestExpired, 400, ""},
		{cause, ErrorInternal, 500, ""},
	} {
		for _, detail := range []bool{true, false} {
			b, pages, log := newBrowser(t, detail)
			w := httptest.NewRecorder()
			b.Page(func(http.ResponseWriter, *http.Request) error { return row.err }, "GET")(w, httptest.NewRequest("GET", "/", nil))
			v := pages.view
			if w.Code != row.status || v.Kind != row.kind || v.Status != row.status {
				t.Errorf("%v: got %d %+v, want %d %s", row.err, w.Code, v, row.status, row.kind)
			}
			if want := row.detail; detail && v.Detail != want || !detail && v.Detail != "" {
				t.Errorf("%v: got detail %q, want %q in development only", row.err, v.Detail, want)
			}
			if v.Correlation == "" || !strings.Contains(log.String(), v.Correlation) {
				t.Errorf("%v: got %+v and the log %s, want a reference that the log has", row.err, v, log)
			}
			if row.err == cause && !strings.Contains(log.String(), cause.Error()) {
				t.Errorf("%v: got the log %s, want the cause", row.err, log)
			}
			if _, ok := row.err.(*PageError); ok && !slices.Equal(v.UILocales, []string{"sv"}) {
				t.Errorf("%v: got the languages %v, want sv", row.err, v.UILocales)
			}
			if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%v: got %v, want no-store and no-referrer", row.err, h)
			}
		}
	}
}

// A page is served for its methods alone. A refused one says which there are.
func TestMethodsOfPages(t *testing.T) {
	b, pages, _ := newBrowser(t, false)
	served := 0
	page := b.Page(func(http.ResponseWriter, *http.Request) error { served++; return nil }, "GET", "HEAD")
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "get": 405} {
		served = 0
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = method
		page(w, r)
		if w.Code != want || (served == 1) != (want == 200) {
			t.Errorf("%s: got %d and the page served %d times, want %d", method, w.Code, served, want)
		}
		if h := w.Header(); h.Get("Cache-Control") != "no-store" || want == 200 && h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: got %v, want no-store and no-referrer", method, h)
		}
		if want == 405 && (!slices.Equal(w.Header().Values("Allow"), []string{"GET", "HEAD"}) || pages.view.Kind != ErrorMethodNotAllowed ||
			w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: got %v, %+v, want the methods, no-store and %s", method, w.Header(), pages.view, ErrorMethodNotAllowed)
		}
	}
}

// A form is passed on if one of our own pages has sent it, and its body can be read.
func TestOwnForm(t *testing.T) {
	b, pages, _ := newBrowser(t, true)
	got := ""
	page := b.Page(b.OwnForm(func(_ http.ResponseWriter, _ *http.Request, in Parameters) error { got = in.Get("a"); return nil }), "POST")
	for _, row := range []struct {
		what   string
		header map[string]string
		kind   ErrorKind
	}{
		{"our own page", map[string]string{"Sec-Fetch-Site": "same-origin"}, ""},
		{"our own page, of a browser that says its origin alone", map[string]string{"Origin": "https://id.example"}, ""},
		{"our own page, behind a proxy with another name", map[string]string{"Origin": "https://id.example", "Host": "inside.example"}, ""},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site"}, ErrorCrossOrigin},
		{"another host of the site", map[string]string{"Sec-Fetch-Site": "same-site"}, ErrorCrossOrigin},
		{"another origin", map[string]string{"Origin": "https://evil.example"}, ErrorCrossOrigin},
		{"no form", map[string]string{"Content-Type": "text/plain"}, ErrorBadRequest},
	} {
		got, pages.view = "", ErrorView{}
		r := httptest.NewRequest("POST", "https://id.example/", strings.NewReader("a=1"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range row.header {
			r.Header.Set(name, value)
		}
		if host := row.header["Host"]; host != "" {
			r.Host = host
		}
		w := httptest.NewRecorder()
		page(w, r)
		if pages.view.Kind != row.kind || (got == "1") != (row.kind == "") {
			t.Errorf("%s: got %d %+v and a=%q, want %q", row.what, w.Code, pages.view, got, row.kind)
		}
		if row.kind == ErrorCrossOrigin && w.Code != 403 {
			t.Errorf("%s: got %d, want 403", row.what, w.Code)
		}
	}
	if _, err := NewBrowser("no origin", pages, Failures{}, false); err == nil {
		t.Error("an issuer that is no origin: got no error, want one")
	}
}
