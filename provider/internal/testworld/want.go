// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// WantStatus fails the test if the status is another one. what says what was done.
func (r Response) WantStatus(t testing.TB, what string, status int) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("%s: got %v, want %d", what, r, status)
	}
}

// WantOAuthError fails the test unless the response is this OAuth error.
func (r Response) WantOAuthError(t testing.TB, what string, status int, code string) {
	t.Helper()
	if r.StatusCode != status || r.JSON()["error"] != code {
		t.Errorf("%s: got %v, want %d %s", what, r, status, code)
	}
}

// WantRedirect fails the test unless the response redirects there.
func (r Response) WantRedirect(t testing.TB, what, target string) {
	t.Helper()
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != target {
		t.Errorf("%s: got %v, want 303 to %s", what, r, target)
	}
}

// WantPage fails the test unless the response shows this page; it returns the view.
func (r Response) WantPage(t testing.TB, what, page string) (view map[string]any) {
	t.Helper()
	got, view := r.Page()
	if got != page || page != "error" && r.StatusCode != http.StatusOK {
		t.Errorf("%s: got %v, want the page %s", what, r, page)
	}
	return view
}

// WantErrorPage fails the test unless the response is this error page.
func (r Response) WantErrorPage(t testing.TB, what string, status int, kind string) {
	t.Helper()
	page, view := r.Page()
	if r.StatusCode != status || page != "error" || view["Kind"] != kind {
		t.Errorf("%s: got %v, want the error page %d %s", what, r, status, kind)
	}
}

// WantMembers fails the test if members of a JSON object have other values; nil
// stands for none.
func WantMembers(t testing.TB, what string, got, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s in %s: got %v, want %v", name, what, got[name], value)
		}
	}
}

// WantNothingStored fails the test if do writes to the store. What was noted before
// is committed first: a note becomes durable by itself a little later.
func (w *World) WantNothingStored(what string, do func()) {
	w.t.Helper()
	if _, err := w.Store.EndSession(w.t.Context(), "none"); err != nil {
		w.t.Fatal(err)
	}
	before := w.Store.Stats()
	do()
	if after := w.Store.Stats(); after != before {
		w.t.Errorf("%s: got store %+v, want %+v", what, after, before)
	}
}

// WantHeadWithoutEffect fails the test unless a HEAD request in a session gets 200 without a
// redirect and writes nothing to the store.
func (w *World) WantHeadWithoutEffect(target string, session *http.Cookie) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodHead, Issuer+target, nil)
	r.AddCookie(session)
	w.WantNothingStored("HEAD", func() {
		if a := w.Do(r); a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" {
			w.t.Errorf("HEAD: got %v, want 200 without a redirect", a)
		}
	})
}

// WantLogged fails the test unless the log has each text.
func (w *World) WantLogged(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if log := w.Log.Text(); !strings.Contains(log, text) {
			w.t.Errorf("log: got\n%s\nwant %s", log, text)
		}
	}
}

// Events returns what was logged under a name, such as an audit event.
func (w *World) Events(name string) []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(w.Log.Text()) {
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) == nil && event["msg"] == name {
			all = append(all, event)
		}
	}
	return all
}

// WantNotLogged fails the test if the log has one of the secrets, Truecaller's
// access token or Number (invariant 10).
func (w *World) WantNotLogged(secrets ...string) {
	w.t.Helper()
	for _, s := range append(secrets, truecallerAccessToken, Number[1:], Number[3:]) {
		if strings.Contains(w.Log.Text(), s) {
			w.t.Errorf("log: got %.60q in it, want none", s)
		}
	}
}
